"""A small table with a known answer: for the contract, and for `datarax validate`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from datarax.testing import KnownDataset


def write_sample(folder: Path) -> KnownDataset:
    """Write a table and a damaged copy of it into `folder`; return what is expected of them."""
    records = [{"size": np.float32(row / 4), "kind": np.int32(row % 3)} for row in range(12)]
    lines = ["size:float32,kind:int32", *(f"{row['size']},{row['kind']}" for row in records)]
    text = "\n".join(lines) + "\n"
    for name, kept in (("whole", text), ("damaged", text[: len(text) // 2])):
        table = folder / name / "sample"
        table.mkdir(parents=True)
        (table / "train.csv").write_text(kept, encoding="utf-8")
    return KnownDataset(
        uri="newname:sample",
        records=records,
        options={"folder": folder / "whole"},
        miss=("newname:sample", {"folder": folder / "nowhere"}),
        corrupt=("newname:sample", {"folder": folder / "damaged"}),
    )
