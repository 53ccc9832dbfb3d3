"""The text of a CSV file: its records in pieces of whole rows, parsed by Arrow.

Columns that are known to be numbers are read as such, the others as text. Pieces that are no plain
CSV, by rows of several widths, lines of blanks, or quotes within fields, are cut row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from datarax_hf.formats.characters import BLOCK, Characters
from datarax_hf.formats.form import Form, Missing
from datarax_hf.formats.guess import Guess, Place
from datarax_hf.formats.header import all_names, count_before, named
from datarax_hf.formats.rows import Rows, whole_rows
from datarax_hf.remedy import Origin

LARGEST_ROW = 128 * 2**20
"""Bytes of a row, beyond which it is refused."""

LOOKED_AT = 2**15
"""Bytes of rows that suggest which columns are numbers."""

_BLANK_LINE = r"^[ \t]+$"


class _Begun(NamedTuple):
    """The beginning of a file: the names that it gives, the first row, and what lies before it."""

    rows: Rows
    words: list[str] | None
    first: list[str] | None
    taken: int
    lines: int


class CommaText:
    """A CSV file, read forward as records of text.

    Attributes:
        name: The file.
        origin: Where it comes from.
        names: The names of its columns, in their order.
        before: How many of them stand before those that the file names.
        numbers: The columns that are known to be numbers, and their types.
    """

    numbers: Mapping[str, pa.DataType] = MappingProxyType({})

    def __init__(self, name: str, origin: Origin, form: Form, guess: Guess) -> None:
        self.name = name
        self.origin = origin
        self._form = form
        self._guess = guess
        self._rest = b""
        self._ended = False
        begin = guess.begin
        self._line = begin.line if begin else 1
        self._taken = 0
        self._file = Characters(
            name,
            origin,
            encoding=form.encoding,
            errors=form.errors,
            advance=guess.advance,
            begin=begin,
        )
        try:
            if begin is not None:
                self.names = list(begin.names)
                self.before = count_before(self.names)
            else:
                self.names, self.before = self._head()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the records, piece by piece, and tell `guess` where each ends."""
        while self._rest or self._more():
            batch = self._piece()
            if batch is None:
                if self._ended:
                    return
                self._check_size()
                self._more()
                continue
            place = self._file.place(self._taken, self._line)
            self._guess.ended = place and Place(place.byte, place.line, tuple(self.names))
            if len(batch):
                yield batch

    def peek(self) -> pa.RecordBatch | None:
        """Return the first records of what was read and not taken; None where that is not plain."""
        form, text = self._form, self._rest[:LOOKED_AT]
        quote = self._opening(text)
        if form.escape is not None and form.escape.encode() in text:
            return None
        end = whole_rows(text, form.separator, quote, double=form.double)
        return self._parsed(text[:end], quote) if end else None

    def _more(self) -> bool:
        """Read on, and return whether there was more."""
        text = self._file.read(BLOCK)
        self._rest += text
        self._ended = not text
        return bool(text)

    def _check_size(self) -> None:
        if len(self._rest) > LARGEST_ROW:
            raise self.origin.damaged(
                self.name,
                f"is no CSV that can be read: a row has more than {LARGEST_ROW:,} bytes, from line "
                f"{self._line} on, where a quoted field may never be closed",
            )

    def _head(self) -> tuple[list[str], int]:
        """Read what stands before the records, and return the names."""
        form = self._form
        while True:
            self._more()
            begun = self._begin(self._rest[:LOOKED_AT])
            if begun.first is None:
                begun = self._begin(self._rest)
            if begun.first is not None or self._ended:
                break
            self._check_size()
        if begun.rows.open:
            raise self._never_closed(begun.rows)
        words = begun.words
        width = max(len(words or ()), len(begun.first or ()))
        if form.given is not None:
            words = list(form.given)
        elif not width:
            raise self.origin.damaged(
                self.name, "is no CSV that can be read: it holds no line of names"
            )
        elif words is None:
            words = [str(number) for number in range(width)]
        self._take(begun.taken, begun.lines)
        return all_names(words or [], width)

    def _begin(self, text: bytes) -> _Begun:
        """Return what a text begins with, which is that of the file or a part of it."""
        rows = Rows(text, self._form, ended=self._ended and len(text) == len(self._rest))
        words = self._words(rows)
        taken, lines = rows.taken, rows.lines
        first = rows.next() if words is not None or self._form.header is None else None
        return _Begun(rows, words, first, taken, lines)

    def _words(self, rows: Rows) -> list[str] | None:
        """Return the names that the header gives, if there is one, and leave the records."""
        form = self._form
        if not rows.skip(form.skip) or form.header is None:
            return None
        for _ in range(form.header):
            rows.next()
        words = rows.next()
        return None if words is None else named(words)

    def _take(self, taken: int, lines: int) -> None:
        self._rest = self._rest[taken:]
        self._taken += taken
        self._line += lines

    def _piece(self) -> pa.RecordBatch | None:
        """Return the records of the whole rows that were read; None where there is none."""
        form, end, quote = self._form, None, self._opening(self._rest)
        if form.escape is None or form.escape.encode() not in self._rest:
            end = whole_rows(self._rest, form.separator, quote, double=form.double)
        if not end:
            # Within quotes there is no end to be found before they are closed.
            within = end == 0 and b"\n" in self._rest and not self._ended
            return None if within else self._cut(self._rest)
        text = self._rest[:end]
        batch = self._as_numbers(text, quote)
        if batch is None:
            batch = self._parsed(text, quote)
        if batch is None:
            return self._cut(text)
        self._take(end, text.count(b"\n"))
        return batch

    def _opening(self, text: bytes) -> str | None:
        """Return the quote if one stands where a field may begin: others are what fields hold."""
        quote = self._form.quote
        if quote is None:
            return None
        sign = quote.encode()
        before = (self._form.separator.encode(), b"\n", b"\r")
        opens = sign in text and (
            text.startswith(sign) or any(begin + sign in text for begin in before)
        )
        return quote if opens else None

    def _as_numbers(self, text: bytes, quote: str | None) -> pa.RecordBatch | None:
        """Return whole rows with numbers in their types; None where one may be spelled otherwise.

        Arrow would take hexadecimal for a number, and words for what is none or, behind a blank,
        for infinity.
        """
        own = {name for number, name in enumerate(self.names) if self._own(number, name).words}
        numbers = {name: kind for name, kind in self.numbers.items() if name not in own}
        if not numbers or any(x in text and b"0" + x in text for x in (b"x", b"X")):
            return None
        batch = self._parsed(text, quote, numbers)
        if batch is None:
            return None
        fractions = [name for name, kind in numbers.items() if pa.types.is_floating(kind)]
        spelled = (pc.is_finite(batch.column(name)) for name in fractions)
        return batch if all(pc.all(digits, min_count=0).as_py() for digits in spelled) else None

    def _parsed(
        self,
        text: bytes,
        quote: str | None,
        numbers: Mapping[str, pa.DataType] = MappingProxyType({}),
    ) -> pa.RecordBatch | None:
        """Return what Arrow makes of whole rows; None where they are to be cut one by one."""
        form = self._form
        common = form.missing.words
        try:
            table = pyarrow.csv.read_csv(
                pa.BufferReader(text),
                read_options=pyarrow.csv.ReadOptions(
                    use_threads=bool(numbers), block_size=len(text) + 1, column_names=self.names
                ),
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter=form.separator,
                    quote_char=quote or False,
                    double_quote=form.double,
                    newlines_in_values=quote is not None,
                    ignore_empty_lines=form.skip_blank,
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types={**dict.fromkeys(self.names, pa.string()), **numbers},
                    null_values=list(common),
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=True,
                    check_utf8=False,  # it is of `Characters`
                ),
            )
        except pa.ArrowInvalid:
            return None
        batches = table.combine_chunks().to_batches()
        if len(batches) != 1:
            return None
        columns = batches[0].columns
        if len(columns) == 1 and form.skip_blank and pa.types.is_string(columns[0].type):
            blank = pc.match_substring_regex(columns[0], _BLANK_LINE)
            if pc.any(blank).as_py():
                return None
        return self._batch(columns)

    def _cut(self, text: bytes) -> pa.RecordBatch | None:
        """Return the records of the whole rows of a text, short ones filled up as pandas does."""
        rows = Rows(text, self._form, ended=self._ended)
        width, cut = len(self.names), []
        while (row := rows.next()) is not None:
            if len(row) > width:
                raise self.origin.damaged(
                    self.name,
                    f"has {len(row)} fields in line {self._line + rows.begun}, and {width} are due",
                )
            cut.append(row + [""] * (width - len(row)))
        if rows.open and self._ended:
            raise self._never_closed(rows)
        taken = rows.taken
        if not taken:
            return None
        self._take(taken, rows.begun if rows.open else rows.lines)
        texts = zip(*cut, strict=True) if cut else [()] * width
        common = self._form.missing.words
        return self._batch([without(pa.array(text, pa.string()), common) for text in texts])

    def _batch(self, columns: list[pa.Array]) -> pa.RecordBatch:
        """Return columns of text by their names; what is missing in one of them alone is null."""
        for number, name in enumerate(self.names):
            if own := self._own(number, name).words:
                columns[number] = without(columns[number], own)
        return pa.RecordBatch.from_arrays(columns, names=self.names)

    def _never_closed(self, rows: Rows) -> Exception:
        return self.origin.damaged(
            self.name,
            f"has a field that begins with {self._form.quote!r} in line {self._line + rows.begun} "
            "or after it and is never closed",
        )

    def numbers_missing(self, name: str) -> tuple[float, ...]:
        """Return the numbers that are missing values of a column of fractions."""
        own = self._own(self.names.index(name), name)
        return (*self._form.missing.numbers, *own.numbers)

    def _own(self, number: int, name: str) -> Missing:
        """Return what is missing in this column alone."""
        own = self._form.missing_in
        return own.get(name) or own.get(number) or Missing()


def without(values: pa.Array, missing: Sequence[str] | Sequence[float]) -> pa.Array:
    """Return values with nulls in the place of those that are missing."""
    if not missing:
        return values
    found = pc.is_in(values, pa.array(missing, values.type))
    return pc.if_else(found, pa.nulls(len(values), values.type), values)
