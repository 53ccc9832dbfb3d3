"""The `spec` option: what a raw record holds, as fields in the order in which they are stored.

A value of the option is anything with a shape and a dtype (`jax.ShapeDtypeStruct`, an array's
aval, a `Field`), a pair (dtype, shape), or a string such as "uint8[28,28]". All of them become
`Field`s, which hash and compare, so that a config can hold them. JAX is not imported for it, and
NumPy with the first dtype.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from datarax.sources import Field

if TYPE_CHECKING:
    import numpy as np

_TEXT = re.compile(r"\s*(?P<dtype>\w+)\s*(?:\[(?P<shape>[\d,\s]*)\]|\((?P<tuple>[\d,\s]*)\))?\s*")

_FORMS = (
    "jax.ShapeDtypeStruct((28, 28), 'uint8'), a pair ('uint8', (28, 28)) or a string 'uint8[28,28]'"
)


def normalise(spec: Any) -> dict[str, Field]:
    """Return the fields that `spec` describes, in its order.

    Raises:
        TypeError: If it is not a mapping of names to shapes and dtypes.
        ValueError: If it is empty, or a dtype has no raw little-endian bytes.
    """
    if not isinstance(spec, Mapping):
        raise TypeError(f"spec maps field names to {_FORMS}; got {type(spec).__name__} {spec!r}")
    if not spec:
        raise ValueError(f"spec names no field; it maps each field's name to {_FORMS}")
    for name in spec:
        if not isinstance(name, str) or not name:
            raise TypeError(f"spec maps field names to {_FORMS}; got the name {name!r}")
    return {name: _field(name, value) for name, value in spec.items()}


def _field(name: str, value: Any) -> Field:
    dtype, shape = _parts(name, value)
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError as error:
        raise TypeError(f"spec[{name!r}]: a shape is a tuple of integers, got {shape!r}") from error
    if any(size < 0 for size in sizes):
        raise ValueError(f"spec[{name!r}]: a shape has no negative size, got {sizes!r}")
    field = Field.array(_dtype(name, dtype), sizes)
    if math.prod(sizes) == 0:
        raise ValueError(f"spec[{name!r}]: the shape {sizes!r} holds no values")
    return field


def _parts(name: str, value: Any) -> tuple[Any, Any]:
    if isinstance(value, str):
        match = _TEXT.fullmatch(value)
        if match is None:
            raise ValueError(f"spec[{name!r}]: {value!r} is not one of {_FORMS}")
        sizes = (match["shape"] or match["tuple"] or "").replace(" ", "").strip(",")
        return match["dtype"], tuple(int(size) for size in sizes.split(",") if size)
    if isinstance(value, (tuple, list)) and len(value) == 2:
        dtype, shape = value
        return dtype, (shape,) if isinstance(shape, int) else shape
    if isinstance(value, Field) and value.shape is None:
        raise ValueError(f"spec[{name!r}]: a raw field has a shape; {value!r} has none")
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return value.dtype, value.shape
    raise TypeError(f"spec[{name!r}] is {_FORMS}; got {type(value).__name__} {value!r}")


def _dtype(name: str, asked: Any) -> np.dtype[Any]:
    import numpy as np

    try:
        dtype: np.dtype[Any] = np.dtype(_extension(asked) or asked)
    except TypeError as error:
        raise TypeError(f"spec[{name!r}]: {asked!r} is not a dtype that NumPy knows") from error
    if dtype.kind not in "biufc" and dtype.isbuiltin != 2:
        raise ValueError(
            f"spec[{name!r}]: raw records hold booleans and numbers, not {dtype}; "
            "store other values as 'uint8'"
        )
    if dtype.newbyteorder("<") != dtype:
        raise ValueError(
            f"spec[{name!r}]: raw records are little-endian, and {dtype.str!r} is not; "
            f"ask for {dtype.newbyteorder('<').name!r}"
        )
    return dtype


def _extension(asked: Any) -> Any:
    """Return the dtype of ml_dtypes called `asked`, such as bfloat16; None for NumPy's own."""
    import numpy as np

    if not isinstance(asked, str) or asked in np.sctypeDict:
        return None
    import ml_dtypes

    return getattr(ml_dtypes, asked, None)
