"""Progress of long work: a bar on a terminal, silent elsewhere, DATARAX_PROGRESS=0 switches it off.

It writes to standard error, at most ten times a second, and nothing at all for work that is done
within half a second.
"""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import Self, TextIO

from datarax.sources.config import environment_switch

WIDTH = 30
QUIET_SECONDS = 0.5
PERIOD_SECONDS = 0.1


class Progress:
    """A bar for work of `total` units, as a context manager.

    Args:
        what: What is being done: "loading memory:".
        total: Units in all; the caller's unit.
        stream: Where to draw; standard error unless given. Nothing is drawn where it is no
            terminal.
    """

    def __init__(self, what: str, total: int, *, stream: TextIO | None = None) -> None:
        self._what = what
        self._total = max(1, total)
        self._stream = sys.stderr if stream is None else stream
        self._shown = _switched_on() and self._stream is not None and self._stream.isatty()
        self._done = 0
        self._begun = time.monotonic()
        self._drawn = 0.0

    def advance(self, units: int) -> None:
        """Count `units` more as done."""
        self._done += units
        now = time.monotonic()
        if (
            self._shown
            and now - self._begun >= QUIET_SECONDS
            and now - self._drawn >= PERIOD_SECONDS
        ):
            self._drawn = now
            self._draw(now)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _draw(self, now: float) -> None:
        share = min(1.0, self._done / self._total)
        left = (now - self._begun) * (1 - share) / share if share else 0.0
        bar = "█" * int(share * WIDTH)
        self._stream.write(f"\r{self._what} {bar:·<{WIDTH}} {share:4.0%}, {left:.0f} s left\x1b[K")
        self._stream.flush()


def _switched_on() -> bool:
    return "DATARAX_PROGRESS" not in os.environ or environment_switch("DATARAX_PROGRESS")
