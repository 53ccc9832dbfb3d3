"""Where records of text files begin, noted while they are read, so that going on is a jump.

A mark says of a file that so many of its records lie before a byte. Marks are kept in this process
by what a file holds and how it is read, so that later passes and other sources find them; where
there are none a file is read from its beginning.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass, field

from datarax_hf.formats.guess import Place

FILES = 4096
"""The files whose marks are kept: those that were read last."""

MOST = 256
"""The marks of a file; beyond that every second one goes."""


@dataclass(frozen=True)
class Mark:
    """A place in a file, and the records that lie before it."""

    records: int
    place: Place


@dataclass
class Marks:
    """The marks of one file, and how many records it holds, once that is known."""

    records: int | None = None
    _marks: list[Mark] = field(default_factory=list)
    _gap: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, records: int, place: Place | None) -> None:
        """Note that `records` lie before a place; None says nothing."""
        with self._lock:
            if place is None or not records:
                return
            if self._marks:
                last = self._marks[-1]
                if last.records >= records or place.byte - last.place.byte < self._gap:
                    return
            self._marks.append(Mark(records, place))
            if len(self._marks) > MOST:
                self._marks = self._marks[1::2]
                self._gap = self._marks[1].place.byte - self._marks[0].place.byte

    def before(self, record: int) -> Mark | None:
        """Return the last mark that leaves out no record from `record` on."""
        with self._lock:
            number = bisect_right(self._marks, record, key=lambda mark: mark.records)
            return self._marks[number - 1] if number else None


_KEPT: OrderedDict[str, Marks] = OrderedDict()
_KEEPING = threading.Lock()


def marks_of(key: str) -> Marks:
    """Return the marks of a file, none at first.

    Args:
        key: What names the contents of the file, and how it is read.
    """
    with _KEEPING:
        marks = _KEPT.setdefault(key, Marks())
        _KEPT.move_to_end(key)
        while len(_KEPT) > FILES:
            _KEPT.popitem(last=False)
        return marks
