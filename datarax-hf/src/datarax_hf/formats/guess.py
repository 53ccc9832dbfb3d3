"""The types of columns that are guessed from values, and those that a card's features ask for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datarax_hf.features import Features

_NUMBERS = ("int64", "double")
_TIMES = re.compile(r"timestamp\[(s|ms|us|ns)(?:, tz=(.+))?\]")
_PARTS = re.compile(r"(time32|time64|duration)\[(s|ms|us|ns)\]")
_DECIMAL = re.compile(r"decimal(128|256)\(([0-9]+), *(-?[0-9]+)\)")
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
        lengths = pc.fill_null(pc.list_value_length(values), 0)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        inner = conformed(values.flatten(), kind.value_type)
        return pa.ListArray.from_arrays(pa.array(offsets), inner, mask=values.is_null())
    return values.cast(kind)


def class_names(feature: Any) -> list[str] | None:
    """Return the names of a ClassLabel, or None."""
    if isinstance(feature, Mapping) and feature.get("_type") == "ClassLabel":
        names = feature.get("names")
        return [str(name) for name in names] if names else None
    return None


def storage_type(feature: Any) -> pa.DataType | None:
    """Return the Arrow type that values of a feature are stored in; None leaves it to the values.

    A ClassLabel is int64, an Image, Audio or Video a struct of bytes and path.
    """
    if not isinstance(feature, Mapping):
        return None
    kind = feature.get("_type")
    if kind == "Value":
        return _value_type(str(feature.get("dtype")))
    if kind == "ClassLabel":
        return pa.int64()
    if kind in {"List", "LargeList", "Sequence"}:
        inner = storage_type(feature.get("feature"))
        return None if inner is None else pa.list_(inner)
    if isinstance(kind, str):
        return None
    parts = {name: storage_type(part) for name, part in feature.items()}
    if not parts or None in parts.values():
        return None
    return pa.struct(list(parts.items()))


def cast_to_features(table: pa.Table, features: Features | None) -> pa.Table:
    """Return a table whose columns are stored as the features say.

    Class names become their numbers, as `datasets` has it; what names no class, but is a number, is
    one. Columns that the features do not name stay as they are.

    Raises:
        pa.ArrowInvalid: If a value cannot be what its feature says.
    """
    for number, name in enumerate(table.column_names):
        feature = (features or {}).get(name)
        target = storage_type(feature)
        column = table.column(number)
        if target is None or column.type == target:
            continue
        try:
            names = class_names(feature)
            if names is not None and pa.types.is_string(column.type):
                column = _numbered(column, names)
            else:
                column = column.cast(target)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise pa.ArrowInvalid(f"column {name!r} is to be {target}: {error}") from error
        table = table.set_column(number, name, column)
    return table


def _numbered(column: pa.ChunkedArray, names: list[str]) -> pa.ChunkedArray:
    numbers = pc.index_in(column, value_set=pa.array(names, pa.string()))
    other = pc.and_(pc.is_null(numbers), pc.is_valid(column))
    if pc.any(other).as_py():
        left = pc.filter(column, other)
        try:
            given = pc.cast(left, pa.int64())
        except pa.ArrowInvalid:
            raise pa.ArrowInvalid(f"{left[0].as_py()!r} is none of the classes {names}") from None
        numbers = pc.replace_with_mask(
            pc.cast(numbers, pa.int64()).combine_chunks(),
            other.combine_chunks(),
            given.combine_chunks(),
        )
        return pa.chunked_array([numbers])
    return pc.cast(numbers, pa.int64())


def _value_type(name: str) -> pa.DataType | None:
    times, parts = _TIMES.fullmatch(name), _PARTS.fullmatch(name)
    decimal = _DECIMAL.fullmatch(name)
    if times is not None:
        return pa.timestamp(times[1], tz=times[2])
    if parts is not None:
        return getattr(pa, parts[1])(parts[2])
    if decimal is not None:
        return getattr(pa, f"decimal{decimal[1]}")(int(decimal[2]), int(decimal[3]))
    if name in _SPELLED:
        return _SPELLED[name]
    if name == "large_string":
        return pa.string()
    try:
        return pa.type_for_alias(name)
    except ValueError:
        return None
