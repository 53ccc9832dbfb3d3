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
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json

from datarax_hf.features import Features, type_of
from datarax_hf.formats.characters import Characters
from datarax_hf.formats.guess import Guess, WiderTypesError, completed, conformed, storage_type
from datarax_hf.formats.json_documents import blocks_of
from datarax_hf.formats.json_texts import holds_json, is_text, joined, mixed, with_texts
from datarax_hf.formats.settings import Settings
from datarax_hf.remedy import Origin

OPTIONS: dict[str, Any] = {
    "encoding": "utf-8",
    "encoding_errors": "strict",
    "field": None,
}
DEEPEST = 60
"""Levels of nesting; Arrow's files hold 64."""

_REFUSED = (pa.ArrowInvalid, pa.ArrowNotImplementedError)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
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
        blocks = file.blocks() if guess.begin else blocks_of(file, options["field"])
        for block, line in blocks:
            guess.ended = None if line is None else file.ended
            if block.strip():
                yield completed(_parsed(file, block, line, guess, features), due)


def _parsed(
    file: Characters, block: bytes, line: int | None, guess: Guess, features: Features
) -> pa.Table:
    """Return the records of a block, of the schema that `guess` has after it.

    Raises:
        WiderTypesError: If that is another one than before the block.
    """
    _refuse_depth(file, block, line)
    encoded = {name: feature for name, feature in features.items() if holds_json(feature)}
    # Arrow (26.0) ends the process where a block begins with null.
    if encoded or guess.texts or _NULL_LINE.search(b"\n" + block):
        rows = _rows(file, block, line)
        block = joined([with_texts(row, guess.texts, features, encoded) for row in rows])
    own, loose = _hints(features), _hints(features, large=False)
    due = [*([guess.schema()] if guess.columns else []), own, *([loose] if loose != own else [])]
    try:
        table = _first_of(block, due)
    except _REFUSED as error:
        rows = _rows(file, block, line)
        columns = mixed(rows) - guess.texts
        if not columns:
            try:
                return _parsed_again(rows, guess, own)
            except _REFUSED:
                raise file.origin.damaged(
                    file.name, f"{_place(line)}cannot be read: {error}"
                ) from error
        raise _as_texts(columns, guess) from error
    written = {
        column.name
        for column in table.schema
        if pa.types.is_struct(column.type) and is_text(features.get(column.name))
    }
    if written:
        raise _as_texts(written, guess)
    guess.take(table.schema)
    return _conformed(table, guess)


def _first_of(block: bytes, schemas: list[pa.Schema]) -> pa.Table:
    """Return what Arrow reads from lines of JSON by the first of some schemas that they fit.

    Raises:
        ArrowInvalid, ArrowNotImplementedError: If they fit none, what the last refuses them with.
    """
    for schema in schemas[:-1]:
        with suppress(*_REFUSED):
            return _arrow(block, schema)
    return _arrow(block, schemas[-1])


def _as_texts(columns: set[str], guess: Guess) -> WiderTypesError:
    """Return the error that asks for another pass, with columns kept as JSON text."""
    guess.texts |= columns
    guess.columns.update(dict.fromkeys(columns & set(guess.columns), pa.string()))
    return WiderTypesError()


def _hints(features: Features, *, large: bool = True) -> pa.Schema:
    """Return the types to read values in that Arrow would take for others.

    Args:
        features: What the card says.
        large: Whether to name columns that may hold numbers beyond int64, which are then read if
            they are written as whole numbers, and no number is if it is not.
    """
    stored = {name: storage_type(feature) for name, feature in features.items()}
    return pa.schema(
        [
            (name, kind)
            for name, kind in stored.items()
            if type_of(features[name]) == "Json" or (large and kind and pa.types.is_uint64(kind))
        ]
    )


def _parsed_again(rows: list[dict[str, Any]], guess: Guess, own: pa.Schema) -> pa.Table:
    """Return records whose keys stand twice: the last one counts."""
    table = _arrow(joined([json.dumps(row) for row in rows]), guess.schema() or own)
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
