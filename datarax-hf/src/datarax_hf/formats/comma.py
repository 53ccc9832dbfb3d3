"""CSV and TSV: parsed by Arrow in pieces of whole rows, with the names and types of pandas.

All is read as text first, and then as what it means. Types are those that hold for the whole file,
guessed from the first piece and, where a later one does not fit, from all of it. Dates and times
stay text; what pandas takes for missing is null. Pieces that are no plain CSV, by rows of several
widths, lines of blanks, or quotes within fields, are cut row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from datarax_hf.formats.characters import BLOCK, Characters
from datarax_hf.formats.form import Form, Missing, form_of
from datarax_hf.formats.guess import Guess, Place, class_names, storage_type
from datarax_hf.formats.header import all_names, count_before, named
from datarax_hf.formats.rows import Rows, whole_rows
from datarax_hf.formats.settings import Settings
from datarax_hf.formats.spelled import Seen, read, read_as, type_of
from datarax_hf.remedy import Origin

LARGEST_ROW = 128 * 2**20
"""Bytes of a row, beyond which it is refused."""

WHOLE = "types from the whole file"
"""The way of reading a file again that needs all of it before its first record."""

_TYPED = "types are from the whole file"
_BLANK_LINE = r"^[ \t]+$"


def tables(name: str, origin: Origin, settings: Settings, guess: Guess) -> Iterator[pa.Table]:
    """Yield the records of a CSV file, in pieces of one schema: that of `guess`.

    Columns that the card's features name and the file lacks are null.

    Raises:
        CorruptDataError: If it is not CSV, a row has too many fields, with its line, or a value is
            not what the card's features say.
        WiderTypesError: If it does not fit `guess`, which is wider now: it is to be read again.
    """
    form = form_of(name, origin, settings)
    if WHOLE in guess.ways and _TYPED not in guess.ways:
        guess.columns.update(_types(name, origin, form, guess))
        guess.ways.add(_TYPED)
    with _Text(name, origin, form, guess) as text:
        columns = _Columns(text, settings, guess)
        for batch in text.batches():
            yield columns.typed(batch)
        columns.settle()


class _Columns:
    """What the columns of a file become: in their types, and in their order."""

    def __init__(self, text: _Text, settings: Settings, guess: Guess) -> None:
        features = settings.features or {}
        self._text = text
        self._guess = guess
        self._asked = _asked(features, text.names)
        self._classes = {name: class_names(features.get(name)) for name in self._asked}
        before = [] if features else text.names[: text.before]
        self._names = [*text.names[text.before :], *before]
        lacking = () if settings.described else features
        self._lacking = {
            name: storage_type(features[name]) or pa.null()
            for name in lacking
            if name not in text.names
        }

    def typed(self, batch: pa.RecordBatch) -> pa.Table:
        """Return records of text in the types of their columns."""
        columns = {name: self._read(name, batch.column(name)) for name in self._names}
        for name, kind in self._lacking.items():
            columns[name] = pa.nulls(len(batch), kind)
        self.settle()
        return pa.table(columns)

    def settle(self) -> None:
        """Note the types of columns of which no value was seen."""
        known = self._guess.columns
        for name in self._names:
            known.setdefault(name, self._asked.get(name, pa.null()))
        for name, kind in self._lacking.items():
            known.setdefault(name, kind)

    def _read(self, name: str, values: pa.Array) -> pa.Array:
        known = self._guess.columns
        if name in self._asked:
            return self._as_asked(name, values)
        if name not in known:
            known[name] = type_of(values)
        got = read(values, known[name])
        if got is None:
            other = f"{name!r} is {type_of(values)} and no longer {known[name]}"
            raise self._guess.again(WHOLE) from ValueError(other)
        missing = self._text.numbers_missing(name)
        return _without(got, missing) if pa.types.is_floating(got.type) else got

    def _as_asked(self, name: str, values: pa.Array) -> pa.Array:
        """Return values as the card's features say; a class is its name or its number."""
        kind, classes = self._asked[name], self._classes[name]
        if classes is not None:
            values = pc.ascii_trim_whitespace(values)
            named_ = pc.is_in(values.drop_null(), value_set=pa.array(classes, pa.string()))
            if pc.all(named_).as_py() or pa.types.is_string(type_of(values)):
                return values
        try:
            return read_as(values, kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            what = f"column {name!r} is to be {kind}: {error}"
            raise self._text.origin.unlike(self._text.name, what) from error


class _Text:
    """A CSV file, read forward as records of text.

    Attributes:
        name: The file.
        origin: Where it comes from.
        names: The names of its columns, in their order.
        before: How many of them stand before those that the file names.
    """

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
            rows = Rows(self._rest, form, ended=self._ended)
            words = self._words(rows)
            taken, lines = rows.taken, rows.lines
            first = rows.next() if words is not None or form.header is None else None
            if first is not None or self._ended:
                break
            self._check_size()
        if rows.open:
            raise self._never_closed(rows)
        width = max(len(words or ()), len(first or ()))
        if form.given is not None:
            words = list(form.given)
        elif not width:
            raise self.origin.damaged(
                self.name, "is no CSV that can be read: it holds no line of names"
            )
        elif words is None:
            words = [str(number) for number in range(width)]
        self._take(taken, lines)
        return all_names(words or [], width)

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
        opens = text.startswith(sign) or any(begin + sign in text for begin in before)
        return quote if opens else None

    def _parsed(self, text: bytes, quote: str | None) -> pa.RecordBatch | None:
        """Return what Arrow makes of whole rows; None where they are to be cut one by one."""
        form = self._form
        common = form.missing.words
        try:
            table = pyarrow.csv.read_csv(
                pa.BufferReader(text),
                read_options=pyarrow.csv.ReadOptions(
                    use_threads=False, block_size=len(text) + 1, column_names=self.names
                ),
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter=form.separator,
                    quote_char=quote or False,
                    double_quote=form.double,
                    newlines_in_values=quote is not None,
                    ignore_empty_lines=form.skip_blank,
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(self.names, pa.string()),
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
        if len(columns) == 1 and form.skip_blank:
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
        return self._batch([_without(pa.array(text, pa.string()), common) for text in texts])

    def _batch(self, columns: list[pa.Array]) -> pa.RecordBatch:
        """Return columns of text by their names; what is missing in one of them alone is null."""
        for number, name in enumerate(self.names):
            columns[number] = _without(columns[number], self._own(number, name).words)
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


def _types(name: str, origin: Origin, form: Form, guess: Guess) -> dict[str, pa.DataType]:
    """Return the narrowest type of each column that holds for the whole file."""
    with _Text(name, origin, form, guess) as text:
        columns = {column: Seen() for column in text.names}
        for batch in text.batches():
            for column, values in zip(text.names, batch.columns, strict=True):
                columns[column].take(values)
    return {column: seen.type() for column, seen in columns.items()}


def _asked(features: Mapping[str, Any], names: list[str]) -> dict[str, pa.DataType]:
    """Return the types that the card's features give the columns."""
    asked = {}
    for name, feature in features.items():
        stored = storage_type(feature)
        if name in names and stored is not None and not pa.types.is_nested(stored):
            asked[name] = stored
    return asked


def _without(values: pa.Array, missing: Sequence[str] | Sequence[float]) -> pa.Array:
    """Return values with nulls in the place of those that are missing."""
    if not missing:
        return values
    found = pc.is_in(values, pa.array(missing, values.type))
    return pc.if_else(found, pa.nulls(len(values), values.type), values)
