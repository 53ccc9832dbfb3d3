"""Batches of eager data, from its first one on: those that a program gathers on the device.

The program takes longer to compile than a small split takes to load. On the CPU backend, where the
arrays of the device are memory of the host, batches are gathered there until a thread has compiled
it: the same rows of the same memory, in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from datarax.core import order
from datarax.core.compiling import Compiling
from datarax.sources.gather import gather
from datarax.sources.layout import aligned_empty
from datarax.transfer import all_to_device


class Run(NamedTuple):
    """Which rows: `many` batches of `batch` rows of N = `size`, from (epoch, offset) on."""

    words: Any
    size: int
    epoch: int
    offset: int
    batch: int
    many: int = 1


def placed_batches(data: Mapping[str, jax.Array], run: Run, compiling: Compiling) -> list[Any]:
    """Return the batches of a run of rows, on the device that `data` lies on."""
    place = order.place_words(run.words, run.epoch, run.offset)
    shuffled = run.words is not None

    def program() -> list[Any]:
        batches: list[Any] = gather(data, place, run.size, run.batch, run.many, shuffled)
        return batches

    def compiled() -> None:
        wait: Any = jax.block_until_ready
        wait(program())

    key = (run.batch, run.many, len(place))
    here = run.batch * run.many <= run.size and not compiling.done(key)
    if here and (device := _shared_memory(data)) is not None:
        batches = _gathered_on_host(data, run, device)
        if not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(batches)):
            compiling.begin(key, compiled)
            return batches
    return program()


def _shared_memory(data: Mapping[str, Any]) -> Any:
    """Return how `data` lies where its memory is the host's own; else None.

    Returns:
        A sharding where data is committed to its device, False where it is not, or None.
    """
    found: Any = False
    if not jax.sharding.get_abstract_mesh().empty:  # what the program returns lies over its devices
        return None
    for leaf in data.values():
        if not isinstance(leaf, jax.Array) or isinstance(leaf, jax.core.Tracer):
            return None
        if (
            leaf.dtype.kind not in "biufc"
            or jax.dtypes.canonicalize_dtype(leaf.dtype) != leaf.dtype
        ):
            return None
        if not isinstance(leaf.sharding, jax.sharding.SingleDeviceSharding):
            return None
        (device,) = leaf.devices()
        if device.platform != "cpu":
            return None
        if leaf.sharding.memory_kind not in (None, device.default_memory().kind):
            return None
        found = leaf.sharding if leaf.committed else False
    return found


def _gathered_on_host(data: Mapping[str, jax.Array], run: Run, device: Any) -> list[Any]:
    rows = order.positions(run.words, run.size, run.epoch, run.offset, run.batch * run.many)
    memory = {name: np.asarray(leaf.addressable_data(0)) for name, leaf in data.items()}
    batches = [
        {name: _taken(held, rows[begin : begin + run.batch]) for name, held in memory.items()}
        for begin in range(0, len(rows), run.batch)
    ]
    return all_to_device(batches, device or None)


def _taken(held: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    out = aligned_empty((len(rows), *held.shape[1:]), held.dtype)
    return held.take(rows, axis=0, out=out, mode="clip")
