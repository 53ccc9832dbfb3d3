"""A small dataset with a known answer, for `datarax validate datarax-hf`.

It is downloaded from a Hub on the loopback interface, as any other is from the real one.
"""

from __future__ import annotations

import functools
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from datarax.testing import KnownDataset
from datarax_hf.sample_hub import SampleHub

WHOLE, DAMAGED, NOTHING = "datarax/sample", "datarax/damaged", "datarax/nothing"
RECORDS, SHARDS, ROW_GROUP = 18, 2, 4
HEIGHT, WIDTH = 6, 5
CARD = f"""---
configs:
- config_name: default
  data_files: [{{split: train, path: train-*}}]
dataset_info:
  features:
  - {{name: image, dtype: image}}
  - {{name: label, dtype: {{class_label: {{names: {{'0': low, '1': middle, '2': high}}}}}}}}
  - {{name: text, dtype: string}}
  - {{name: place, list: float32, length: 2}}
  splits: [{{name: train, num_examples: {RECORDS}}}]
---
"""
FEATURES = {
    "image": {"_type": "Image"},
    "label": {"names": ["low", "middle", "high"], "_type": "ClassLabel"},
    "text": {"dtype": "string", "_type": "Value"},
    "place": {"feature": {"dtype": "float32", "_type": "Value"}, "length": 2, "_type": "List"},
}
STORED = pa.schema(
    {
        "image": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        "label": pa.int64(),
        "text": pa.string(),
        "place": pa.list_(pa.float32(), 2),
    },
    {"huggingface": json.dumps({"info": {"features": FEATURES}})},
)
# What of the environment would lead elsewhere than to that Hub and to a cache of its own.
_LEADS_ELSEWHERE = (
    "DATARAX_CACHE",
    "DATARAX_CACHE_LIMIT",
    "DATARAX_OFFLINE",
    "HF_DATASETS_OFFLINE",
    "HF_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "HF_TOKEN",
    "HUGGINGFACE_HUB_CACHE",
    "HUGGING_FACE_HUB_TOKEN",
    "TRANSFORMERS_OFFLINE",
)


def sample(folder: Path) -> KnownDataset:
    """Serve a dataset and a damaged one, with a cache in `folder`; return what is expected.

    This process, and those that it starts, are led to that Hub and that cache by the environment.
    """
    for name in _LEADS_ELSEWHERE:
        os.environ.pop(name, None)
    os.environ["HF_ENDPOINT"] = _hub().endpoint
    os.environ["HF_HOME"] = str(folder / "home")
    options = {"image_mode": "L", "image_size": (HEIGHT, WIDTH), "token": False}
    cached = f"datasets--{WHOLE.replace('/', '--')}/snapshots/*/{_file(SHARDS - 1)}"

    def part() -> None:
        (file,) = (folder / "home" / "hub").glob(cached)
        file.resolve().unlink()
        file.unlink(missing_ok=True)

    return KnownDataset(
        uri=f"hf:{WHOLE}",
        records=_records(),
        options=options,
        miss=(f"hf:{NOTHING}", {}),
        corrupt=(f"hf:{DAMAGED}", {}),
        part=part,
    )


@functools.cache
def _hub() -> SampleHub:
    """Return the one Hub of this process; it serves for as long as that lives."""
    rows = RECORDS // SHARDS
    records = [dict(record, image=_png(record["image"])) for record in _records()]
    whole = {
        _file(shard): _parquet(records[shard * rows : (shard + 1) * rows])
        for shard in range(SHARDS)
    }
    damaged = {name: data[: len(data) // 2] for name, data in whole.items()}
    card = {"README.md": CARD.encode()}
    return SampleHub({WHOLE: card | whole, DAMAGED: card | damaged})


def _file(shard: int) -> str:
    return f"train-{shard:05}-of-{SHARDS:05}.parquet"


def _records() -> list[dict[str, Any]]:
    shape = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH)
    return [
        {
            "image": shape * np.uint8(3) + np.uint8(7 * row),
            "label": row % 3,
            "text": f"row {row} " * (row % 4),
            "place": np.array([row / 4, -row], np.float32),
        }
        for row in range(RECORDS)
    ]


def _png(pixels: Any) -> dict[str, Any]:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG")
    return {"bytes": out.getvalue(), "path": None}


def _parquet(records: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records, STORED), out, row_group_size=ROW_GROUP)
    return out.getvalue()
