"""Flushing a file while it is written, so that little is left to wait for at its end."""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Self

PAUSE_SECONDS = 0.02
"""Between one flush and the next; a file that is written in less time is flushed at its end."""


class Flushing:
    """Flushes an open file again and again, in a thread, until the end of a `with` block.

    What the disk refuses meanwhile is raised at that end: it would not be told a second time.

    Args:
        descriptor: The file.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._done = threading.Event()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._flush, name="datarax-flush", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()
        if error is None and self._error is not None:
            raise self._error

    def _flush(self) -> None:
        while not self._done.wait(PAUSE_SECONDS):
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                self._error = error
                return
