"""Threads that end before the interpreter does: none may be inside JAX as it is torn down."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable


class Ending:
    """Threads that are waited for as the interpreter ends.

    A thread is not done with JAX when its function returns: what it was called with goes after
    that. So none is struck off by itself, but those that ended are as others begin.

    Args:
        seconds: How long they are waited for, all together; None is for as long as they take.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = seconds
        self._stops: dict[threading.Thread, Callable[[], object]] = {}
        self._ended = False
        atexit.register(self._end)

    def start(self, thread: threading.Thread, stop: Callable[[], object] = lambda: None) -> None:
        """Start a thread; `stop` tells it to end.

        Raises:
            RuntimeError: If no thread can be started, or nobody would wait for it any more.
        """
        if self._ended:
            raise RuntimeError(
                "the interpreter is shutting down, and no thread is started any more"
            )
        for other in list(self._stops):
            if other.ident is not None and not other.is_alive():
                self._stops.pop(other, None)
        self._stops[thread] = stop
        try:
            thread.start()
        except RuntimeError:  # too many threads, or the interpreter is shutting down
            self._stops.pop(thread, None)
            raise

    def _end(self) -> None:
        self._ended = True
        for stop in list(self._stops.values()):
            stop()
        deadline = None if self._seconds is None else time.monotonic() + self._seconds
        for thread in list(self._stops):
            if thread.ident is not None:  # it was started
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                thread.join(left)
