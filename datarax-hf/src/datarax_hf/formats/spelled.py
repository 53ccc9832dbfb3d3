"""What text means, as pandas reads it: whole numbers, fractions, truth, or text.

A number may have a sign and blanks around it, and is decimal: hexadecimal is text, and so are words
for what is no number. Infinity may be spelled out.
"""

from __future__ import annotations

import re
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datarax_hf.arrow_numbers import numbers_of

TRUE = ["True", "TRUE", "true"]
FALSE = ["False", "FALSE", "false"]

_BLANKS = r"[ \t\n\v\f\r]"
_NUMBER = re.compile(
    rf"{_BLANKS}*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?{_BLANKS}*|[+-]?inf(?:inity)?",
    re.ASCII | re.IGNORECASE,
)
_WHOLE = re.compile(rf"{_BLANKS}*[+-]?[0-9]+{_BLANKS}*", re.ASCII)
_DECIMAL = rf"^{_BLANKS}*(?:\+|(-))?([0-9.][^ \t\n\v\f\r]*){_BLANKS}*$|^\+([iI].*)$"
_DAY = "1970-01-01"
_LOOKED_AT = 16
_KINDS = (pa.int64(), pa.uint64(), pa.bool_(), pa.float64())
NUMBERS = (pa.int64(), pa.uint64(), pa.float64())
"""The types of columns of numbers."""


class Seen:
    """The types that hold for all values of a column that were seen, narrowest first."""

    def __init__(self) -> None:
        self._fit = list(_KINDS)
        self._whole = True
        self._any = False

    def take(self, values: pa.Array) -> None:
        """Leave the types that these values, which are text, fit too."""
        values = values.drop_null()
        if not len(values):
            return
        self._any = True
        self._fit = [kind for kind in self._fit if read(values, kind) is not None]
        if pa.float64() in self._fit and not pa.types.is_integer(self._fit[0]) and self._whole:
            self._whole = _are_whole(values)

    def type(self) -> pa.DataType:
        """Return the narrowest type, or text; whole numbers that no 64 bits hold are text."""
        if not self._any:
            return pa.null()
        kind = self._fit[0] if self._fit else pa.string()
        return pa.string() if pa.types.is_floating(kind) and self._whole else kind


def type_of(values: pa.Array) -> pa.DataType:
    """Return the narrowest type of text; whole numbers that no 64 bits hold are text."""
    return meant(values)[0]


def meant(values: pa.Array) -> tuple[pa.DataType, pa.Array]:
    """Return the narrowest type of text, and the values in it."""
    if values.null_count == len(values):
        return pa.null(), pa.nulls(len(values))
    for kind in _KINDS:
        got = read(values, kind)
        if got is not None:
            if pa.types.is_floating(kind) and _are_whole(values):
                break
            return kind, got
    return pa.string(), values


def read(values: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """Return text as one of the types that `type_of` gives, or None where it does not fit."""
    if pa.types.is_string(kind):
        return values
    if values.null_count == len(values):
        return pa.nulls(len(values), kind)
    if pa.types.is_null(kind):
        return None
    if pa.types.is_boolean(kind):
        return _truths(values)
    got = _numbers(values, kind)
    if got is None and _are_tidied(values, kind):
        got = _numbers(pc.replace_substring_regex(values, _DECIMAL, r"\1\2\3"), kind)
    return got


def read_as(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return text as a type that the card asks for, by way of what it means.

    Raises:
        pa.ArrowInvalid: If a value cannot be one, with the value.
    """
    if pa.types.is_string(kind) or pa.types.is_null(kind):
        return values
    if pa.types.is_time(kind):
        times = pc.binary_join_element_wise(_DAY, values, " ")
        return pc.cast(pc.cast(times, pa.timestamp(kind.unit)), kind)
    if not (pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        try:
            return pc.cast(values, kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            counts = pa.types.is_timestamp(kind) or pa.types.is_duration(kind)
            if not counts or (pa.types.is_timestamp(kind) and type_of(values) != pa.int64()):
                raise
    read_ = read(values, pa.float64()) if pa.types.is_floating(kind) else None
    if read_ is None:
        read_ = read(values, type_of(values))
    if read_ is None or pa.types.is_string(read_.type):
        raise pa.ArrowInvalid(f"{_odd(values)!r} is no number")
    if pa.types.is_float16(kind):
        return _halves(read_.cast(pa.float64()))
    return pc.cast(read_, kind)


def _are_whole(values: pa.Array) -> bool:
    """Return whether no number is spelled as a fraction."""
    return not pc.any(pc.match_substring_regex(values, r"[^0-9+\s\v-]")).as_py()


def _numbers(values: pa.Array, kind: pa.DataType) -> pa.Array | None:
    try:
        pc.cast(values[:_LOOKED_AT], kind)  # Arrow words an error for every value that is none
        got = pc.cast(values, kind)
    except pa.ArrowInvalid:
        return None
    if pa.types.is_floating(kind):
        return None if pc.any(pc.is_nan(got)).as_py() else got
    data = values.buffers()[2]
    text = b"" if data is None else data.to_pybytes()
    if b"x" not in text and b"X" not in text:
        return got
    hexadecimal = pc.match_substring(values, "x", ignore_case=True)
    return None if pc.any(hexadecimal).as_py() else got


def _truths(values: pa.Array) -> pa.Array | None:
    if _first(values, 1)[0] not in (*TRUE, *FALSE):
        return None
    true, false = (pc.is_in(values, value_set=pa.array(words)) for words in (TRUE, FALSE))
    if not pc.all(pc.or_(pc.or_(true, false), pc.is_null(values))).as_py():
        return None
    return pc.if_else(pc.is_valid(values), true, pa.nulls(len(values), pa.bool_()))


def _are_tidied(values: pa.Array, kind: pa.DataType) -> bool:
    """Return whether values may be numbers once blanks and plus signs are off.

    The first ones tell, so that columns of text are not looked at in vain.
    """
    pattern = _NUMBER if pa.types.is_floating(kind) else _WHOLE
    data = values.buffers()[2]
    text = b"" if data is None else data.to_pybytes()
    untidy = any(sign in text for sign in (b"+", b" ", b"\t", b"\n", b"\v", b"\f", b"\r"))
    return untidy and all(map(pattern.fullmatch, _first(values, _LOOKED_AT)))


def _first(values: pa.Array, count: int) -> list[str]:
    """Return the first values that are there."""
    return list(islice((value.as_py() for value in values if value.is_valid), count))


def _odd(values: pa.Array) -> str | None:
    """Return the first value that is no number, else the first."""
    texts = values.drop_null().to_pylist()
    return next((text for text in texts if not _NUMBER.fullmatch(text)), next(iter(texts), None))


def _halves(values: pa.Array) -> pa.Array:
    with np.errstate(over="ignore"):
        halves = numbers_of(values.fill_null(0.0)).astype(np.float16)
    return pa.array(halves, mask=numbers_of(values.is_null()))
