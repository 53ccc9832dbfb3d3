"""`SelectedReader`: some of a reader's fields. What is not selected is never read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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


class SelectedReader(ColumnarReader):
    """The fields `names` of another reader."""

    def __init__(self, reader: Reader, names: Sequence[str]) -> None:
        self._reader = reader
        self._fields = {name: reader.fields[name] for name in names}

    @property
    def fields(self) -> Mapping[str, Field]:
        return self._fields

    @property
    def identity(self) -> Mapping[str, str]:
        return self._reader.identity if isinstance(self._reader, Identified) else {}

    def __len__(self) -> int:
        return len(self._reader)

    def read(self, indices: Indices, names: Sequence[str], /) -> Columns:
        return read_columns(self._reader, indices, names)

    def read_into(self, indices: Indices, out: Mapping[str, NDArray[Any]], /) -> None:
        """Fill `out` as `BufferReader` says."""
        if isinstance(self._reader, BufferReader):
            self._reader.read_into(indices, out)
            return
        for name, column in read_columns(self._reader, indices, tuple(out)).items():
            out[name][...] = column

    def close(self) -> None:
        self._reader.close()
