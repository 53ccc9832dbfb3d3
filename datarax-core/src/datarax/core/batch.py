"""Batches: dicts whose leaves have a leading dimension, one row for each element."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from datarax.errors import IntegerRangeError

Element = Mapping[str, Any]
_HOST_ONLY = (str, bytes, list, tuple, type(None))


@jax.tree_util.register_pytree_with_keys_class
class Batch(dict[str, Any]):
    """A dict of arrays with a common leading dimension, and a pytree like any dict."""

    @classmethod
    def from_elements(cls, elements: Sequence[Element]) -> Self:
        """Return the elements stacked, each leaf of shape (len(elements), *shape).

        Host-only values (strings, bytes, lists, None) are left out, as a source's batches leave
        them out. Nested dicts stay nested.

        Args:
            elements: At least one element; all have the same keys, shapes and dtypes.

        Raises:
            TypeError: If they are no sequence of mappings with string keys.
            ValueError: If there is none, two differ, or an integer does not fit its array; the
                text names the field.
        """
        check_elements(elements)
        if not elements:
            raise ValueError("a batch is made of one element or more, got none")
        return cls(_stack(elements, ()))

    @property
    def size(self) -> int:
        """The leading dimension; 0 for a batch without leaves."""
        leaves = jax.tree.leaves(dict(self))
        return int(leaves[0].shape[0]) if leaves else 0

    def tree_flatten_with_keys(
        self,
    ) -> tuple[Iterable[tuple[Hashable, Any]], tuple[str, ...]]:
        """Flatten as a dict does: sorted by key."""
        names = tuple(sorted(self))
        return [(jax.tree_util.DictKey(name), self[name]) for name in names], names

    @classmethod
    def tree_unflatten(cls, names: tuple[str, ...], values: Iterable[Any]) -> Self:
        """Rebuild from the keys and the values in their order."""
        return cls(zip(names, values, strict=True))


def check_elements(elements: Any) -> None:
    """Raise TypeError unless `elements` is a sequence of mappings with string keys."""
    if not isinstance(elements, Sequence):
        raise TypeError(
            f"elements are a sequence of mappings, got {type(elements).__name__}; "
            "make a list of what gives them one by one"
        )
    for row, element in enumerate(elements):
        if not isinstance(element, Mapping):
            raise TypeError(
                f"element {row} is a mapping of field names to values, "
                f"got {type(element).__name__} {element!r}"
            )


def _stack(elements: Sequence[Element], path: tuple[str, ...]) -> dict[str, Any]:
    first = elements[0]
    for name in first:
        if not isinstance(name, str):
            raise TypeError(f"element 0 maps field names to values, got the name {name!r}")
    for row, element in enumerate(elements):
        if element.keys() != first.keys():
            raise ValueError(
                f"element {row} has the fields {sorted(element, key=str)} and element 0 has "
                f"{sorted(first)}; a batch is made of elements with the same fields"
            )
    stacked: dict[str, Any] = {}
    for name in first:
        values = [element[name] for element in elements]
        at = (*path, name)
        kind = _kind(".".join(at), values)
        if kind is dict:
            stacked[name] = _stack(values, at)
        elif kind is not None:
            stacked[name] = _stack_leaf(".".join(at), values)
    return stacked


def _kind(name: str, values: Sequence[Any]) -> type[Any] | None:
    """Return what a field holds in every element: dict, jax.Array, or None where host-only."""
    kinds = [
        dict if isinstance(value, Mapping) else None if isinstance(value, _HOST_ONLY) else jax.Array
        for value in values
    ]
    for row, kind in enumerate(kinds):
        if kind is not kinds[0]:
            raise ValueError(
                f"{name!r} is {type(values[row]).__name__} in element {row} and "
                f"{type(values[0]).__name__} in element 0; leave the field out, or make them alike"
            )
    return kinds[0]


def _stack_leaf(name: str, values: Sequence[Any]) -> Any:
    shapes = {np.shape(value) for value in values}
    if len(shapes) > 1:
        raise ValueError(
            f"{name!r} has the shapes {sorted(shapes)} in one batch; leave the field out, or pad it"
        )
    arrays = [_array(name, value) for value in values]
    dtypes = {array.dtype for array in arrays}
    if len(dtypes) > 1:
        raise ValueError(
            f"{name!r} has the dtypes {sorted(map(str, dtypes))} in one batch; "
            "elements of a batch have one dtype for each field"
        )
    return jnp.stack(arrays)


def check_fits(name: str, value: Any) -> None:
    """Raise IntegerRangeError where `value` holds an integer that no jax array would, as it is."""
    if isinstance(value, int | np.generic | np.ndarray) and not _fits(np.asarray(value)):
        raise IntegerRangeError(
            f"{name!r} holds {value!r}, which does not fit 32 bits; switch jax_enable_x64 on, "
            "or leave the field out"
        )


def _array(name: str, value: Any) -> jax.Array:
    check_fits(name, value)
    return jnp.asarray(value)


def _fits(values: np.ndarray[Any, Any]) -> bool:
    if values.dtype.kind == "O":  # an integer beyond 64 bits
        return False
    dtype = jax.dtypes.canonicalize_dtype(values.dtype)
    if values.dtype.kind not in "iu" or dtype == values.dtype or not values.size:
        return True
    bounds = np.iinfo(dtype)
    return bool(bounds.min <= values.min() and values.max() <= bounds.max)
