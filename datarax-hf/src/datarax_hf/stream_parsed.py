"""JSON, CSV, text and Arrow files as a stream: parsed block by block, in the types of the first.

What the features leave open, the first block of the first file decides, and every later block is
held to it: one that does not fit is an error that names where. Nothing but a block is held, and
going on from a record reads its file again from the beginning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from datarax.errors import CorruptDataError, DataraxError, EmptyDatasetError
from datarax.sources import Columns, Field
from datarax_hf.columns import count_nulls
from datarax_hf.features import read_features
from datarax_hf.formats.comma import WHOLE
from datarax_hf.formats.guess import (
    Guess,
    WiderTypesError,
    cast_to_features,
    class_names,
    storage_type,
)
from datarax_hf.formats.kinds import kind_of
from datarax_hf.formats.parsed import FORMATS
from datarax_hf.formats.settings import Settings
from datarax_hf.images import ImageDecoder
from datarax_hf.remedy import Origin
from datarax_hf.stream_columns import converted, stream_columns
from datarax_hf.stream_files import StreamFiles
from datarax_hf.structs import Paths, column_at, column_paths, flat_features, flat_schema

PIECE_ROWS = 1024
KINDS = ("json", "csv", "text", "arrow")
_FILE = b"ARROW1\0\0"


class ParsedStream:
    """Records of files that are parsed from their beginning on, a shard each.

    How many there are is not known before they were read.

    Args:
        names: The files.
        files: Where they are read.
        settings: What they are read with.
        decoder: How images become arrays.
        fill_nulls: The numbers that stand for nulls, by column.
        identity: What a saved state says of the records.

    Raises:
        CorruptDataError: If the first file cannot be parsed.
        EmptyDatasetError: If no file holds a record.
    """

    def __init__(
        self,
        names: Sequence[str],
        files: StreamFiles,
        settings: Settings,
        *,
        decoder: ImageDecoder,
        fill_nulls: Mapping[str, Any],
        identity: Mapping[str, str],
    ) -> None:
        self._names = tuple(names)
        self._files = files
        self._settings = replace(settings, derived=None)
        self._identity = dict(identity)
        self._schema: pa.Schema = pa.schema([])
        self._guess = Guess()
        first = self._first()
        self._schema = first.schema
        features = settings.features or read_features(first.schema, where=self._names[0])
        if self._guess.texts and not features:
            features = {
                name: {"_type": "Json"} if name in self._guess.texts else None
                for name in first.column_names
            }
        self._paths = column_paths(first.schema, features, flatten=settings.flatten)
        self._columns = stream_columns(
            flat_schema(first.schema, self._paths),
            flat_features(features, flatten=settings.flatten),
            decoder,
            lambda column: _nulls(first, self._paths, column),
            fill_nulls,
        )

    @property
    def fields(self) -> Mapping[str, Field]:
        return {name: column.field for name, column in self._columns.items()}

    @property
    def identity(self) -> Mapping[str, str]:
        """The commit as "revision", the "config" and the "split"."""
        return self._identity

    @property
    def shards(self) -> Sequence[int | None]:
        return (None,) * len(self._names)

    def stream(self, shard: int, offset: int, names: Sequence[str], /) -> Iterator[Columns]:
        """Yield the columns `names` of a file's records from `offset` on."""
        name = self._names[shard]
        row = 0
        for table in self._tables(name):
            begin, row = row, row + len(table)
            for start in range(max(0, offset - begin), len(table), PIECE_ROWS):
                place = begin + start
                where = f"hf:{self._files.origin.dataset}: file {name!r}, records from {place} on"
                piece = table.slice(start, PIECE_ROWS)
                yield {
                    column: converted(
                        self._columns[column], column_at(piece, self._paths[column]), where
                    )
                    for column in names
                }

    def close(self) -> None:
        """End what is still on its way, and the threads that decode."""
        self._files.close()
        for column in self._columns.values():
            column.close()

    def _first(self) -> pa.Table:
        """Return the first records that there are, and note their types."""
        for name in self._names:
            for table in self._tables(name):
                if len(table):
                    return table
        raise EmptyDatasetError(
            f"hf:{self._files.origin.dataset} holds no records in {self._names}"
        )

    def _tables(self, name: str) -> Iterator[pa.Table]:
        """Yield a file's records in the types of the stream; one that needs wider is begun anew."""
        guess, given = self._begun(name), 0
        while True:
            row = 0
            try:
                for table in self._parsed(name, guess):
                    begin, row = row, row + len(table)
                    if row > given:
                        rest = table.slice(given - begin)
                        yield self._conformed(name, rest, given, guess)
                        given = row
            except WiderTypesError as error:
                if WHOLE in guess.ways:
                    what = str(error.__cause__ or "the types of columns change")
                    raise self._drift(name, given, what) from error
                continue
            return

    def _parsed(self, name: str, guess: Guess) -> Iterator[pa.Table]:
        origin, kind = self._files.origin, kind_of(name) or ""
        parse = _batches if kind == "arrow" else FORMATS[kind]
        try:
            for table in parse(name, origin, self._settings, guess):
                yield cast_to_features(table, self._settings.features)
        except GeneratorExit:  # at exit, where the names below may be gone already
            raise
        except (DataraxError, FileNotFoundError):
            raise
        except pa.ArrowInvalid as error:
            raise origin.damaged(name, f"cannot be read: {error}") from error
        except (pa.ArrowException, OSError) as error:
            raise origin.damaged(name, f"is damaged: {error}") from error

    def _begun(self, name: str) -> Guess:
        """Return the types with which a file is begun: those of the stream, as far as known."""
        if len(self._schema):
            guess = self._guess
            return Guess(columns=dict(guess.columns), texts=set(guess.texts), ways=set(guess.ways))
        columns = {}
        if kind_of(name) == "json":
            for column, feature in (self._settings.features or {}).items():
                stored = storage_type(feature)
                if stored is not None and class_names(feature) is None:
                    columns[column] = stored
        self._guess = Guess(columns=columns)
        return self._guess

    def _conformed(self, name: str, table: pa.Table, row: int, guess: Guess) -> pa.Table:
        """Return records in the types of the stream; before there are any, as they are."""
        if not len(self._schema):
            return table
        mixed = sorted(guess.texts - self._guess.texts)
        if mixed:
            raise self._drift(name, row, f"the values of {mixed[0]!r} are of several kinds")
        stored = dict(zip(self._schema.names, self._schema.types, strict=True))
        other = sorted(set(table.column_names) - set(stored))
        if other:
            raise self._drift(name, row, f"there is a column {other[0]!r}")
        columns = []
        for column, kind in stored.items():
            if column not in table.column_names:
                columns.append(pa.chunked_array([pa.nulls(len(table), kind)]))
                continue
            values = table.column(column)
            if values.type != kind and not pa.types.is_null(kind):
                try:
                    values = values.cast(kind)
                except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                    what = f"{column!r} is {values.type} and no longer {kind} ({error})"
                    raise self._drift(name, row, what) from error
            columns.append(values)
        return pa.Table.from_arrays(columns, names=list(stored))

    def _drift(self, name: str, row: int, what: str) -> CorruptDataError:
        return CorruptDataError(
            f"hf:{self._files.origin.dataset}: file {name!r}, records from {row} on: {what}, "
            "unlike in the beginning of the stream; give the features in the card, or load it with "
            "mode='lazy', which reads all of it before it decides"
        )


def _batches(name: str, origin: Origin, settings: Settings, guess: Guess) -> Iterator[pa.Table]:  # noqa: ARG001  # as all formats
    """Yield the record batches of an Arrow stream, or of a file, which holds one."""
    with origin.open(name) as file:
        if file.read(len(_FILE)) != _FILE:
            file.seek(0)
        with pa.ipc.open_stream(pa.PythonFile(file, mode="r")) as batches:
            guess.columns.update(zip(batches.schema.names, batches.schema.types, strict=True))
            for batch in batches:
                batch.validate(full=True)
                yield pa.Table.from_batches([batch])


def _nulls(table: pa.Table, paths: Paths, column: str) -> int:
    """Return the nulls of a column, or of a part of a struct as "image.bytes"."""
    if column in paths:
        return count_nulls(column_at(table, paths[column]))
    name, _, part = column.rpartition(".")
    values = column_at(table, paths[name])
    if not pa.types.is_struct(values.type) or values.type.get_field_index(part) < 0:
        return int(values.null_count)
    return int(column_at(table, (*paths[name], part)).null_count)
