"""Specs: a pytree of `jax.ShapeDtypeStruct` that says what an element or a batch holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax

from datarax.core.x64 import x64_enabled
from datarax.sources.fields import Field
from datarax.sources.layout import Layout


def spec_of(fields: Mapping[str, Field]) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the spec of elements with these stored fields; host-only ones are not in it.

    64-bit types become 32-bit ones unless `jax_enable_x64` is on, as in every jax array.
    """
    layout = Layout.of(fields, tuple(fields), x64=x64_enabled())
    return layout_spec(layout)


def layout_spec(layout: Layout) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the spec of the elements that a layout emits."""
    return {leaf.name: struct(leaf.shape, leaf.dtype) for leaf in layout.leaves}


def batched(spec: Any, size: int) -> Any:
    """Return the spec of a batch of `size` elements of `spec`."""
    return jax.tree.map(lambda leaf: struct((size, *leaf.shape), leaf.dtype), spec)


def struct(shape: tuple[int, ...], dtype: Any) -> jax.ShapeDtypeStruct:
    """Return a `jax.ShapeDtypeStruct`, whose constructor jax does not type."""
    make: Any = jax.ShapeDtypeStruct
    made: jax.ShapeDtypeStruct = make(shape, dtype)
    return made
