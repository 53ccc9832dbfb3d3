"""Host values: what a stored value without an array form is handed out as.

Mostly what Arrow makes of it in Python. The features may mean more: JSON is parsed, images within
lists and structs are decoded, arrays of differing length are NumPy arrays. Nanoseconds, for which
Python has no type, are NumPy's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from datarax.errors import CorruptDataError
from datarax_hf.features import MEDIA, Features, array_dtype, is_list, part_of, plain_type, type_of

if TYPE_CHECKING:
    from datarax_hf.images import ImageDecoder

Where = Callable[[], str]
Meaning = Callable[[Any, Where], Any]
"""Makes a host value of what Arrow gives in Python; never called with None."""


def meaning(
    stored: pa.DataType, feature: Features | None, decoder: ImageDecoder
) -> tuple[pa.DataType, Meaning | None]:
    """Return the type to read a column as, and what to make of its values; None leaves them.

    Args:
        stored: The column's type, plain.
        feature: What it means; None leaves it to the type.
        decoder: How images within it become arrays.
    """
    kind = type_of(feature)
    leaf = _leaf(stored, feature, decoder)
    if leaf is not None:
        return leaf
    dtype = array_dtype(feature)
    if dtype is not None:
        return stored, lambda value, _: _array(value, dtype)
    if is_list(stored):
        inner = part_of(feature, None) if kind != "Json" else None
        read_as, convert = meaning(stored.value_type, inner, decoder)
        if convert is None:
            return stored, None
        listed = pa.list_(read_as)
        return listed, lambda values, where: [
            None if value is None else convert(value, where) for value in values
        ]
    if pa.types.is_struct(stored):
        parts = {
            part.name: meaning(part.type, part_of(feature, part.name), decoder) for part in stored
        }
        if all(convert is None for _, convert in parts.values()):
            return stored, None
        struct = pa.struct([(name, read_as) for name, (read_as, _) in parts.items()])
        return struct, lambda value, where: {
            name: part
            if part is None or (convert := parts[name][1]) is None
            else convert(part, where)
            for name, part in value.items()
        }
    return stored, None


def _leaf(
    stored: pa.DataType, feature: Features | None, decoder: ImageDecoder
) -> tuple[pa.DataType, Meaning | None] | None:
    """Return the meaning of what has no parts of its own; None for the rest."""
    kind = type_of(feature)
    decodes = feature is not None and feature.get("decode") is not False
    if kind == "Json" and pa.types.is_string(stored):
        return stored, _parsed if decodes else None
    if kind == "Image" or kind in MEDIA:
        wrapped = _wrapped(stored)
        asked = decoder.mode is not None or decoder.size is not None
        if kind != "Image" or not (decodes or asked):
            return stored, wrapped
        own = replace(decoder, mode=decoder.mode or (feature or {}).get("mode"))
        if is_list(stored):
            return stored, own.of_pixels
        return stored, lambda value, where: _decoded(value, wrapped, own, where)
    if pa.types.is_timestamp(stored) and stored.unit == "ns":
        return pa.int64(), lambda value, _: np.datetime64(value, "ns")
    if pa.types.is_duration(stored) and stored.unit == "ns":
        return pa.int64(), lambda value, _: np.timedelta64(value, "ns")
    if pa.types.is_time64(stored) and stored.unit == "ns":
        return pa.int64(), lambda value, _: np.timedelta64(value, "ns")
    return None


def _parsed(value: str, where: Where) -> Any:
    try:
        return json.loads(value)
    except ValueError as error:
        raise CorruptDataError(f"{where()}: it is no JSON: {error}") from error


def _wrapped(stored: pa.DataType) -> Meaning | None:
    """Return what makes bytes or a path alone the dict of both; None where both are stored."""
    if pa.types.is_binary(stored):
        return lambda value, _: {"bytes": value, "path": None}
    if pa.types.is_string(stored):
        return lambda value, _: {"bytes": None, "path": value}
    return None


def _decoded(value: Any, wrapped: Meaning | None, decoder: ImageDecoder, where: Where) -> Any:
    image = value if wrapped is None else wrapped(value, where)
    encoded = image.get("bytes")
    return None if encoded is None else decoder.decode(encoded, where)


def _array(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return nested lists as an array; as they are where a number is null or the shape uneven."""
    try:
        return value if _has_null(value) else np.array(value, dtype)
    except ValueError:
        return value


def _has_null(value: Any) -> bool:
    return value is None or (isinstance(value, list) and any(map(_has_null, value)))


def readable(data: pa.ChunkedArray, read_as: pa.DataType) -> pa.ChunkedArray:
    """Return data in a type of the same layout that Python can read."""
    return data if plain_type(data.type) == plain_type(read_as) else data.cast(read_as)
