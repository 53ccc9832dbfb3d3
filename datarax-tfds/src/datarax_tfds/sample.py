"""A small dataset with a known answer, prepared by TFDS, for `datarax validate datarax-tfds`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from datarax.testing import KnownDataset

RECORDS, SHARDS = 12, 2


class DataraxSample(tfds.core.GeneratorBasedBuilder):  # type: ignore[misc]  # TFDS has no types
    """Features that TFDS prepares without TensorFlow."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> Any:
        feature = tfds.features
        return tfds.core.DatasetInfo(
            builder=self,
            disable_shuffling=True,
            features=feature.FeaturesDict(
                {
                    "label": feature.ClassLabel(names=["ant", "bee", "cow"]),
                    "place": {"x": feature.Tensor(shape=(2, 3), dtype=np.float32)},
                    "text": feature.Text(),
                }
            ),
        )

    def _split_generators(self, _: Any) -> dict[str, Any]:
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for row in range(RECORDS):
            held = _record(row)
            yield (
                row,
                {
                    "label": int(held["label"]),
                    "place": {"x": held["place/x"]},
                    "text": held["text"],
                },
            )


def write_sample(folder: Path) -> KnownDataset:
    """Prepare the dataset and a damaged copy of it in `folder`; return what is expected of them."""
    whole, damaged = folder / "whole", folder / "damaged"
    tfds.disable_progress_bar()
    builder = DataraxSample(data_dir=str(whole), file_format="array_record")
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=SHARDS))
    shutil.copytree(whole, damaged)
    for shard in damaged.glob(f"{builder.name}/*/*.array_record-*"):
        shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
    return KnownDataset(
        uri=f"tfds:{builder.name}",
        records=[_record(row) for row in range(RECORDS)],
        options={"data_dir": str(whole)},
        miss=("tfds:no_such_dataset:1.0.0", {"data_dir": str(whole)}),
        corrupt=(f"tfds:{builder.name}", {"data_dir": str(damaged)}),
    )


def _record(row: int) -> dict[str, Any]:
    """Return a record as it is read: nested features are joined by '/'."""
    return {
        "label": np.int64(row % 3),
        "place/x": np.full((2, 3), row / 4, np.float32),
        "text": f"rëcord {row} ✓",
    }
