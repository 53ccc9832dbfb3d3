"""Hashes of stored values that stay the same on every machine and in every version."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WIDEST = {"b": "?", "i": "<i8", "u": "<i8", "f": "<f8", "c": "<c16"}


def hash_integers(values: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Return a uint64 hash of each integer: splitmix64's finalizer, seeded (Vigna, 2015)."""
    x = values + np.uint64((seed * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) & (2**64 - 1))
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def hash_values(values: Sequence[Any], seed: int) -> NDArray[np.uint64]:
    """Return a uint64 hash of each value by its content: BLAKE2b, keyed by the seed.

    Equal values have equal hashes; numbers are told apart by kind (integer, float, complex), not
    by width.

    Raises:
        TypeError: For a value that is neither a number, text, bytes, None, an array of numbers,
            nor a list or dict of such.
    """
    key = seed.to_bytes(4, "little")
    return np.array(
        [
            int.from_bytes(hashlib.blake2b(_content(value), digest_size=8, key=key).digest())
            for value in values
        ],
        np.uint64,
    )


def _content(value: Any) -> bytes:
    if value is None:
        return b"n"
    if isinstance(value, bytes):
        return b"b" + value
    if isinstance(value, str):
        return b"s" + value.encode()
    if isinstance(value, Mapping):
        items = [(_content(key), _content(item)) for key, item in value.items()]
        return b"m" + b"".join(map(_framed, (part for item in sorted(items) for part in item)))
    numbers = _numbers(value)
    if numbers is not None:
        return f"{numbers.dtype.str}{numbers.shape}".encode() + numbers.tobytes()
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim):
        return b"l" + b"".join(_framed(_content(item)) for item in value)
    raise TypeError(
        f"{value!r} has no hash that is the same everywhere; numbers, text, bytes, and lists and "
        "dicts of them have one"
    )


def _numbers(value: Any) -> NDArray[Any] | None:
    """Return the value's numbers, all of a kind at one width, or None where it holds others."""
    try:
        array = np.asarray(value)
    except ValueError:  # sequences of differing lengths
        return None
    widest = _WIDEST.get(array.dtype.kind)
    return None if widest is None else array.astype(widest) + np.zeros((), widest)  # -0.0 is 0.0


def _framed(content: bytes) -> bytes:
    return len(content).to_bytes(8, "little") + content
