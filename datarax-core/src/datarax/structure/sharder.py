"""`Sharder`: a batch to arrays that lie over devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from datarax.core.batch import check_fits
from datarax.core.config import StructuralConfig
from datarax.core.structural import StructuralModule
from datarax.transfer import check_divides, to_device


@dataclass(frozen=True, kw_only=True)
class SharderConfig(StructuralConfig):
    """How batches lie over devices.

    Attributes:
        mesh: The `jax.sharding.Mesh`.
        axes: The mesh axes over which the leading dimension is split; none replicates.

    Raises:
        ValueError: If the mesh lacks an axis, or one is named twice.
        TypeError: For a value of another type.
    """

    mesh: jax.sharding.Mesh
    axes: tuple[str, ...] | str = ()

    def __post_init__(self) -> None:
        if isinstance(self.axes, str):
            object.__setattr__(self, "axes", (self.axes,))
        super().__post_init__()
        if not isinstance(self.mesh, jax.sharding.Mesh):
            raise TypeError(
                f"mesh is a jax.sharding.Mesh, got {type(self.mesh).__name__} {self.mesh!r}"
            )
        if not isinstance(self.axes, tuple):
            raise TypeError(
                f"axes are names of mesh axes, got {type(self.axes).__name__} {self.axes!r}"
            )
        for axis in self.axes:
            if axis not in self.mesh.axis_names:
                raise ValueError(
                    f"the mesh has the axes {self.mesh.axis_names!r}, and none is {axis!r}"
                )
        if len(set(self.axes)) < len(self.axes):
            raise ValueError(f"axes={self.axes!r} names an axis twice")

    @property
    def sharding(self) -> jax.sharding.NamedSharding:
        """The sharding that this describes."""
        spec: Any = jax.sharding.PartitionSpec
        return jax.sharding.NamedSharding(self.mesh, spec(tuple(self.axes) or None))

    def __getstate__(self) -> dict[str, Any]:
        ids = np.vectorize(lambda device: device.id, otypes=[np.int64])(self.mesh.devices)
        return {**self.__dict__, "mesh": (ids, self.mesh.axis_names, self.mesh.axis_types)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        ids, names, types = state["mesh"]
        here = {device.id: device for device in jax.devices()}  # devices travel by their ids
        devices = np.vectorize(here.__getitem__, otypes=[object])(ids)
        self.__dict__.update(state, mesh=jax.sharding.Mesh(devices, names, types))


class Sharder(StructuralModule):
    """A batch, laid out over the devices of a mesh by its leading dimension."""

    config: SharderConfig

    def process(self, input: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the batch `input` as sharded arrays, same shapes, same values.

        Raises:
            ValueError: If a leading dimension does not divide over the mesh axes, or there is none.
            IntegerRangeError: If an integer does not fit the 32 bits of jax arrays.
            TypeError: If a leaf is no array.
        """
        if args or kwargs:
            raise TypeError(f"Sharder.process takes one batch, got also {args!r} {kwargs!r}")
        if not isinstance(input, Mapping):
            raise TypeError(f"a batch is a mapping of names to arrays, got {type(input).__name__}")
        sharding = self.config.sharding
        leaves = jax.tree_util.tree_leaves_with_path(input)
        for rows in {_rows(jax.tree_util.keystr(path), leaf) for path, leaf in leaves}:
            check_divides(sharding, rows, "a batch")
        return to_device(input, sharding)

    def batch_spec(self, spec: Any) -> Any:
        """Return the spec of a batch, with its sharding."""
        make: Any = jax.ShapeDtypeStruct
        sharding = self.config.sharding
        return jax.tree.map(lambda leaf: make(leaf.shape, leaf.dtype, sharding=sharding), spec)


def _rows(name: str, leaf: Any) -> int:
    """Return the rows of a leaf that may be laid out as it is."""
    if not isinstance(leaf, jax.Array | np.ndarray):
        raise TypeError(f"a batch has arrays, and its leaf {name} is {leaf!r}; leave it out")
    if not leaf.ndim:
        raise ValueError(f"a batch has rows, and its leaf {name} is one value: {leaf!r}")
    check_fits(name, leaf)
    return int(leaf.shape[0])
