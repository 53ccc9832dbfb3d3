"""Where rows of CSV end, told without parsing them, or not told at all.

A line break ends a row unless it stands within quotes, and a quote opens a field only at the
field's beginning. So the quotes before a place, counted, say whether it lies within some, as long
as each that opens stands where a field begins, or doubles the one that closed.
"""

from __future__ import annotations

import numpy as np

_NEWLINE = ord("\n")


def whole_rows(text: bytes, separator: str, quote: str | None, *, double: bool) -> int | None:
    """Return how many bytes the whole rows of a text take; None where that cannot be told.

    Args:
        text: CSV without an escape character, from the beginning of a row on.
        separator: What stands between fields.
        quote: What stands around fields, or None.
        double: Whether a quote within quotes is written twice.
    """
    if quote is None or quote.encode() not in text:
        return text.rfind(b"\n") + 1
    signs = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(signs == ord(quote))
    opening = quotes[::2]
    before = signs[opening[opening > 0] - 1]
    allowed = [ord(separator), ord("\n"), ord("\r"), *([ord(quote)] if double else [])]
    if not np.isin(before, allowed).all():
        return None
    newlines = np.flatnonzero(signs == _NEWLINE)
    outside = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    return int(outside[-1]) + 1 if len(outside) else 0
