"""`scan_epoch`: one pass over a source in compiled code.

Eager data stays on the device: the whole pass is one program, order computed inside. Other sources
stage pieces of many batches in the background while the device computes. Either way one program
serves a step function and batch size, resumed passes included: its loop runs as many trips as it
is told.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax

from datarax.core import order
from datarax.core.checks import check_size
from datarax.core.spec import batched
from datarax.staging import Background, Stack, piece_batches
from datarax.transfer import blank_rows, take_rows

if TYPE_CHECKING:
    from datarax.core.data_source import DataSourceModule

ORDER_BLOCK = 32
"""Batches whose indices are computed at once: alone, their loops cost more than a small batch."""

Step = Callable[[Any, Any], tuple[Any, Any]]


def scan_epoch(
    source: DataSourceModule, step: Step, carry: Any, batch_size: int
) -> tuple[Any, Any]:
    """Return (carry, ys) after one pass over `source`; see `DataSourceModule.scan_epoch`."""
    size = check_size(batch_size, "batch_size")
    if not callable(step):
        raise TypeError(f"step is a function (carry, batch) -> (carry, y), got {step!r}")
    _refuse_tracing(carry)
    host = source._host
    host.check_open(source._who())
    spec = batched(source.element_spec(), size)
    carry, y_spec = _match(step, carry, spec)

    cursor = host.cursor
    token = cursor.begin()
    epoch, offset = cursor.epoch, cursor.offset
    on_device = source._on_device()
    known = source._known_length()
    parts: list[Any] = []
    if known is not None and size > known:  # no batch, and no program for a size of any magnitude
        trips, skipped = 0, known - offset
    elif on_device is not None:
        data, words = on_device
        length = len(source)
        trips, skipped = divmod(length - offset, size)
        shuffled = words is not None
        program = host.programs.get(
            ("scan", step, size),
            lambda: jax.jit(_whole_pass(step, size, length, shuffled=shuffled)),
        )
        place = order.place_words(words, epoch, offset)
        carry, ys = program(carry, data, place, jnp.int32(trips))
        parts = [ys]
    else:
        many = piece_batches(source.element_spec(), size)
        if known is not None:
            many = min(many, max(1, known // size))
        program = host.programs.get(("scan", step, size), lambda: jax.jit(_one_piece(step, many)))
        spare: list[Any] = []
        stacks = source._stacks(epoch, offset, size, many, spare)
        carry, parts, trips, skipped = _run_stacks(stacks, program, carry, spare)
    ys = _join(parts, y_spec, trips)
    cursor.check(token)
    cursor.deliver(trips * size)
    cursor.finish(skipped)
    return carry, ys


def _run_stacks(
    stacks: Iterator[Stack], program: Callable[..., Any], carry: Any, spare: list[Any]
) -> tuple[Any, list[Any], int, int]:
    parts, trips, skipped = [], 0, 0
    background = Background(stacks, 1)
    wait: Any = jax.block_until_ready
    before: tuple[Any, Any] | None = None
    try:
        for leaves, count, rest, buffers in background:
            skipped = rest
            if not count:
                continue
            carry, ys = program(carry, leaves, jnp.int32(count))
            parts.append(ys)
            trips += count
            if before is not None:  # its program has ended once this wait does: write them again
                wait(before[0])
                spare.append(before[1])
            before = None if buffers is None else ((carry, ys), buffers)
    finally:
        background.stop()
    return carry, parts, trips, skipped


def _whole_pass(step: Step, size: int, length: int, *, shuffled: bool) -> Callable[..., Any]:
    capacity = max(1, length // size)
    block = min(ORDER_BLOCK, capacity)

    def run(carry: Any, data: Any, place: Any, trips: Any) -> Any:
        words, low, high, offset = order.split_place(place, shuffled=shuffled)
        keys = None if words is None else order.round_keys(jnp, words, length, low, high)

        def index_of(first: Any) -> Any:
            begin = offset + first.astype(jnp.uint32) * jnp.uint32(size)
            offsets = begin + jnp.arange(block * size, dtype=jnp.uint32)
            offsets = jnp.minimum(offsets, jnp.uint32(length - 1))  # the last block's unused end
            index = (
                offsets.astype(jnp.int32)
                if keys is None
                else order.traced_indices(keys, length, offsets)
            )
            return index.reshape(block, size)

        def run_block(number: Any, state: Any) -> Any:
            first = number * block
            index = index_of(first)
            count = jnp.minimum(block, trips - first)
            return _loop(step, lambda i: take_rows(data, index[i]), state, first, count)

        state = (
            carry,
            _blank_ys(step, lambda: take_rows(data, index_of(jnp.int32(0))[0]), carry, capacity),
        )
        return lax.fori_loop(0, -(-trips // block), run_block, state)

    return run


def _one_piece(step: Step, many: int) -> Callable[..., Any]:
    def run(carry: Any, stacked: Any, trips: Any) -> Any:
        def batch(i: Any) -> Any:
            return jax.tree.map(
                lambda leaf: lax.dynamic_index_in_dim(leaf, i, keepdims=False), stacked
            )

        ys = _blank_ys(step, lambda: batch(jnp.int32(0)), carry, many)
        return _loop(step, batch, (carry, ys), jnp.int32(0), trips)

    return run


def _loop(step: Step, batch: Callable[[Any], Any], state: Any, first: Any, trips: Any) -> Any:
    """Run `trips` steps, known only when it runs: as `lax.scan`, whose length is static.

    `state` is (carry, ys); the y of trip i goes to row first + i of ys.
    """

    def body(i: Any, state: Any) -> Any:
        carry, ys = state
        moved, y = step(carry, batch(i))
        moved = jax.tree.map(lambda new, old: new.astype(old.dtype), moved, carry)
        ys = jax.tree.map(
            lambda held, value: lax.dynamic_update_index_in_dim(held, value, first + i, 0), ys, y
        )
        return moved, ys

    return lax.fori_loop(0, trips, body, state)


def _blank_ys(step: Step, batch: Callable[[], Any], carry: Any, capacity: int) -> Any:
    """Return zeros for the ys of `capacity` steps, laid out over devices as a y is."""
    spec = jax.eval_shape(lambda held: step(held, batch())[1], carry)
    return jax.tree.map(functools.partial(blank_rows, capacity), spec)


def _match(step: Step, carry: Any, spec: Any) -> tuple[Any, Any]:
    """Return the carry with the dtypes that the step gives it, and the spec of a y."""
    carry = jax.tree.map(jnp.asarray, carry)
    out = jax.eval_shape(step, carry, spec)
    if not isinstance(out, tuple) or len(out) != 2:
        raise TypeError(f"step returns (carry, y), got {type(out).__name__} {out!r}")
    moved, y_spec = out
    takes, returns = jax.tree.structure(carry), jax.tree.structure(moved)
    if str(takes) != str(returns):
        raise TypeError(
            "step returns a carry of another structure than it takes: "
            f"takes {takes}, returns {returns}"
        )

    def same(path: Any, new: Any, old: Any) -> Any:
        if new.shape == old.shape and new.dtype == old.dtype:
            return lax.convert_element_type(old, old.dtype) if old.weak_type else old
        if new.shape == old.shape and old.weak_type:
            return old.astype(new.dtype)
        raise TypeError(
            f"step returns a carry of another type than it takes at "
            f"carry{jax.tree_util.keystr(path)}: takes {old.dtype}{list(old.shape)}, "
            f"returns {new.dtype}{list(new.shape)}"
        )

    return jax.tree_util.tree_map_with_path(same, moved, carry), y_spec


def _join(parts: list[Any], y_spec: Any, trips: int) -> Any:
    if not parts:
        return jax.tree.map(lambda leaf: jnp.zeros((0, *leaf.shape), leaf.dtype), y_spec)

    def join(*leaves: Any) -> Any:
        whole = leaves[0] if len(leaves) == 1 else jnp.concatenate(leaves)
        return whole if whole.shape[0] == trips else whole[:trips]

    return jax.tree.map(join, *parts)


def _refuse_tracing(carry: Any) -> None:
    inside = isinstance(jnp.zeros((), jnp.int32), jax.core.Tracer)
    if inside or any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(carry)):
        raise RuntimeError(
            "scan_epoch runs compiled code of its own and moves the source's cursor, once each "
            "time it is called; inside another JAX transformation it would move it as that is "
            "traced. Call it outside, or scan over get_batch_at(start, size) there."
        )
