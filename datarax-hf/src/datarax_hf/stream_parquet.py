"""Parquet files as a stream: row groups in order, those that come next asked for ahead.

Of a row group only the columns asked for are read, and of a file only the row groups that hold
records that are wanted. Nothing is promised that would need the records to be looked at first:
what becomes of a column follows from the footers, the features and the options.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datarax.errors import DataraxError
from datarax.sources import Columns
from datarax_hf.features import Features, plain_type, read_features
from datarax_hf.formats.declared import Declared
from datarax_hf.formats.fitted import (
    Stored,
    check_names,
    drift,
    fitted_column,
    joined_schema,
    misfit,
)
from datarax_hf.images import ImageDecoder
from datarax_hf.stream_base import HubStream
from datarax_hf.stream_columns import converted, stream_columns
from datarax_hf.stream_files import Opening, StreamFiles
from datarax_hf.stream_footers import Footer, Footers
from datarax_hf.stream_parts import Part, Span, spans
from datarax_hf.structs import column_at, column_paths, flat_features, flat_schema, has_column

PIECE_ROWS = 1024
RUN_BYTES = 2 * 2**20
"""Small row groups that follow one another are asked for together, up to this many bytes."""

AHEAD_BYTES = 64 * 2**20
"""No further run is asked for while this much is on its way; one always is."""


class ParquetStream(HubStream):
    """Records of parquet files, a shard each, forward only.

    Safe to read from several threads; picklable: connections are made anew.

    Args:
        names: The files.
        files: Where they are read.
        features: What the card declares of the columns.
        flatten: Whether the parts of structs are columns of their own.
        decoder: How images become arrays.
        fill_nulls: The numbers that stand for nulls, by column.
        identity: What a saved state says of the records.

    Raises:
        CorruptDataError: If a file is no whole parquet file, the files differ in columns, or one
            stores what cannot be as the card declares it.
    """

    def __init__(
        self,
        names: Sequence[str],
        files: StreamFiles,
        *,
        features: Features | None,
        flatten: bool,
        decoder: ImageDecoder,
        fill_nulls: Mapping[str, Any],
        identity: Mapping[str, str],
    ) -> None:
        self._names = tuple(names)
        super().__init__(files, identity)
        self._footers = Footers(self._names, files)
        self._features = features
        self._declared = Declared(features, files.origin)
        meant = flat_features(features, flatten=flatten)
        self._declared_parts = Declared(meant, files.origin)
        self._first = self._stored(0)
        self._schema = self._first.schema
        for number in range(1, len(self._names)):
            if self._footers.is_known(number):
                self._schema = self._joined(number)
        meant = self._first.features or features
        self._paths = column_paths(self._schema, meant, flatten=flatten)
        self._flat = flat_schema(self._schema, self._paths)
        self._columns = stream_columns(
            self._flat,
            flat_features(meant, flatten=flatten),
            decoder,
            self._footers.nulls,
            fill_nulls,
        )

    @property
    def shards(self) -> Sequence[int | None]:
        return self._footers

    def records_of(self, names: Sequence[str], /) -> int | None:
        counts = dict(zip(self._names, self._footers, strict=True))
        found = [counts[name] for name in names]
        return None if None in found else sum(count or 0 for count in found)

    def select(
        self, parts: Sequence[Part], offset: int, names: Sequence[str], /
    ) -> Generator[Columns]:
        """Yield those that `parts` select, one after another, without the first `offset`."""
        with closing(self._opened(self._runs(parts, offset, names))) as opened:
            for run, opening in opened:
                with closing(opening):
                    for piece in run.pieces:
                        yield from self._piece(run.shard, opening, piece, names)

    def _runs(self, parts: Sequence[Part], offset: int, names: Sequence[str]) -> Iterator[_Run]:
        """Yield the row groups that hold records of a selection, small ones together."""
        for span in spans(parts, offset, self._count):
            yield from _runs(span, self._footers.footer(span.shard), names)

    def _count(self, shard: int) -> int:
        if not self._footers.is_known(shard):
            self._footers.footer(shard)
            self._check_same(shard)
        return sum(self._footers.footer(shard).rows)

    def _opened(self, runs: Iterator[_Run]) -> Generator[tuple[_Run, Opening]]:
        """Yield each run with its bytes on their way, and those of the runs that follow it."""
        ahead: deque[tuple[_Run, Opening]] = deque()
        try:
            while True:
                while len(ahead) < 2 or sum(run.nbytes for run, _ in ahead) < AHEAD_BYTES:
                    run = next(runs, None)
                    if run is None:
                        break
                    ahead.append((run, self._files.open(self._names[run.shard], run.ranges)))
                if not ahead:
                    return
                yield ahead.popleft()
        finally:
            for _, opening in ahead:
                opening.close()

    def _piece(
        self, shard: int, opening: Opening, piece: _Piece, names: Sequence[str]
    ) -> Iterator[Columns]:
        name, footer = self._names[shard], self._footers.footer(shard)
        group, due = piece.group, footer.rows[piece.group]
        row = 0
        try:
            self._files.check_same(name)
            with pq.ParquetFile(
                opening.arrow(), metadata=footer.metadata, pre_buffer=False
            ) as file:
                for batch in file.iter_batches(PIECE_ROWS, row_groups=[group], columns=list(names)):
                    self._files.check_same(name)
                    begin, row = row, row + len(batch)
                    first = max(begin, piece.begin)
                    if first < min(row, piece.end):
                        kept = batch.slice(first - begin, min(row, piece.end) - first)
                        where = f"hf:{self._files.origin.dataset}: file {name!r}, row group {group}"
                        if first:
                            where += f", rows from {first} on"
                        yield self._converted(shard, kept, names, where)
                    if row >= piece.end < due:
                        return
        except GeneratorExit:  # at exit, where the names below may be gone already
            raise
        except (DataraxError, FileNotFoundError):
            raise
        except (pa.ArrowException, OSError) as error:
            self._files.check_same(name)
            raise self._files.damaged(
                name, f"cannot be read in its row group {group}: {error}"
            ) from error
        if row != due:
            raise self._files.damaged(
                name, f"has {row} rows in its row group {group}, not {due} as it says"
            )

    def _converted(
        self, shard: int, batch: pa.RecordBatch, names: Sequence[str], where: str
    ) -> Columns:
        table = pa.Table.from_batches([batch])
        return {
            name: converted(self._columns[name], self._fitted(shard, table, name), where)
            for name in names
        }

    def _fitted(self, shard: int, table: pa.Table, name: str) -> pa.ChunkedArray:
        """Return a column of some records of a file in the type that all files have."""
        kind, path = self._flat.field(name).type, self._paths[name]
        if not has_column(table, path):
            return pa.chunked_array([pa.nulls(len(table), kind)])
        data = column_at(table, path)
        if plain_type(data.type) == plain_type(kind):
            return data
        try:
            return fitted_column(self._declared_parts.column(self._names[shard], name, data), kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            dataset = self._files.origin.dataset
            raise misfit(dataset, path[0], self._first, self._stored(shard), error) from error

    def _stored(self, number: int) -> Stored:
        name, schema = self._names[number], self._footers.footer(number).schema
        check_names(name, schema, self._files.origin)
        features = self._declared.features(read_features(schema, where=name))
        return Stored(name, self._declared.schema(name, schema), features)

    def _joined(self, number: int) -> pa.Schema:
        dataset = self._files.origin.dataset
        return joined_schema(
            dataset, self._schema, self._first, self._stored(number), self._features
        )

    def _check_same(self, number: int) -> None:
        """Raise unless a file is read in the schema that the stream began with."""
        if self._joined(number) != self._schema:
            raise drift(self._files.origin.dataset, self._first, self._stored(number))


@dataclass(frozen=True)
class _Piece:
    """Records `begin` to `end` of a row group."""

    group: int
    begin: int
    end: int


@dataclass(frozen=True)
class _Run:
    """Row groups of a file that are asked for together, and where what is wanted of them lies."""

    shard: int
    pieces: tuple[_Piece, ...]
    ranges: tuple[tuple[int, int], ...]

    @property
    def nbytes(self) -> int:
        return sum(end - begin for begin, end in self.ranges)


def _runs(span: Span, footer: Footer, names: Sequence[str]) -> Iterator[_Run]:
    held: list[tuple[_Piece, list[tuple[int, int]]]] = []
    total = first = 0
    for group, rows in enumerate(footer.rows):
        begin, first = first, first + rows
        end = rows if span.end is None else min(rows, span.end - begin)
        piece = _Piece(group, max(0, span.begin - begin), end)
        if piece.begin >= piece.end:
            continue
        ranges = footer.ranges(group, names)
        size = sum(last - begin for begin, last in ranges)
        if held and total + size > RUN_BYTES:
            yield _run(span.shard, held)
            held, total = [], 0
        held.append((piece, ranges))
        total += size
    if held:
        yield _run(span.shard, held)


def _run(shard: int, held: Sequence[tuple[_Piece, list[tuple[int, int]]]]) -> _Run:
    return _Run(
        shard,
        tuple(piece for piece, _ in held),
        tuple(place for _, ranges in held for place in ranges),
    )
