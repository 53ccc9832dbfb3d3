"""JSON: objects one after another, on a line each or on several, or one array of objects.

Blocks of lines are parsed by Arrow. Types are those that hold for the whole file: where a later
block does not fit what the first ones look like, the file is read again with wider types. A column
of values that no Arrow type holds together is kept as JSON text, which the feature `Json` says.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json

from datarax.errors import CorruptDataError, listing
from datarax_hf.features import Features, part_of, type_of
from datarax_hf.formats.characters import BLOCK, Characters
from datarax_hf.formats.guess import Guess, WiderTypesError, completed, conformed, storage_type
from datarax_hf.formats.settings import Settings
from datarax_hf.remedy import Origin

OPTIONS: dict[str, Any] = {
    "encoding": "utf-8",
    "encoding_errors": "strict",
    "field": None,
}
DEEPEST = 60
"""Levels of nesting; Arrow's files hold 64."""

LARGEST_DOCUMENT = 2**30
"""Bytes of a document that is read whole, because the card names a `field` of it."""

_DECODE = json.JSONDecoder().raw_decode
_SPACE = re.compile(r"[ \t\r\n]*")
_ROWS = 10_000
_REFUSED = (pa.ArrowInvalid, pa.ArrowNotImplementedError)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_TEXT_NULL = '{"text": null}'
_NULL_LINE = re.compile(rb"\n[ \t\r]*null")
_NO_BRACKETS = bytes(set(range(256)) - set(b"{[]}"))
_STEPS = np.zeros(256, np.int8)
_STEPS[list(b"{[")] = 1
_STEPS[list(b"}]")] = -1


def tables(name: str, origin: Origin, settings: Settings, guess: Guess) -> Iterator[pa.Table]:
    """Yield the records of a JSON file, in pieces of one schema: that of `guess`.

    Raises:
        CorruptDataError: If it is not JSON, with the line.
        WiderTypesError: If it does not fit `guess`, which is wider now: it is to be read again.
    """
    options = settings.given(OPTIONS, {}, f"hf:{origin.dataset}, JSON")
    features = settings.features or {}
    # What describes images need not name all that the card does.
    due = {} if settings.described else features
    with Characters(
        name,
        origin,
        encoding=options["encoding"] or "utf-8",
        errors=options["encoding_errors"] or "strict",
        ended=False,
        advance=guess.advance,
        begin=guess.begin,
        empty=True,
    ) as file:
        blocks = file.blocks() if guess.begin else _blocks(file, options["field"])
        for block, line in blocks:
            guess.ended = None if line is None else file.ended
            if block.strip():
                yield completed(_parsed(file, block, line, guess, features), due)


def _blocks(file: Characters, field: str | None) -> Iterator[tuple[bytes, int | None]]:
    """Yield lines of one object each, in blocks, and the line each begins at, where known."""
    blocks = file.blocks()
    first, line = next((piece for piece in blocks if piece[0].strip()), (b"", 1))
    start = first.lstrip()
    if field is not None:
        yield from _of_document(_document(file, first, blocks), field, file)
    elif start[:1] == b"[":
        yield from _of_array(_Values(file, first, blocks, line))
    elif start[:1] == b"{" and not _is_json(start.partition(b"\n")[0]):
        yield from _of_values(_Values(file, first, blocks, line))
    else:
        yield first, line
        yield from blocks


class _Values:
    """JSON values in a text, one after another, whatever lines they stand on."""

    def __init__(
        self, file: Characters, first: bytes, blocks: Iterator[tuple[bytes, int]], line: int
    ) -> None:
        self._file = file
        self._text = first.decode()
        self._blocks = blocks
        self._place = 0
        self._line = line

    def peek(self) -> str:
        """Return the next character that is no space; nothing at the end."""
        while True:
            self._place = _SPACE.match(self._text, self._place).end()  # type: ignore[union-attr]  # it matches nothing too
            if self._place < len(self._text) or not self._more(1):
                return self._text[self._place : self._place + 1]

    def skip(self) -> None:
        """Go past the character that `peek` returned."""
        self._place += 1

    def next(self) -> tuple[Any, str]:
        """Return the next value, and its text on one line."""
        pieces = 1
        while True:
            try:
                value, end = _DECODE(self._text, self._place)
            except RecursionError:
                raise self.damaged("is nested too deeply", self._place) from None
            except json.JSONDecodeError as error:
                cut = error.pos >= len(self._text) or error.msg.startswith("Unterminated")
                if not (cut and self._more(pieces)):
                    raise self.damaged(f"is no JSON: {error.msg}", error.pos) from error
                pieces *= 2
                continue
            # A number may go on beyond the text.
            if end == len(self._text) and self._more(1):
                continue
            text = self._text[self._place : end].replace("\n", " ").replace("\r", " ")
            self._place = end
            return value, text

    def end(self) -> None:
        """Raise if anything but space follows."""
        if mark := self.peek():
            raise self.damaged(f"has {mark!r} after its array")

    def damaged(self, what: str, place: int | None = None) -> CorruptDataError:
        """Return the error for what stands at a place of the text."""
        line = self._line + self._text.count("\n", 0, self._place if place is None else place)
        return self._file.origin.damaged(self._file.name, f"in line {line} {what}")

    def _more(self, pieces: int) -> bool:
        self._line += self._text.count("\n", 0, self._place)
        parts = [self._text[self._place :]]
        self._place = 0
        for _ in range(pieces):
            block, _ = next(self._blocks, (b"", 0))
            parts.append(block.decode())
        self._text = "".join(parts)
        if len(self._text) > LARGEST_DOCUMENT:
            raise self.damaged(f"holds a value of more than {LARGEST_DOCUMENT:,} bytes")
        return any(parts[1:])


def _of_array(values: _Values) -> Iterator[tuple[bytes, None]]:
    """Yield the elements of an array, one on a line.

    Where the first one that is not null is no object, they are records of a field `text`; else
    null is a record that lacks every key.

    Raises:
        CorruptDataError: If an element beside objects is none, or the array does not end.
    """
    values.peek()
    values.skip()
    lines: list[str] = []
    size = 0
    if values.peek() == "]":
        values.skip()
        values.end()
        return
    nulls, objects = 0, None
    while True:
        value, text = values.next() if values.peek() else _ended(values)
        if value is None and objects is None:
            nulls += 1
        else:
            if objects is None:
                objects = isinstance(value, dict)
                lines = ["{}" if objects else _TEXT_NULL] * nulls
            lines.append(_line(value, text, values) if objects else json.dumps({"text": value}))
            size += len(text)
        mark = values.peek()
        if mark not in {",", "]"}:
            raise values.damaged(
                f"has {mark!r} where ',' or ']' is due" if mark else "ends within its array"
            )
        values.skip()
        if mark == "]" and objects is None:
            lines = [_TEXT_NULL] * nulls
        if mark == "]" or size > BLOCK:
            yield _joined(lines), None
            lines, size = [], 0
        if mark == "]":
            break
    values.end()


def _line(value: Any, text: str, values: _Values) -> str:
    """Return the line of an element of an array of objects."""
    if value is None:
        return "{}"
    if not isinstance(value, dict):
        raise values.damaged(f"holds {text[:40]!r}, which is no object as those before it")
    return text


def _ended(values: _Values) -> tuple[Any, str]:
    raise values.damaged("ends within its array")


def _of_values(values: _Values) -> Iterator[tuple[bytes, None]]:
    """Yield objects that stand on several lines each."""
    lines: list[str] = []
    while values.peek():
        value, text = values.next()
        if not isinstance(value, dict):
            raise values.damaged("holds a value that is no object")
        lines.append(text)
        if len(lines) >= _ROWS:
            yield _joined(lines), None
            lines = []
    yield _joined(lines), None


def _document(file: Characters, first: bytes, blocks: Iterator[tuple[bytes, int]]) -> Any:
    """Return the one value that a file holds."""
    parts, size = [first], len(first)
    for block, _ in blocks:
        parts.append(block)
        size += len(block)
        if size > LARGEST_DOCUMENT:
            raise file.origin.damaged(
                file.name, f"is one document of more than {LARGEST_DOCUMENT:,} bytes"
            )
    try:
        return json.loads(b"".join(parts))
    except json.JSONDecodeError as error:
        raise file.origin.damaged(
            file.name, f"in line {error.lineno} is no JSON: {error.msg}"
        ) from error
    except RecursionError:
        raise file.origin.damaged(file.name, "is nested too deeply") from None


def _of_document(document: Any, field: str, file: Characters) -> Iterator[tuple[bytes, None]]:
    """Yield the records in a field of a document: an array of them, or an object of columns."""
    if not isinstance(document, dict) or field not in document:
        found = listing(document) if isinstance(document, dict) else "no object"
        raise file.origin.damaged(
            file.name, f"has no field {field!r}, which the card names; it has {found}"
        )
    held = document[field]
    if isinstance(held, list):
        first = next((row for row in held if row is not None), None)
        if isinstance(first, dict):
            rows = [{} if row is None else row for row in held]
        else:
            rows = [{"text": row} for row in held]
    elif isinstance(held, dict):
        rows = _transposed(held, field, file)
    else:
        raise file.origin.damaged(file.name, f"holds no records in its field {field!r}")
    for start in range(0, len(rows), _ROWS):
        yield _joined([json.dumps(row) for row in rows[start : start + _ROWS]]), None


def _transposed(columns: dict[str, Any], field: str, file: Characters) -> list[dict[str, Any]]:
    """Return the rows of an object of columns: lists of one length, or objects by row."""
    values = list(columns.values())
    if all(isinstance(column, dict) for column in values):
        keys = dict.fromkeys(key for column in values for key in column)
        return [{name: columns[name].get(key) for name in columns} for key in keys]
    lengths = {len(column) if isinstance(column, list) else -1 for column in values}
    if len(lengths) != 1 or -1 in lengths:
        raise file.origin.damaged(
            file.name,
            f"holds in its field {field!r} an object whose values are not columns: lists of one "
            "length, or objects",
        )
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def _parsed(
    file: Characters, block: bytes, line: int | None, guess: Guess, features: Features
) -> pa.Table:
    """Return the records of a block, of the schema that `guess` has after it.

    Raises:
        WiderTypesError: If that is another one than before the block.
    """
    _refuse_depth(file, block, line)
    encoded = {name: feature for name, feature in features.items() if _holds_json(feature)}
    # Arrow (26.0) ends the process where a block begins with null.
    if encoded or guess.texts or _NULL_LINE.search(b"\n" + block):
        rows = _rows(file, block, line)
        block = _joined([_with_texts(row, guess.texts, features, encoded) for row in rows])
    own = _hints(features)
    try:
        table = _arrow(block, guess.schema() if guess.columns else own)
    except _REFUSED:
        try:
            table = _arrow(block, own)
        except _REFUSED as error:
            rows = _rows(file, block, line)
            mixed = _mixed(rows) - guess.texts
            if not mixed:
                try:
                    return _parsed_again(rows, guess, own)
                except _REFUSED:
                    raise file.origin.damaged(
                        file.name, f"{_place(line)}cannot be read: {error}"
                    ) from error
            raise _as_texts(mixed, guess) from error
    written = {
        column.name
        for column in table.schema
        if pa.types.is_struct(column.type) and _is_text(features.get(column.name))
    }
    if written:
        raise _as_texts(written, guess)
    guess.take(table.schema)
    return _conformed(table, guess)


def _as_texts(columns: set[str], guess: Guess) -> WiderTypesError:
    """Return the error that asks for another pass, with columns kept as JSON text."""
    guess.texts |= columns
    guess.columns.update(dict.fromkeys(columns & set(guess.columns), pa.string()))
    return WiderTypesError()


def _hints(features: Features) -> pa.Schema:
    """Return the types to read values in that Arrow would take for others."""
    stored = {name: storage_type(feature) for name, feature in features.items()}
    return pa.schema(
        [
            (name, kind)
            for name, kind in stored.items()
            if type_of(features[name]) == "Json" or (kind and pa.types.is_uint64(kind))
        ]
    )


def _parsed_again(rows: list[dict[str, Any]], guess: Guess, own: pa.Schema) -> pa.Table:
    """Return records whose keys stand twice: the last one counts."""
    table = _arrow(_joined([json.dumps(row) for row in rows]), guess.schema() or own)
    guess.take(table.schema)
    return _conformed(table, guess)


def _conformed(table: pa.Table, guess: Guess) -> pa.Table:
    """Return a table in the types of `guess`."""
    return _cast(table, guess.schema())


def _cast(table: pa.Table, schema: pa.Schema) -> pa.Table:
    if not len(schema):  # Arrow takes a table of no columns for one of no rows
        return table.select([])
    # Arrow's own cast makes invalid arrays of structs within lists (26.0).
    arrays = [
        pa.chunked_array(
            [conformed(chunk, field.type) for chunk in table.column(field.name).chunks], field.type
        )
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _arrow(block: bytes, schema: pa.Schema) -> pa.Table:
    """Return what Arrow reads from lines of JSON."""
    for size in (max(len(block) // 8, 2**20), len(block) + 1):
        try:
            table = _table(block, schema, size)
            if _is_whole(table):
                return table
            # Arrow (26.0) drops the nulls that a list begins with unless it knows before what the
            # list holds, which may not be nothing.
            found = table.schema
            known = pa.schema([(field.name, _something(field.type)) for field in found])
            table = _table(block, known, size)
            table.validate()
            table = _cast(table, found)
        except pa.ArrowInvalid as error:
            if "straddling" not in str(error) or size > len(block):
                raise
        else:
            return table
    raise AssertionError("a block that holds everything straddles nothing")


def _table(block: bytes, schema: pa.Schema, size: int) -> pa.Table:
    return pyarrow.json.read_json(
        io.BytesIO(block),
        read_options=pyarrow.json.ReadOptions(block_size=size),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=schema),
    )


def _something(kind: pa.DataType) -> pa.DataType:
    """Return a type with any other in place of null."""
    if pa.types.is_null(kind):
        return pa.bool_()
    if pa.types.is_list(kind):
        return pa.list_(_something(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(part.name, _something(part.type)) for part in kind])
    return kind


def _is_whole(table: pa.Table) -> bool:
    try:
        table.validate()
    except pa.ArrowInvalid:
        return False
    return True


def _rows(file: Characters, block: bytes, line: int | None) -> list[dict[str, Any]]:
    """Return the records of a block as Python has them; null is one that lacks every key.

    Raises:
        CorruptDataError: If a line is no JSON, or neither an object nor null.
    """
    rows = []
    for number, text in enumerate(block.split(b"\n"), start=line or 0):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            why = getattr(error, "msg", None) or str(error)
            raise file.origin.damaged(
                file.name,
                f"{_place(None if line is None else number)}is no JSON: {why} "
                f"({text[:40].decode(errors='replace')!r})",
            ) from error
        if row is None:
            row = {}
        if not isinstance(row, dict):
            raise file.origin.damaged(
                file.name,
                f"{_place(None if line is None else number)}holds {text[:40].decode()!r}, which "
                "is no object",
            )
        rows.append(row)
    return rows


def _place(line: int | None) -> str:
    return "" if line is None else f"in line {line} "


def _mixed(rows: list[dict[str, Any]]) -> set[str]:
    """Return the columns in which values of several kinds stand at one place."""
    seen: dict[tuple[str, ...], str] = {}
    return {name for row in rows for name, value in row.items() if _differs(value, (name,), seen)}


def _differs(value: Any, path: tuple[str, ...], seen: dict[tuple[str, ...], str]) -> bool:
    if value is None:
        return False
    kind = "number" if type(value) in {int, float} else type(value).__name__
    if seen.setdefault(path, kind) != kind:
        return True
    if isinstance(value, dict):
        return any(_differs(inner, (*path, key), seen) for key, inner in value.items())
    if isinstance(value, list):
        return any(_differs(inner, (*path, ""), seen) for inner in value)
    return False


def _with_texts(row: dict[str, Any], texts: set[str], features: Features, encoded: Features) -> str:
    """Return a record as JSON, what is kept as JSON text in it as strings.

    Args:
        row: The record.
        texts: The columns that are kept so because their values are of several kinds.
        features: What the card says of the columns.
        encoded: The features with Json in them.
    """
    written = {}
    for name, value in row.items():
        if name in encoded:
            written[name] = _encoded(value, encoded[name])
        elif name not in texts or value is None:
            written[name] = value
        elif name not in features or not isinstance(value, str):
            written[name] = _compact(value)
        else:
            # Where the card says what the column is, text need not say that it is text.
            plain = not _is_text(features[name]) or _is_json(value.encode("utf-8", "replace"))
            written[name] = value if plain else _compact(value)
    return json.dumps(written)


def _encoded(value: Any, feature: Any) -> Any:
    """Return a value with JSON text in the place of what is Json; text that is JSON stays."""
    if value is None:
        return None
    if type_of(feature) == "Json":
        kept = isinstance(value, str) and _is_json(value.encode("utf-8", "replace"))
        return value if kept else _compact(value)
    inner = part_of(feature, None)
    if inner is not None and isinstance(value, list):
        return [_encoded(item, inner) for item in value]
    if isinstance(value, dict):
        return {name: _encoded(part, part_of(feature, name)) for name, part in value.items()}
    return value


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _holds_json(feature: Any) -> bool:
    if type_of(feature) == "Json":
        return True
    inner = part_of(feature, None)
    if inner is not None:
        return _holds_json(inner)
    return type_of(feature) is None and any(map(_holds_json, (feature or {}).values()))


def _is_text(feature: Any) -> bool:
    stored = storage_type(feature)
    return stored is not None and pa.types.is_string(stored)


def _refuse_depth(file: Characters, block: bytes, line: int | None) -> None:
    """Raise where values are nested so deeply that reading them would end the process."""
    if _depth(block) <= DEEPEST:
        return
    # Brackets within strings count for nothing.
    for number, text in enumerate(_STRING.sub(b"", block).split(b"\n"), start=line or 0):
        if _depth(text) > DEEPEST:
            raise file.origin.damaged(
                file.name,
                f"{_place(None if line is None else number)}is nested more than {DEEPEST} "
                "levels deep",
            )


def _depth(block: bytes) -> int:
    brackets = np.frombuffer(block.translate(None, _NO_BRACKETS), np.uint8)
    return int(np.cumsum(_STEPS[brackets], dtype=np.int64).max(initial=0))


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _joined(lines: list[str]) -> bytes:
    return "\n".join([*lines, ""]).encode()
