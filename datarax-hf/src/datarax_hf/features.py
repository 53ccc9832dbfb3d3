"""Features: what the columns of a dataset hold, from parquet metadata, the card or Arrow types.

The Arrow type says how a column is stored; the Hugging Face features say what it means: class
names, fixed shapes, images. `describe` joins the two into one `Kind` for each column. Where they
disagree the stored type is right, and a `_type` of tomorrow is what it is stored as. What a card
declares, columns were cast to before.
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
MEDIA = ("Audio", "Video", "Pdf", "Nifti", "Mesh", "BioSequence", "BioStructure")
"""What is handed out as its bytes and path; decoding it is left to the user."""

BYTES_AND_PATH = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""How images and media are stored."""

_LISTS = ("List", "LargeList", "Sequence")
_IMAGE_STORAGE = {"bytes", "path"}
_EXTENSION, _EXTENDS = b"ARROW:extension:name", b"ARROW:extension:metadata"
_FLOATS = {"halffloat": "float16", "float": "float32", "double": "float64"}
"""Arrow's names of floats; those of integers and booleans are NumPy's own."""


@dataclass(frozen=True)
class Kind:
    """What one column holds.

    Attributes:
        form: "array" (fixed shape), "sequence" (a list of numbers), "image", or "object".
        field: The field it becomes. An image's is settled later, from all headers.
        stored: The Arrow type, with extension types replaced by what they store.
        feature: What it means, in the words of today's `datasets`; None where nothing says.
        image_mode: The mode that the features ask images to be converted to.
        undeclared: Whether it only looks like an image: bytes and path, and no features.
        encoded: Whether it is an image of which the feature says not to decode it.
    """

    form: str
    field: Field
    stored: pa.DataType
    feature: Any = None
    image_mode: str | None = None
    undeclared: bool = False
    encoded: bool = False


class MalformedFeaturesError(CorruptDataError):
    """Metadata that is not what `datasets` writes; who knows the dataset says it of the dataset.

    Args:
        file: The file's name.
        error: What is wrong.
    """

    def __init__(self, file: str, error: Exception) -> None:
        self.file = file
        self.what = f"has malformed 'huggingface' metadata: {error!r}"
        super().__init__(f"{file} {self.what}")


def read_features(schema: pa.Schema, *, where: str) -> Features | None:
    """Return the features in a parquet schema's metadata; None where there are none.

    Args:
        schema: The schema.
        where: The file's name.

    Raises:
        MalformedFeaturesError: If they are not what `datasets` writes.
    """
    raw = (schema.metadata or {}).get(b"huggingface")
    if raw is None:
        return None
    try:
        features = json.loads(raw)["info"]["features"]
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedFeaturesError(where, error) from error
    return features if isinstance(features, dict) else None


def describe(schema: pa.Schema, features: Features | None) -> dict[str, Kind]:
    """Return the kind of each column of a schema, in the order of the features, then the schema's.

    Features of columns that are not stored are left out.
    """
    stored = {column.name: column for column in schema}
    declared = modern(features or {})
    names = [name for name in declared if name in stored]
    names += [name for name in stored if name not in declared]
    return {
        name: _kind(
            plain_type(stored[name].type),
            declared.get(name) or _extension(stored[name]),
            declared=features is not None,
        )
        for name in names
    }


def fields_from(features: Features) -> dict[str, Field]:
    """Return the fields that features alone promise, where no file is at hand."""
    return {
        name: _promised(feature, shape=()) or _unseen(feature)
        for name, feature in modern(features).items()
    }


def modern(feature: Any) -> Any:
    """Return a feature, or a struct of features, in the words of today's `datasets`.

    A list of one feature is a List; a Sequence is one too, but of a struct it is a struct of Lists.
    """
    if isinstance(feature, list):
        return {"feature": modern(feature[0]), "length": -1, "_type": "List"} if feature else None
    if not isinstance(feature, Mapping):
        return feature
    kind = type_of(feature)
    if kind is None:
        return {name: modern(part) for name, part in feature.items()}
    if kind not in _LISTS:
        return feature
    inner, length = modern(feature.get("feature")), feature.get("length", -1)
    if kind == "Sequence" and isinstance(inner, Mapping) and type_of(inner) is None:
        return {
            name: {"feature": part, "length": length, "_type": "List"}
            for name, part in inner.items()
        }
    return {"feature": inner, "length": length, "_type": kind}


def part_of(feature: Any, name: str | None) -> Any:
    """Return what a part of a struct means, or for None the values of a list."""
    if not isinstance(feature, Mapping):
        return None
    kind = type_of(feature)
    if name is None:
        return feature.get("feature") if kind in _LISTS else None
    return feature.get(name) if kind is None else None


def type_of(feature: Any) -> str | None:
    """Return the `_type` of a feature; a struct has none, unless a field of it bears that name."""
    kind = feature.get("_type") if isinstance(feature, Mapping) else None
    return kind if isinstance(kind, str) else None


def array_dtype(feature: Any) -> np.dtype[Any] | None:
    """Return the dtype of the values of an Array2D to Array5D; None for others."""
    return None if _array_shape(feature) is None else _value_dtype(feature)


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
    if is_list(stored):
        return pa.list_(plain_type(stored.value_type))
    if pa.types.is_struct(stored):
        return pa.struct([(part.name, plain_type(part.type)) for part in stored])
    return stored


def _kind(stored: pa.DataType, feature: Any, *, declared: bool) -> Kind:
    feature_type = type_of(feature)
    looks = is_bytes_and_path(stored)
    image = feature_type == "Image"
    if (image and _holds_bytes(stored)) or (looks and not declared):
        mode = feature.get("mode") if image else None
        unsettled = Field.host_only("images differ in size or mode")
        encoded = image and feature.get("decode") is False
        return Kind("image", unsettled, stored, feature, mode, not image, encoded)
    shape, leaf = _static_shape(stored, feature)
    dtype = _dtype(leaf)
    if shape is not None and dtype is not None:
        names = _class_names(_innermost(feature))
        return Kind("array", Field.array(dtype, shape, class_names=names), stored, feature)
    return _host_kind(stored, feature)


def _host_kind(stored: pa.DataType, feature: Any) -> Kind:
    special = _special(feature)
    if special is not None:
        return Kind("object", special, stored, feature)
    if pa.types.is_string(stored):
        return Kind("object", Field.text(), stored, feature)
    if pa.types.is_binary(stored) or pa.types.is_fixed_size_binary(stored):
        field = Field.host_only("bytes have no fixed length", ragged="bytes")
        return Kind("object", field, stored, feature)
    if is_list(stored) and _dtype(stored.value_type) is not None:
        return Kind("sequence", _ragged(_dtype(stored.value_type)), stored, feature)
    return Kind("object", Field.host_only(f"{stored} has no fixed array form"), stored, feature)


def _special(feature: Any) -> Field | None:
    """Return the field of what is never an array whatever it is stored as; None for the rest."""
    kind = type_of(feature)
    if kind in MEDIA:
        return Field.host_only(f"{kind} is not decoded: it is handed out as its bytes and path")
    if kind == "Image":
        return Field.host_only(
            "the image is not decoded: its feature says so, or stores a path alone"
        )
    if kind == "Json" and feature.get("decode") is not False:
        return Field.host_only("JSON has no fixed array form")
    if _array_shape(feature) is not None:
        return Field.host_only(
            "its arrays differ in their first dimension", dtype=_value_dtype(feature)
        )
    return None


def _ragged(dtype: np.dtype[Any] | None) -> Field:
    return Field.host_only("its lists have no fixed length", ragged="sequence", dtype=dtype)


def _holds_bytes(stored: pa.DataType) -> bool:
    """Return whether an image column stores bytes."""
    if pa.types.is_struct(stored):
        place = stored.get_field_index("bytes")
        return place >= 0 and _holds_bytes(stored.field(place).type)
    return bool(pa.types.is_binary(stored))


def _extension(column: pa.Field) -> Any:
    """Return what an extension type of `datasets` or Arrow says that a column means."""
    if isinstance(column.type, pa.BaseExtensionType):
        name = getattr(column.type, "extension_name", "")
        written = column.type.__arrow_ext_serialize__() if "Array" in name else b""
    else:
        metadata = column.metadata or {}
        name, written = metadata.get(_EXTENSION, b"").decode(), metadata.get(_EXTENDS, b"")
    if name == "arrow.json":
        return {"_type": "Json"}
    kind = name.removeprefix("datasets.features.features.").removesuffix("ExtensionType")
    if kind not in {"Array2D", "Array3D", "Array4D", "Array5D"}:
        return None
    try:
        shape, dtype = json.loads(written)
    except ValueError:
        return None
    return {"shape": shape, "dtype": dtype, "_type": kind}


def _static_shape(
    stored: pa.DataType, feature: Any
) -> tuple[tuple[int, ...] | None, pa.DataType | None]:
    """Return the one shape of all values and the type of their numbers; None where there is none.

    A fixed-size list says its length itself; for other lists the features may.
    """
    promised = _array_shape(feature)
    shape: list[int] = []
    depth = 0
    while is_list(stored):
        length = stored.list_size if pa.types.is_fixed_size_list(stored) else None
        if length is None and promised is not None and depth < len(promised):
            length = promised[depth]
        elif length is None and type_of(feature) in _LISTS:
            length = feature.get("length", -1)
        if not isinstance(length, int) or length < 0:
            return None, None
        shape.append(length)
        feature = feature.get("feature") if isinstance(feature, dict) else None
        stored = stored.value_type
        depth += 1
    return tuple(shape), stored


def _array_shape(feature: Any) -> tuple[int | None, ...] | None:
    kind = type_of(feature) or ""
    if kind.startswith("Array") and isinstance(feature.get("shape"), list):
        return tuple(feature["shape"])
    return None


def _promised(feature: Any, shape: tuple[int, ...]) -> Field | None:
    """Return the array field that a feature promises by itself, or None."""
    kind = type_of(feature)
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
    if kind in _LISTS and feature.get("length", -1) >= 0:
        return _promised(feature.get("feature"), (*shape, feature["length"]))
    return None


def _unseen(feature: Any) -> Field:
    kind = type_of(feature)
    if kind == "Image" and feature.get("decode") is not False:
        return Field.host_only("the sizes of images are known once the files are here")
    special = _special(feature)
    if special is not None:
        return special
    if kind == "Value" and "string" in str(feature.get("dtype")):
        return Field.text()
    if kind == "Value" and "binary" in str(feature.get("dtype")):
        return Field.host_only("bytes have no fixed length", ragged="bytes")
    if kind in _LISTS:
        inner = _promised(feature.get("feature"), ())
        if inner is not None and inner.shape == ():
            return _ragged(inner.dtype)
    what = feature.get("dtype") if kind == "Value" else kind or "a struct"
    return Field.host_only(f"{what} has no fixed array form")


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
    if type_of(feature) != "ClassLabel" or not feature.get("names"):
        return None
    return tuple(str(name) for name in feature["names"])


def _innermost(feature: Any) -> Any:
    while type_of(feature) in _LISTS:
        feature = feature.get("feature")
    return feature


def is_bytes_and_path(stored: pa.DataType) -> bool:
    """Return whether a type is what images and other media are stored as."""
    return (
        pa.types.is_struct(stored)
        and {part.name for part in stored} == _IMAGE_STORAGE
        and pa.types.is_binary(plain_type(stored.field("bytes").type))
    )


def is_list(stored: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(stored)
        or pa.types.is_large_list(stored)
        or pa.types.is_fixed_size_list(stored)
    )
