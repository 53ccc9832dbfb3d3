"""`MemoryReader`: records that lie in memory, as columns. Free of JAX; the reference reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datarax.sources.config import SourceConfig
from datarax.sources.fields import Field
from datarax.sources.reader import ColumnarReader, Columns, Indices


@dataclass(frozen=True, kw_only=True)
class MemorySourceConfig(SourceConfig):
    """Options of a source in memory: those that every source takes.

    Its data has one stored split, `train`.
    """


class MemoryReader(ColumnarReader):
    """Records given as a dict of columns, or as a list of records.

    Args:
        data: A mapping of names to columns of one length: arrays with a leading dimension, or
            sequences of values; or a sequence of records, mappings with the same keys. Columns of
            numbers of one shape become arrays; strings, bytes, ragged lists and mixed values stay
            as they are, host-only. NumPy arrays are read where they lie: do not write to them.

    Raises:
        TypeError: If `data` is neither.
        ValueError: If columns differ in length, or records in their keys.
    """

    def __init__(self, data: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        columns = _columns(data)
        self._columns: dict[str, Any] = {}
        self._fields: dict[str, Field] = {}
        for name, column in columns.items():
            self._columns[name], self._fields[name] = _column(name, column)
        lengths = {name: len(column) for name, column in self._columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the columns of data differ in length: {lengths}")
        self._size = next(iter(lengths.values()), 0)

    @property
    def fields(self) -> Mapping[str, Field]:
        return self._fields

    @property
    def columns(self) -> Mapping[str, Any]:
        """The columns by name, as they are read."""
        return dict(self._columns)

    def __len__(self) -> int:
        return self._size

    def read(self, indices: Indices, names: Sequence[str], /) -> Columns:
        return {name: _rows(self._columns[name], indices) for name in names}

    def read_into(self, indices: Indices, out: Mapping[str, NDArray[Any]], /) -> None:
        """Fill `out` as `BufferReader` says: one gather for each field."""
        for name, buffer in out.items():
            np.take(self._columns[name], indices, axis=0, out=buffer, mode="clip")


def as_memory_reader(data: Any) -> MemoryReader:
    """Return `data` as a reader, as it is where it is one."""
    return data if isinstance(data, MemoryReader) else MemoryReader(data)


def _columns(data: Any) -> Mapping[str, Any]:
    if isinstance(data, Mapping):
        if not data:
            raise ValueError("data is an empty dict; give a column for each field")
        for name in data:
            if not isinstance(name, str):
                raise TypeError(f"data maps field names to columns, got the name {name!r}")
        return data
    if isinstance(data, str | bytes) or not isinstance(data, Sequence):
        raise TypeError(
            f"data is a dict of columns or a list of records (dicts), got {type(data).__name__}"
        )
    if not data:
        return {}
    first = data[0]
    for row, record in enumerate(data):
        if not isinstance(record, Mapping):
            raise TypeError(f"record {row} of data is a dict, got {type(record).__name__}")
        if record.keys() != first.keys():
            raise ValueError(
                f"record {row} of data has the fields {sorted(record)}, "
                f"and record 0 has {sorted(first)}"
            )
    return {name: [record[name] for record in data] for name in first}


def _column(name: str, column: Any) -> tuple[Any, Field]:
    if hasattr(column, "__array__"):
        masked = int(np.ma.getmaskarray(column).sum()) if np.ma.isMaskedArray(column) else 0
        if masked:
            raise ValueError(
                f"the column {name!r} is a masked array with {masked} values masked, and no value "
                "can be missing from an array: give column.filled(value)"
            )
        array = np.asarray(column)
        if array.ndim == 0:
            raise ValueError(f"the column {name!r} is a scalar; a column has a leading dimension")
        if array.dtype.kind not in "OSU":
            return array, Field.array(array.dtype, array.shape[1:])
        return array.tolist(), _host_field(array.tolist())
    if isinstance(column, str | bytes | Mapping) or not isinstance(column, Sequence):
        raise TypeError(
            f"the column {name!r} is an array or a sequence of values, got {type(column).__name__}"
        )
    values = list(column)
    stacked = _stacked(values)
    if stacked is not None:
        return stacked, Field.array(stacked.dtype, stacked.shape[1:])
    return values, _host_field(values)


def _stacked(values: list[Any]) -> NDArray[Any] | None:
    if not values or any(isinstance(value, str | bytes | Mapping) for value in values):
        return None
    try:
        arrays = [np.asarray(value) for value in values]
    except ValueError:
        return None
    if len({array.shape for array in arrays}) > 1:
        return None
    stacked = np.stack(arrays)
    return stacked if stacked.dtype.kind in "biufcV" else None


def _host_field(values: list[Any]) -> Field:
    if values and all(isinstance(value, str) for value in values):
        return Field.text()
    if values and all(isinstance(value, bytes) for value in values):
        return Field.host_only("bytes have no fixed length", ragged="bytes")
    try:
        arrays = [np.asarray(value) for value in values]
    except ValueError:
        return Field.host_only("its values are nested and differ in shape")
    numbers = [array for array in arrays if array.dtype.kind in "biufc"]
    if arrays and len(numbers) == len(arrays) and all(array.ndim == 1 for array in arrays):
        filled = [array.dtype for array in arrays if array.size]
        dtype = np.result_type(*filled) if filled else np.dtype(np.float32)
        return Field.host_only("its sequences differ in length", ragged="sequence", dtype=dtype)
    return Field.host_only("its values have no common shape or type")


def _rows(column: Any, indices: Indices) -> Any:
    if isinstance(column, np.ndarray):
        return np.take(column, indices, axis=0, mode="clip")
    return [column[index] for index in indices.tolist()]
