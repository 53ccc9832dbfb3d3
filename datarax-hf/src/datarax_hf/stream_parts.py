"""Split expressions over a stream: `train[10:200]`, `train+test`, as shards of their own.

A term whose shards know their records becomes those shards that it touches, cut to its range: the
others are never opened. A term over shards that do not know becomes one shard, which is read from
its beginning to its range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datarax.errors import EmptyDatasetError, UnknownSplitError
from datarax.sources import Columns, Field, SplitTerm

if TYPE_CHECKING:
    from datarax_hf.stream_base import HubStream
    from datarax_hf.stream_parsed import ParsedStream


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
    begin: int = 0
    end: int | None = None
    count: int | None = None


@dataclass(frozen=True)
class Span:
    """Records `begin` to `end` of one shard, None for its end.

    Where `begin` is beyond `end` or the shard, none are wanted, but that the shard be counted.

    Attributes:
        shard: Which shard.
        begin: How many of its records are left out.
        end: Where to leave it.
        next: The shard that follows where this one has fewer records than `end`, None for none.
        other: The shard that follows where it is left at its `end`.
    """

    shard: int
    begin: int
    end: int | None
    next: int | None = None
    other: int | None = None


class StreamParts:
    """A selection of a stream's records, shard by shard.

    Args:
        reader: The stream.
        parts: What is selected, in order.
    """

    def __init__(self, reader: HubStream, parts: Sequence[Part]) -> None:
        self._reader = reader
        self._parts = tuple(parts)

    @property
    def fields(self) -> Mapping[str, Field]:
        return self._reader.fields

    @property
    def identity(self) -> Mapping[str, str]:
        return self._reader.identity

    @property
    def shards(self) -> Sequence[int | None]:
        return tuple(part.count for part in self._parts)

    def records_of(self, names: Sequence[str], /) -> int | None:
        """Return how many records some of the files hold; None where that is not known yet."""
        return self._reader.records_of(names)

    def stream(self, shard: int, offset: int, names: Sequence[str], /) -> Iterator[Columns]:
        """Yield the columns `names` of a part's records from `offset` on."""
        return self.chain([shard], offset, names)

    def chain(
        self, shards: Sequence[int], offset: int, names: Sequence[str], /
    ) -> Iterator[Columns]:
        """Yield those of several parts, one after another, without the first `offset`."""
        return self._reader.select([self._parts[shard] for shard in shards], offset, names)

    def close(self) -> None:
        self._reader.close()


class ParsedParts(StreamParts):
    """A selection of a stream that notes where records lie; see `MarkingReader`."""

    _reader: ParsedStream

    def __init__(self, reader: ParsedStream, parts: Sequence[Part]) -> None:
        super().__init__(reader, parts)

    def chain(
        self, shards: Sequence[int], offset: int, names: Sequence[str], /
    ) -> Iterator[Columns]:
        """Yield those of several parts, one after another, without the first `offset`.

        Raises:
            EmptyDatasetError: If no part holds a record, which is known once all were read.
        """
        wanted = {number for number, part in enumerate(self._parts) if part.count != 0}
        parts = [self._parts[shard] for shard in shards]
        with closing(self._reader.select(parts, offset, names)) as pieces:
            first = next(pieces, None)
            if first is not None:
                yield first
                yield from pieces
            elif not offset and wanted <= set(shards):
                raise EmptyDatasetError(
                    f"{self._reader.dataset} holds no records in split "
                    f"{self.identity['split']!r}; ask for a wider one"
                )

    def mark_at(self, shards: Sequence[int], offset: int, /) -> Mapping[str, Any] | None:
        """Return where the record `offset` of several parts lies, as far as is known."""
        return self._reader.mark_of([self._parts[shard] for shard in shards], offset)

    def take_mark(self, mark: Mapping[str, Any], /) -> None:
        """Note where another selection like this one stood."""
        self._reader.take_mark(mark)


def spans(parts: Sequence[Part], offset: int, count: Callable[[int], int | None]) -> Iterator[Span]:
    """Yield what is to be read of each shard for the records of `parts` from `offset` on.

    Args:
        parts: What is selected.
        offset: How many records of the selection are left out.
        count: Returns the records of a shard; None where that is not known before it was read to
            the end of its span, and then it is asked again.
    """
    for number, part in enumerate(parts):
        other = next((part.shards[0] for part in parts[number + 1 :] if part.shards), None)
        first = 0
        for shard, after in zip(part.shards, (*part.shards[1:], other), strict=True):
            end = None if part.end is None else part.end - first
            if end is not None and end <= 0:
                break
            begin, known = max(part.begin + offset - first, 0), count(shard)
            if known is None:
                yield Span(shard, begin, end, after, other)
                known = count(shard)
            elif begin < (known if end is None else min(known, end)):
                cut = end is not None and end < known
                yield Span(shard, begin, end if cut else None, other if cut else after, other)
            if known is None:  # it was left at its end, and has as many records at least
                assert part.end is not None
                first = part.end
                break
            first += known
        last = first if part.end is None else min(first, part.end)
        offset -= min(offset, max(last - part.begin, 0))


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
        return [Part((number,), count=told[number]) for number in numbers]
    bounds = [bound for bound in (term.start, term.stop) if bound is not None]
    from_the_whole = any(bound.percent or bound.value < 0 for bound in bounds)
    found = [counts[number] if from_the_whole else told[number] for number in numbers]
    known = [count for count in found if count is not None]
    if len(known) == len(numbers):
        start, stop = term.range(sum(known))
        return cut(numbers, known, start, stop)
    if from_the_whole:
        raise UnknownSplitError(
            f"{what}: a stream does not know how many records {term.name!r} has, so its slice can "
            "be neither in percents nor from the end; give numbers of records from the beginning, "
            "or load it with mode='lazy'"
        )
    begin = 0 if term.start is None else term.start.value
    end = None if term.stop is None else max(begin, term.stop.value)
    return [Part(tuple(numbers), begin, end, 0 if end == begin else None)]


def cut(numbers: Sequence[int], counts: Sequence[int], start: int, stop: int) -> list[Part]:
    """Return records `start` to `stop` of some shards, given how many each of them holds."""
    parts = []
    first = 0
    for number, count in zip(numbers, counts, strict=True):
        begin, end = max(start - first, 0), min(stop - first, count)
        if begin < end:
            parts.append(Part((number,), begin, end, end - begin))
        first += count
    return parts
