"""CSV and TSV: parsed by Arrow in blocks, with the names and types that pandas would give.

Types are those that hold for the whole file, guessed from the first block and, where a later one
does not fit, from all of it. Dates and times stay text; what pandas takes for missing is null.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from datarax.errors import NotSupportedError
from datarax_hf.formats.characters import BLOCK, Characters
from datarax_hf.formats.guess import Guess, Place, class_names, storage_type
from datarax_hf.formats.rows import whole_rows
from datarax_hf.formats.settings import Settings
from datarax_hf.remedy import Origin

OPTIONS: dict[str, Any] = {
    "sep": None,
    "delimiter": None,
    "header": "infer",
    "names": None,
    "column_names": None,
    "skiprows": 0,
    "quotechar": '"',
    "quoting": csv.QUOTE_MINIMAL,
    "doublequote": True,
    "escapechar": None,
    "skip_blank_lines": True,
    "na_values": None,
    "keep_default_na": True,
    "encoding": "utf-8",
    "encoding_errors": "strict",
}
DECLINED = (
    *("comment", "converters", "date_format", "decimal", "dialect", "false_values", "index_col"),
    *("lineterminator", "na_filter", "nrows", "on_bad_lines", "prefix", "skipfooter"),
    *("skipinitialspace", "thousands", "true_values", "usecols"),
)
MISSING = [
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
]
"""What pandas reads as missing."""

TRUE = ["True", "TRUE", "true"]
FALSE = ["False", "FALSE", "false"]
LARGEST_ROW = 128 * 2**20
"""Bytes of a row, beyond which it is refused."""

WHOLE = "types from the whole file"
"""The way of reading a file again that needs all of it before its first record."""

_TYPED = "types are from the whole file"
_PADDED = "short rows padded"
_LARGE = "large rows"
_INTEGERS = float(2**63)
_WIDTH = re.compile(r"(?:Row #(?P<row>\d+): )?Expected (?P<due>\d+) columns, got (?P<found>\d+)")
_COLUMN = re.compile(r"In CSV column #(?P<column>\d+): (?P<what>.*)", re.DOTALL)


def tables(name: str, origin: Origin, settings: Settings, guess: Guess) -> Iterator[pa.Table]:
    """Yield the records of a CSV file, in pieces of one schema: that of `guess`.

    Raises:
        CorruptDataError: If it is not CSV, or a row has too many fields, with the row.
        WiderTypesError: If it does not fit `guess`, which is wider now: it is to be read again.
    """
    text = _Text(name, origin, _form(name, origin, settings), guess)
    names = list(guess.begin.names) if guess.begin else text.names()
    wanted = _wanted(settings, names)
    if WHOLE in guess.ways and _TYPED not in guess.ways:
        guess.columns.update({**text.types(names), **wanted})
        guess.ways.add(_TYPED)
    elif not guess.columns:
        first = text.schema(names, wanted)
        guess.columns.update({name: wanted.get(name) or _plain(first, name) for name in names})
    for batch in text.batches(names, guess.columns, set(wanted)):
        if _TYPED not in guess.ways and _is_inexact(batch, wanted):
            raise guess.again(WHOLE)
        yield pa.Table.from_batches([batch])
    if text.quotes % 2:
        text.refuse_open_quote()


@dataclass(frozen=True)
class _Form:
    """How a CSV file is written, as the card or its name says."""

    separator: str
    quote: str | None
    double: bool
    escape: str | None
    skip_blank: bool
    missing: list[str]
    header: bool
    given: tuple[str, ...] | None
    skip: int
    encoding: str
    errors: str


class _Text:
    """A CSV file that may be read several times."""

    def __init__(self, name: str, origin: Origin, form: _Form, guess: Guess) -> None:
        self._name = name
        self._origin = origin
        self._form = form
        self._guess = guess
        self.quotes = 0

    def names(self) -> list[str]:
        """Return the names of the columns: as in the file, or by number where it has none.

        A column without a name, and names that stand twice, are named as pandas names them.
        """
        form = self._form
        if form.given is not None:
            return list(form.given)
        stored = self._opened_schema(
            skip_rows=form.skip, autogenerate_column_names=not form.header
        ).names
        if not form.header:
            return [str(number) for number in range(len(stored))]
        seen: dict[str, int] = {}
        names = []
        for number, word in enumerate(stored):
            name = word or f"Unnamed: {number}"
            seen[name] = seen.get(name, -1) + 1
            names.append(f"{name}.{seen[name]}" if seen[name] else name)
        return names

    def schema(self, names: list[str], types: dict[str, pa.DataType]) -> pa.Schema:
        """Return what the first block looks like."""
        return self._opened_schema(types, **self._layout(names))

    def batches(
        self, names: list[str], types: dict[str, pa.DataType], fixed: set[str]
    ) -> Iterator[pa.RecordBatch]:
        """Yield the records, block by block.

        Args:
            names: The names of the columns.
            types: Their types.
            fixed: The columns whose types the card gives.
        """
        with self._file() as file:
            try:
                for piece, size, layout, ended in self._pieces(file, names):
                    reader = self._reader(piece, types, size, **layout)
                    self._guess.ended = ended
                    # Where it ends is said of all records of a piece, so they come at once.
                    yield from reader if ended is None else _at_once(reader)
            except pa.ArrowInvalid as error:
                raise self._told(error, names, fixed) from error
            self.quotes = file.counted

    def types(self, names: list[str]) -> dict[str, pa.DataType]:
        """Return the narrowest type of each column that holds for the whole file."""
        columns = {name: _Seen() for name in names}
        texts = dict.fromkeys(names, pa.string())
        for batch in self.batches(names, texts, set()):
            for name, values in zip(batch.schema.names, batch.columns, strict=True):
                columns[name].take(values)
        return {name: seen.type() for name, seen in columns.items()}

    def refuse_open_quote(self) -> None:
        """Raise if a quoted field is never closed, which Arrow takes for the end of the file."""
        form = self._form
        with self._plain_file() as file:
            rows = csv.reader(_lines(file), strict=True, **self._dialect())
            begun = 1
            try:
                for _ in rows:
                    begun = rows.line_num + 1
            except csv.Error as error:
                if "unexpected end" in str(error) or "field limit" in str(error):
                    raise self._origin.damaged(
                        self._name,
                        f"has a field that begins with {form.quote!r} in line {begun} or after it "
                        "and is never closed",
                    ) from error

    def _pieces(
        self, file: Any, names: list[str]
    ) -> Iterator[tuple[Any, int, dict[str, Any], Place | None]]:
        """Yield the file, or pieces of whole rows of it where their ends are to be told.

        From the first block on of which it cannot be said where its last row ends, it is one piece.
        With each go the bytes that are parsed at a time, its layout, and the place where it ends.
        """
        form, begin = self._form, self._guess.begin
        size = self._block()
        later: dict[str, Any] = {"column_names": names}
        layout = later if begin else self._layout(names)
        cut = self._guess.marking and not (form.escape or form.skip)
        if not cut or isinstance(file, _Padded) or file.place(0, 1) is None:
            yield file, size, layout, None
            return
        line, taken, rest = begin.line if begin else 1, 0, b""
        while text := file.read(BLOCK):
            text = rest + text
            end = whole_rows(text, form.separator, form.quote, double=form.double)
            if not end:
                yield _Begun(text, file), size, layout, None
                return
            line, taken = line + text.count(b"\n", 0, end), taken + end
            place = file.place(taken, line)
            ended = place and Place(place.byte, place.line, tuple(names))
            yield pa.BufferReader(text[:end]), end + 1, layout, ended
            layout, rest = later, text[end:]
        if rest:
            yield pa.BufferReader(rest), len(rest) + 1, layout, None

    def _layout(self, names: list[str]) -> dict[str, Any]:
        form = self._form
        return {
            "skip_rows": form.skip,
            "column_names": names,
            "skip_rows_after_names": int(form.header),
        }

    def _opened_schema(
        self, types: Mapping[str, pa.DataType] = MappingProxyType({}), **options: Any
    ) -> pa.Schema:
        with self._file() as file:
            try:
                return self._reader(file, types, self._block(), **options).schema
            except pa.ArrowInvalid as error:
                raise self._told(error, options.get("column_names", []), set(types)) from error

    def _block(self) -> int:
        return LARGEST_ROW if _LARGE in self._guess.ways else BLOCK

    def _reader(
        self, file: Any, types: Mapping[str, pa.DataType], size: int, **options: Any
    ) -> Any:
        form = self._form
        return pyarrow.csv.open_csv(
            file,
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False,
                block_size=size,
                **options,
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=form.separator,
                quote_char=form.quote or False,
                double_quote=form.double,
                escape_char=form.escape or False,
                newlines_in_values=form.quote is not None,
                ignore_empty_lines=form.skip_blank,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict(types),
                null_values=form.missing,
                true_values=TRUE,
                false_values=FALSE,
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )

    def _file(self) -> Any:
        file = self._plain_file(self._guess.begin)
        return _Padded(file, self._dialect()) if _PADDED in self._guess.ways else file

    def _plain_file(self, begin: Place | None = None) -> Characters:
        form = self._form
        return Characters(
            self._name,
            self._origin,
            encoding=form.encoding,
            errors=form.errors,
            counting=form.quote or "",
            advance=self._guess.advance,
            begin=begin,
        )

    def _dialect(self) -> dict[str, Any]:
        form = self._form
        return {
            "delimiter": form.separator,
            "quotechar": form.quote,
            "quoting": csv.QUOTE_NONE if form.quote is None else csv.QUOTE_MINIMAL,
            "doublequote": form.double,
            "escapechar": form.escape,
        }

    def _told(self, error: Exception, names: list[str], fixed: set[str]) -> Exception:
        """Return what an error of Arrow means: damage, or another pass."""
        text = str(error)
        width, column = _WIDTH.search(text), _COLUMN.search(text)
        if width is not None and int(width["found"]) < int(width["due"]):
            if _PADDED not in self._guess.ways:
                return self._guess.again(_PADDED)
        elif column is not None:
            name = names[int(column["column"])]
            if name not in fixed and _TYPED not in self._guess.ways:
                return self._guess.again(WHOLE)
            return self._origin.damaged(
                self._name, f"cannot be read in its column {name!r}: {column['what']}"
            )
        elif "straddl" in text:
            self.refuse_open_quote()
            if _LARGE not in self._guess.ways:
                return self._guess.again(_LARGE)
            text = f"a row has more than {LARGEST_ROW:,} bytes"
        elif "Empty CSV" in text:
            text = "it holds no line of names"
        return self._origin.damaged(self._name, f"is no CSV that can be read: {text}")


class _Begun:
    """A file of which some text was read, with that text."""

    def __init__(self, text: bytes, file: Characters) -> None:
        self._text = text
        self._file = file
        self.closed = False

    def readable(self) -> bool:
        """Return True: it is a file to read."""
        return True

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes of text, or none at the end."""
        if not self._text:
            return self._file.read(size)
        text, self._text = self._text[:size], self._text[size:]
        return text


class _Padded:
    """A CSV file whose short rows are filled up with empty fields, as pandas fills them."""

    def __init__(self, file: Characters, dialect: dict[str, Any]) -> None:
        self._file = file
        self._dialect = dialect
        self._pieces = self._rows()
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True
        self._file.close()

    @property
    def counted(self) -> int:
        """The quotes that were read."""
        return self._file.counted

    def readable(self) -> bool:
        """Return True: it is a file to read."""
        return True

    def read(self, size: int) -> bytes:  # noqa: ARG002  # pieces are as large as they are
        """Return the next piece of text, or none at the end."""
        return next(self._pieces, b"")

    def _rows(self) -> Iterator[bytes]:
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\n", **self._dialect)
        rows = csv.reader(_lines(self._file), **self._dialect)
        width = 0
        try:
            for row in rows:
                width = width or len(row)
                if row:
                    writer.writerow([*row, *[""] * (width - len(row))])
                if out.tell() > BLOCK // 8:
                    yield out.getvalue().encode()
                    out.seek(0)
                    out.truncate()
        except csv.Error as error:
            raise self._file.origin.damaged(
                self._file.name, f"in line {rows.line_num} is no CSV that can be read: {error}"
            ) from error
        yield out.getvalue().encode()


class _Seen:
    """The types that hold for all values of a column that were seen, kept as text until then."""

    def __init__(self) -> None:
        self._fit = [pa.int64(), pa.uint64(), pa.bool_(), pa.float64()]
        self._whole = True
        self._any = False

    def take(self, values: pa.Array) -> None:
        """Leave the types that these values fit too."""
        values = pc.utf8_trim_whitespace(values.drop_null())
        if not len(values):
            return
        self._any = True
        self._fit = [kind for kind in self._fit if _fits(values, kind)]
        if pa.float64() in self._fit and self._whole:
            self._whole = not pc.any(pc.match_substring_regex(values, "[^0-9+-]")).as_py()

    def type(self) -> pa.DataType:
        """Return the narrowest type, or text; integers beyond 64 bits are text."""
        if not self._any:
            return pa.null()
        kind = self._fit[0] if self._fit else pa.string()
        return pa.string() if pa.types.is_floating(kind) and self._whole else kind


def _fits(values: pa.Array, kind: pa.DataType) -> bool:
    if pa.types.is_boolean(kind):
        return bool(pc.all(pc.is_in(values, value_set=pa.array([*TRUE, *FALSE]))).as_py())
    try:
        pc.cast(values, kind)
    except pa.ArrowInvalid:
        return False
    return True


def _form(name: str, origin: Origin, settings: Settings) -> _Form:
    """Return how a file is written: as the card says, else as its name does."""
    what = f"hf:{origin.dataset}, CSV"
    options = settings.given(OPTIONS, DECLINED, what)
    tabs = ".tsv" in name.lower().rsplit("/", 1)[-1]
    separator = options["delimiter"] or options["sep"] or ("\t" if tabs else ",")
    quoted = options["quoting"] != csv.QUOTE_NONE
    for option, value in (("sep", separator), ("quotechar", options["quotechar"] or '"')):
        if not isinstance(value, str) or len(value.encode()) != 1:
            raise NotSupportedError(
                f"{what}: the card gives {option}={value!r}; it is honoured where it is one "
                "character of ASCII"
            )
    header, given = options["header"], options["column_names"] or options["names"]
    skip, row = options["skiprows"] or 0, 0 if header in {"infer", None} else header
    if type(row) is not int or type(skip) is not int:
        raise NotSupportedError(
            f"{what}: the card gives header={header!r} and skiprows={skip!r}; each is honoured "
            "where it is one number"
        )
    missing = options["na_values"] or []
    return _Form(
        separator=separator,
        quote=(options["quotechar"] or None) if quoted else None,
        double=bool(options["doublequote"]),
        escape=options["escapechar"],
        skip_blank=bool(options["skip_blank_lines"]),
        missing=[
            *(MISSING if options["keep_default_na"] else []),
            *([missing] if isinstance(missing, str) else map(str, missing)),
        ],
        header=header is not None and not (header == "infer" and given),
        given=None if given is None else tuple(map(str, given)),
        skip=skip + row,
        encoding=options["encoding"] or "utf-8",
        errors=options["encoding_errors"] or "strict",
    )


def _wanted(settings: Settings, names: list[str]) -> dict[str, pa.DataType]:
    """Return the types that the card's features give the columns; a class is read by its name."""
    wanted = {}
    for name, feature in (settings.features or {}).items():
        stored = pa.string() if class_names(feature) else storage_type(feature)
        if name in names and stored is not None and not pa.types.is_nested(stored):
            wanted[name] = stored
    return wanted


def _plain(schema: pa.Schema, name: str) -> pa.DataType:
    """Return a type that the first block looks like; dates, times and bytes are text."""
    kind = schema.field(name).type
    kept = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_null)
    return kind if any(check(kind) for check in kept) else pa.string()


def _is_inexact(batch: pa.RecordBatch, wanted: dict[str, pa.DataType]) -> bool:
    """Return whether a column may hold integers that are beyond 64 bits, and so became floats.

    What lies under nulls counts too: at worst the types are guessed again. `to_numpy` would do,
    but imports pandas where it is installed.
    """
    return any(
        len(values)
        and pa.types.is_float64(column.type)
        and column.name not in wanted
        and (np.abs(np.frombuffer(values.buffers()[1], np.float64)) >= _INTEGERS).any()
        for column, values in zip(batch.schema, batch.columns, strict=True)
    )


def _at_once(reader: Any) -> list[pa.RecordBatch]:
    batches: list[pa.RecordBatch] = reader.read_all().combine_chunks().to_batches()
    return batches


def _lines(file: Characters) -> Iterator[str]:
    for block, _ in file.blocks():
        yield from io.StringIO(block.decode(), newline="\n")
