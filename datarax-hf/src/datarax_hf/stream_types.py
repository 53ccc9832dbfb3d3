"""The types of a parsed stream: those of its first records, to which all later ones are held.

A column that is null in all of the first records has the type of its first values, wherever they
come; so do the values of lists that are empty in all of them, and parts of structs. So the elements
of a stream do not change their types on the way: what does not fit is an error that names both
files.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pyarrow as pa

from datarax.errors import CorruptDataError
from datarax_hf.formats.fitted import Stored, drift, recast
from datarax_hf.formats.guess import conformed, widened
from datarax_hf.formats.kinds import kind_of

_BEGINNING = "in the beginning of the stream"
_UNFIT = (pa.ArrowInvalid, pa.ArrowNotImplementedError)


@dataclass(frozen=True)
class _Found:
    """The type of a column whose first values came late, and where they were."""

    kind: pa.DataType
    where: str


class StreamTypes:
    """The types of a stream's columns, once it has begun.

    Args:
        dataset: The dataset, for messages.

    Attributes:
        begun: Whether the first records were seen.
    """

    def __init__(self, dataset: str) -> None:
        self.begun = False
        self._dataset = dataset
        self._name = ""
        self._schema: pa.Schema = pa.schema([])
        self._texts: frozenset[str] = frozenset()
        self._found: dict[str, _Found] = {}

    def begin(self, name: str, schema: pa.Schema, texts: Collection[str]) -> None:
        """Note the types of the first records.

        Args:
            name: Their file.
            schema: Their columns.
            texts: Those whose values are kept as JSON text.
        """
        self.begun = True
        self._name, self._schema, self._texts = name, schema, frozenset(texts)

    def begin_with(self, name: str, guess: Mapping[str, pa.DataType]) -> dict[str, pa.DataType]:
        """Return the types with which a file is begun.

        Args:
            name: The file.
            guess: The types that were guessed of the first one.
        """
        kinds = {**guess, **{column: found.kind for column, found in self._found.items()}}
        if kind_of(name) != "csv":
            return kinds
        # A type other than text, where the first file says nothing, is to be seen in this one.
        return {
            column: kind
            for column, kind in kinds.items()
            if pa.types.is_string(kind) or not pa.types.is_null(guess.get(column, pa.null()))
        }

    def conformed(self, name: str, table: pa.Table, row: int, texts: Collection[str]) -> pa.Table:
        """Return records in these types; before there are any, as they are.

        Args:
            name: Their file.
            table: The records.
            row: The number of the first one in its file.
            texts: The columns of which values are kept as JSON text there.

        Raises:
            CorruptDataError: If they do not fit.
        """
        if not self.begun:
            return table
        mixed = sorted(set(texts) - self._texts)
        if mixed:
            what = f"the values of {mixed[0]!r} are of several kinds"
            raise self.unlike(name, row, what, mixed[0])
        self._check_columns(name, table, row)
        columns = []
        for column in self._schema:
            if column.name in table.column_names:
                values = self._fitted(name, row, column, table.column(column.name))
            else:
                values = pa.chunked_array([pa.nulls(len(table), column.type)])
            columns.append(values)
        return pa.Table.from_arrays(columns, names=self._schema.names)

    def described(self, table: pa.Table) -> pa.Table:
        """Return records with what the first file says of their columns."""
        return table.replace_schema_metadata(self._schema.metadata)

    def unlike(self, name: str, row: int, what: str, column: str = "") -> CorruptDataError:
        """Return the error for records that are not as those before them.

        Args:
            name: Their file.
            row: The number of the first one in its file.
            what: What they are.
            column: The column in which they differ, if it is one.
        """
        found = self._found.get(column)
        before = f"{_BEGINNING}, file {self._name!r}" if self.begun else _BEGINNING
        return CorruptDataError(
            f"hf:{self._dataset}: file {name!r}, records from {row} on: {what}, unlike "
            f"{found.where if found else before}; give the features in the card, or load it with "
            "mode='lazy', which reads all of it before it decides"
        )

    def told(self) -> str:
        """Return the types that came late as text, for another process; "" where none did."""
        if not self._found:
            return ""
        fields = [
            pa.field(name, found.kind, metadata={"where": found.where})
            for name, found in self._found.items()
        ]
        return base64.b64encode(pa.schema(fields).serialize().to_pybytes()).decode()

    def take(self, told: str) -> None:
        """Note what another stream of these files told.

        Raises:
            ValueError: If it is damaged.
        """
        late = {field.name for field in self._schema if _is_open(field.type)}
        for field in read_types(told):
            if field.name in late:
                where = (field.metadata or {}).get(b"where", _BEGINNING.encode()).decode()
                self._found.setdefault(field.name, _Found(field.type, where))

    def _check_columns(self, name: str, table: pa.Table, row: int) -> None:
        """Raise if columns came that the first records lack, or in CSV if some are gone."""
        ours, theirs, kind = set(self._schema.names), set(table.column_names), kind_of(name)
        other = sorted(theirs - ours)
        if (kind == "csv" and ours != theirs) or (kind == "arrow" and other):
            first = Stored(self._name, self._schema)
            raise drift(self._dataset, first, Stored(name, table.schema))
        if other:
            raise self.unlike(name, row, f"there is a column {other[0]!r}")

    def _fitted(
        self, name: str, row: int, column: pa.Field, values: pa.ChunkedArray
    ) -> pa.ChunkedArray:
        """Return a column of records in its type, which the first of its values decide."""
        found = self._found.get(column.name)
        kind = column.type if found is None else found.kind
        if values.type == kind:
            return values
        if pa.types.is_null(values.type):
            return pa.chunked_array([pa.nulls(len(values), kind)])
        if _is_open(column.type) and _completes(kind, values.type):
            wider = widened(kind, values.type)
            if wider is not None and wider != kind:
                kind = wider
                self._found[column.name] = _Found(kind, f"in file {name!r}, records from {row} on")
        try:
            return recast(values, kind) if kind_of(name) == "arrow" else _cast(values, kind)
        except _UNFIT as error:
            what = f"{column.name!r} is {values.type} and no longer {kind} ({error})"
            raise self.unlike(name, row, what, column.name) from error


def _cast(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return a column in another type.

    Raises:
        pa.ArrowInvalid: If a value would lose something; so may an ArrowNotImplementedError.
    """
    if widened(kind, values.type) == kind:
        return pa.chunked_array([conformed(chunk, kind) for chunk in values.chunks], kind)
    other = _other_part(kind, values.type)
    if other is not None:  # which Arrow would drop
        raise pa.ArrowInvalid(f"there is a part {other!r}")
    return values.cast(kind)


def _other_part(kind: pa.DataType, other: pa.DataType) -> str | None:
    """Return a part of a struct, however deep in `other`, that `kind` lacks."""
    if pa.types.is_list(kind) and pa.types.is_list(other):
        return _other_part(kind.value_type, other.value_type)
    if not (pa.types.is_struct(kind) and pa.types.is_struct(other)):
        return None
    parts = {part.name: part.type for part in kind}
    for part in other:
        found = _other_part(parts[part.name], part.type) if part.name in parts else part.name
        if found is not None:
            return found
    return None


def _is_open(kind: pa.DataType) -> bool:
    """Return whether a type is null, or holds one in its lists or structs, being of no value."""
    if pa.types.is_list(kind):
        return _is_open(kind.value_type)
    if pa.types.is_struct(kind):
        return any(_is_open(part.type) for part in kind)
    return bool(pa.types.is_null(kind))


def _completes(kind: pa.DataType, other: pa.DataType) -> bool:
    """Return whether types are the same but where one of them is null, being of no value."""
    if pa.types.is_null(kind) or pa.types.is_null(other):
        return True
    if pa.types.is_list(kind) and pa.types.is_list(other):
        return _completes(kind.value_type, other.value_type)
    if pa.types.is_struct(kind) and pa.types.is_struct(other):
        ours, theirs = ({part.name: part.type for part in struct} for struct in (kind, other))
        return set(ours) == set(theirs) and all(
            _completes(inner, theirs[name]) for name, inner in ours.items()
        )
    return bool(kind == other)


def read_types(told: str) -> pa.Schema:
    """Return the types that `StreamTypes.told` told.

    Raises:
        ValueError: If they are damaged.
    """
    if not told:
        return pa.schema([])
    try:
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(told, validate=True)))
    except (binascii.Error, pa.ArrowException, OSError, EOFError) as error:
        raise ValueError(f"the types of columns are damaged: {error}") from error
