"""Features: what the columns of a dataset hold, from parquet metadata, the card or Arrow types.

The Arrow type says how a column is stored; the Hugging Face features say what it means: class
names, fixed shapes, images. `describe` joins the two into one `Kind` for each column.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from datarax.errors import CorruptDataError
from datarax.sources import Field

Features = Mapping[str, Any]
_IMAGE_STORAGE = {"bytes", "path"}
_FLOATS = {"halffloat": "float16", "float": "float32", "double": "float64"}
"""Arrow's names of floats; those of integers and booleans are NumPy's own."""


@dataclass(frozen=True)
class Kind:
    """What one column holds.

    Attributes:
        form: "array" (fixed shape), "sequence" (a list of numbers), "image", or "object".
        field: The field it becomes. An image's is settled later, from all headers.
        stored: The Arrow type, with extension types replaced by what they store.
        image_mode: The mode that the features ask images to be converted to.
        undeclared: Whether it only looks like an image: bytes and path, and no features.
    """

    form: str
    field: Field
    stored: pa.DataType
    image_mode: str | None = None
    undeclared: bool = False


def read_features(schema: pa.Schema, *, where: str) -> Features | None:
    """Return the features in a parquet schema's metadata; None where there are none.

    Raises:
        CorruptDataError: If they are not what `datasets` writes.
    """
    raw = (schema.metadata or {}).get(b"huggingface")
    if raw is None:
        return None
    try:
        features = json.loads(raw)["info"]["features"]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptDataError(
            f"{where}: its 'huggingface' metadata is malformed: {error!r}"
        ) from error
    return features if isinstance(features, dict) else None


def describe(schema: pa.Schema, features: Features | None) -> dict[str, Kind]:
    """Return the kind of each column of a schema, in the order of the features, then the schema's.

    Features of columns that are not stored are left out.
    """
    stored = {column.name: plain_type(column.type) for column in schema}
    declared = features or {}
    names = [name for name in declared if name in stored]
    names += [name for name in stored if name not in declared]
    return {
        name: _kind(stored[name], declared.get(name), declared=features is not None)
        for name in names
    }


def fields_from(features: Features) -> dict[str, Field]:
    """Return the fields that features alone promise, where no file is at hand."""
    return {
        name: _promised(feature, shape=()) or _unseen(feature) for name, feature in features.items()
    }


def plain_type(stored: pa.DataType) -> pa.DataType:
    """Return a type without extensions, dictionaries and 64-bit offsets."""
    if isinstance(stored, pa.BaseExtensionType):
        return plain_type(stored.storage_type)
    if pa.types.is_dictionary(stored):
        return plain_type(stored.value_type)
    if pa.types.is_large_string(stored) or pa.types.is_string_view(stored):
        return pa.string()
    if pa.types.is_large_binary(stored) or pa.types.is_binary_view(stored):
        return pa.binary()
    if pa.types.is_fixed_size_list(stored):
        return pa.list_(plain_type(stored.value_type), stored.list_size)
    if _is_list(stored):
        return pa.list_(plain_type(stored.value_type))
    if pa.types.is_struct(stored):
        return pa.struct([(part.name, plain_type(part.type)) for part in stored])
    return stored


def _kind(stored: pa.DataType, feature: Any, *, declared: bool) -> Kind:
    feature_type = _type_of(feature)
    looks = pa.types.is_struct(stored) and {part.name for part in stored} == _IMAGE_STORAGE
    if feature_type == "Image" or (looks and not declared):
        mode = feature.get("mode") if feature_type == "Image" else None
        unsettled = Field.host_only("images differ in size or mode")
        return Kind("image", unsettled, stored, mode, undeclared=feature_type != "Image")
    shape, leaf = _static_shape(stored, feature)
    dtype = _dtype(leaf)
    if shape is not None and dtype is not None:
        names = _class_names(_innermost(feature))
        return Kind("array", Field.array(dtype, shape, class_names=names), stored)
    return _host_kind(stored, feature_type)


def _host_kind(stored: pa.DataType, feature_type: str | None) -> Kind:
    if pa.types.is_string(stored):
        return Kind("object", Field.text(), stored)
    if pa.types.is_binary(stored) or pa.types.is_fixed_size_binary(stored):
        return Kind("object", Field.host_only("bytes have no fixed length", ragged="bytes"), stored)
    if _is_list(stored) and _dtype(stored.value_type) is not None:
        field = Field.host_only(
            "its lists have no fixed length", ragged="sequence", dtype=_dtype(stored.value_type)
        )
        return Kind("sequence", field, stored)
    if feature_type in {"Audio", "Video"}:
        return Kind("object", Field.host_only(f"{feature_type.lower()} is not decoded"), stored)
    return Kind("object", Field.host_only(f"{stored} has no fixed array form"), stored)


def _static_shape(
    stored: pa.DataType, feature: Any
) -> tuple[tuple[int, ...] | None, pa.DataType | None]:
    """Return the one shape of all values and the type of their numbers; None where there is none.

    A fixed-size list says its length itself; for other lists the features may.
    """
    promised = _array_shape(feature)
    shape: list[int] = []
    depth = 0
    while _is_list(stored):
        length = stored.list_size if pa.types.is_fixed_size_list(stored) else None
        if length is None and promised is not None and depth < len(promised):
            length = promised[depth]
        elif length is None and _type_of(feature) in {"List", "LargeList", "Sequence"}:
            length = feature.get("length", -1)
        if not isinstance(length, int) or length < 0:
            return None, None
        shape.append(length)
        feature = feature.get("feature") if isinstance(feature, dict) else None
        stored = stored.value_type
        depth += 1
    return tuple(shape), stored


def _array_shape(feature: Any) -> tuple[int | None, ...] | None:
    kind = _type_of(feature) or ""
    if kind.startswith("Array") and isinstance(feature.get("shape"), list):
        return tuple(feature["shape"])
    return None


def _promised(feature: Any, shape: tuple[int, ...]) -> Field | None:
    """Return the array field that a feature promises by itself, or None."""
    kind = _type_of(feature)
    if kind == "ClassLabel":
        return Field.array(np.int64, shape, class_names=_class_names(feature))
    array = _array_shape(feature)
    if array is not None and all(isinstance(size, int) for size in array):
        dtype = _value_dtype(feature)
        sizes = tuple(int(size) for size in array if size is not None)
        return None if dtype is None else Field.array(dtype, (*shape, *sizes))
    if kind == "Value":
        dtype = _value_dtype(feature)
        return None if dtype is None else Field.array(dtype, shape)
    if kind in {"List", "LargeList", "Sequence"} and feature.get("length", -1) >= 0:
        return _promised(feature.get("feature"), (*shape, feature["length"]))
    return None


def _unseen(feature: Any) -> Field:
    kind = _type_of(feature)
    if kind == "Value" and feature.get("dtype") in {"string", "large_string"}:
        return Field.text()
    if kind == "Image":
        return Field.host_only("the sizes of images are known once the files are here")
    if kind in {"List", "LargeList", "Sequence"}:
        inner = _promised(feature.get("feature"), ())
        if inner is not None and inner.shape == ():
            return Field.host_only(
                "its lists have no fixed length", ragged="sequence", dtype=inner.dtype
            )
    return Field.host_only(f"{kind or 'a struct'} has no fixed array form")


def _value_dtype(feature: Any) -> np.dtype[Any] | None:
    name = feature.get("dtype")
    try:
        return _dtype(pa.type_for_alias(name))
    except (ValueError, TypeError):
        return None


def _dtype(stored: pa.DataType | None) -> np.dtype[Any] | None:
    """Return the NumPy dtype of a numeric or boolean Arrow type, else None."""
    if stored is None:
        return None
    if pa.types.is_boolean(stored) or pa.types.is_integer(stored) or pa.types.is_floating(stored):
        # `to_pandas_dtype` would do, but asks for pandas in older releases of pyarrow.
        return np.dtype(_FLOATS.get(str(stored), str(stored)))
    return None


def _class_names(feature: Any) -> tuple[str, ...] | None:
    if _type_of(feature) != "ClassLabel" or not feature.get("names"):
        return None
    return tuple(str(name) for name in feature["names"])


def _innermost(feature: Any) -> Any:
    while _type_of(feature) in {"List", "LargeList", "Sequence"}:
        feature = feature.get("feature")
    return feature


def _type_of(feature: Any) -> str | None:
    """Return the `_type` of a feature; a struct has none, unless a field of it bears that name."""
    kind = feature.get("_type") if isinstance(feature, dict) else None
    return kind if isinstance(kind, str) else None


def _is_list(stored: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(stored)
        or pa.types.is_large_list(stored)
        or pa.types.is_fixed_size_list(stored)
    )
