"""Checks of positions and sizes, alike wherever they are given."""

from __future__ import annotations

import operator
from typing import Any

import jax


def check_start(start: Any) -> int:
    """Return a concrete start as an int.

    Raises:
        TypeError: If it is not an integer.
        ValueError: If it is negative.
    """
    if isinstance(start, bool):
        raise TypeError(f"start is a position, an integer, got {start!r}")
    try:
        position = operator.index(start)
    except TypeError:
        raise TypeError(
            f"start is a position, an integer, got {type(start).__name__} {start!r}"
        ) from None
    if position < 0:
        raise ValueError(f"start is a position, 0 or more, got {position}")
    return position


def check_size(size: Any, word: str = "size") -> int:
    """Return a number of elements as an int.

    Raises:
        TypeError: If it is not an integer, or is traced.
        ValueError: If it is below 1.
    """
    if isinstance(size, jax.core.Tracer):
        raise TypeError(f"{word} is a Python int, since shapes are static; got the tracer {size}")
    if isinstance(size, bool):
        raise TypeError(f"{word} is a number of elements, got {size!r}")
    try:
        count = operator.index(size)
    except TypeError:
        raise TypeError(
            f"{word} is a number of elements, got {type(size).__name__} {size!r}"
        ) from None
    if count < 1:
        raise ValueError(f"{word} is a number of elements, 1 or more, got {count}")
    return count
