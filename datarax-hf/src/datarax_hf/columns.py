"""Columns: from the Arrow data of a row group to NumPy arrays and host values.

`load` runs once for a row group and its result is kept; `gather` picks rows from it. Fixed-width
columns never become Python objects.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datarax.errors import CorruptDataError
from datarax.sources import Field
from datarax_hf.features import plain_type
from datarax_hf.images import ImageDecoder
from datarax_hf.threads import Threads

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Column(abc.ABC):
    """How one column is read: its name, and the field it becomes."""

    name: str
    field: Field

    @abc.abstractmethod
    def load(self, data: pa.ChunkedArray, where: str) -> Any:
        """Return the column of a row group, with `nbytes`, in the form that `gather` takes."""

    @abc.abstractmethod
    def gather(self, loaded: Any, rows: Rows, where: str) -> Any:
        """Return the values at `rows`: an array for an array field, else a list."""

    def close(self) -> None:  # noqa: B027  # most columns hold nothing
        """Release what reading holds; the column can be read again."""


class ArrayColumn(Column):
    """A column whose values are arrays of one shape."""

    def load(self, data: pa.ChunkedArray, where: str) -> NDArray[Any]:
        shape = self.field.shape or ()
        parts = [self._flat(chunk, shape, where) for chunk in plain(data).chunks]
        if not parts:
            return np.empty((0, *shape), self.field.dtype)
        values = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return values.astype(self.field.dtype, copy=False).reshape(-1, *shape)

    def gather(self, loaded: NDArray[Any], rows: Rows, where: str) -> NDArray[Any]:  # noqa: ARG002
        return loaded[rows]

    def _flat(self, values: pa.Array, shape: tuple[int, ...], where: str) -> NDArray[Any]:
        for length in shape:
            self._refuse_nulls(values, where)
            if pa.types.is_fixed_size_list(values.type):
                lengths = np.array([values.type.list_size])
            else:
                lengths = np.diff(values.offsets.to_numpy()) if len(values) else np.array([length])
            if (lengths != length).any():
                found = sorted(set(lengths.tolist()) - {length})
                raise CorruptDataError(
                    f"{where}: the column {self.name!r} is of shape {shape}, but lists of "
                    f"{found[:5]} values stand where {length} are due"
                )
            values = values.flatten()
        self._refuse_nulls(values, where)
        return np.asarray(values.to_numpy(zero_copy_only=False))

    def _refuse_nulls(self, values: pa.Array, where: str) -> None:
        if values.null_count:
            raise CorruptDataError(
                f"{where}: the column {self.name!r} has {values.null_count} null values, which an "
                f"array of {self.field.dtype} cannot hold, and the file's statistics do not tell "
                f"of them; leave it out with exclude_keys=[{self.name!r}]"
            )


class ObjectColumn(Column):
    """A column of Python values: text, bytes, structs, times."""

    def load(self, data: pa.ChunkedArray, where: str) -> pa.ChunkedArray:  # noqa: ARG002
        return plain(data)

    def gather(self, loaded: pa.ChunkedArray, rows: Rows, where: str) -> list[Any]:  # noqa: ARG002
        values: list[Any] = loaded.take(pa.array(rows)).to_pylist()
        return values


class SequenceColumn(ObjectColumn):
    """A column of lists of numbers: each value is a one-dimensional array of the field's dtype."""

    def gather(self, loaded: pa.ChunkedArray, rows: Rows, where: str) -> list[Any]:  # noqa: ARG002
        return [self._array(value) for value in loaded.take(pa.array(rows))]

    def _array(self, value: pa.ListScalar) -> Any:
        if not value.is_valid:
            return None
        values = value.values  # Arrow's, not pandas'
        if values.null_count:
            return values.to_pylist()
        return np.array(values.to_numpy(zero_copy_only=False), self.field.dtype)


@dataclass(frozen=True)
class ImageColumn(Column):
    """A column of encoded images, decoded when they are gathered."""

    decoder: ImageDecoder
    threads: Threads = field(default_factory=Threads, compare=False, repr=False)

    def load(self, data: pa.ChunkedArray, where: str) -> pa.ChunkedArray:  # noqa: ARG002
        stored = plain(data)
        if not pa.types.is_struct(stored.type):
            return stored
        place = stored.type.get_field_index("bytes")
        if place < 0:
            return pa.chunked_array([pa.nulls(len(stored), pa.binary())])
        chunks = [chunk.flatten()[place] for chunk in stored.chunks]
        return pa.chunked_array(chunks, type=stored.type.field(place).type)

    def gather(self, loaded: pa.ChunkedArray, rows: Rows, where: str) -> Any:
        if self.field.is_array:
            out = np.empty((len(rows), *(self.field.shape or ())), self.field.dtype)
            self.gather_into(loaded, rows, where, out)
            return out
        values: list[Any] = []
        for images, some in _taken(loaded, rows):
            values += self.decoder.decode_all(images, self._place(where, some), self.threads)
        return values

    def gather_into(
        self, loaded: pa.ChunkedArray, rows: Rows, where: str, out: NDArray[Any]
    ) -> None:
        """Fill `out`, C-contiguous and of shape (rows, *shape), with the pixels at `rows`."""
        begin = 0
        for images, some in _taken(loaded, rows):
            place = self._place(where, some)
            if images.null_count:
                row = int(np.argmin(images.is_valid().to_numpy(zero_copy_only=False)))
                raise CorruptDataError(f"{place(row)}: the image has no bytes")
            self.decoder.decode_into(images, out[begin : begin + len(images)], place, self.threads)
            begin += len(images)

    def close(self) -> None:
        self.threads.close()

    def _place(self, where: str, rows: Rows) -> Callable[[int], str]:
        return lambda row: f"{where}, row {rows[row]}, column {self.name!r}"


def _taken(loaded: pa.ChunkedArray, rows: Rows) -> Iterator[tuple[pa.Array, Rows]]:
    """Yield the values at `rows` in arrays, each with its rows; a run of rows is not copied."""
    if not len(rows):
        return
    run = rows[-1] - rows[0] + 1 == len(rows) and (np.diff(rows) == 1).all()
    taken = loaded.slice(rows[0], len(rows)) if run else loaded.take(pa.array(rows))
    begin = 0
    for chunk in taken.chunks:
        yield chunk, rows[begin : begin + len(chunk)]
        begin += len(chunk)


def plain(data: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return data without extension types, dictionaries and 64-bit offsets, where that is free."""
    if isinstance(data.type, pa.BaseExtensionType):
        storage = data.type.storage_type
        data = pa.chunked_array([chunk.storage for chunk in data.chunks], type=storage)
    target = plain_type(data.type)
    if data.type == target or pa.types.is_nested(data.type):
        return data
    try:
        return data.cast(target)
    except pa.ArrowInvalid:
        return data
