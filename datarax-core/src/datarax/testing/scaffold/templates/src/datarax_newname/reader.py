"""The reader: one split of a table as host columns, in the order and the dtypes of its file.

`fields`, `__len__` and `read` are all there is to write; core's `ColumnarReader` adds the rest.
Making the values arrays that a device takes is core's part.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datarax.errors import CorruptDataError
from datarax.sources import ColumnarReader, Columns, Field, Indices
from numpy.typing import NDArray


class NewnameReader(ColumnarReader):
    """The rows of a file: a line of `name:dtype` for each field, then a line for each record."""

    def __init__(self, path: Path) -> None:
        try:
            self._columns = _columns(path.read_text(encoding="utf-8"))
        except (ValueError, TypeError) as error:
            raise CorruptDataError(f"{path} is damaged, or is no table: {error}") from error

    @property
    def fields(self) -> Mapping[str, Field]:
        return {name: Field.array(column.dtype) for name, column in self._columns.items()}

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def read(self, indices: Indices, names: Sequence[str], /) -> Columns:
        return {name: self._columns[name][indices] for name in names}


def _columns(text: str) -> dict[str, NDArray[Any]]:
    if not text.endswith("\n"):
        raise ValueError("its last line has no end, so that more may be missing")
    head, *rows = csv.reader(text.splitlines())
    for number, row in enumerate(rows, start=2):
        if len(row) != len(head):
            raise ValueError(f"line {number} has {len(row)} values for {len(head)} fields")
    fields = [field.rpartition(":") for field in head]
    return {
        name: np.array([row[place] for row in rows], dtype)
        for place, (name, _, dtype) in enumerate(fields)
    }
