"""Files mapped into memory. A mapping holds no descriptor, so that any number of files may be."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def mapped(path: Path) -> pa.Buffer:
    """Return a file's bytes, which stay mapped as long as the buffer or a view of it lives.

    Raises:
        OSError: If it cannot be mapped; so may a pa.ArrowException.
    """
    with pa.memory_map(str(path)) as file:
        return file.read_buffer()


def mapped_array(path: Path) -> NDArray[Any]:
    """Return the array of an `.npy` file, mapped; it cannot be written.

    Raises:
        ValueError: If it is no whole one; a pa.ArrowException is one too.
        OSError: If it cannot be mapped.
    """
    buffer = mapped(path)
    with pa.BufferReader(buffer) as reader:
        np.lib.format.read_magic(reader)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(reader)
        begin = reader.tell()
    count = math.prod(shape)
    if fortran or dtype.hasobject or buffer.size != begin + count * dtype.itemsize:
        raise ValueError(f"{buffer.size} bytes are not those of {dtype}{list(shape)}")
    if not count:
        return np.zeros(shape, dtype)
    array: NDArray[Any] = np.frombuffer(buffer, dtype, count, begin).reshape(shape)
    return array
