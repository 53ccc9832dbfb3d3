"""A pass over the elements of a source: begun at its first `next`, stale once a newer begins."""

from __future__ import annotations

import weakref
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from datarax.core.data_source import DataSourceModule


def elements_of(source: DataSourceModule, mark: object) -> Iterator[Any]:
    """Return an iterator over the elements of one pass over `source`, moving its cursor with each.

    An error ends no pass: the next `next` goes on from the cursor, and fails again where what is
    wrong stays so.

    Args:
        source: The source.
        mark: What its host holds beside this pass while `next(source)` goes on with it.
    """
    attempts = _Pass(source, mark)
    elements = ElementPass.from_iterable(attempts.begin())
    assert isinstance(elements, ElementPass)  # which the stubs of itertools do not know
    elements.attempts = attempts
    return elements


class ElementPass(chain[Any]):
    """An iterator over elements; it can be closed, as a generator can, and not be copied.

    Where another thread is in `next` it ends with what was read at once, some 1,000 elements.
    """

    attempts: _Pass

    def close(self) -> None:
        """End the pass and let go of what it holds. Closing again does nothing."""
        self.attempts.close()

    def __copy__(self) -> NoReturn:
        raise TypeError("a pass cannot be copied; clone() the source, for a cursor of its own")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a pass cannot be pickled; pickle the source, or save its get_state()")


class _Pass:
    """A pass that an error may break off, and that is tried again until it ends."""

    def __init__(self, source: DataSourceModule, mark: object) -> None:
        self._source = source
        self._mark = mark
        self._token: object = None
        self._ended = False
        self._attempt: weakref.ref[Generator[Any]] | None = None  # which holds this pass

    def begin(self) -> Iterator[Iterator[Any]]:
        while not self._ended:
            attempt = self._elements()
            self._attempt = weakref.ref(attempt)
            yield attempt

    def close(self) -> None:
        self._ended = True
        self._forget()
        attempt = None if self._attempt is None else self._attempt()
        if attempt is not None:
            with suppress(ValueError):  # another thread is in it: it ends with its piece
                attempt.close()

    def _forget(self) -> None:
        host = self._source._host
        if host.running is not None and host.running[0] is self._mark:
            host.running = None

    def _elements(self) -> Generator[Any]:
        source = self._source
        host, who = source._host, source._who()
        cursor = host.cursor
        if self._token is None:
            self._token = cursor.begin()
        token = self._token
        cursor.check(token)
        size = source._known_length()
        left = None if size is None else size - cursor.offset
        finished = False
        for elements, is_last in _with_last(source._elements(cursor.epoch, cursor.offset), left):
            if self._ended:
                return
            last = len(elements) - 1 if is_last else -1
            for row, element in enumerate(elements):
                if cursor.token is not token or host.closed:
                    cursor.check(token)
                    host.check_open(who)
                cursor.offset += 1
                if row == last:
                    cursor.finish()
                    finished = self._ended = True
                yield element
        if not finished:
            cursor.check(token)
            cursor.finish()
        self._ended = True
        self._forget()


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
    try:
        for piece in pieces:
            if held is not None:
                yield held, False
            held = piece
    except Exception:
        if held is not None:
            yield held, False
        raise
    if held is not None:
        yield held, True
