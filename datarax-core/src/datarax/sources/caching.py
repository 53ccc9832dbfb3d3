"""`CachingReader`: decoded records kept on the host, up to a number of bytes.

What is kept stays until `clear`: epochs visit every record once, so that evicting the oldest would
evict each record just before it is asked for again.
"""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from datarax.sources.fields import Field
from datarax.sources.reader import ColumnarReader, Columns, Identified, Indices, Reader
from datarax.sources.splits import read_columns

_FIXED = (str, bytes, int, float, complex, bool, type(None))


class CachingReader(ColumnarReader):
    """Another reader's records, each decoded once while `limit` bytes last.

    Pickling leaves the cache behind.
    """

    def __init__(self, reader: Reader, limit: int) -> None:
        self._reader = reader
        self._limit = limit
        self._held: dict[str, dict[int, Any]] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def fields(self) -> Mapping[str, Field]:
        return self._reader.fields

    @property
    def identity(self) -> Mapping[str, str]:
        return self._reader.identity if isinstance(self._reader, Identified) else {}

    def __len__(self) -> int:
        return len(self._reader)

    def read(self, indices: Indices, names: Sequence[str], /) -> Columns:
        fields = self.fields
        out: dict[str, Any] = {}
        for name in names:
            held = self._held.setdefault(name, {})
            missing = np.array([i for i in dict.fromkeys(indices.tolist()) if i not in held], int)
            fresh: dict[int, Any] = {}
            if len(missing):
                column = read_columns(self._reader, missing.astype(np.int64), (name,))[name]
                fresh = dict(zip(missing.tolist(), column, strict=True))
                self._keep(held, fresh)
            field = fields[name]
            values = [
                fresh[i] if i in fresh else held[i] if field.is_array else _own(held[i])
                for i in indices.tolist()
            ]
            out[name] = (
                np.stack(values) if field.is_array and values else self._column(field, values)
            )
        return out

    def clear(self) -> None:
        """Forget every record kept."""
        with self._lock:
            self._held = {}
            self._bytes = 0

    def close(self) -> None:
        self.clear()
        self._reader.close()

    def _keep(self, held: dict[int, Any], fresh: Mapping[int, Any]) -> None:
        with self._lock:
            for index, value in fresh.items():
                if index in held:  # another thread has read it too
                    continue
                size = _size(value)
                if self._bytes + size > self._limit:
                    return
                held[index] = _own(value)
                self._bytes += size

    @staticmethod
    def _column(field: Field, values: list[Any]) -> Any:
        if not field.is_array:
            return values
        return np.empty((0, *(field.shape or ())), field.dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return CachingReader, (self._reader, self._limit)


def _own(value: Any) -> Any:
    """Return a value that shares nothing which can be changed with this one."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.copy()
    return value if isinstance(value, _FIXED) else copy.deepcopy(value)


def _size(value: Any) -> int:
    """Return the bytes of a value with all that it holds."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    size = sys.getsizeof(value)
    if isinstance(value, Mapping):
        return size + sum(_size(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple | set | frozenset):
        return size + sum(map(_size, value))
    return size
