"""JSON that is no object on a line: arrays, objects on several lines, records within a document.

All of it is brought to lines of one object each, in blocks, which are then read as JSON lines are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from datarax.errors import CorruptDataError, listing
from datarax_hf.formats.characters import BLOCK, Characters
from datarax_hf.formats.json_texts import is_json, joined

LARGEST_DOCUMENT = 2**30
"""Bytes of a document that is read whole, because the card names a `field` of it."""

_DECODE = json.JSONDecoder().raw_decode
_SPACE = re.compile(r"[ \t\r\n]*")
_ROWS = 10_000
_TEXT_NULL = '{"text": null}'


def blocks_of(file: Characters, field: str | None) -> Iterator[tuple[bytes, int | None]]:
    """Yield lines of one object each, in blocks, and the line each begins at, where known."""
    blocks = file.blocks()
    first, line = next((piece for piece in blocks if piece[0].strip()), (b"", 1))
    start = first.lstrip()
    if field is not None:
        yield from _of_document(_document(file, first, blocks), field, file)
    elif start[:1] == b"[":
        yield from _of_array(_Values(file, first, blocks, line))
    elif start[:1] == b"{" and not is_json(start.partition(b"\n")[0]):
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
            yield joined(lines), None
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
            yield joined(lines), None
            lines = []
    yield joined(lines), None


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
        yield joined([json.dumps(row) for row in rows[start : start + _ROWS]]), None


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
