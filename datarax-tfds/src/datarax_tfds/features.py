"""What a prepared dataset's features become: one `Leaf` for each field, flattened with '/'.

A leaf says its `Field` and makes columns of parsed examples. Scalars, tensors, labels, images and
text are read straight from the example; all else (sequences, encoded tensors, optional values) by
TFDS's own NumPy decoding. Nothing here touches TensorFlow.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from datarax.errors import CorruptDataError
from datarax.sources import Field
from datarax_tfds import images
from datarax_tfds.prepared import read_json

Column = NDArray[Any] | list[Any]


class BadValueError(Exception):
    """A value that is not what the features declare, by its row in the batch."""

    def __init__(self, row: int, what: str) -> None:
        super().__init__(row, what)
        self.row = row
        self.what = what


@dataclass(frozen=True)
class Rows:
    """Records of a batch: their payloads, and the `Example` that each holds."""

    payloads: Sequence[bytes]
    examples: Sequence[Any]


class Leaf(Protocol):
    """One field of a record, and how it is decoded."""

    @property
    def field(self) -> Field: ...

    def values(self, rows: Rows) -> Column:
        """Return the value of each record: an array of one dtype and shape, or a list."""


@dataclass(frozen=True)
class Numbers:
    """Scalars, class labels and tensors, stored as lists of numbers."""

    name: str
    field: Field

    def values(self, rows: Rows) -> NDArray[Any]:
        shape, dtype = self.field.shape or (), np.dtype(self.field.dtype)
        size = math.prod(shape)
        stored = [_numbers(example.features.feature[self.name]) for example in rows.examples]
        for row, numbers in enumerate(stored):
            if len(numbers) != size:
                raise BadValueError(row, f"holds {len(numbers)} numbers, not {size}")
        # An Example has no uint64: TFDS stores its bits as int64.
        held = np.dtype(np.int64) if dtype == np.uint64 else dtype
        flat = list(itertools.chain.from_iterable(stored))
        try:
            column = np.array(flat, held)
        except (OverflowError, ValueError, TypeError) as error:
            raise BadValueError(0, f"holds numbers that do not fit {dtype}: {error}") from error
        return column.view(dtype).reshape(len(stored), *shape)


@dataclass(frozen=True)
class Strings:
    """Text, as str, and strings of bytes, as bytes."""

    name: str
    field: Field

    def values(self, rows: Rows) -> list[Any]:
        stored = _bytes(self.name, rows)
        if self.field.ragged != "text":
            return stored
        return [_text(row, value) for row, value in enumerate(stored)]


@dataclass(frozen=True)
class Images:
    """Encoded images, decoded to the declared channels."""

    name: str
    field: Field
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]

    def values(self, rows: Rows) -> list[NDArray[Any]]:
        decoded = []
        for row, encoded in enumerate(_bytes(self.name, rows)):
            try:
                decoded.append(images.decode(encoded, self.shape, self.dtype))
            except ValueError as error:
                raise BadValueError(row, str(error)) from error
        return decoded


@dataclass(frozen=True)
class Decoded:
    """Any other feature, by TFDS's own NumPy decoding.

    Attributes:
        path: The keys from the record down to the value.
        features: A `FeaturesDict` of the one feature that stands under the first key.
        text: Whether the strings in it are text.
    """

    path: tuple[str, ...]
    field: Field
    features: Any
    text: bool

    def values(self, rows: Rows) -> list[Any]:
        return [self._value(row, payload) for row, payload in enumerate(rows.payloads)]

    def _value(self, row: int, payload: bytes) -> Any:
        try:
            value = self.features.deserialize_example_np(payload)
            for key in self.path:
                value = value[key]
        except Exception as error:  # TFDS raises whatever its parser meets
            raise BadValueError(row, f"cannot be decoded by TFDS: {error}") from error
        if self.field.shape is not None:
            array = np.asarray(value, self.field.dtype)
            if array.size != math.prod(self.field.shape):
                raise BadValueError(row, f"has {array.size} numbers, not {self.field.shape}")
            return array.reshape(self.field.shape)
        if self.field.ragged == "sequence":
            return np.asarray(value, self.field.dtype).reshape(-1)
        return _strings(row, value) if self.text else value


class Features:
    """The leaves of a prepared dataset, sorted by name.

    Args:
        folder: The dataset's own folder, with `features.json` and the names of classes.

    Raises:
        CorruptDataError: If `features.json` cannot be read, or names a class outside TFDS.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def leaves(self) -> Mapping[str, Leaf]:
        from tensorflow_datasets.core.features.feature import FeatureConnector
        from tensorflow_datasets.core.features.features_dict import FeaturesDict

        file = self._folder / "features.json"
        content = read_json(file)
        _check_classes(file, content)
        try:
            features = FeatureConnector.from_config(str(self._folder))
        except Exception as error:  # TFDS raises whatever its parser meets
            raise CorruptDataError(f"{str(file)!r} cannot be read by TFDS: {error}") from error
        if not isinstance(features, FeaturesDict):
            raise CorruptDataError(
                f"{str(file)!r} describes a {type(features).__name__}, not a dict of features"
            )
        # TFDS keeps features in a mapping of protobuf, whose order differs between processes.
        named = {"/".join(path): leaf for path, leaf in _leaves((), features)}
        return {name: named[name] for name in sorted(named)}

    @property
    def fields(self) -> Mapping[str, Field]:
        return {name: leaf.field for name, leaf in self.leaves.items()}

    def __getstate__(self) -> dict[str, Any]:
        return {"_folder": self._folder}


def _check_classes(file: Path, content: Any) -> None:
    """Refuse classes from elsewhere: TFDS imports whatever module `features.json` names."""
    pending = [content]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            for key in ("pythonClassName", "type"):
                name = node.get(key)
                if isinstance(name, str) and not name.startswith("tensorflow_datasets."):
                    raise CorruptDataError(
                        f"{str(file)!r} names the class {name!r}; only features of "
                        "tensorflow_datasets are read, and nothing else is imported"
                    )
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)


def _leaves(path: tuple[str, ...], features: Any) -> Iterator[tuple[tuple[str, ...], Leaf]]:
    from tensorflow_datasets.core.features.features_dict import FeaturesDict

    for key, feature in features.items():
        if isinstance(feature, FeaturesDict):
            yield from _leaves((*path, key), feature)
            continue
        here = (*path, key)
        simple = _simple("/".join(here), feature)
        if simple is not None:
            yield here, simple
            continue
        alone = feature
        for outer in reversed(here):
            alone = FeaturesDict({outer: alone})
        yield from _decoded(here, here, feature, feature.get_tensor_info(), alone)


def _simple(name: str, feature: Any) -> Leaf | None:
    """Return the leaf of a feature that an example holds as it is; None for the others."""
    from tensorflow_datasets.core.features.class_label_feature import ClassLabel
    from tensorflow_datasets.core.features.image_feature import Image
    from tensorflow_datasets.core.features.tensor_feature import Tensor
    from tensorflow_datasets.core.features.text_feature import Text

    info, stored = feature.get_tensor_info(), feature.get_serialized_info()
    doc = feature.doc.desc or None
    if isinstance(feature, Image):
        return _image(name, tuple(info.shape), np.dtype(info.np_dtype), doc)
    if not isinstance(feature, Tensor) or isinstance(stored, dict) or info.optional:
        return None
    dtype, shape = np.dtype(info.np_dtype), tuple(info.shape)
    if np.dtype(stored.np_dtype) != dtype or tuple(stored.shape) != shape:
        return None
    if dtype.kind in "OSU" and shape == ():
        if isinstance(feature, Text):
            return Strings(name, Field.text(doc))
        return Strings(name, _bytes_field("bytes have no fixed length", doc))
    if None in shape or dtype.kind not in "biuf":
        return None
    names = _class_names(feature) if isinstance(feature, ClassLabel) else None
    return Numbers(name, Field.array(dtype, shape, class_names=names, description=doc))


def _image(name: str, shape: tuple[int | None, ...], dtype: np.dtype[Any], doc: str | None) -> Leaf:
    if not images.decodable(shape, dtype):
        reason = f"images of shape {shape} and dtype {dtype} are left encoded"
        return Strings(name, _bytes_field(reason, doc))
    height, width, channels = shape
    if height is None or width is None or channels is None:
        field = Field.host_only("images differ in size", dtype=dtype, description=doc)
    else:
        field = Field.array(dtype, (height, width, channels), description=doc)
    return Images(name, field, shape, dtype)


def _decoded(
    path: tuple[str, ...], keys: tuple[str, ...], feature: Any, info: Any, alone: Any
) -> Iterator[tuple[tuple[str, ...], Leaf]]:
    """Yield the leaves of `feature`, of which `info` may be a nested dict."""
    from tensorflow_datasets.core.features.text_feature import Text

    inner = feature
    while not isinstance(info, dict) and hasattr(inner, "feature"):
        inner = inner.feature
    if isinstance(info, dict):
        while hasattr(inner, "feature"):
            inner = inner.feature
        for key, part in info.items():
            yield from _decoded((*path, key), (*keys, key), inner[key], part, alone)
        return
    field = _decoded_field(info, feature.doc.desc or None)
    yield path, Decoded(keys, field, alone, text=isinstance(inner, Text))


def _decoded_field(info: Any, doc: str | None) -> Field:
    dtype, shape = np.dtype(info.np_dtype), tuple(info.shape)
    if info.optional:
        return Field.host_only("values are optional", description=doc)
    if dtype.kind not in "biuf":
        return Field.host_only("lists of strings differ in length", description=doc)
    if None not in shape:
        return Field.array(dtype, shape, description=doc)
    if len(shape) == 1:
        return Field.host_only(
            "sequences differ in length", ragged="sequence", dtype=dtype, description=doc
        )
    return Field.host_only("arrays differ in shape", dtype=dtype, description=doc)


def _bytes_field(reason: str, doc: str | None) -> Field:
    return Field.host_only(reason, ragged="bytes", description=doc)


def _class_names(feature: Any) -> tuple[str, ...] | None:
    return tuple(feature.names) if feature.num_classes else None


def _numbers(feature: Any) -> Sequence[Any]:
    numbers: Sequence[Any] = feature.int64_list.value or feature.float_list.value
    return numbers


def _bytes(name: str, rows: Rows) -> list[bytes]:
    values = [example.features.feature[name].bytes_list.value for example in rows.examples]
    for row, value in enumerate(values):
        if len(value) != 1:
            raise BadValueError(row, f"holds {len(value)} strings, not one")
    return [value[0] for value in values]


def _text(row: int, value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadValueError(
            row, f"is not UTF-8 ({error}); leave it out with exclude_keys"
        ) from error


def _strings(row: int, value: Any) -> Any:
    if isinstance(value, bytes):
        return _text(row, value)
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_strings(row, item) for item in value]
    return value
