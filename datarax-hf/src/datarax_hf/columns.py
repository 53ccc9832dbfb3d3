"""Columns: from the Arrow data of a row group to NumPy arrays and host values.

`load` runs once for a row group and its result is kept; `gather` picks rows from it. Fixed-width
columns never become Python objects.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from datarax.errors import CorruptDataError
from datarax.sources import Field
from datarax_hf.arrow_numbers import numbers_of, places_of
from datarax_hf.features import Kind, is_list, plain_type
from datarax_hf.images import ImageDecoder, Place
from datarax_hf.values import Meaning, meaning, readable

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
    def gather(self, loaded: Any, rows: Rows, place: Place) -> Any:
        """Return the values at `rows`: an array for an array field, else a list.

        Args:
            loaded: What `load` returned.
            rows: The rows, in any order.
            place: Says where a row lies.
        """

    def fill_out(self, loaded: Any, begin: int, out: Any, place: Place) -> None:
        """Fill `out`, an array or a list, with the values of the rows from `begin` on.

        Args:
            loaded: What `load` returned.
            begin: The first row.
            out: What is filled, C-contiguous; there are as many rows.
            place: Says where a row lies.
        """
        out[:] = self.gather(loaded, np.arange(begin, begin + len(out)), place)

    @property
    def stored_as(self) -> list[str]:
        """What the form that `load` returns depends on, beside the data."""
        return [type(self).__name__]

    def close(self) -> None:  # noqa: B027  # most columns hold nothing
        """Release what reading holds; the column can be read again."""


def count_nulls(data: pa.ChunkedArray) -> int:
    """Return how many values, or numbers within them, are null."""
    total = 0
    for values in plain(data).chunks:
        level = values
        while is_list(level.type):
            total += level.null_count
            try:
                level = level.flatten()
            except pa.ArrowNotImplementedError:  # a null beside extension types, which is counted
                break
        else:
            total += level.null_count
    return total


@dataclass(frozen=True)
class ArrayColumn(Column):
    """A column whose values are arrays of one shape; `fill` stands for its nulls."""

    fill: Any = None

    def load(self, data: pa.ChunkedArray, where: str) -> NDArray[Any]:
        shape = self.field.shape or ()
        parts = [self._flat(chunk, shape, where) for chunk in plain(data).chunks]
        if not parts:
            return np.empty((0, *shape), self.field.dtype)
        values = parts[0] if len(parts) == 1 else np.concatenate(parts)
        # Told rather than -1, which no size follows from where a shape has a zero.
        return values.astype(self.field.dtype, copy=False).reshape(len(data), *shape)

    def gather(self, loaded: NDArray[Any], rows: Rows, place: Place) -> NDArray[Any]:  # noqa: ARG002
        return loaded[rows]

    def fill_out(self, loaded: NDArray[Any], begin: int, out: Any, place: Place) -> None:  # noqa: ARG002
        out[:] = loaded[begin : begin + len(out)]

    def _flat(self, values: pa.Array, shape: tuple[int, ...], where: str) -> NDArray[Any]:
        for depth, length in enumerate(shape):
            values = self._filled(values, shape[depth:], where)
            if pa.types.is_fixed_size_list(values.type):
                lengths = np.array([values.type.list_size])
            else:
                lengths = np.diff(numbers_of(values.offsets)) if len(values) else np.array([length])
            if (lengths != length).any():
                found = sorted(set(lengths.tolist()) - {length})
                raise CorruptDataError(
                    f"{where}: the column {self.name!r} is of shape {shape}, but lists of "
                    f"{found[:5]} values stand where {length} are due"
                )
            values = _members(values)
        values = self._filled(values, (), where)
        return numbers_of(values)

    def _filled(self, values: pa.Array, shape: tuple[int, ...], where: str) -> pa.Array:
        """Return values without nulls, an array of the fill in the place of each."""
        if not values.null_count:
            return values
        if self.fill is None:
            raise CorruptDataError(
                f"{where}: the column {self.name!r} has {values.null_count} null values, which an "
                f"array of {self.field.dtype} cannot hold, and nothing told of them beforehand; "
                f"fill_nulls={{{self.name!r}: number}} puts a number in their place, and "
                f"exclude_keys=[{self.name!r}] leaves the column out"
            )
        value = self.fill
        for length in reversed(shape):
            value = [value] * length
        return pc.coalesce(values, pa.scalar(value, values.type))


@dataclass(frozen=True)
class ObjectColumn(Column):
    """A column of Python values: text, bytes, structs, times.

    Attributes:
        kind: What it holds; None is what Arrow makes of it.
        decoder: How images within its values become arrays, as the options say.
    """

    kind: Kind | None = None
    decoder: ImageDecoder | None = None

    def load(self, data: pa.ChunkedArray, where: str) -> pa.ChunkedArray:  # noqa: ARG002
        stored = plain(data)
        read_as, convert = self._meaning
        return stored if convert is None else readable(stored, read_as)

    def gather(self, loaded: pa.ChunkedArray, rows: Rows, place: Place) -> list[Any]:
        values: list[Any] = []
        for some, own in taken(loaded, rows):
            values += self._python(some, own, place)
        _, convert = self._meaning
        if convert is None:
            return values
        return [
            None if value is None else convert(value, partial(self._told, place, row))
            for value, row in zip(values, rows.tolist(), strict=True)
        ]

    def fill_out(self, loaded: pa.ChunkedArray, begin: int, out: Any, place: Place) -> None:
        some = loaded.slice(begin, len(out))
        if self._meaning[1] is None and some.num_chunks == 1:
            # What Python has no value for is looked for below.
            with suppress(ValueError, OverflowError):
                out[:] = some.chunk(0).to_pylist()
                return
        super().fill_out(loaded, begin, out, place)

    @property
    def stored_as(self) -> list[str]:
        return [type(self).__name__, str(self._meaning[0])]

    def _python(self, some: pa.Array, rows: Rows, place: Place) -> list[Any]:
        try:
            values: list[Any] = some.to_pylist()
        except (ValueError, OverflowError) as error:
            if len(some) > 1:  # one by one, to find which it is
                return [
                    value
                    for row in range(len(some))
                    for value in self._python(some[row : row + 1], rows[row : row + 1], place)
                ]
            raise CorruptDataError(
                f"{self._told(place, rows[0])} holds what Python has no value for: {error}"
            ) from error
        return values

    def _told(self, place: Place, row: int) -> str:
        return f"{place(row)}, column {self.name!r}"

    @cached_property
    def _meaning(self) -> tuple[pa.DataType | None, Meaning | None]:
        if self.kind is None:
            return None, None
        return meaning(self.kind.stored, self.kind.feature, self.decoder or ImageDecoder())

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_meaning"}


@dataclass(frozen=True)
class SequenceColumn(Column):
    """A column of lists of numbers: each value is a one-dimensional array of the field's dtype.

    A value that holds nulls is a list, unless `fill` stands for them.
    """

    fill: Any = None

    def load(self, data: pa.ChunkedArray, where: str) -> pa.ChunkedArray:  # noqa: ARG002
        return plain(data)

    def gather(self, loaded: pa.ChunkedArray, rows: Rows, place: Place) -> list[Any]:  # noqa: ARG002
        values: list[Any] = []
        for some, _ in taken(loaded, rows):
            values += self._arrays(some)
        return values

    def _arrays(self, lists: pa.Array) -> list[Any]:
        numbers = lists.flatten()  # of the lists that are not null
        if self.fill is not None:
            numbers = numbers.fill_null(self.fill)
        if numbers.null_count:
            return [self._array(value) for value in lists]
        flat = numbers_of(numbers).astype(self.field.dtype, copy=False)
        lengths = pc.list_value_length(lists)
        ends = np.cumsum(numbers_of(lengths.fill_null(0))).tolist()
        valid = lists.is_valid().to_pylist() if lists.null_count else [True] * len(lists)
        return [
            flat[begin:end].copy() if there else None
            for begin, end, there in zip([0, *ends], ends, valid, strict=False)
        ]

    def _array(self, value: pa.ListScalar) -> Any:
        if not value.is_valid:
            return None
        values = value.values  # Arrow's, not pandas'
        if values.null_count:
            return values.to_pylist()
        return np.array(values.to_numpy(zero_copy_only=False), self.field.dtype)


def _members(lists: pa.Array) -> pa.Array:
    """Return what lists hold, of which none is null: `flatten`, which copies, without a copy."""
    if not len(lists):
        return lists.flatten()
    if pa.types.is_fixed_size_list(lists.type):
        size = lists.type.list_size
        return lists.values.slice(lists.offset * size, len(lists) * size)
    first, last = lists.offsets[0].as_py(), lists.offsets[len(lists)].as_py()
    return lists.values.slice(first, last - first)


def taken(loaded: pa.ChunkedArray, rows: Rows) -> Iterator[tuple[pa.Array, Rows]]:
    """Yield the values at `rows` in arrays, each with its rows; a run of rows is not copied."""
    if not len(rows):
        return
    taken = loaded.slice(rows.item(0), len(rows)) if is_run(rows) else loaded.take(places_of(rows))
    if taken.num_chunks == 1:
        yield taken.chunk(0), rows
        return
    begin = 0
    for chunk in taken.chunks:
        yield chunk, rows[begin : begin + len(chunk)]
        begin += len(chunk)


def is_run(indices: Rows) -> bool:
    """Return whether indices go up one by one."""
    size = len(indices)
    if size < 2:
        return True
    # Whole numbers that only go up, and no further than there are steps, go up one by one.
    if indices.item(-1) - indices.item(0) != size - 1:
        return False
    return bool((indices[1:] > indices[:-1]).all())


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
