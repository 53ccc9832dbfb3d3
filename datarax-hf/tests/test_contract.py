"""The contract of sources, on a dataset that is downloaded from a Hub and then read offline."""

from __future__ import annotations

import numpy as np
import pytest

from datarax.testing import INDEXED, Capability, KnownDataset, SourceContract

CARD = """---
configs:
- config_name: mnist
  data_files: [{split: train, path: mnist/train-*}]
dataset_info:
  config_name: mnist
  features:
  - {name: image, dtype: image}
  - {name: label, dtype: {class_label: {names: {'0': zero}}}}
  - {name: text, dtype: string}
  - {name: count, dtype: int64}
  splits: [{name: train, num_examples: 23}]
---
"""


def _records(make):
    pixels, classes, _ = make.digits(23)
    words = [f"word {index}" * (index % 3) for index in range(23)]
    big = np.arange(23) * 1000 - 5
    columns = {
        "image": [make.png(image) for image in pixels],
        "label": classes,
        "text": words,
        "count": big,
    }
    features = {
        "image": make.IMAGE_FEATURE,
        "label": make.labels(*"0123456789"),
        "text": make.value("string"),
        "count": make.value("int64"),
    }
    data = [
        make.parquet(
            {name: column[start:stop] for name, column in columns.items()},
            features,
            row_group_size=4,
            types={"image": make.IMAGE},
        )
        for start, stop in ((0, 10), (10, 23))
    ]
    records = [
        {"image": pixels[i], "label": classes[i], "text": words[i], "count": big[i]}
        for i in range(23)
    ]
    names = [f"mnist/train-0000{i}-of-00002.parquet" for i in range(2)]
    return records, dict(zip(names, data, strict=True))


class TestHFContract(SourceContract):
    """A dataset that is downloaded when it is first loaded."""

    capabilities = INDEXED | {
        Capability.FETCHES,
        Capability.STREAMING,
        Capability.WINDOW_SHUFFLE,
    }
    matrix = "contract-matrix.md"

    @pytest.fixture
    def dataset(self, hub, make, cache):
        records, files = _records(make)
        bad = {name: data[: len(data) // 2] for name, data in files.items()}
        hub.publish("ylecun/bad", {"README.md": CARD, **bad})
        hub.publish("ylecun/mnist", {"README.md": CARD, **files})
        hub.redirects["mnist"] = "ylecun/mnist"

        def part():
            (file,) = cache.glob("*/snapshots/*/mnist/train-00001-of-00002.parquet")
            file.resolve().unlink()
            file.unlink()

        return KnownDataset(
            "hf:mnist",
            records,
            # A stream looks at no image beforehand: its spec is that of the other modes only where
            # the options say what images become.
            {"image_mode": "L", "image_size": records[0]["image"].shape},
            miss=("hf:nyu-mll/glue@v1?config=cola", {}),
            corrupt=("hf:ylecun/bad", {}),
            part=part,
        )
