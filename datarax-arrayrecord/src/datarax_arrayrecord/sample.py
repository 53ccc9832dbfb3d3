"""A small set of shards with a known answer, for `datarax validate datarax-arrayrecord`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from array_record.python.array_record_module import ArrayRecordWriter

from datarax.testing import KnownDataset

SPEC = {"image": "uint8[4,3]", "weight": "float32[2]", "label": "int32"}
RECORDS, SHARDS = 12, 3


def write_sample(folder: Path) -> KnownDataset:
    """Write shards and a damaged file into `folder`; return what is expected of them."""
    records = [_record(row) for row in range(RECORDS)]
    whole, damaged = folder / "whole", folder / "damaged" / "rows.array_record"
    each = RECORDS // SHARDS
    for shard in range(SHARDS):
        name = f"rows.array_record-{shard:05}-of-{SHARDS:05}"
        _write(whole / name, records[shard * each : (shard + 1) * each])
    _write(damaged, records)
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    options = {"spec": SPEC}
    return KnownDataset(
        uri=f"arrayrecord:{whole}",
        records=records,
        options=options,
        miss=(f"arrayrecord:{folder / 'nothing.array_record'}", options),
        corrupt=(f"arrayrecord:{damaged}", options),
    )


def _record(row: int) -> dict[str, Any]:
    return {
        "image": np.arange(12, dtype=np.uint8).reshape(4, 3) + np.uint8(row),
        "weight": np.array([row / 4, -row], np.float32),
        "label": np.int32(row % 3),
    }


def _write(file: Path, records: list[dict[str, Any]]) -> None:
    file.parent.mkdir(exist_ok=True)
    writer = ArrayRecordWriter(str(file), "group_size:1")
    for record in records:
        writer.write(b"".join(np.asarray(value).tobytes() for value in record.values()))
    writer.close()
