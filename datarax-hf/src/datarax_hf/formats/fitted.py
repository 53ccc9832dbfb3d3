"""Files of one split that store their columns otherwise: one schema, in which all are read.

What the first file stores decides, as `datasets` has it: the others are cast to that, and what one
lacks is null there. A cast that would lose something is an error, which names both files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datarax.errors import CorruptDataError, listing
from datarax_hf.arrow_numbers import numbers_of
from datarax_hf.features import (
    BYTES_AND_PATH,
    MEDIA,
    Features,
    describe,
    is_list,
    modern,
    part_of,
    plain_type,
    type_of,
)
from datarax_hf.formats.recast import RecastShard
from datarax_hf.formats.shard import Shard
from datarax_hf.remedy import Origin

_REMEDY = "read them as different splits or configs"

Common = Callable[["pa.DataType | None", "pa.DataType | None"], "pa.DataType | None"]
"""Returns the type of a column of which two files have types, None where they have none."""


@dataclass(frozen=True)
class Stored:
    """What a file stores.

    Attributes:
        name: The file.
        schema: Its columns.
        features: What it says of them itself, or None.
    """

    name: str
    schema: pa.Schema
    features: Features | None = None


def joined_schema(
    dataset: str,
    schema: pa.Schema,
    first: Stored,
    other: Stored,
    declared: Features | None,
    common: Common | None = None,
) -> pa.Schema:
    """Return the schema in which another file is read, too.

    Args:
        dataset: The dataset, for messages.
        schema: The schema of those before.
        first: The first file.
        other: The file that is to be read, too.
        declared: What the card says of the columns, or None.
        common: What decides of two types; left out, the first of them does.

    Raises:
        CorruptDataError: If there is none; the text names both files and the columns.
    """
    meant = modern(first.features or declared or {})
    ours = {column.name: column for column in schema}
    theirs = dict(zip(other.schema.names, other.schema.types, strict=True))
    fields, differ = [], []
    for name in dict.fromkeys((*ours, *theirs)):
        before = ours[name].type if name in ours else None
        if common is not None:
            kind = common(before, theirs.get(name))
        elif before is None:
            kind = theirs[name] if name in (declared or {}) else None
        else:
            kind = common_type(before, theirs.get(name), meant.get(name))
        if kind is None:
            differ.append(name)
        elif name in ours and kind == before:
            fields.append(ours[name])
        else:
            fields.append(pa.field(name, kind))
    if differ:
        raise drift(dataset, first, other)
    if classes := _other_classes(first, other):
        raise _drifted(dataset, "; ".join(classes))
    return pa.schema(fields, metadata=schema.metadata)


def common_type(
    ours: pa.DataType, theirs: pa.DataType | None, feature: Features | None = None
) -> pa.DataType | None:
    """Return the type in which a column is read that the first file stores as `ours`.

    That is `ours`, but where it holds nothing; None if `theirs` cannot be cast to it. Text is not
    cast to anything else: what it says may or may not be a number.

    Args:
        ours: What the first file stores.
        theirs: What another file stores; None is nothing.
        feature: What the column means, in the words of today's `datasets`.
    """
    if theirs is None or pa.types.is_null(theirs):
        return ours
    own, other = plain_type(ours), plain_type(theirs)
    if own == other:
        return ours
    if pa.types.is_null(own):
        return other
    if type_of(feature) in {"Image", *MEDIA}:
        return BYTES_AND_PATH if _holds_media(own) and _holds_media(other) else None
    if is_list(own) and is_list(other):
        return _common_list(own, other, feature)
    if pa.types.is_struct(own) and pa.types.is_struct(other):
        return _common_struct(own, other, feature)
    texts = pa.types.is_string(own) or pa.types.is_binary(own)
    if pa.types.is_string(other) and not texts:
        return None
    try:
        pa.array([], other).cast(own)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return ours


def fitted(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return values in a type that `common_type` gave; what a struct lacks is null.

    Raises:
        pa.ArrowInvalid: If a value would lose something; an ArrowNotImplementedError if none fits.
    """
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.storage
    if values.type == kind:
        return values
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), kind)
    if pa.types.is_dictionary(values.type):
        return fitted(values.dictionary_decode(), kind)
    if pa.types.is_struct(kind):
        return _fitted_struct(values, kind)
    if is_list(kind) and is_list(values.type):
        return _fitted_list(values, kind)
    return _cast(values, kind)


def fitted_column(data: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return a column in a type that `common_type` gave, as it is where only its layout differs."""
    kind = plain_type(kind)
    if plain_type(data.type) == kind:
        return data
    return pa.chunked_array([fitted(chunk, kind) for chunk in data.chunks], kind)


def recast(data: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return a column in the type of a stream, which no file that comes later changes.

    Raises:
        pa.ArrowInvalid: If the types do not fit, or a value would lose something.
    """
    if plain_type(common_type(kind, data.type) or data.type) != plain_type(kind):
        raise pa.ArrowInvalid("its values cannot be read as that")
    return fitted_column(data, kind)


def difference(column: str, first: Stored, other: Stored) -> str:
    """Return how two files store a column, in words."""
    kinds = [
        str(plain_type(file.schema.field(column).type)) if column in file.schema.names else None
        for file in (first, other)
    ]
    ours, theirs = (kind or "lacking" for kind in kinds)
    return f"{column!r} is {ours} in {first.name!r} and {theirs} in {other.name!r}"


def drift(dataset: str, first: Stored, other: Stored) -> CorruptDataError:
    """Return the error for files that no schema fits, with all columns in which they differ."""
    names = dict.fromkeys((*first.schema.names, *other.schema.names))
    differ = [name for name in names if _differs(name, first, other)]
    return _drifted(dataset, "; ".join(difference(name, first, other) for name in differ))


def misfit(
    dataset: str, column: str, first: Stored, other: Stored, why: object
) -> CorruptDataError:
    """Return the error for values that would lose something."""
    return _drifted(
        dataset, f"{difference(column, first, other)}, and not all of its values fit: {why}"
    )


class FittedShard(RecastShard):
    """A file that is read in the schema of all files of its split.

    Args:
        whole: The file.
        schema: The schema.
        first: What the first file stores, for messages.
    """

    def __init__(self, whole: Shard, schema: pa.Schema, first: Stored) -> None:
        super().__init__(whole, schema)
        self._first = first

    def column(self, name: str, data: pa.ChunkedArray) -> pa.ChunkedArray:
        try:
            return fitted_column(data, self.schema.field(name).type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise misfit(
                self.origin.dataset, name, self._first, stored(self._whole), error
            ) from error

    def told(self) -> str:
        return str(self.schema.remove_metadata())


def stored(shard: Shard) -> Stored:
    """Return what the file of a shard stores."""
    return Stored(shard.name, shard.schema, shard.features)


def fits(own: pa.Schema, schema: pa.Schema) -> bool:
    """Return whether a file is read in a schema as it is."""
    kinds = dict(zip(own.names, own.types, strict=True))
    return set(own.names) == set(schema.names) and all(
        plain_type(kinds[column.name]) == plain_type(column.type) for column in schema
    )


def check_names(name: str, schema: pa.Schema, origin: Origin) -> None:
    """Raise if a file has a column twice."""
    names = schema.names
    if len(set(names)) < len(names):
        twice = sorted({column for column in names if names.count(column) > 1})
        raise origin.damaged(name, f"has columns twice: {listing(twice)}")


def _common_list(
    own: pa.DataType, other: pa.DataType, feature: Features | None
) -> pa.DataType | None:
    inner = common_type(own.value_type, other.value_type, part_of(feature, None))
    if inner is None:
        return None
    if not pa.types.is_fixed_size_list(own):
        return pa.list_(inner)
    if pa.types.is_fixed_size_list(other) and other.list_size != own.list_size:
        return None
    return pa.list_(inner, own.list_size)


def _common_struct(
    own: pa.DataType, other: pa.DataType, feature: Features | None
) -> pa.DataType | None:
    theirs = {part.name: part.type for part in other}
    parts = {
        part.name: common_type(part.type, theirs.pop(part.name, None), part_of(feature, part.name))
        for part in own
    }
    return None if theirs or None in parts.values() else pa.struct(list(parts.items()))


def _fitted_struct(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_struct(values.type):
        names = [part.name for part in values.type]
        held = dict(zip(names, values.flatten(), strict=True))
    else:
        held = {"bytes" if pa.types.is_binary(plain_type(values.type)) else "path": values}
    parts = [
        fitted(held[part.name], part.type)
        if part.name in held
        else pa.nulls(len(values), part.type)
        for part in kind
    ]
    return pa.StructArray.from_arrays(parts, fields=list(kind), mask=values.is_null())


def _fitted_list(values: pa.Array, kind: pa.DataType) -> pa.Array:
    lengths = numbers_of(pc.fill_null(pc.list_value_length(values), 0))
    inner = fitted(values.flatten(), kind.value_type)
    if not pa.types.is_fixed_size_list(kind):
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), inner, mask=values.is_null())
    size = kind.list_size
    there = numbers_of(values.is_valid())
    other = sorted(set(lengths[there].tolist()) - {size})
    if other:
        raise pa.ArrowInvalid(f"lists of {other[:5]} values stand where {size} are due")
    begins = np.cumsum(lengths) - lengths
    places = (begins[:, None] + np.arange(size)).reshape(-1)
    taken = inner.take(pa.array(places, pa.int64(), mask=np.repeat(~there, size)))
    return pa.FixedSizeListArray.from_arrays(taken, size, mask=values.is_null())


def _cast(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return values in a type without parts, or raise if one would lose something.

    That a float is rounded to a narrower one is no loss, but that it becomes infinite is.
    """
    cast = values.cast(kind)
    if pa.types.is_floating(kind):
        lost = pa.types.is_floating(values.type) and _infinite(cast) > _infinite(values)
    else:  # Arrow checks most itself
        checked = not (pa.types.is_boolean(kind) or pa.types.is_date(kind))
        lost = not checked and not cast.cast(values.type).equals(values)
    if lost:
        raise pa.ArrowInvalid(f"a value would lose something as {kind}")
    return cast


def _infinite(values: pa.Array) -> int:
    return int(np.isinf(numbers_of(values.drop_null())).sum())


def _holds_media(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return {part.name for part in kind} <= {"bytes", "path"}
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind))


def _differs(column: str, first: Stored, other: Stored) -> bool:
    kinds = [
        plain_type(file.schema.field(column).type) if column in file.schema.names else None
        for file in (first, other)
    ]
    return kinds[0] != kinds[1]


def _other_classes(first: Stored, other: Stored) -> list[str]:
    """Return where two files that say themselves what they hold name different classes."""
    if first.features is None or other.features is None:
        return []
    ours, theirs = (describe(file.schema, file.features) for file in (first, other))
    return [
        f"{column!r} has the classes {listing(kind.field.class_names or ())} in "
        f"{first.name!r} and {listing(theirs[column].field.class_names or ())} in {other.name!r}"
        for column, kind in ours.items()
        if column in theirs
        and not pa.types.is_null(theirs[column].stored)
        and not pa.types.is_null(kind.stored)
        and kind.field.class_names != theirs[column].field.class_names
    ]


def _drifted(dataset: str, what: str) -> CorruptDataError:
    return CorruptDataError(
        f"hf:{dataset}: its files do not have the same columns: {what}; {_REMEDY}"
    )
