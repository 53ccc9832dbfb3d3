"""`SubsetReader`: some records of a reader, by their indices."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datarax.sources.fields import Field
from datarax.sources.reader import (
    BufferReader,
    ColumnarReader,
    Columns,
    Identified,
    Indices,
    Reader,
)
from datarax.sources.splits import read_columns


class SubsetReader(ColumnarReader):
    """The records of `reader` at `indices`, in that order; 8 bytes of memory for each.

    Closing it leaves the other reader open: parts of one dataset share it.
    """

    def __init__(self, reader: Reader, indices: NDArray[np.int64], name: str) -> None:
        self._reader = reader
        self._indices = np.asarray(indices, np.int64)
        self._name = name

    @property
    def fields(self) -> Mapping[str, Field]:
        return self._reader.fields

    @property
    def identity(self) -> Mapping[str, str]:
        inner = self._reader.identity if isinstance(self._reader, Identified) else {}
        digest = hashlib.sha256(self._indices.tobytes()).hexdigest()[:16]
        return {**inner, "part": f"{self._name} {digest}"}

    def __len__(self) -> int:
        return len(self._indices)

    def read(self, indices: Indices, names: Sequence[str], /) -> Columns:
        return read_columns(self._reader, self._indices[indices], names)

    def read_into(self, indices: Indices, out: Mapping[str, NDArray[Any]], /) -> None:
        """Fill `out` as `BufferReader` says."""
        rows = self._indices[indices]
        if isinstance(self._reader, BufferReader):
            self._reader.read_into(rows, out)
            return
        for name, column in read_columns(self._reader, rows, tuple(out)).items():
            out[name][...] = column
