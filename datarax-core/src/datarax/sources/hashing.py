"""Hashes of stored values that stay the same on every machine and in every version."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def hash_integers(values: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Return a uint64 hash of each integer: splitmix64's finalizer, seeded (Vigna, 2015)."""
    x = values + np.uint64((seed * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) & (2**64 - 1))
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def hash_values(values: Sequence[Any], seed: int) -> NDArray[np.uint64]:
    """Return a uint64 hash of each value by its content: BLAKE2b, keyed by the seed."""
    key = seed.to_bytes(4, "little")
    return np.array(
        [
            int.from_bytes(hashlib.blake2b(_content(value), digest_size=8, key=key).digest())
            for value in values
        ],
        np.uint64,
    )


def _content(value: Any) -> bytes:
    if isinstance(value, bytes):
        return b"b" + value
    if isinstance(value, str):
        return b"s" + value.encode()
    array = np.asarray(value)
    if array.dtype.kind in "iu":
        array = array.astype(np.int64)
    return f"{array.dtype.str}{array.shape}".encode() + array.tobytes()
