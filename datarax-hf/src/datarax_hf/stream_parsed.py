"""JSON, CSV, text and Arrow files as a stream: parsed block by block, in the types of the first.

What the features leave open, the first block of the first file decides, and every later block is
held to it: one that does not fit is an error that names where. Nothing but a block is held. Going
on from a record reads its file from the last mark before it (see `stream_marks`), else from its
beginning; in a new process, from where a saved state says that it stood (see `stream_stands`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import pyarrow as pa

from datarax.errors import DataraxError, EmptyDatasetError, listing
from datarax.sources import Columns
from datarax_hf.columns import count_nulls
from datarax_hf.features import read_features
from datarax_hf.formats.comma import WHOLE
from datarax_hf.formats.declared import Declared
from datarax_hf.formats.fitted import check_names
from datarax_hf.formats.guess import (
    Guess,
    WiderTypesError,
    cast_to_features,
    texts_as_features,
)
from datarax_hf.formats.kinds import kind_of
from datarax_hf.formats.parsed import FORMATS
from datarax_hf.formats.settings import Settings
from datarax_hf.images import ImageDecoder
from datarax_hf.remedy import Origin
from datarax_hf.stream_base import HubStream
from datarax_hf.stream_columns import converted, stream_columns
from datarax_hf.stream_files import StreamFiles
from datarax_hf.stream_marks import Marks
from datarax_hf.stream_parts import Part, Span, spans
from datarax_hf.stream_stands import Run, Stand, Way
from datarax_hf.stream_types import StreamTypes, read_types
from datarax_hf.structs import Paths, column_at, column_paths, flat_features, flat_schema

PIECE_ROWS = 1024
KINDS = ("json", "csv", "text", "arrow")
_FILE = b"ARROW1\0\0"


class ParsedStream(HubStream):
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
        EmptyDatasetError: If no file holds a record, though one holds something.
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
        super().__init__(files, identity)
        self._settings = replace(settings, derived=None)
        self._declared = Declared(settings.features, files.origin)
        self._types = StreamTypes(files.origin.dataset)
        self._guess = Guess()
        self._way = Way(names, files, settings.options, fixed="revision" in identity)
        name, first, bare = self._first()
        texts = self._guess.texts
        self._types.begin(name, first.schema, texts)
        features = (
            self._declared.features(read_features(first.schema, where=name))
            or settings.features
            or texts_as_features(first.column_names, texts)
        )
        self._paths = column_paths(first.schema, features, flatten=settings.flatten)
        self._columns = stream_columns(
            flat_schema(first.schema, self._paths),
            flat_features(features, flatten=settings.flatten),
            decoder,
            lambda column: bare + _nulls(first, self._paths, column),
            fill_nulls,
        )

    @property
    def shards(self) -> Sequence[int | None]:
        return (None,) * len(self._names)

    def select(
        self, parts: Sequence[Part], offset: int, names: Sequence[str], /
    ) -> Generator[Columns]:
        """Yield those that `parts` select, one after another, without the first `offset`."""
        run = Run.of(parts)
        if run.shards:
            stand = self._way.begin(run.shards, run.begin + offset)
            self._types.take(stand.types)
            parts = [run.without(stand)]
            offset -= max(stand.before - run.begin, 0)
        ahead: set[str] = set()
        held: dict[int, Marks] = {}

        def count(shard: int) -> int | None:
            marks = held.pop(shard, None) or self._way.marks(shard)
            if marks.records is None:
                held[shard] = marks
            return marks.records

        try:
            for span in spans(parts, offset, count):
                marks = held.get(span.shard) or self._way.marks(span.shard)
                yield from self._span(span, names, marks, ahead)
        finally:
            for name in ahead:
                self._files.forget(name)

    def mark_at(self, shards: Sequence[int], offset: int, /) -> Mapping[str, Any] | None:
        """Return where the record `offset` of several shards lies, as far as is known."""
        return self.mark_of([Part((shard,)) for shard in shards], offset)

    def mark_of(self, parts: Sequence[Part], offset: int) -> Mapping[str, Any] | None:
        """Return the same of a selection; None where it is no run of records."""
        run = Run.of(parts)
        stand = self._way.stand(run.shards, run.begin + offset) if offset else None
        return None if stand is None else asdict(replace(stand, types=self._types.told()))

    def take_mark(self, mark: Mapping[str, Any], /) -> None:
        """Note where another stream of these files stood.

        Raises:
            ValueError: If the mark is damaged.
        """
        stand = Stand.read(mark)
        read_types(stand.types)
        self._way.take(stand)

    def _first(self) -> tuple[str, pa.Table, int]:
        """Return the first records with any key, their file, and how many lie before them.

        Where none has one, the first that there are. Notes their types and the columns' names.
        """
        bare, first = 0, None
        for shard, name in enumerate(self._names):
            marks = self._way.marks(shard)
            for _, table in self._tables(name, marks):
                if not len(table):
                    continue
                if self._types.begun:  # by a first file without records
                    return self._names[0], self._types.described(table), 0
                first = name, table, bare
                if table.num_columns:
                    mark = marks.before(len(table))
                    self._way.header = mark.place.names if mark else ()
                    return first
                bare += len(table)
            if shard == 0 and kind_of(name) == "arrow":  # which says what it would hold
                empty = self._declared.table(name, _schema(name, self._files.origin).empty_table())
                self._types.begin(name, empty.schema, ())
        if first is not None:
            return first
        if not any(map(self._files.size, self._names)):
            raise self._files.origin.damaged(self._names[0], "is empty")
        raise EmptyDatasetError(
            f"hf:{self._files.origin.dataset} holds no records in {listing(self._names)}"
        )

    def _span(
        self, span: Span, names: Sequence[str], marks: Marks, ahead: set[str]
    ) -> Iterator[Columns]:
        """Yield the records of a span, once the file that follows it is asked for."""
        name, asked = self._names[span.shard], False
        for begin, table in self._tables(name, marks, _least(span.begin, span.end)):
            end = begin + len(table)
            stop = _least(end, span.end)
            if not asked:
                ahead.update(self._asked_ahead(span, end, marks))
                asked = True
            for place in range(max(begin, span.begin), stop, PIECE_ROWS):
                piece = table.slice(place - begin, min(PIECE_ROWS, stop - place))
                where = f"hf:{self._files.origin.dataset}: file {name!r}, records from {place} on"
                yield {
                    column: converted(
                        self._columns[column], column_at(piece, self._paths[column]), where
                    )
                    for column in names
                }
            if span.end is not None and end >= span.end:
                return

    def _asked_ahead(self, span: Span, records: int, marks: Marks) -> list[str]:
        """Ask for the beginning of the file that follows a span, and return its name.

        Args:
            span: The span.
            records: How many records of its file were read.
            marks: Those of its file.
        """
        follows = span.next
        if span.end is not None:
            found = marks.records
            if found is None:
                found = self._expected(span.shard, records, marks)
            follows = span.next if found < span.end else span.other
        if follows is None or follows == span.shard:
            return []
        self._files.ask_ahead(self._names[follows])
        return [self._names[follows]]

    def _expected(self, shard: int, records: int, marks: Marks) -> int:
        """Return about how many records a file holds, judging by the first ones."""
        mark = marks.before(records)
        if mark is None:
            return records
        return mark.records * self._files.size(self._names[shard]) // mark.place.byte

    def _tables(self, name: str, marks: Marks, record: int = 0) -> Iterator[tuple[int, pa.Table]]:
        """Yield a file's records in the types of the stream, and the number of each first one.

        All from `record` on are among them. A file that needs wider types is begun anew, where it
        was begun.
        """
        mark, guess = marks.before(record), self._begun(name)
        given = mark.records if mark else 0
        while True:
            row = mark.records if mark else 0
            guess.begin, guess.ended = mark.place if mark else None, None
            ways = set(guess.ways)
            try:
                for table in self._parsed(name, guess):
                    begin, row = row, row + len(table)
                    marks.add(row, guess.ended)
                    if row > given:
                        rest, first = table.slice(given - begin), given
                        given = row
                        yield first, self._types.conformed(name, rest, first, guess.texts)
            except WiderTypesError as error:
                if WHOLE in guess.ways:
                    what = str(error.__cause__ or "the types of columns change")
                    raise self._types.unlike(name, given, what) from error
                if guess.ways != ways:  # rows are told apart otherwise
                    mark = None
                continue
            marks.records = row
            return

    def _parsed(self, name: str, guess: Guess) -> Iterator[pa.Table]:
        origin, kind = self._files.origin, kind_of(name) or ""
        parse = _batches if kind == "arrow" else FORMATS[kind]
        try:
            self._files.check_same(name)
            for table in parse(name, origin, self._settings, guess):
                self._files.check_same(name)
                yield self._cast(name, table)
        except GeneratorExit:  # at exit, where the names below may be gone already
            raise
        except (DataraxError, FileNotFoundError):
            raise
        except pa.ArrowInvalid as error:
            self._files.check_same(name)
            raise origin.damaged(name, f"cannot be read: {error}") from error
        except (pa.ArrowException, OSError) as error:
            raise origin.damaged(name, f"is damaged: {error}") from error

    def _cast(self, name: str, table: pa.Table) -> pa.Table:
        if kind_of(name) == "arrow":
            return self._declared.table(name, table)
        try:
            return cast_to_features(table, self._settings.features)
        except pa.ArrowInvalid as error:
            raise self._files.origin.unlike(name, str(error)) from error

    def _begun(self, name: str) -> Guess:
        """Return the types with which a file is begun: those of the stream, as far as known."""
        if not self._types.begun:
            self._guess = Guess(marking=True)
            return self._guess
        return Guess(
            columns=self._types.begin_with(name, self._guess.columns),
            texts=set(self._guess.texts),
            ways=set(self._guess.ways),
            marking=True,
        )


def _batches(name: str, origin: Origin, settings: Settings, guess: Guess) -> Iterator[pa.Table]:  # noqa: ARG001  # as all formats
    """Yield the record batches of an Arrow stream, or of a file, which holds one."""
    with origin.open(name) as file:
        has_footer = file.read(len(_FILE)) == _FILE
        if not has_footer:
            file.seek(0)
        with pa.ipc.open_stream(pa.PythonFile(file, mode="r")) as batches:
            check_names(name, batches.schema, origin)
            guess.columns.update(zip(batches.schema.names, batches.schema.types, strict=True))
            for batch in batches:
                batch.validate(full=True)
                yield pa.Table.from_batches([batch])
        if has_footer and not _end_of(file).endswith(_FILE.rstrip(b"\0")):
            raise origin.damaged(name, "is cut off: no footer stands behind its record batches")


def _schema(name: str, origin: Origin) -> pa.Schema:
    """Return the columns of an Arrow file or stream."""
    with origin.open(name) as file:
        if file.read(len(_FILE)) != _FILE:
            file.seek(0)
        with pa.ipc.open_stream(pa.PythonFile(file, mode="r")) as batches:
            return batches.schema


def _end_of(file: Any) -> bytes:
    """Return the last bytes of what is left of a file."""
    end = b""
    while piece := file.read(2**16):
        end = (end + piece)[-len(_FILE) :]
    return end


def _least(record: int, end: int | None) -> int:
    return record if end is None else min(record, end)


def _nulls(table: pa.Table, paths: Paths, column: str) -> int:
    """Return the nulls of a column, or of a part of a struct as "image.bytes"."""
    if column in paths:
        return count_nulls(column_at(table, paths[column]))
    name, _, part = column.rpartition(".")
    values = column_at(table, paths[name])
    if not pa.types.is_struct(values.type) or values.type.get_field_index(part) < 0:
        return int(values.null_count)
    return int(column_at(table, (*paths[name], part)).null_count)
