"""How a CSV file is written: the card's parameters, under the names that pandas gives them."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from datarax.errors import NotSupportedError
from datarax_hf.formats.kinds import is_tabbed
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
DECLINED: dict[str, Any] = {
    **dict.fromkeys(("comment", "converters", "date_format", "dialect", "false_values")),
    **dict.fromkeys(("index_col", "lineterminator", "nrows", "prefix", "thousands")),
    **dict.fromkeys(("true_values", "usecols")),
    "decimal": ".",
    "na_filter": True,
    "on_bad_lines": "error",
    "skipfooter": 0,
    "skipinitialspace": False,
}
MISSING = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
"""What pandas reads as missing."""


@dataclass(frozen=True)
class Missing:
    """What stands for a missing value: text, and numbers where a column is one of fractions."""

    words: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()


@dataclass(frozen=True)
class Form:
    """How a CSV file is written, as the card or its name says.

    Attributes:
        separator: What stands between fields.
        quote: What stands around fields, or None.
        double: Whether a quote within quotes is written twice.
        escape: What takes its meaning from the character that follows, or None.
        skip_blank: Whether lines that hold nothing but blanks are left out.
        missing: What is missing in every column.
        missing_in: What else is missing in some columns, by name or number.
        header: The number of the row that holds the names, or None.
        given: The names that the card gives, or None.
        skip: How many lines are left out at the beginning.
        encoding: The file's encoding.
        errors: What becomes of bytes that are not of the encoding.
    """

    separator: str = ","
    quote: str | None = '"'
    double: bool = True
    escape: str | None = None
    skip_blank: bool = True
    missing: Missing = field(default_factory=lambda: Missing(MISSING))
    missing_in: Mapping[str | int, Missing] = field(default_factory=dict)
    header: int | None = 0
    given: tuple[str, ...] | None = None
    skip: int = 0
    encoding: str = "utf-8"
    errors: str = "strict"


def form_of(name: str, origin: Origin, settings: Settings) -> Form:
    """Return how a file is written: as the card says, else as its name does.

    Raises:
        NotSupportedError: If the card gives what is not honoured.
    """
    what = f"hf:{origin.dataset}, CSV"
    options = settings.given(OPTIONS, DECLINED, what)
    separator = options["delimiter"] or options["sep"] or ("\t" if is_tabbed(name) else ",")
    for option in ("doublequote", "skip_blank_lines", "keep_default_na"):
        if not isinstance(options[option], bool):
            raise NotSupportedError(
                f"{what}: the card gives {option}={options[option]!r}; it is true or false"
            )
    if type(options["quoting"]) is not int or not 0 <= options["quoting"] <= csv.QUOTE_NONE:
        raise NotSupportedError(
            f"{what}: the card gives quoting={options['quoting']!r}; it is a number of pandas, "
            f"from 0 to {csv.QUOTE_NONE}"
        )
    quoted = options["quoting"] != csv.QUOTE_NONE
    for option, value in (
        ("sep", separator),
        ("quotechar", options["quotechar"] or '"'),
        ("escapechar", options["escapechar"] or "\\"),
    ):
        if not isinstance(value, str) or len(value.encode()) != 1:
            raise NotSupportedError(
                f"{what}: the card gives {option}={value!r}; it is honoured where it is one "
                "character of ASCII"
            )
    header, skip = options["header"], options["skiprows"] or 0
    row = 0 if header in ("infer", None) else header
    if type(row) is not int or type(skip) is not int or row < 0 or skip < 0:
        raise NotSupportedError(
            f"{what}: the card gives header={header!r} and skiprows={skip!r}; each is honoured "
            "where it is one number"
        )
    given = options["column_names"] or options["names"]
    if given is not None and not isinstance(given, list):
        raise NotSupportedError(
            f"{what}: the card gives names={given!r}; they are honoured where they are a list"
        )
    names = None if given is None else tuple(map(str, given))
    if names is not None and len(set(names)) < len(names):
        raise NotSupportedError(
            f"{what}: the card gives names={given!r}; they are honoured where each is given once"
        )
    missing, missing_in = _missing(options["na_values"], what)
    usual = MISSING if options["keep_default_na"] else ()
    return Form(
        separator=separator,
        quote=(options["quotechar"] or None) if quoted else None,
        double=bool(options["doublequote"]),
        escape=options["escapechar"] or None,
        skip_blank=bool(options["skip_blank_lines"]),
        missing=Missing((*usual, *missing.words), missing.numbers),
        missing_in=missing_in,
        header=None if header is None or (header == "infer" and names) else row,
        given=names,
        skip=skip,
        encoding=options["encoding"] or "utf-8",
        errors=options["encoding_errors"] or "strict",
    )


def _missing(given: Any, what: str) -> tuple[Missing, dict[str | int, Missing]]:
    """Return what `na_values` says is missing in every column, and in some."""
    if isinstance(given, Mapping):
        return Missing(), {column: _words(values, what) for column, values in given.items()}
    return _words(given, what), {}


def _words(given: Any, what: str) -> Missing:
    """Return a value, or several, as they may be spelled: 7 as "7" and "7.0"."""
    listed = given if isinstance(given, list | tuple) else [] if given is None else [given]
    words: list[str] = []
    numbers: list[float] = []
    for value in listed:
        if not isinstance(value, str | int | float):
            raise NotSupportedError(
                f"{what}: the card gives na_values with {value!r}; honoured are words and numbers, "
                "lists of them, and either for some columns, as {column: word}"
            )
        words.append(str(value))
        try:
            number = float(value)
        except ValueError:
            continue
        if math.isfinite(number) and not isinstance(value, bool):
            numbers.append(number)
            if number.is_integer():
                words += [f"{int(number)}", f"{int(number)}.0"]
    return Missing(tuple(dict.fromkeys(words)), tuple(numbers))
