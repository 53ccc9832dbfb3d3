"""The types of columns that are guessed from values, and those that a card's features ask for."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datarax_hf.features import BYTES_AND_PATH, MEDIA, Features, part_of, type_of

_NUMBERS = ("int64", "double")
_TIMES = re.compile(r"timestamp\[(s|ms|us|ns)(?:, tz=(.+))?\]")
_PARTS = re.compile(r"(time32|time64|duration)\[(s|ms|us|ns)\]")
_DECIMALS = re.compile(r"(decimal128|decimal256)\((\d+), ?(-?\d+)\)")
_UNFIT = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError)
_MEDIA = ("Image", *MEDIA)
_SPELLED = {"float16": pa.float16(), "float32": pa.float32(), "float64": pa.float64()}


class WiderTypesError(Exception):
    """A file does not fit the types guessed so far: it is to be read again with wider ones."""


@dataclass(frozen=True)
class Place:
    """The beginning of a record in a text file that is neither compressed nor of another encoding.

    Attributes:
        byte: The byte of the file at which it begins.
        line: The number of its line, from 1.
        names: The names of the file's columns, where only its beginning tells them.
    """

    byte: int
    line: int
    names: tuple[str, ...] = ()


@dataclass
class Guess:
    """The types of a file's columns, as far as the file was read.

    Attributes:
        columns: The type of each column, in order; null where no value was seen.
        texts: The columns whose values are kept as JSON text.
        ways: What else another pass is to do otherwise, in words of the format's own.
        advance: Is told the bytes that were read, as they are.
        begin: Where to begin, None for the beginning of the file.
        marking: Whether to tell `ended`, where that takes a look of its own at the text.
        ended: Where the records that were yielded so far end, None where that is not known.
    """

    columns: dict[str, pa.DataType] = field(default_factory=dict)
    texts: set[str] = field(default_factory=set)
    ways: set[str] = field(default_factory=set)
    advance: Callable[[int], None] | None = None
    begin: Place | None = None
    marking: bool = False
    ended: Place | None = None

    def take(self, schema: pa.Schema) -> None:
        """Make room for the types of another piece of the file.

        Raises:
            WiderTypesError: If columns had other types before.
        """
        fresh = not self.columns
        before = dict(self.columns), set(self.texts)
        for column in schema:
            name = column.name
            known = self.columns.get(name, pa.null())
            wide = pa.string() if name in self.texts else widened(known, column.type)
            if wide is None:
                self.texts.add(name)
            self.columns[name] = pa.string() if wide is None else wide
        if not fresh and (self.columns, self.texts) != before:
            raise WiderTypesError

    def again(self, way: str) -> WiderTypesError:
        """Return the error that asks for another pass in a way of the format's own."""
        self.ways.add(way)
        return WiderTypesError()

    def schema(self) -> pa.Schema:
        """Return the columns as a schema."""
        return pa.schema(list(self.columns.items()))


def widened(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the narrowest type that JSON values of both types can be read as, or None."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if {str(one), str(other)} == set(_NUMBERS):
        return pa.float64()
    if all(pa.types.is_timestamp(kind) or pa.types.is_string(kind) for kind in (one, other)):
        return pa.string()
    if pa.types.is_list(one) and pa.types.is_list(other):
        inner = widened(one.value_type, other.value_type)
        return None if inner is None else pa.list_(inner)
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        parts = {part.name: part.type for part in one}
        for part in other:
            wide = widened(parts.get(part.name, pa.null()), part.type)
            if wide is None:
                return None
            parts[part.name] = wide
        return pa.struct(list(parts.items()))
    return None


def conformed(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return values in a type that `widened` gave; what a struct lacks is null."""
    if values.type == kind:
        return values
    if pa.types.is_null(kind):
        return pa.nulls(len(values))
    if pa.types.is_struct(kind) and pa.types.is_struct(values.type):
        held = dict(zip((part.name for part in values.type), values.flatten(), strict=True))
        parts = [
            conformed(held[part.name], part.type)
            if part.name in held
            else pa.nulls(len(values), part.type)
            for part in kind
        ]
        return pa.StructArray.from_arrays(parts, fields=list(kind), mask=values.is_null())
    if pa.types.is_list(kind) and pa.types.is_list(values.type):
        return relisted(values, conformed(values.flatten(), kind.value_type))
    return values.cast(kind)


def class_names(feature: Any) -> list[str] | None:
    """Return the names of a ClassLabel, or None."""
    if isinstance(feature, Mapping) and feature.get("_type") == "ClassLabel":
        names = feature.get("names")
        return [str(name) for name in names] if names else None
    return None


def storage_type(feature: Any) -> pa.DataType | None:
    """Return the Arrow type that values of a feature are stored in; None leaves it to the values.

    A ClassLabel is int64, Json text, an Array2D lists of lists. An Image, Audio or Video may be
    bytes, a path or a struct of both.
    """
    if not isinstance(feature, Mapping):
        return None
    kind = type_of(feature)
    if kind == "Value":
        return value_type(str(feature.get("dtype")))
    if kind in {"ClassLabel", "Json"}:
        return pa.int64() if kind == "ClassLabel" else pa.string()
    if kind in {"List", "LargeList", "Sequence"}:
        inner = storage_type(feature.get("feature"))
        return None if inner is None else pa.list_(inner)
    if kind is not None:
        return _array_type(feature) if kind.startswith("Array") else None
    parts = {name: storage_type(part) for name, part in feature.items()}
    if not parts or None in parts.values():
        return None
    return pa.struct(list(parts.items()))


def texts_as_features(names: Iterable[str], texts: Collection[str]) -> Features | None:
    """Return the features of columns of which some are kept as JSON text; None where none is."""
    if not texts:
        return None
    return {name: {"_type": "Json"} if name in texts else None for name in names}


def cast_to_features(table: pa.Table, features: Features | None) -> pa.Table:
    """Return a table whose columns are stored as the features say.

    Class names become their numbers, within lists and structs too, as `datasets` has it; what names
    no class, but is a number, is one. A part that a struct lacks is null. Columns that the features
    do not name stay as they are.

    Raises:
        pa.ArrowInvalid: If a value cannot be what its feature says.
    """
    for number, name in enumerate(table.column_names):
        feature = (features or {}).get(name)
        column = table.column(number)
        try:
            cast = _cast_column(column, feature)
        except _UNFIT as error:
            raise pa.ArrowInvalid(f"column {name!r} is to be {said(feature)}: {error}") from error
        if cast is not column:
            table = table.set_column(number, name, cast)
    return table


def completed(table: pa.Table, features: Features | None) -> pa.Table:
    """Return a table with nulls for the columns that the features name and it lacks."""
    for name, feature in (features or {}).items():
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(len(table), null_type(feature)))
    return table


def _cast_column(column: pa.ChunkedArray, feature: Any) -> pa.ChunkedArray:
    if feature is None or column.type == storage_type(feature):
        return column
    chunks = column.chunks or [pa.array([], column.type)]
    return pa.chunked_array([_cast(chunk, feature) for chunk in chunks])


def _cast(values: pa.Array, feature: Any) -> pa.Array:
    names, target = class_names(feature), storage_type(feature)
    if names is not None and pa.types.is_string(values.type):
        return numbered(values, names)
    if type_of(feature) in _MEDIA and pa.types.is_struct(values.type):
        return _cast_media(values)
    if _is_struct(feature) and pa.types.is_struct(values.type):
        return _cast_struct(values, feature)
    inner = part_of(feature, None)
    if inner is not None and pa.types.is_list(values.type):
        return relisted(values, _cast(values.flatten(), inner))
    if target is None or values.type == target:
        return values
    if pa.types.is_decimal(target) and pa.types.is_integer(values.type):
        values = values.cast(pa.string())  # Arrow asks for room for any integer
    return values.cast(target)


def _cast_struct(values: pa.Array, feature: Mapping[str, Any]) -> pa.Array:
    held = dict(zip((part.name for part in values.type), values.flatten(), strict=True))
    other = [name for name in held if name not in feature]
    if other:
        raise pa.ArrowInvalid(f"it has a part {other[0]!r}, which the features do not name")
    parts = [
        _cast(held[name], part) if name in held else pa.nulls(len(values), null_type(part))
        for name, part in feature.items()
    ]
    return pa.StructArray.from_arrays(parts, names=list(feature), mask=values.is_null())


def _cast_media(values: pa.Array) -> pa.Array:
    """Return an image or the like as its bytes and path; JSON has text for bytes."""
    held = dict(zip((part.name for part in values.type), values.flatten(), strict=True))
    parts = [
        held[part.name].cast(part.type) if part.name in held else pa.nulls(len(values), part.type)
        for part in BYTES_AND_PATH
    ]
    return pa.StructArray.from_arrays(parts, fields=list(BYTES_AND_PATH), mask=values.is_null())


def relisted(lists: pa.Array, inner: pa.Array) -> pa.Array:
    """Return lists with other values in place of those that `flatten` gave."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), inner, mask=lists.is_null())


def numbered(values: pa.Array, names: list[str], *, numbers_first: bool = False) -> pa.Array:
    """Return the numbers of classes that are given by name, or as numbers in words.

    A name is found without the blanks around it, too, and -1 is no class, as `datasets` has it.
    With `numbers_first` a number in words is one even where it is a name as well.

    Raises:
        pa.ArrowInvalid: If one is neither.
    """
    known = {name: number for number, name in enumerate(names)}
    if numbers_first:
        known |= {str(number): number for number in range(len(names))}
    found = values.dictionary_encode()
    numbers = [_number(text, known) for text in found.dictionary.to_pylist()]
    return pa.array(numbers, pa.int64()).take(found.indices)


def check_classes(numbers: pa.Array, names: list[str]) -> None:
    """Raise unless numbers are those of classes, or -1.

    Raises:
        pa.ArrowInvalid: If one is not.
    """
    ends = pc.min_max(numbers).as_py()
    for end in (ends["min"], ends["max"]):
        if end is not None and not -1 <= end < len(names):
            raise pa.ArrowInvalid(f"{end} is none of the {len(names)} classes {names}")


def _number(text: str, known: Mapping[str, int]) -> int:
    number = known.get(text, known.get(text.strip()))
    if number is not None:
        return number
    try:
        given = int(text)
    except ValueError:
        given = len(known)
    if not -1 <= given < len(known):
        raise pa.ArrowInvalid(f"{text!r} is none of the classes {list(known)}")
    return given


def _is_struct(feature: Any) -> bool:
    return isinstance(feature, Mapping) and bool(feature) and type_of(feature) is None


def said(feature: Any) -> str:
    """Return the type that a feature asks for, in words."""
    target = storage_type(feature)
    if class_names(feature) is not None or target is None:
        return type_of(feature) or "a struct"
    return str(target)


def null_type(feature: Any) -> pa.DataType:
    """Return the type of a column of which nothing but its feature is known."""
    if type_of(feature) in _MEDIA:
        return BYTES_AND_PATH
    inner = part_of(feature, None)
    if inner is not None:
        return pa.list_(null_type(inner))
    if _is_struct(feature):
        return pa.struct([(name, null_type(part)) for name, part in feature.items()])
    return storage_type(feature) or pa.null()


def _array_type(feature: Mapping[str, Any]) -> pa.DataType | None:
    """Return the type of an Array2D to Array5D."""
    kind = value_type(str(feature.get("dtype")))
    for _ in feature.get("shape") or ():
        kind = None if kind is None else pa.list_(kind)
    return kind


def value_type(name: str) -> pa.DataType | None:
    times, parts, decimals = (kind.fullmatch(name) for kind in (_TIMES, _PARTS, _DECIMALS))
    if times is not None:
        return pa.timestamp(times[1], tz=times[2])
    if parts is not None:
        return getattr(pa, parts[1])(parts[2])
    if decimals is not None:
        return getattr(pa, decimals[1])(int(decimals[2]), int(decimals[3]))
    if name in _SPELLED:
        return _SPELLED[name]
    if name == "large_string":
        return pa.string()
    try:
        return pa.type_for_alias(name)
    except ValueError:
        return None
