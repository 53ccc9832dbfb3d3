"""A pass over the elements of a source: begun at its first `next`, stale once a newer begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datarax.core.data_source import DataSourceModule


def elements_of(source: DataSourceModule, mark: object) -> Iterator[Any]:
    """Yield the elements of one pass over `source`, moving its cursor with each.

    `mark` is what the source's host holds beside this pass while `next(source)` goes on with it.
    """
    host, who = source._host, source._who()
    cursor = host.cursor
    token = cursor.begin()
    size = source._known_length()
    left = None if size is None else size - cursor.offset
    finished = False
    for elements, is_last in _with_last(source._elements(cursor.epoch, cursor.offset), left):
        last = len(elements) - 1 if is_last else -1
        for row, element in enumerate(elements):
            if cursor.token is not token or host.closed:
                cursor.check(token)
                host.check_open(who)
            cursor.offset += 1
            if row == last:
                cursor.finish()
                finished = True
            yield element
    if not finished:
        cursor.check(token)
        cursor.finish()
    if host.running is not None and host.running[0] is mark:
        host.running = None


def _with_last(
    pieces: Iterator[Sequence[Any]], left: int | None
) -> Iterator[tuple[Sequence[Any], bool]]:
    """Yield each piece and whether it is the last, by the elements left or by looking ahead."""
    if left is not None:
        for piece in pieces:
            left -= len(piece)
            yield piece, left <= 0
        return
    held: Sequence[Any] | None = None
    for piece in pieces:
        if held is not None:
            yield held, False
        held = piece
    if held is not None:
        yield held, True
