"""CSV and TSV: parsed by Arrow in pieces of whole rows, with the names and types of pandas.

What is not known to be a number is read as text, and then as what it means. Types are those that
hold for the whole file, guessed from the first piece and, where a later one does not fit, from all
of it. Dates and times stay text; what pandas takes for missing is null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from datarax_hf.formats.comma_text import CommaText, without
from datarax_hf.formats.form import Form, form_of
from datarax_hf.formats.guess import Guess, check_classes, class_names, numbered, storage_type
from datarax_hf.formats.settings import Settings
from datarax_hf.formats.spelled import NUMBERS, Seen, meant, read, read_as, type_of
from datarax_hf.remedy import Origin

WHOLE = "types from the whole file"
"""The way of reading a file again that needs all of it before its first record."""

_TYPED = "types are from the whole file"


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
    with CommaText(name, origin, form, guess) as text:
        columns = _Columns(text, settings, guess)
        for batch in text.batches():
            yield columns.typed(batch)
        columns.settle()


class _Columns:
    """What the columns of a file become: in their types, and in their order."""

    def __init__(self, text: CommaText, settings: Settings, guess: Guess) -> None:
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
        self._looked = self._look()
        self._tell()

    def typed(self, batch: pa.RecordBatch) -> pa.Table:
        """Return records of text in the types of their columns."""
        columns = {name: self._read(name, batch.column(name)) for name in self._names}
        for name, kind in self._lacking.items():
            columns[name] = pa.nulls(len(batch), kind)
        self.settle()
        self._tell()
        return pa.table(columns)

    def settle(self) -> None:
        """Note the types of columns of which no value was seen."""
        known = self._guess.columns
        for name in self._names:
            known.setdefault(name, self._asked.get(name, pa.null()))
        for name, kind in self._lacking.items():
            known.setdefault(name, kind)

    def _look(self) -> dict[str, pa.DataType]:
        """Return the types that the first rows suggest, of columns of which none is known."""
        unknown = [name for name in self._names if name not in {*self._guess.columns, *self._asked}]
        batch = self._text.peek() if unknown else None
        return {} if batch is None else {name: type_of(batch.column(name)) for name in unknown}

    def _tell(self) -> None:
        """Tell which columns are numbers, so that Arrow reads them without their text."""
        kinds = {**self._looked, **self._guess.columns, **self._asked}
        self._text.numbers = {
            name: kinds[name]
            for name in self._names
            if kinds.get(name) in NUMBERS and self._classes.get(name) is None
        }

    def _read(self, name: str, values: pa.Array) -> pa.Array:
        known, is_text = self._guess.columns, pa.types.is_string(values.type)
        if name in self._asked:
            return self._as_asked(name, values) if is_text else values
        got: pa.Array | None = values
        if name not in known:
            known[name], got = meant(values) if is_text else (values.type, values)
        elif values.type != known[name]:
            got = read(values, known[name])
        if got is None:
            other = f"{name!r} is {type_of(values)} and no longer {known[name]}"
            raise self._guess.again(WHOLE) from ValueError(other)
        missing = self._text.numbers_missing(name)
        return without(got, missing) if pa.types.is_floating(got.type) else got

    def _as_asked(self, name: str, values: pa.Array) -> pa.Array:
        """Return values as the card's features say.

        A class is its name or its number. Where names look like numbers, the first rows decide for
        all: there is a name among them that does not, or they are numbers.
        """
        kind, classes = self._asked[name], self._classes[name]
        if classes is not None:
            values = pc.ascii_trim_whitespace(values)
        try:
            if classes is not None and self._are_names(name, values, classes):
                return values
            if classes is not None and pa.types.is_string(type_of(values)):
                return numbered(values, classes, numbers_first=True)
            got = read_as(values, kind)
            if classes is not None:
                check_classes(got, classes)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            what = f"column {name!r} is to be {kind}: {error}"
            raise self._text.origin.unlike(self._text.name, what) from error
        return got

    def _are_names(self, name: str, values: pa.Array, classes: list[str]) -> bool:
        """Return whether values are classes by name; then numbers among them may be so too."""
        words: bool = pa.types.is_string(type_of(values))
        if all(pa.types.is_string(type_of(pa.array([word]))) for word in classes):
            return words
        ways, by_name, by_number = self._guess.ways, f"{name} by name", f"{name} by number"
        if by_name not in ways and by_number not in ways and len(values) > values.null_count:
            ways.add(by_name if words else by_number)
        return by_name in ways


def _types(name: str, origin: Origin, form: Form, guess: Guess) -> dict[str, pa.DataType]:
    """Return the narrowest type of each column that holds for the whole file."""
    with CommaText(name, origin, form, guess) as text:
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
