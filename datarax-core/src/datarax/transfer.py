"""Where data reaches devices: host columns to jax arrays, whole batches and sharded ones.

The only module that calls `jax.device_put`. Host buffers come from `Layout.read` or `Recycled`:
aligned, so that the CPU backend takes them without a copy, and not written as long as anything
holds them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

HostBatch = Mapping[str, NDArray[Any]]
Placement = Any
"""A `jax.Device`, a `jax.sharding.Sharding`, or None for the default device."""


def to_device(columns: Mapping[str, Any], placement: Placement = None) -> dict[str, jax.Array]:
    """Return host columns as jax arrays, in one transfer."""
    moved: dict[str, jax.Array] = jax.device_put(dict(columns), placement)
    return moved


def all_to_device(
    batches: Sequence[HostBatch], placement: Placement = None
) -> list[dict[str, jax.Array]]:
    """Return batches of host columns as jax arrays, in one transfer."""
    moved: list[dict[str, jax.Array]] = jax.device_put(list(batches), placement)
    return moved


CUT_AT_ONCE = 8
"""Batches that one program cuts: for 32 it takes half a second and 80 MB to compile, for 8 a third
of that; calling one for each batch takes longer than cutting it."""


def to_batches(columns: HostBatch, size: int, count: int) -> list[dict[str, jax.Array]]:
    """Return `count` batches of `size` rows from columns of `size * count` rows.

    They move in one transfer, and are copies: where the backend takes host buffers as they are,
    those may be written again once the batches are ready.
    """
    if count == 1:
        return [to_device(columns)]
    moved = to_device(columns)
    batches: list[dict[str, jax.Array]] = []
    while len(batches) < count:
        some = CUT_AT_ONCE if count - len(batches) >= CUT_AT_ONCE else 1
        batches += _cut(moved, np.int32(size * len(batches)), size, some)
    return batches


@functools.partial(jax.jit, static_argnames=("size", "count"))
def _cut(
    columns: dict[str, jax.Array], begin: Any, size: int, count: int
) -> list[dict[str, jax.Array]]:
    """Return the `count` batches of `size` rows that begin at row `begin`."""
    return [
        {
            name: jax.lax.dynamic_slice_in_dim(column, begin + size * number, size)
            for name, column in columns.items()
        }
        for number in range(count)
    ]


def ready(batches: list[dict[str, jax.Array]]) -> list[dict[str, jax.Array]]:
    """Return the batches once they are computed, and what they were made of is no longer read."""
    wait: Any = jax.block_until_ready
    wait(batches)
    return batches


def assemble(
    sharding: jax.sharding.Sharding,
    total: int,
    valid: int,
    spec: Mapping[str, jax.ShapeDtypeStruct],
    read_rows: Callable[[NDArray[np.int64]], HostBatch],
    mask: str | None = None,
) -> dict[str, jax.Array]:
    """Return a global batch, of which this process reads only its own devices' rows.

    Args:
        sharding: How every leaf lies, by its leading dimension.
        total: Rows of the global batch.
        valid: Rows of it that are read; those behind them are zeros.
        spec: The spec of one element.
        read_rows: Returns the host columns of the rows at these offsets, ascending.
        mask: The name of a boolean leaf that is True for the rows read, or None for no such leaf.
    """
    shapes = {name: (total, *leaf.shape) for name, leaf in spec.items()}
    rows = _local_rows(sharding, shapes, total)
    read = rows[rows < valid]
    columns = {name: np.zeros((len(rows), *leaf.shape), leaf.dtype) for name, leaf in spec.items()}
    if len(read) == len(rows):
        columns = dict(read_rows(read))
    elif len(read):
        for name, column in read_rows(read).items():
            columns[name][: len(read)] = column
    if mask is not None:
        shapes[mask] = (total,)
        columns[mask] = rows < valid
    starts = np.full(total, -1, np.int64)
    starts[rows] = np.arange(len(rows))

    def shard(name: str, index: tuple[slice, ...]) -> NDArray[Any]:
        wanted = starts[index[0]]
        column = columns[name]
        if len(wanted) and wanted[-1] - wanted[0] == len(wanted) - 1:
            part = column[wanted[0] : wanted[-1] + 1]
        else:
            part = column[wanted]
        return part[(slice(None), *index[1:])]

    return {
        name: jax.make_array_from_callback(
            shape, sharding, functools.partial(shard, name), dtype=columns[name].dtype
        )
        for name, shape in shapes.items()
    }


def check_placement(value: Any, option: str) -> None:
    """Raise TypeError unless `value` is a device, a sharding, or None."""
    if not isinstance(value, jax.Device | jax.sharding.Sharding | None):
        raise _no_sharding(value, f"{option} is a jax.Device or a jax.sharding.Sharding")


def check_sharding(value: Any, option: str) -> None:
    """Raise TypeError unless `value` is a sharding, or None."""
    if not isinstance(value, jax.sharding.Sharding | None):
        raise _no_sharding(value, f"{option} is a jax.sharding.Sharding")


def _no_sharding(value: Any, expected: str) -> TypeError:
    give = "jax.sharding.NamedSharding(mesh, spec), or jax.sharding.SingleDeviceSharding(device)"
    if isinstance(value, jax.sharding.PartitionSpec):
        give = f"jax.sharding.NamedSharding(mesh, {value!r}), which names the devices too"
    return TypeError(f"{expected}, got {type(value).__name__} {value!r}; give {give}")


def check_divides(sharding: jax.sharding.Sharding, size: int, what: str) -> None:
    """Raise ValueError where `size` rows do not divide over the sharding's leading dimension.

    Raises:
        TypeError: If it splits another dimension.
    """
    try:
        rows_of_a_device(sharding, size)
    except ValueError as error:
        raise ValueError(
            f"{what} of {size} rows cannot be laid out as {sharding}: {error}"
        ) from error


def rows_of_a_device(sharding: jax.sharding.Sharding, size: int) -> int:
    """Return how many of `size` rows one device holds.

    Raises:
        ValueError: If they do not divide.
        TypeError: If it splits another dimension than the leading one, which alone all leaves have.
    """
    try:
        return int(sharding.shard_shape((size,))[0])
    except IndexError:
        raise TypeError(
            f"{sharding} splits more than the leading dimension, and one sharding serves leaves of "
            "every rank; give one of rows, such as NamedSharding(mesh, PartitionSpec('data'))"
        ) from None


def pad_rows(batch: Mapping[str, Any], size: int, mask: str) -> dict[str, Any]:
    """Return `batch` with zero rows up to `size` and the boolean leaf `mask`, True where real."""
    rows = jax.tree.leaves(dict(batch))[0].shape[0]
    padded = dict(_zero_rows(dict(batch), size - rows)) if rows < size else dict(batch)
    padded[mask] = jnp.asarray(np.arange(size) < rows)
    return padded


@functools.partial(jax.jit, static_argnames=("count",))
def _zero_rows(batch: dict[str, Any], count: int) -> Any:
    return jax.tree.map(
        lambda leaf: jnp.concatenate([leaf, jnp.zeros((count, *leaf.shape[1:]), leaf.dtype)]), batch
    )


def _local_rows(
    sharding: jax.sharding.Sharding, shapes: Mapping[str, tuple[int, ...]], size: int
) -> NDArray[np.int64]:
    held = np.zeros(size, np.bool_)
    for shape in set(shapes.values()):
        for index in sharding.addressable_devices_indices_map(shape).values():
            held[index[0] if index else slice(None)] = True
    return np.flatnonzero(held)


def place_columns(columns: HostBatch, placement: Placement) -> dict[str, jax.Array]:
    """Return whole columns on the devices of `placement`, each process placing its own rows."""
    if isinstance(placement, jax.sharding.Sharding) and not placement.is_fully_addressable:
        return {
            name: jax.make_array_from_callback(column.shape, placement, column.__getitem__)
            for name, column in columns.items()
        }
    return to_device(columns, placement)


def take_rows(data: Any, index: Any) -> Any:
    """Return the rows of every leaf at `index`, which is within bounds by construction.

    Rows of data that lies over the devices of a mesh with explicit axes are replicated along their
    leading dimension, since any device may hold any of them.
    """

    def take(leaf: Any) -> Any:
        sharding = _explicit(leaf)
        if sharding is None:
            return leaf.at[index].get(mode="promise_in_bounds")
        rows = jax.sharding.NamedSharding(sharding.mesh, _spec(None, *sharding.spec[1:]))
        return leaf.at[index].get(mode="promise_in_bounds", out_sharding=rows)

    return jax.tree.map(take, data)


def blank_rows(count: int, leaf: jax.ShapeDtypeStruct) -> jax.Array:
    """Return `count` rows of zeros like `leaf`, laid out as it is; for use under tracing."""
    rows = jnp.zeros((count, *leaf.shape), leaf.dtype)
    sharding: Any = leaf.sharding
    if sharding is None or not _has_explicit_axes(sharding):
        return rows
    laid_out = jax.sharding.NamedSharding(sharding.mesh, _spec(None, *sharding.spec))
    reshard: Any = jax.sharding.reshard
    placed: jax.Array = reshard(rows, laid_out)
    return placed


def _explicit(leaf: Any) -> Any:
    sharding = jax.typeof(leaf).sharding
    return sharding if _has_explicit_axes(sharding) else None


def _has_explicit_axes(sharding: Any) -> bool:
    mesh = getattr(sharding, "mesh", None)
    return mesh is not None and jax.sharding.AxisType.Explicit in mesh.axis_types


def _spec(*parts: Any) -> Any:
    make: Any = jax.sharding.PartitionSpec
    return make(*parts)
