"""Numbers of Arrow arrays as NumPy arrays and back, where none of them is null."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_SIGNED = ("int8", "int16", "int32", "int64")
_DTYPES = {
    **{name: np.dtype(name) for name in (*_SIGNED, *(f"u{name}" for name in _SIGNED))},
    "halffloat": np.dtype(np.float16),
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
    "bool": np.dtype(np.bool_),
}


def numbers_of(values: pa.Array) -> NDArray[Any]:
    """Return numbers, of which none is null, as NumPy has them; without a copy but for booleans.

    `to_numpy` does the same, and imports pandas where that is installed: a quarter of a second.
    """
    dtype = _DTYPES.get(str(values.type))
    data = values.buffers()[1] if dtype is not None else None
    if dtype is None or data is None or not len(values):
        return np.asarray(values.to_numpy(zero_copy_only=False))
    begin, count = values.offset, len(values)
    if dtype == np.bool_:
        packed = np.frombuffer(data, np.uint8, (begin + count + 7) // 8 - begin // 8, begin // 8)
        bits = np.unpackbits(packed, bitorder="little", count=begin % 8 + count)
        return bits[begin % 8 :].view(np.bool_)
    return np.frombuffer(data, dtype, count, begin * dtype.itemsize)


def places_of(rows: NDArray[np.int64]) -> pa.Array:
    """Return rows as Arrow has them, without a copy; `pa.array` would import pandas too."""
    data = pa.py_buffer(np.ascontiguousarray(rows, np.int64))
    return pa.Array.from_buffers(pa.int64(), len(rows), [None, data])
