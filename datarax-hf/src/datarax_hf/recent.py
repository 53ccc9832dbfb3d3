"""The columns of row groups that were decoded last, within a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection
from typing import Any

Key = tuple[int, str]


class RecentColumns:
    """Loaded columns by (row group, name); the least recently used are dropped beyond `limit`.

    The one loaded last always stays, however large. Safe to use from several threads.

    Attributes:
        limit: The bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held: OrderedDict[Key, tuple[Any, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Key) -> Any | None:
        """Return what is held under `key`, or None."""
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def put(self, key: Key, loaded: Any) -> None:
        """Hold a loaded column, which says its own `nbytes`."""
        size = int(loaded.nbytes)
        with self._lock:
            if key in self._held:
                return
            self._held[key] = (loaded, size)
            self._bytes += size
            while self._bytes > self.limit and len(self._held) > 1:
                _, (_, freed) = self._held.popitem(last=False)
                self._bytes -= freed

    def keep(self, groups: Collection[int]) -> None:
        """Drop the columns of all other row groups, unless what is held is little."""
        with self._lock:
            if self._bytes * 2 <= self.limit:
                return
            for key in [key for key in self._held if key[0] not in groups]:
                self._bytes -= self._held.pop(key)[1]

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._held.clear()
            self._bytes = 0
