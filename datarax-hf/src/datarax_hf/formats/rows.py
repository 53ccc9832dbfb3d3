"""Rows of CSV: where they end, told without parsing them, and their fields, as pandas cuts them.

A line break ends a row unless it stands within quotes, and a quote opens a field only at the
field's beginning. So the quotes before a place, counted, say whether it lies within some, as long
as each that opens stands where a field begins, or doubles the one that closed. Where one does not,
only cutting the fields says where rows end.
"""

from __future__ import annotations

import io
import re

import numpy as np

from datarax_hf.formats.form import Form

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


class Rows:
    """The rows of a text, as lists of fields, one after another.

    Lines end with a line feed, a carriage return, or both.

    Args:
        text: CSV in UTF-8, from the beginning of a row on.
        form: How it is written.
        ended: Whether the file ends where the text does.

    Attributes:
        lines: The lines that were read.
        begun: The lines before the row that was read last.
        open: Whether the text ends within quotes, and so within a row.
    """

    def __init__(self, text: bytes, form: Form, *, ended: bool) -> None:
        end = len(text) if ended else _last_line_end(text)
        self._text = io.StringIO(text[:end].decode(), newline="")
        self._form = form
        self._blank = "".join({" ", "\t"} - {form.separator}) + "\r\n"
        quote, escape = form.quote or "", form.escape or ""
        special = quote + escape
        self._within = re.compile(f"[{re.escape(special)}]") if special else None
        opening = f"(?:^|{re.escape(form.separator)}){re.escape(quote)}" if quote else ""
        signs = "|".join(filter(None, (opening, re.escape(escape))))
        self._special = re.compile(signs) if signs else None
        self._outside = re.compile(f"[\r\n{re.escape(form.separator + escape)}]")
        self._whole = 0
        self.lines = 0
        self.begun = 0
        self.open = False

    @property
    def taken(self) -> int:
        """The bytes of the rows that were read."""
        return len(self._text.getvalue()[: self._whole].encode())

    def skip(self, lines: int) -> bool:
        """Leave out lines, whatever they hold, and return whether there are so many."""
        there = all(self._line() for _ in range(lines))
        self._whole = self._text.tell()
        return there

    def next(self) -> list[str] | None:
        """Return the fields of the next row, or None where there is no whole one."""
        form = self._form
        while line := self._text.readline():
            self.begun = self.lines
            self.lines += 1
            if form.skip_blank and not line.strip(self._blank):
                self._whole = self._text.tell()
                continue
            if self._special is not None and self._special.search(line):
                row = self._quoted(line)
                if row is None:
                    self.open = True
                    return None
            else:
                text = line.rstrip("\r\n")
                row = text.split(form.separator) if text else []
            self._whole = self._text.tell()
            return row
        return None

    def _line(self) -> str:
        line = self._text.readline()
        self.lines += bool(line)
        return line

    def _quoted(self, line: str) -> list[str] | None:
        """Return the fields of a row that begins with a line; None where it does not end."""
        form, fields, at = self._form, [], 0
        while True:
            parts: list[str] = []
            if form.quote is not None and line.startswith(form.quote, at):
                at += 1
                while True:
                    sign = self._within.search(line, at) if self._within else None
                    if sign is None:
                        parts.append(line[at:])
                        line, at = self._line(), 0
                    else:
                        parts.append(line[at : sign.start()])
                        at = sign.end()
                        if sign[0] == form.quote:
                            if not (form.double and line.startswith(form.quote, at)):
                                break
                            parts.append(form.quote)
                            at += 1
                        else:
                            parts.append(line[at : at + 1])
                            at += 1
                            if at >= len(line):
                                line, at = self._line(), 0
                    if not line:
                        return None
            while True:
                sign = self._outside.search(line, at)
                parts.append(line[at : sign.start() if sign else None])
                if sign is None or sign[0] != form.escape:
                    break
                at = sign.end()
                parts.append(line[at : at + 1])
                at += 1
                if at >= len(line):
                    line, at = self._line(), 0
                    if not line:
                        return None
            fields.append("".join(parts))
            if sign is None or sign[0] != form.separator:
                return fields
            at = sign.end()


def _last_line_end(text: bytes) -> int:
    """Return where the last line that has an end ends; a return at the end may be half of one."""
    return max(text.rfind(b"\n"), text.rfind(b"\r", 0, max(0, len(text) - 1))) + 1
