"""Split expressions over a stream: `train[10:200]`, `train+test`, as shards of their own.

A term whose shards know their records becomes those shards that it touches, cut to its range: the
others are never opened. A term over shards that do not know becomes one shard, which is read from
its beginning to its range.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from datarax.errors import UnknownSplitError
from datarax.sources import Columns, Field, Identified, SplitTerm, StreamReader


@dataclass(frozen=True)
class Part:
    """One shard of a selection: records `begin` to `end` of some shards of another stream.

    Attributes:
        shards: Which shards, read one after another.
        begin: How many of their records are left out.
        end: Where the selection ends, None for their end.
        count: How many records it holds, None where that is not known.
    """

    shards: tuple[int, ...]
    begin: int
    end: int | None
    count: int | None


class StreamParts:
    """A selection of a stream's records, shard by shard.

    Args:
        reader: The stream.
        parts: What is selected, in order.
    """

    def __init__(self, reader: StreamReader, parts: Sequence[Part]) -> None:
        self._reader = reader
        self._parts = tuple(parts)

    @property
    def fields(self) -> Mapping[str, Field]:
        return self._reader.fields

    @property
    def identity(self) -> Mapping[str, str]:
        return self._reader.identity if isinstance(self._reader, Identified) else {}

    @property
    def shards(self) -> Sequence[int | None]:
        return tuple(part.count for part in self._parts)

    def stream(self, shard: int, offset: int, names: Sequence[str], /) -> Iterator[Columns]:
        """Yield the columns `names` of a part's records from `offset` on."""
        part = self._parts[shard]
        skip = part.begin + offset
        left = None if part.end is None else part.end - skip
        counts = self._reader.shards
        for number in part.shards:
            count = counts[number]
            if count is not None and skip >= count:
                skip -= count
                continue
            begin = 0 if count is None else skip
            skip -= begin
            for piece in self._reader.stream(number, begin, names):
                rows = _rows(piece)
                dropped, skip = min(skip, rows), max(0, skip - rows)
                stop = rows if left is None else min(rows, dropped + left)
                if stop > dropped:
                    yield {name: column[dropped:stop] for name, column in piece.items()}
                if left is not None:
                    left -= stop - dropped
                    if left <= 0:
                        return

    def close(self) -> None:
        self._reader.close()


def parts_of(
    term: SplitTerm, numbers: Sequence[int], counts: Sequence[int | None], what: str
) -> list[Part]:
    """Return the parts that a term selects.

    Args:
        term: The term.
        numbers: The shards of the split that it names.
        counts: The records of all shards, as `StreamReader.shards` tells them; an index may find
            out what iterating does not tell.
        what: The dataset, for messages.

    Raises:
        UnknownSplitError: If the term counts from the end or in percents, and how many records
            the split has is not known before it was read.
    """
    told = list(counts)
    if term.start is None and term.stop is None:
        return [Part((number,), 0, None, told[number]) for number in numbers]
    bounds = [bound for bound in (term.start, term.stop) if bound is not None]
    from_the_whole = any(bound.percent or bound.value < 0 for bound in bounds)
    found = [counts[number] if from_the_whole else told[number] for number in numbers]
    known = [count for count in found if count is not None]
    if len(known) == len(numbers):
        start, stop = term.range(sum(known))
        return _cut(numbers, known, start, stop)
    if from_the_whole:
        raise UnknownSplitError(
            f"{what}: a stream does not know how many records {term.name!r} has, so its slice can "
            "be neither in percents nor from the end; give numbers of records from the beginning, "
            "or load it with mode='lazy'"
        )
    begin = 0 if term.start is None else term.start.value
    end = None if term.stop is None else max(begin, term.stop.value)
    return [Part(tuple(numbers), begin, end, 0 if end == begin else None)]


def _cut(numbers: Sequence[int], counts: Sequence[int], start: int, stop: int) -> list[Part]:
    parts = []
    first = 0
    for number, count in zip(numbers, counts, strict=True):
        begin, end = max(start - first, 0), min(stop - first, count)
        if begin < end:
            parts.append(Part((number,), begin, end, end - begin))
        first += count
    return parts


def _rows(columns: Columns) -> int:
    return len(next(iter(columns.values())))
