"""Forward-only reading: an epoch's columns, piece by piece, from any offset on.

Shuffled, shards come in the order's permutation and records through a window: each run of
`window` records of that sequence is permuted by the order, drawn from (seed, epoch, run). So the
sequence is a function of (seed, epoch), and resuming at a record reads no more than one window
again. It is weaker than the full shuffle: a record moves within its window and its shard's place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datarax.core import order
from datarax.sources.fields import Field
from datarax.sources.pieces import PieceCheck
from datarax.sources.reader import (
    ChainReader,
    Columns,
    Identified,
    MarkingReader,
    Reader,
    StreamReader,
)
from datarax.sources.splits import read_columns

DEFAULT_WINDOW = 10_000
PIECE_ROWS = 1024


class IndexedStream:
    """An indexed reader as a stream of one shard: nothing is held but a piece of it."""

    def __init__(self, reader: Reader, rows: int = PIECE_ROWS) -> None:
        self._reader = reader
        self._rows = rows

    @property
    def fields(self) -> Mapping[str, Field]:
        return self._reader.fields

    @property
    def identity(self) -> Mapping[str, str]:
        return self._reader.identity if isinstance(self._reader, Identified) else {}

    @property
    def shards(self) -> Sequence[int | None]:
        return (len(self._reader),)

    def stream(self, shard: int, offset: int, names: Sequence[str], /) -> Iterator[Columns]:
        """Yield the columns `names` of the records from `offset` on; there is one shard, 0."""
        del shard
        size = len(self._reader)
        for begin in range(offset, size, self._rows):
            indices = np.arange(begin, min(size, begin + self._rows), dtype=np.int64)
            yield read_columns(self._reader, indices, names)

    def close(self) -> None:
        self._reader.close()


def stream_length(reader: StreamReader) -> int | None:
    """Return the records of a stream, or None where a shard does not know its own."""
    counts = [count for count in reader.shards if count is not None]
    return sum(counts) if len(counts) == len(reader.shards) else None


def stream_columns(
    reader: StreamReader,
    names: Sequence[str],
    words: NDArray[np.uint32] | None,
    window: int,
    place: tuple[int, int],
) -> Iterator[Columns]:
    """Yield the columns `names` of an epoch, from place = (epoch, offset) on, in pieces.

    Args:
        reader: Where from.
        names: Which columns.
        words: What the order is drawn from; None is storage order.
        window: Records that are permuted together when shuffled.
        place: The epoch, and how many of its records are left out.
    """
    epoch, offset = place
    sequence = _sequence(reader, words, epoch)
    if words is None:
        yield from _from(reader, names, sequence, offset)
        return
    run, done = divmod(offset, window)
    held: list[Columns] = []
    for piece in _from(reader, names, sequence, run * window):
        held.append(piece)
        while sum(map(rows_of, held)) >= window:
            whole = joined(held)
            yield sliced(_permuted(sliced(whole, 0, window), words, epoch, run), done)
            held = [rest] if rows_of(rest := sliced(whole, window)) else []
            run, done = run + 1, 0
    if held:
        yield sliced(_permuted(joined(held), words, epoch, run), done)


def stream_mark(
    reader: StreamReader,
    words: NDArray[np.uint32] | None,
    window: int,
    place: tuple[int, int],
) -> Mapping[str, Any] | None:
    """Return what a reader knows of the way to place = (epoch, offset), as JSON values, or None.

    The arguments are those of `stream_columns`, which begins to read there.
    """
    if not isinstance(reader, MarkingReader):
        return None
    epoch, offset = place
    begin = offset if words is None else offset // window * window
    shards, skip = _left(reader, _sequence(reader, words, epoch), begin)
    return reader.mark_at(shards, skip)


def _sequence(reader: StreamReader, words: NDArray[np.uint32] | None, epoch: int) -> list[int]:
    """Return the shards in the order of an epoch."""
    shards = np.arange(len(reader.shards))
    if words is not None:
        shards = order.indices(words, len(shards), epoch, shards)
    sequence: list[int] = shards.tolist()
    return sequence


def _left(reader: StreamReader, shards: list[int], skip: int) -> tuple[list[int], int]:
    """Return the shards without the first ones that are skipped whole, and what is left to skip."""
    for place, shard in enumerate(shards):
        count = reader.shards[shard]
        if count is None or skip < count:
            return shards[place:], skip
        skip -= count
    return [], skip


def _from(
    reader: StreamReader, names: Sequence[str], sequence: list[int], skip: int
) -> Iterator[Columns]:
    shards, skip = _left(reader, sequence, skip)
    check = PieceCheck(reader.fields, names)
    if isinstance(reader, ChainReader):
        for piece in reader.chain(shards, skip, names) if shards else ():
            check(piece)
            yield piece
        return
    for shard in shards:
        count = reader.shards[shard]
        if count is not None and skip >= count:
            skip -= count
            continue
        begin = skip if count is not None else 0
        skip -= begin
        for piece in reader.stream(shard, begin, names):
            check(piece)
            rows = rows_of(piece)
            if skip >= rows:
                skip -= rows
            else:
                yield sliced(piece, skip) if skip else piece
                skip = 0


def _permuted(columns: Columns, words: NDArray[np.uint32], epoch: int, run: int) -> Columns:
    size = rows_of(columns)
    drawn_from = np.append(words, np.array([run & 0xFFFFFFFF, run >> 32], np.uint32))
    rows = order.indices(drawn_from, size, epoch, np.arange(size))
    return {
        name: column[rows]
        if isinstance(column, np.ndarray)
        else [column[row] for row in rows.tolist()]
        for name, column in columns.items()
    }


def rows_of(columns: Columns) -> int:
    """Return how many records some columns hold."""
    return len(next(iter(columns.values())))


def sliced(columns: Columns, begin: int, end: int | None = None) -> Columns:
    """Return the columns of records `begin` to `end`."""
    if not begin and end is None:
        return columns
    return {name: column[begin:end] for name, column in columns.items()}


def joined(pieces: Sequence[Columns]) -> Columns:
    """Return the columns of pieces that follow one another."""
    if len(pieces) == 1:
        return pieces[0]
    whole: dict[str, Any] = {}
    for name, first in pieces[0].items():
        if isinstance(first, np.ndarray):
            whole[name] = np.concatenate([piece[name] for piece in pieces])
        else:
            whole[name] = [value for piece in pieces for value in piece[name]]
    return whole
