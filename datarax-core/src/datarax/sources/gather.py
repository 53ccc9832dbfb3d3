"""Rows of a batch: gathered on the device, or read by a callback from compiled code.

Both ask `core.order` for the indices, the one under tracing, the other on the host.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from datarax.core import order
from datarax.core.checks import check_start
from datarax.core.host import HostRef
from datarax.transfer import take_rows


@partial(jax.jit, static_argnames=("size", "batch", "count", "shuffled"))
def gather(data: Any, place: Any, size: int, batch: int, count: int, shuffled: bool) -> list[Any]:
    """Return `count` batches of `batch` rows from a place on, in one compiled call."""
    words, low, high, offset = order.split_place(place, shuffled=shuffled)
    index = order.traced_positions(words, size, low, high, offset, batch * count)
    return [take_rows(data, index[batch * i : batch * (i + 1)]) for i in range(count)]


def gather_traced(data: Any, words: Any, start: Any, size: int, count: int) -> Any:
    """Return `count` rows from a traced position on; `words` is None or a uint32 array."""
    kind = start.dtype.type
    epoch, offset = start // kind(size), start % kind(size)
    low = epoch.astype(jnp.uint32)
    high = (epoch >> 32).astype(jnp.uint32) if start.dtype.itemsize > 4 else jnp.uint32(0)
    split = None if words is None else [jnp.asarray(words)[i] for i in range(words.shape[0])]
    return take_rows(
        data,
        order.traced_positions(split, size, low, high, offset.astype(jnp.uint32), count),
    )


def traced_start(start: Any) -> Any:
    """Return a start as a traced or int32 scalar.

    Raises:
        TypeError: If it is no integer scalar.
        ValueError: If it is concrete, and negative or beyond int32.
    """
    if not isinstance(start, jax.core.Tracer):
        checked = check_start(start)
        if checked >= order.TRACED_LIMIT:
            raise ValueError(
                f"start={checked} with a traced key is beyond int32; fold the epoch into the key"
            )
        return jnp.int32(checked)
    if not jnp.issubdtype(start.dtype, jnp.integer) or start.shape != ():
        raise TypeError(
            f"start is a position, an integer scalar, got a traced {start.dtype}"
            f"{list(start.shape)}; use jax.vmap for several"
        )
    return start


def fetch_rows(ref: HostRef, count: int, start: Any, words: Any = None) -> dict[str, Any]:
    """Read the rows of one batch, or of each batch under vmap; runs on the host, NumPy only."""
    host = ref.get()
    if host is None:
        raise RuntimeError("the source was deleted while a compiled function still reads from it")
    facts = host.facts
    starts = np.asarray(start)
    keys = None if words is None else np.asarray(words, np.uint32)
    lead = starts.shape
    if keys is not None:
        lead = np.broadcast_shapes(starts.shape, keys.shape[:-1])
        keys = np.broadcast_to(keys, (*lead, keys.shape[-1])).reshape(-1, keys.shape[-1])
    flat = np.broadcast_to(starts, lead).reshape(-1).tolist()
    indices = [
        order.positions(
            None if keys is None else keys[row],
            facts.length,
            place // facts.length,
            place % facts.length,
            count,
        )
        for row, place in enumerate(flat)
    ]
    columns = facts.layout.read(host.reader(facts.uri or "the source"), np.concatenate(indices))
    return {
        name: column.reshape(*lead, count, *column.shape[1:]) for name, column in columns.items()
    }
