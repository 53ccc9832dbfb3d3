"""Elements, one by one, from pieces of many: device arrays are unstacked in compiled code.

Two programs serve any number of elements: one unstacks a run of rows, the other one row. A run is
short because each of its rows is an output of its own, which takes time to compile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import lax

from datarax.sources.layout import Layout
from datarax.transfer import take_rows

RUN = 64
PIECE_ROWS = 1024
HOST_PIECE_ROWS = 8192
PIECE_BYTES = 2**22


def piece_rows(layout: Layout) -> int:
    """Return how many elements are read at once: about 4 MiB of arrays."""
    if not layout.leaves:
        return HOST_PIECE_ROWS
    return max(1, min(PIECE_ROWS, PIECE_BYTES // max(1, layout.element_bytes)))


def unstacked(
    batch: Mapping[str, Any], rows: int, hosted: Mapping[str, Sequence[Any]]
) -> list[dict[str, Any]]:
    """Return the first `rows` elements of a batch, with the host-only values beside it.

    Args:
        batch: Device arrays with `rows` rows or more; empty where no field is an array.
        rows: How many elements.
        hosted: Host-only values, `rows` of each field.
    """
    if not batch:
        if len(hosted) == 1:
            ((name, values),) = hosted.items()
            return [{name: value} for value in values]
        return [dict(zip(hosted, row, strict=False)) for row in zip(*hosted.values(), strict=True)]
    elements: list[dict[str, Any]] = []
    capacity = next(iter(batch.values())).shape[0]
    whole = dict(batch)
    for begin in range(0, rows, RUN):
        if rows - begin >= RUN and capacity >= RUN:
            elements += _run(whole, np.int32(begin), count=RUN)
        else:
            elements += [row_of(whole, np.int32(row)) for row in range(begin, rows)]
    for name, values in hosted.items():
        for element, value in zip(elements, values, strict=True):
            element[name] = value
    return elements


@partial(jax.jit, static_argnames=("count",))
def _run(batch: dict[str, Any], begin: Any, count: int) -> list[dict[str, Any]]:
    taken = {name: lax.dynamic_slice_in_dim(column, begin, count) for name, column in batch.items()}
    return [{name: column[row] for name, column in taken.items()} for row in range(count)]


@jax.jit
def row_of(batch: dict[str, Any], index: Any) -> dict[str, Any]:
    """Return the element at `index` of device arrays, in one compiled call."""
    return {name: rows[0] for name, rows in take_rows(batch, index[None]).items()}
