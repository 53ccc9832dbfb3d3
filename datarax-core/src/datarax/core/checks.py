"""Checks of positions, sizes and generators, alike wherever they are given."""

from __future__ import annotations

import operator
from typing import Any

import jax
from flax import nnx


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


def check_size(size: Any, word: str = "size", *, of: str = "elements", least: int = 1) -> int:
    """Return a number of elements, or of what `of` says, as an int.

    Raises:
        TypeError: If it is not an integer, or is traced.
        ValueError: If it is below `least`.
    """
    if isinstance(size, jax.core.Tracer):
        raise TypeError(f"{word} is a Python int, since shapes are static; got the tracer {size}")
    if isinstance(size, bool):
        raise TypeError(f"{word} is a number of {of}, got {size!r}")
    try:
        count = operator.index(size)
    except TypeError:
        raise TypeError(f"{word} is a number of {of}, got {type(size).__name__} {size!r}") from None
    if count < least:
        raise ValueError(f"{word} is a number of {of}, {least} or more, got {count}")
    return count


def check_rngs(rngs: Any, who: str) -> None:
    """Raise TypeError unless `rngs` is None or `nnx.Rngs`."""
    if rngs is not None and not isinstance(rngs, nnx.Rngs):
        raise TypeError(
            f"{who}: rngs is an nnx.Rngs, such as nnx.Rngs(0), "
            f"got {type(rngs).__name__} {rngs!r}; a number alone is a seed"
        )
