"""What a card declares of the columns that parquet and Arrow files store.

As `datasets` has it the card decides, of the types, of what they mean and of which columns there
are, whatever the files say themselves. Columns that are stored as it declares stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from datarax_hf.card import unknown_types
from datarax_hf.features import MEDIA, Features, is_list, modern, part_of, plain_type, type_of
from datarax_hf.formats.fitted import fitted
from datarax_hf.formats.guess import (
    class_names,
    null_type,
    numbered,
    relisted,
    said,
    storage_type,
    value_type,
)
from datarax_hf.formats.recast import RecastShard
from datarax_hf.formats.shard import Shard
from datarax_hf.remedy import Origin

VERSION = 1
"""Of the casts: raised where one would give other values than before."""

_UNFIT = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError)
_LISTS = ("List", "LargeList", "Sequence")


class Declared:
    """The columns that a card declares.

    Args:
        features: What the card says; None is nothing.
        origin: Where the files come from, for messages.
    """

    def __init__(self, features: Features | None, origin: Origin) -> None:
        self._features = {
            name: None if unknown_types(feature) else feature  # that is read as it is stored
            for name, feature in modern(features or {}).items()
        }
        self._origin = origin
        self._last: tuple[pa.Schema, pa.Schema] | None = None

    def schema(self, file: str, stored: pa.Schema) -> pa.Schema:
        """Return the schema in which a file is read: `stored` itself where that is as declared.

        Raises:
            CorruptDataError: If what it stores cannot be what the card declares.
        """
        if not self._features:
            return stored
        last = self._last  # most files of a dataset store the same
        if last is not None and last[0].equals(stored):
            return stored if last[1] is last[0] else last[1].with_metadata(stored.metadata)
        schema = self._schema(file, stored)
        self._last = (stored, schema)
        return schema

    def features(self, own: Features | None) -> Features | None:
        """Return what columns mean in a file that says so itself: as the card has it, else as it.

        None where the file says nothing, or the features are malformed.
        """
        if not own or not self._features:
            return own
        return {name: self._features.get(name) or own.get(name) for name in (*self._features, *own)}

    def column(self, file: str, name: str, data: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return a column of a file as it is declared.

        Raises:
            CorruptDataError: If a value cannot be that.
        """
        feature, kind = self._features.get(name), plain_type(data.type)
        target = self._type(file, name, kind)
        if target == kind:
            return data
        try:
            chunks = [_cast(fitted(chunk, kind), feature) for chunk in data.chunks]
        except _UNFIT as error:
            raise self._unlike(file, name, kind, error) from error
        return pa.chunked_array(chunks, target)

    def table(self, file: str, table: pa.Table) -> pa.Table:
        """Return all columns of a file as they are declared, with nulls for those that it lacks.

        Raises:
            CorruptDataError: If a value cannot be that.
        """
        stored = table.schema
        schema = self.schema(file, stored)
        if schema is stored:
            return table
        columns = [
            self.column(file, field.name, table.column(field.name))
            if field.name in table.column_names
            else pa.chunked_array([pa.nulls(len(table), field.type)])
            for field in schema
        ]
        return pa.Table.from_arrays(columns, schema.names).replace_schema_metadata(schema.metadata)

    def told(self, stored: pa.Schema, schema: pa.Schema) -> str:
        """Return what the values of a file that is read in another schema depend on, in words."""
        cast = {
            field.name: self._features.get(field.name)
            for field in schema
            if field.name not in stored.names or stored.field(field.name).type != field.type
        }
        text = str(schema.remove_metadata())
        return json.dumps(["declared", VERSION, cast, text], default=repr)

    def _schema(self, file: str, stored: pa.Schema) -> pa.Schema:
        fields, same = [], True
        for column in stored:
            kind = plain_type(column.type)
            target = self._type(file, column.name, kind)
            fields.append(column if target == kind else pa.field(column.name, target))
            same = same and target == kind
        lacking = [name for name in self._features if name not in stored.names]
        fields += [pa.field(name, plain_type(null_type(self._features[name]))) for name in lacking]
        return stored if same and not lacking else pa.schema(fields, metadata=stored.metadata)

    def _type(self, file: str, name: str, stored: pa.DataType) -> pa.DataType:
        """Return the type in which a column is read that is stored in a plain type."""
        feature = self._features.get(name)
        if feature is None or storage_type(feature) == stored:
            return stored
        try:
            return _cast(pa.array([], stored), feature).type
        except _UNFIT as error:
            raise self._unlike(file, name, stored, error) from error

    def _unlike(self, file: str, name: str, stored: pa.DataType, error: Exception) -> Exception:
        feature = self._features.get(name) or {}
        declared = feature["dtype"] if type_of(feature) == "Value" else said(feature)
        return self._origin.unlike(
            file, f"the column {name!r} is to be {declared}, and it is stored as {stored}: {error}"
        )


class DeclaredShard(RecastShard):
    """A file whose columns are read as a card declares them.

    Args:
        whole: The file.
        schema: What `Declared.schema` gave for it.
        declared: What the card declares.
    """

    def __init__(self, whole: Shard, schema: pa.Schema, declared: Declared) -> None:
        super().__init__(whole, schema)
        self._declared = declared

    def column(self, name: str, data: pa.ChunkedArray) -> pa.ChunkedArray:
        return self._declared.column(self.name, name, data)

    def told(self) -> str:
        return self._declared.told(self._whole.schema, self.schema)


def as_declared(shard: Shard, declared: Declared) -> Shard:
    """Return a file that is read as a card declares it: itself where that changes nothing.

    Raises:
        CorruptDataError: If what it stores cannot be what the card declares.
    """
    shard.features = declared.features(shard.features)
    schema = declared.schema(shard.name, shard.schema)
    return shard if schema is shard.schema else DeclaredShard(shard, schema, declared)


def _cast(values: pa.Array, feature: Any) -> pa.Array:
    """Return values of a plain type as a feature has them, themselves where they are so already.

    Raises:
        pa.ArrowInvalid: If one cannot be that; so may other exceptions of Arrow.
    """
    kind = type_of(feature)
    if not isinstance(feature, Mapping):
        return values
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), plain_type(null_type(feature)))
    if kind == "Image" or kind in MEDIA:
        _check_media(values.type)
        return values
    if kind == "ClassLabel":
        return _cast_labels(values, class_names(feature))
    if kind == "Value":
        return _cast_values(values, value_type(str(feature.get("dtype"))))
    if kind in _LISTS:
        return _cast_lists(values, feature)
    if kind is None:
        return _cast_struct(values, feature)
    if kind.startswith("Array"):
        depth = len(feature.get("shape") or ())
        return _cast_arrays(values, value_type(str(feature.get("dtype"))), depth)
    return values


def _check_media(stored: pa.DataType) -> None:
    """Raise unless images and the like may be stored so; each way is read as it is."""
    kinds = (pa.types.is_string, pa.types.is_binary, pa.types.is_struct, is_list)
    if not any(is_kind(stored) for is_kind in kinds):
        raise pa.ArrowInvalid("it is neither bytes nor a path")


def _cast_labels(values: pa.Array, names: list[str] | None) -> pa.Array:
    if pa.types.is_int64(values.type):
        return values
    if names is not None and pa.types.is_string(values.type):
        return numbered(values, names)
    cast = _cast_values(values, pa.int64())
    most = pc.max(cast).as_py()
    if names is not None and most is not None and most >= len(names):
        raise pa.ArrowInvalid(f"{most} is beyond the {len(names)} classes {names}")
    return cast


def _cast_values(values: pa.Array, target: pa.DataType | None) -> pa.Array:
    kind = None if target is None else plain_type(target)
    if kind is None or values.type == kind:
        return values
    if pa.types.is_nested(values.type):
        raise pa.ArrowInvalid("it has parts")
    if pa.types.is_decimal(kind) and pa.types.is_integer(values.type):
        values = values.cast(pa.string())  # Arrow asks for room for any integer
    return values.cast(kind)


def _cast_lists(values: pa.Array, feature: Mapping[str, Any]) -> pa.Array:
    if not is_list(values.type):
        raise pa.ArrowInvalid("it is no list")
    length = feature.get("length", -1)
    if pa.types.is_fixed_size_list(values.type) and length not in {-1, values.type.list_size}:
        raise pa.ArrowInvalid(
            f"lists of {values.type.list_size} values stand where {length} are due"
        )
    return _with_inner(values, _cast(values.flatten(), part_of(feature, None)))


def _cast_arrays(values: pa.Array, target: pa.DataType | None, depth: int) -> pa.Array:
    if not depth:
        return _cast_values(values, target)
    if not is_list(values.type):
        raise pa.ArrowInvalid(f"lists lie {depth} less deep than its shape says")
    return _with_inner(values, _cast_arrays(values.flatten(), target, depth - 1))


def _with_inner(lists: pa.Array, inner: pa.Array) -> pa.Array:
    """Return lists with other values in place of those that `flatten` gave."""
    if inner.type == lists.type.value_type:
        return lists
    cast = relisted(lists, inner)
    if pa.types.is_fixed_size_list(lists.type):
        return fitted(cast, pa.list_(inner.type, lists.type.list_size))
    return cast


def _cast_struct(values: pa.Array, feature: Mapping[str, Any]) -> pa.Array:
    if not pa.types.is_struct(values.type):
        raise pa.ArrowInvalid("it is no struct")
    held = dict(zip((part.name for part in values.type), values.flatten(), strict=True))
    other = [name for name in held if name not in feature]
    if other:
        raise pa.ArrowInvalid(f"it has a part {other[0]!r}, which the card does not name")
    parts = {
        name: _cast(held[name], part)
        if name in held
        else pa.nulls(len(values), plain_type(null_type(part)))
        for name, part in feature.items()
    }
    target = pa.struct([(name, part.type) for name, part in parts.items()])
    if target == values.type:
        return values
    return pa.StructArray.from_arrays(
        list(parts.values()), fields=list(target), mask=values.is_null()
    )
