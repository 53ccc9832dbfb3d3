"""Saved state: NNX variables as a plain tree, checked strictly before any of it is put back.

`pack` and `restore` go between an `nnx.State` and a dict of arrays; `check_tree` compares two such
dicts and names the path of the first difference. `to_json` and `from_json` carry the same tree as
JSON values, for states of sources.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from datarax.errors import StateMismatchError

_ARRAY, _TEXT = "array:", "text:"


class OptionalVariable(nnx.Variable[Any]):
    """A variable that holds a mapping or None; a saved state leaves it out while it is None."""


def pack(state: Any) -> dict[str, Any]:
    """Return the variables of an `nnx.State` as nested dicts with string keys and array leaves."""
    tree: dict[str, Any] = {}
    for path, variable in nnx.to_flat_state(state):
        value = variable.get_value()
        if isinstance(variable, OptionalVariable) and value is None:
            continue
        node = tree
        for part in path[:-1]:
            node = node.setdefault(str(part), {})
        node[str(path[-1])] = _plain(value)
    return tree


def restore(state: Any, saved: Mapping[str, Any]) -> None:
    """Set the variables of an `nnx.State` to what `pack` returned; all of them, or none.

    Raises:
        StateMismatchError: If `saved` differs in keys, shape or dtype.
    """
    flat = list(nnx.to_flat_state(state))
    optional = {path for path, variable in flat if isinstance(variable, OptionalVariable)}
    found, held = _copied(saved), pack(state)
    values = {path: _take(found, path) for path in optional}
    for path in optional:
        _take(held, path)
        if not isinstance(values[path], Mapping | None):
            where = ".".join(map(str, path))
            raise StateMismatchError(f"{where}: a dict is expected, got {values[path]!r}")
    check_tree(held, found)
    for path, variable in flat:
        if path in optional:
            variable.set_value(values[path])
        else:
            variable.set_value(_restored(variable.get_value(), _at(found, path)))


def check_tree(expected: Any, saved: Any, path: tuple[str, ...] = ()) -> None:
    """Raise StateMismatchError, a ValueError, where two trees differ in keys, shape or dtype."""
    where = ".".join(path) or "the state's root"
    if isinstance(expected, Mapping):
        if not isinstance(saved, Mapping):
            raise StateMismatchError(
                f"{where}: a dict with the keys {sorted(expected)} is expected, "
                f"got {type(saved).__name__}"
            )
        missing = sorted(key for key in expected if key not in saved)
        extra = sorted((key for key in saved if key not in expected), key=str)
        if missing or extra:
            at = ".".join((*path, str((missing or extra)[0])))
            raise StateMismatchError(
                f"{at}: {'missing from' if missing else 'unknown in'} the saved state; "
                f"missing keys {missing}, extra keys {extra}"
            )
        for key in expected:
            check_tree(expected[key], saved[key], (*path, key))
        return
    if isinstance(expected, list | tuple):
        if not isinstance(saved, list | tuple) or len(saved) != len(expected):
            raise StateMismatchError(
                f"{where}: a sequence of {len(expected)} is expected, got {saved!r}"
            )
        for index, (left, right) in enumerate(zip(expected, saved, strict=True)):
            check_tree(left, right, (*path, str(index)))
        return
    if hasattr(expected, "dtype"):
        _check_leaf(expected, saved, where)
    elif type(expected) is not type(saved):
        raise StateMismatchError(
            f"{where}: {type(expected).__name__} is expected, got {type(saved).__name__}"
        )


def to_json(tree: Any) -> Any:
    """Return a tree as JSON values; an array becomes a string, "array:int32[2]:7 8"."""
    if isinstance(tree, Mapping):
        return {str(key): to_json(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [to_json(value) for value in tree]
    if isinstance(tree, str):
        return f"{_TEXT}{tree}" if tree.startswith((_ARRAY, _TEXT)) else tree
    if tree is None or isinstance(tree, bool | int | float):
        return tree
    array = np.asarray(_plain(tree))
    if array.dtype.kind in "SUOMm":
        raise TypeError(
            f"a saved state holds numbers, text, lists, dicts and arrays of numbers, not {tree!r} "
            f"({array.dtype}); leave it out of the statistics, or keep it as text"
        )
    shape = ",".join(map(str, array.shape))
    numbers = array.ravel()
    if numbers.dtype.kind not in "biufc":  # bfloat16 and its like print as float32
        numbers = numbers.astype(np.float32)
    values = " ".join(str(value) for value in numbers.tolist())
    return f"{_ARRAY}{array.dtype}[{shape}]:{values}"


def from_json(value: Any) -> Any:
    """Return the tree that `to_json` wrote; its arrays are jax arrays, or NumPy's of 64 bits.

    Raises:
        ValueError: If an array's string is damaged.
    """
    if isinstance(value, Mapping):
        return {key: from_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if isinstance(value, str) and value.startswith(_TEXT):
        return value[len(_TEXT) :]
    if isinstance(value, str) and value.startswith(_ARRAY):
        return _array(value)
    return value


def _copied(tree: Any) -> Any:
    return {k: _copied(v) for k, v in tree.items()} if isinstance(tree, Mapping) else tree


def _take(tree: Any, path: Sequence[Any]) -> Any:
    """Return what `tree` holds at `path`, taken out of it, or None."""
    for part in path[:-1]:
        tree = tree.get(str(part)) if isinstance(tree, dict) else None
    return tree.pop(str(path[-1]), None) if isinstance(tree, dict) else None


def _at(tree: Any, path: Sequence[Any]) -> Any:
    for part in path:
        tree = tree[str(part)]
    return tree


def _array(text: str) -> Any:
    match = re.fullmatch(r"array:(\w+)\[([\d,]*)\]:(.*)", text)
    if match is None:
        raise ValueError(f"{text[:80]!r} is no array")
    dtype = jnp.dtype(match[1])
    kinds: dict[str, Any] = {"b": _boolean, "c": complex, "i": int, "u": int}
    read = kinds.get(dtype.kind, float)
    values = np.array([read(word) for word in match[3].split()], dtype)
    values = values.reshape([int(size) for size in match[2].split(",") if size])
    # Where 64 bits are off, a jax array would hold half of them.
    return values if jax.dtypes.canonicalize_dtype(dtype) != dtype else jnp.asarray(values)


def _boolean(word: str) -> bool:
    return {"True": True, "False": False}[word]


def _check_leaf(expected: Any, saved: Any, where: str) -> None:
    if not hasattr(saved, "dtype") and not isinstance(saved, int | float | bool | list):
        raise StateMismatchError(
            f"{where}: {expected.dtype}{list(expected.shape)} is expected, "
            f"got {type(saved).__name__} {saved!r}"
        )
    found = _plain(saved)
    shape = tuple(np.shape(found))
    if shape != tuple(expected.shape):
        raise StateMismatchError(
            f"{where}: shape {list(expected.shape)} is expected, got {list(shape)}"
        )
    dtype = found.dtype if hasattr(found, "dtype") else np.asarray(found).dtype
    if dtype != expected.dtype:
        raise StateMismatchError(f"{where}: dtype {expected.dtype} is expected, got {dtype}")


def _plain(value: Any) -> Any:
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return jax.random.key_data(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value


def _restored(current: Any, value: Any) -> Any:
    if isinstance(current, Mapping):
        return {key: _restored(current[key], value[str(key)]) for key in current}
    if not isinstance(current, jax.Array):
        return value
    if jnp.issubdtype(current.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jnp.asarray(value), impl=jax.random.key_impl(current))
    return jnp.asarray(value, current.dtype)
