"""What a process holds at its peak."""

from __future__ import annotations

import threading
from pathlib import Path


class AnonymousPeak:
    """The most anonymous memory that this process had; pages of mapped files are not counted."""

    def __init__(self):
        self.peak = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @staticmethod
    def now():
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("this system does not tell anonymous memory")

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        self._thread.join()

    def _watch(self):
        while not self._stopped.wait(0.002):
            self.peak = max(self.peak, self.now())
