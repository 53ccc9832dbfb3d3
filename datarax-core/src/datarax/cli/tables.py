"""Text laid out in columns: as wide as it needs to be, and no wider than the terminal.

Widths count what a terminal shows: East Asian wide characters are two columns, combining ones none.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

GAP = "  "
NARROWEST = 6
LAST_NARROWEST = 20


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[object]],
    width: int | None,
    *,
    right: Sequence[str] = (),
) -> str:
    """Return rows under headings, aligned.

    Where the lines would be wider than `width`, the widest cells are cut, and those of the last
    column are wrapped, so that it loses nothing.

    Args:
        headings: One for each column; upper case is for the eye.
        rows: A cell for each column; None is shown as '-'.
        width: Columns of the terminal; None is without a limit.
        right: The headings of columns of numbers, aligned to the right.
    """
    cells = [[_line(cell) for cell in row] for row in rows]
    lines = [[heading.upper() for heading in headings], *cells]
    widths = [max(display_width(line[column]) for line in lines) for column in range(len(headings))]
    if width is not None:
        widths = _narrowed(widths, width)
    return "\n".join(
        text
        for line in lines
        for text in _laid(line, widths, [heading in right for heading in headings])
    )


def pairs(items: Iterable[tuple[str, object]], width: int | None) -> str:
    """Return names and their values, one a line, wrapped; those without a value are left out."""
    shown = [(name, _line(value)) for name, value in items if value not in (None, "", ())]
    if not shown:
        return ""
    names = max(display_width(name) for name, _ in shown)
    rest = None if width is None else max(LAST_NARROWEST, width - names - len(GAP))
    lines = []
    for name, value in shown:
        first, *others = wrap(value, rest)
        lines.append(f"{_padded(name, names)}{GAP}{first}".rstrip())
        lines += [" " * (names + len(GAP)) + other for other in others]
    return "\n".join(lines)


def wrap(text: str, width: int | None) -> list[str]:
    """Return the lines of a text, broken between words, and within one wider than a line."""
    if width is None or display_width(text) <= width:
        return [text]
    lines, line = [], ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if display_width(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        line = word
        while display_width(line) > width:
            piece = _prefix(line, width)
            lines.append(piece)
            line = line[len(piece) :]
    return [*lines, line] if line else lines


def shorten(text: str, limit: int | None) -> str:
    """Return `text` cut to `limit` columns, with an ellipsis where something was cut."""
    if limit is None or display_width(text) <= limit:
        return text
    return _prefix(text, max(1, limit - 1)) + "…"


def display_width(text: str) -> int:
    """Return how many columns a terminal takes for a text of one line."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _prefix(text: str, width: int) -> str:
    """Return as much of a text as fits, one character at least."""
    taken = 0
    for place, character in enumerate(text):
        taken += _columns(character)
        if taken > width and place:
            return text[:place]
    return text


def _narrowed(widths: list[int], width: int) -> list[int]:
    """Return widths that fit: the last column gives way first, then always the widest other."""
    fitted = list(widths)
    over = sum(fitted) + len(GAP) * (len(fitted) - 1) - width
    if over > 0 and fitted[-1] > LAST_NARROWEST:
        given = min(over, fitted[-1] - LAST_NARROWEST)
        fitted[-1] -= given
        over -= given
    while over > 0:
        widest = max(range(len(fitted)), key=lambda column: fitted[column])
        if fitted[widest] <= NARROWEST:
            break
        fitted[widest] -= 1
        over -= 1
    return fitted


def _laid(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> list[str]:
    """Return the lines of one row: one, but where its last cell is wrapped."""
    wrapped = wrap(cells[-1], widths[-1]) or [""]
    cut = [shorten(cell, size) for cell, size in zip(cells[:-1], widths[:-1], strict=True)]
    lines = []
    for place, last in enumerate(wrapped):
        shown = [*(cut if place == 0 else [""] * len(cut)), last]
        padded = [
            _padded(cell, size, right=aligned)
            for cell, size, aligned in zip(shown, widths, right, strict=True)
        ]
        lines.append(GAP.join(padded).rstrip())
    return lines


def _padded(text: str, width: int, *, right: bool = False) -> str:
    blank = " " * (width - display_width(text))
    return blank + text if right else text + blank


def _line(value: object) -> str:
    return "-" if value is None else " ".join(str(value).split())
