"""Values that a config may hold: immutable, hashable, comparable.

NNX keeps a module's config in its graph definition, which `nnx.jit` hashes and compares. A dict
there is unhashable, and an array makes `==` ambiguous; so configs freeze what they hold. NumPy is
imported where there is an array, so that listing plugins does without it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, NoReturn


class FrozenDict(dict[Any, Any]):
    """A dict that cannot be changed, with a hash, whose array values compare by content."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("a config's mapping cannot be changed; build a new config with it replaced")

    __setitem__ = __delitem__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse
    __ior__ = _refuse

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping) or self.keys() != other.keys():
            return False
        return all(_same(value, other[key]) for key, value in self.items())

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:  # type: ignore[override]  # dict sets it to None
        return hash(frozenset((key, _fingerprint(value)) for key, value in self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)


def freeze(value: Any) -> Any:
    """Return `value` with mappings, lists and sets replaced by frozen ones, at every depth."""
    if isinstance(value, FrozenDict):
        return value
    if isinstance(value, Mapping):
        return FrozenDict({key: freeze(item) for key, item in value.items()})
    if isinstance(value, list):
        return tuple(freeze(item) for item in value)
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(freeze(item) for item in value)
    if isinstance(value, set):
        return frozenset(value)
    return _frozen_array(value) if is_array(value) else value


def plain(value: Any) -> Any:
    """Return `value` with NumPy's integers, truths and strings as Python's, at every depth."""
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    numpy = sys.modules.get("numpy")  # where nothing has imported it, none of its numbers is there
    if numpy is None:
        return value
    kinds = (numpy.integer, numpy.bool_, numpy.str_)
    return value.item() if isinstance(value, kinds) else value


def is_array(value: Any) -> bool:
    """Return whether `value` is a NumPy or JAX array, without importing either's namespace."""
    return hasattr(value, "__array__") and hasattr(value, "dtype") and hasattr(value, "shape")


def holds_array(value: Any) -> bool:
    """Return whether `value` is an array, or a sequence with one in it."""
    if isinstance(value, list | tuple):
        return any(holds_array(item) for item in value)
    return is_array(value)


def _frozen_array(value: Any) -> Any:
    """Return a NumPy array as a copy that cannot be written; any other is frozen as it is."""
    import numpy as np

    if not isinstance(value, np.ndarray):
        return value
    held = value.copy()
    held.flags.writeable = False
    return held


def _same(left: Any, right: Any) -> bool:
    if is_array(left) or is_array(right):
        import numpy as np

        return np.shape(left) == np.shape(right) and bool(np.array_equal(left, right))
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


def _fingerprint(value: Any) -> Any:
    if is_array(value):
        return (tuple(value.shape), str(value.dtype))
    if isinstance(value, tuple):
        return tuple(_fingerprint(item) for item in value)
    return value
