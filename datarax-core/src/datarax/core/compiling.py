"""Programs that a thread compiles while their caller does without them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from datarax.core.ending import Ending

_compilers = Ending()


class Compiling:
    """The threads that compile programs for one source, and which of those are done."""

    def __init__(self) -> None:
        self._threads: dict[Any, threading.Thread] = {}
        self._refused: set[Any] = set()
        self._lock = threading.Lock()

    def done(self, key: Any) -> bool:
        """Return whether the program `key` was begun and its thread has ended, or has none."""
        with self._lock:
            thread = self._threads.get(key)
            return key in self._refused if thread is None else not thread.is_alive()

    def begin(self, key: Any, run: Callable[[], object]) -> None:
        """Call `run` in a thread, once for each key: it calls the program, which compiles it.

        Nothing happens while another one compiles. What `run` raises is let go: the caller meets
        it where it calls the program itself, as it does where no thread can be started.
        """
        with self._lock:
            if key in self._threads or any(one.is_alive() for one in self._threads.values()):
                return
            thread = threading.Thread(target=_run, args=(run,), name="datarax-compile", daemon=True)
            try:
                _compilers.start(thread)
            except RuntimeError:
                self._refused.add(key)
            else:
                self._threads[key] = thread

    def wait(self) -> None:
        """Wait for the threads."""
        with self._lock:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join()


def _run(run: Callable[[], object]) -> None:
    with contextlib.suppress(Exception):
        run()
