"""Split expressions: `train`, `train[:80%]`, `train[10:200]`, `train[-5:]`, `train+test`, `all`.

The grammar is that of TFDS and Hugging Face `datasets`: slices count records, or percents rounded
to the closest record, may be negative, and are cut at the ends; where one bound is in percents,
both are, so that `train[10:50%]` is `train[10%:50%]`; a sum joins its terms in order.
`train[:80%](pct1_dropremainder)` counts whole hundredths instead.
`SplitReader` is the reader of such a selection over one reader or several. NumPy comes with the
first of them, so that a plugin is described without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import quote

from datarax.errors import UnknownSplitError, listing, nearest
from datarax.sources.fields import Field
from datarax.sources.reader import (
    BufferReader,
    ColumnarReader,
    ColumnReader,
    Columns,
    Identified,
    Indices,
    Reader,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

Rounding = Literal["closest", "pct1_dropremainder"]

ALL = "all"
"""The expression that means every stored split, one after another."""

_TERM = re.compile(
    r"\s*(?P<name>[^\[\]\+\s]+)\s*"
    r"(?:\[(?P<slice>[^\]]*)\]\s*(?:\((?P<rounding>[^)]*)\))?)?\s*"
)
_BOUND = re.compile(r"\s*(?P<value>[+-]?\d(?:_?\d)*)\s*(?P<percent>%)?\s*")


@dataclass(frozen=True)
class Bound:
    """One end of a slice: records, or percents of the split."""

    value: int
    percent: bool

    def position(self, size: int, rounding: Rounding = "closest") -> int:
        """Return where this bound falls in a split of `size` records, within [0, size].

        Percents round to the closest record, ties to even, as TFDS's `rounding="closest"` does;
        with "pct1_dropremainder" each is a hundredth of the split, rounded down.
        """
        value = self.value
        if self.percent:
            hundredth = size // 100
            closest = rounding == "closest"
            value = round(size * self.value / 100) if closest else self.value * hundredth
        return min(max(value + size if value < 0 else value, 0), size)


@dataclass(frozen=True)
class SplitTerm:
    """One term of a split expression: a stored split, a slice of it, and how percents round."""

    name: str
    start: Bound | None = None
    stop: Bound | None = None
    rounding: Rounding = "closest"

    def range(self, size: int) -> tuple[int, int]:
        """Return the (start, stop) of this term in a split of `size` records.

        Raises:
            UnknownSplitError: If hundredths are asked for of fewer than 100 records.
        """
        if self.rounding == "pct1_dropremainder" and size < 100:
            raise UnknownSplitError(
                f"the split {self.name!r} has {size} records, and a hundredth of it, which "
                "(pct1_dropremainder) counts, is none; leave it out, or count records"
            )
        start = 0 if self.start is None else self.start.position(size, self.rounding)
        stop = size if self.stop is None else self.stop.position(size, self.rounding)
        return start, max(start, stop)


def parse_split(expression: str) -> tuple[SplitTerm, ...]:
    """Return the terms of a split expression.

    Raises:
        UnknownSplitError: If it does not follow the grammar; the text names the position.
    """
    terms: list[SplitTerm] = []
    position = 0
    while True:
        match = _TERM.match(expression, position)
        if match is None:
            raise _malformed(expression, position, "a split's name is expected")
        terms.append(_term(expression, match))
        position = match.end()
        if position == len(expression):
            return tuple(terms)
        if expression[position] != "+":
            what = "']' is missing" if expression[position] == "[" else "'+' or the end is expected"
            raise _malformed(expression, position, what + _sum_hint(expression))
        position += 1


def choose_split(
    asked: str | None, available: Sequence[str], *, dataset: str
) -> tuple[SplitTerm, ...]:
    """Return the terms of `asked` over the `available` splits; None is the only one, or `train`.

    `all`, unless a split bears that name, is every one of them.

    Raises:
        UnknownSplitError: If a term is not available, or nothing was asked and several are, none
            of them `train`.
    """
    if asked is None:
        if len(available) == 1:
            return (SplitTerm(available[0]),)
        if "train" in available:
            return (SplitTerm("train"),)
        raise UnknownSplitError(
            f"{dataset} has the splits {listing(available)} and none is named 'train'; "
            "say which with split="
        )
    if asked.strip() == ALL and ALL not in available:
        return tuple(SplitTerm(name) for name in available)
    terms = parse_split(asked)
    for term in terms:
        if term.name == ALL and ALL not in available:
            raise UnknownSplitError(
                f"{dataset} has no split {ALL!r}: the word stands alone for every split, without a "
                f"slice or a sum; its splits are {listing(available)}"
            )
        if term.name not in available:
            raise UnknownSplitError(
                f"{dataset} has no split {term.name!r}; its splits are {listing(available)}."
                f"{nearest(term.name, available)}"
            )
    return terms


class SplitReader(ColumnarReader):
    """The records of ranges of readers, one range after another.

    Args:
        parts: Pairs of a reader and the (start, stop) of its records to hand out. All readers
            have the same fields. One reader may stand in several parts; each is closed once.
        identity: What a saved state says of the selection, such as {"split": "train[:80%]"}.
    """

    def __init__(
        self,
        parts: Sequence[tuple[Reader, tuple[int, int]]],
        *,
        identity: Mapping[str, str] | None = None,
    ) -> None:
        import numpy as np

        if not parts:
            raise ValueError("a selection needs at least one part")
        self._readers = tuple(reader for reader, _ in parts)
        self._starts = np.array([start for _, (start, _) in parts], np.int64)
        sizes = [stop - start for _, (start, stop) in parts]
        self._ends = np.cumsum(np.array(sizes, np.int64))
        self._identity = dict(identity or {})

    @property
    def fields(self) -> Mapping[str, Field]:
        return self._readers[0].fields

    @property
    def identity(self) -> Mapping[str, str]:
        first = self._readers[0]
        inner = first.identity if isinstance(first, Identified) else {}
        return {**inner, **self._identity}

    def __len__(self) -> int:
        return int(self._ends[-1])

    def read(self, indices: Indices, names: Sequence[str], /) -> Columns:
        pieces = list(self._pieces(indices))
        if len(pieces) == 1:
            reader, _, stored = pieces[0]
            return read_columns(reader, stored, names)
        import numpy as np

        fields = self.fields
        columns: dict[str, Any] = {
            name: np.empty((len(indices), *(fields[name].shape or ())), fields[name].dtype)
            if fields[name].is_array
            else [None] * len(indices)
            for name in names
        }
        for reader, rows, stored in pieces:
            part = read_columns(reader, stored, names)
            for name in names:
                if fields[name].is_array:
                    columns[name][rows] = part[name]
                else:
                    for row, value in zip(rows.tolist(), part[name], strict=True):
                        columns[name][row] = value
        return columns

    def read_into(self, indices: Indices, out: Mapping[str, NDArray[Any]], /) -> None:
        """Fill `out` as `BufferReader` says; without a copy where one reader serves all rows."""
        pieces = list(self._pieces(indices))
        if len(pieces) == 1 and isinstance(pieces[0][0], BufferReader):
            pieces[0][0].read_into(pieces[0][2], out)
            return
        for reader, rows, stored in pieces:
            part = read_columns(reader, stored, tuple(out))
            for name, buffer in out.items():
                buffer[rows] = part[name]

    def close(self) -> None:
        for reader in {id(reader): reader for reader in self._readers}.values():
            reader.close()

    def _pieces(self, indices: Indices) -> Any:
        import numpy as np

        if len(self._readers) == 1:
            yield self._readers[0], np.arange(len(indices)), indices + self._starts[0]
            return
        parts = np.searchsorted(self._ends, indices, side="right")
        begins = self._ends - np.diff(self._ends, prepend=0)
        for part in np.unique(parts).tolist():
            rows = np.flatnonzero(parts == part)
            yield self._readers[part], rows, indices[rows] - begins[part] + self._starts[part]


def read_columns(reader: Reader, indices: Indices, names: Sequence[str]) -> Columns:
    """Return columns of any reader: by its own `read`, else record by record."""
    if isinstance(reader, ColumnReader):
        return reader.read(indices, names)
    import numpy as np

    records = reader.__getitems__(indices.tolist()) if len(indices) else []
    fields = reader.fields
    columns: dict[str, Any] = {}
    for name in names:
        values = [record[name] for record in records]
        field = fields[name]
        if field.is_array:
            columns[name] = np.empty((len(records), *(field.shape or ())), field.dtype)
            for row, value in enumerate(values):
                columns[name][row] = value
        else:
            columns[name] = values
    return columns


def _term(expression: str, match: re.Match[str]) -> SplitTerm:
    text = match["slice"]
    if text is None:
        return SplitTerm(match["name"])
    ends = text.split(":")
    if len(ends) != 2:
        raise _malformed(expression, match.start("slice"), "a slice is '[start:stop]'")
    bounds: list[Bound | None] = []
    position = match.start("slice")
    percent = "%" in text
    for end in ends:
        bound = _BOUND.fullmatch(end)
        if bound is None and end.strip():
            raise _malformed(expression, position, f"{end!r} is neither records nor percents")
        if bound is None:
            bounds.append(None)
        else:
            value = int(bound["value"])
            if percent and abs(value) > 100:
                given = "" if bound["percent"] else ", as both bounds are percents where one is"
                raise _malformed(expression, position, f"{value}% is beyond 100%{given}")
            bounds.append(Bound(value, percent))
        position += len(end) + 1
    start, stop = bounds
    return SplitTerm(match["name"], start, stop, _rounding(expression, match, bounds))


def _rounding(expression: str, match: re.Match[str], bounds: Sequence[Bound | None]) -> Rounding:
    text = match["rounding"]
    if text is None:
        return "closest"
    position = match.start("rounding")
    known: dict[str, Rounding] = {name: name for name in get_args(Rounding)}
    if text not in known:
        raise _malformed(expression, position, f"{text!r} is no rounding; {listing(known)} are")
    if not any(bound is not None and bound.percent for bound in bounds):
        raise _malformed(expression, position, "records are not rounded, percents are")
    return known[text]


def _sum_hint(expression: str) -> str:
    """Return how a URI's query says a sum, where one with its blanks as '+' was likely meant."""
    meant = "+".join(expression.split())
    try:
        if meant == expression or len(parse_split(meant)) < 2:
            return ""
    except UnknownSplitError:
        return ""
    written = quote(meant, safe="[]:()/")
    return f" (a '+' in the query of a URI stands for a blank: write 'split={written}' there)"


def _malformed(expression: str, position: int, why: str) -> UnknownSplitError:
    return UnknownSplitError(
        f"split {expression!r} is malformed at position {position}: {why}; "
        "write 'train', 'train[:80%]', 'train[10:200]' or 'train+test'"
    )
