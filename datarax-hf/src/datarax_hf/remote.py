"""Files of one commit on the Hub, read by byte ranges; nothing of them is written to disk.

Ranges are asked for ahead of time and awaited when they are needed. The commit stands in each
address, so that what a stream reads cannot change under it.
"""

from __future__ import annotations

import io
import sys
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import CancelledError, Future, wait
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from datarax.errors import CorruptDataError, SourceClosedError, UnknownDatasetError
from datarax.sources import pass_closed
from datarax_hf.cache import Snapshot
from datarax_hf.config import HFSourceConfig
from datarax_hf.hub import Hub
from datarax_hf.remedy import Origin
from datarax_hf.remote_wire import Wire

GAP_BYTES = 32 * 2**10
"""Ranges that lie no further apart than this are asked for as one."""

REQUEST_BYTES = 16 * 2**20
"""A longer range is asked for in parts, several at once."""

FIRST_CHUNK_BYTES = 2**20
CHUNK_BYTES = 4 * 2**20
CHUNKS_AHEAD = 3
KEPT_BYTES = 8 * 2**20
"""Chunks that begin before are kept, of the file that was begun last."""

LOOK_UP_SECONDS = 0.05
"""How often one who waits looks whether his pass was closed."""


class Remote:
    """The files of a snapshot that lie on the Hub.

    Picklable: the connection is dropped and made anew.

    Args:
        snapshot: The commit.
        config: Whose token is used.
    """

    def __init__(self, snapshot: Snapshot, config: HFSourceConfig) -> None:
        self._config = config
        self._hub = Hub(config)
        self._snapshot = self._hub.listed(snapshot)
        self._wire = self._new_wire()
        self._kept: dict[tuple[str, int], bytearray] = {}
        self._coming: dict[str, tuple[int, Future[bytearray]]] = {}

    def size(self, name: str) -> int:
        """Return the bytes of a file, as the Hub lists it."""
        size = self._snapshot.files.get(name)
        if size is None:
            raise UnknownDatasetError(
                f"hf:{self._snapshot.dataset}: the Hub lists no file {name!r} with its size at "
                f"{self._snapshot.commit}; load it with mode='lazy', which downloads it"
            )
        return size

    def ask(self, name: str, begin: int, end: int) -> Future[bytearray]:
        """Ask for bytes [begin, end) of a file."""
        return self._wire.read(self.url(name), begin, end)

    def await_(self, name: str, answer: Future[bytearray]) -> bytearray:
        """Return what was asked for once it has come.

        Raises:
            SourceClosedError: If `close` was called, or the pass that this thread reads for was
                closed.
            HubConnectionError: If it does not come, try after try.
            UnknownDatasetError: If the Hub refuses it.
        """
        while not wait([answer], LOOK_UP_SECONDS).done:
            if pass_closed():
                answer.cancel()
        try:
            with self._hub.telling(self._snapshot):
                return answer.result()
        except CancelledError:
            raise SourceClosedError(
                f"hf:{self._snapshot.dataset}: closed while {name!r} was read from the Hub; load "
                "it again"
            ) from None

    def open(self, name: str, ranges: Iterable[tuple[int, int]]) -> RemoteFile:
        """Ask for ranges of a file, coalesced, and return the file over what comes."""
        parts = [
            (begin, self.ask(name, begin, end))
            for begin, end in split(coalesced(ranges), REQUEST_BYTES)
        ]
        return RemoteFile(self, name, parts)

    def ask_ahead(self, name: str, *, whole: bool = False) -> None:
        """Ask for the first chunk of a file, or for as much of it as is asked for at once."""
        if name not in self._coming and (name, 0) not in self._kept and self.size(name):
            end = min(self.size(name), REQUEST_BYTES if whole else FIRST_CHUNK_BYTES)
            self._coming[name] = end, self.ask(name, 0, end)

    def take(self, name: str) -> tuple[int, Future[bytearray]] | None:
        """Return what `ask_ahead` asked for, and where it ends, to who reads it."""
        return self._coming.pop(name, None)

    def forget(self, name: str) -> None:
        """End what `ask_ahead` asked for, where nobody has taken it."""
        coming = self.take(name)
        if coming is not None:
            coming[1].cancel()

    def chunk(self, name: str, begin: int, end: int) -> Future[bytearray]:
        """Ask for a chunk of a file, unless it is kept."""
        kept = self._kept.get((name, begin))
        if kept is None or len(kept) != end - begin:
            return self.ask(name, begin, end)
        answer: Future[bytearray] = Future()
        answer.set_result(kept)
        return answer

    def keep(self, name: str, begin: int, chunk: bytearray) -> None:
        """Keep a chunk of a file that is read from its beginning on, if it is one of the first.

        Some formats look at the beginning of a file several times.
        """
        if begin < KEPT_BYTES:
            others = [key for key in self._kept if key[0] != name]
            for key in others:
                self._kept.pop(key, None)
            self._kept[name, begin] = chunk

    def url(self, name: str) -> str:
        """Return the address of a file, its commit in it."""
        return self._hub.server.url(self._snapshot, name)

    def close(self) -> None:
        """End every request, wherever it waits."""
        self._wire.close()

    def _new_wire(self) -> Wire:
        return Wire(self._hub.server.headers, self._hub.server.endpoint)

    def __getstate__(self) -> dict[str, Any]:
        return {"snapshot": self._snapshot, "config": self._config}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # a connection of its own


class RemoteFile(io.RawIOBase):
    """A file of which some ranges were asked for; others are fetched when they are read.

    Closing it ends the requests that still run.
    """

    _at_exit = staticmethod(sys.is_finalizing)  # held here: at exit modules are emptied first

    def __init__(
        self, remote: Remote, name: str, parts: Sequence[tuple[int, Future[bytearray]]]
    ) -> None:
        super().__init__()
        self._remote = remote
        self._name = name
        self._asked = deque(parts)
        self._held: list[tuple[int, bytearray]] = []
        self._place = 0
        self._size = remote.size(name)

    def arrow(self) -> pa.PythonFile:
        """Wait for the ranges and return the file for Arrow to read."""
        while self._asked:
            begin, answer = self._asked[0]
            self._held.append((begin, self._remote.await_(self._name, answer)))
            self._asked.popleft()
        return pa.PythonFile(self, mode="r")

    def read(self, count: int = -1) -> bytes:
        """Return up to `count` bytes from the current place on; all that are left if negative."""
        end = self._size if count < 0 else min(self._place + count, self._size)
        begin, self._place = self._place, max(self._place, end)
        pieces: list[memoryview] = []
        for first, data in self._held:
            if first <= begin < min(end, first + len(data)):
                stop = min(end, first + len(data))
                pieces.append(memoryview(data)[begin - first : stop - first])
                begin = stop
        if begin < end:
            answer = self._remote.ask(self._name, begin, end)
            pieces.append(memoryview(self._remote.await_(self._name, answer)))
        return b"".join(pieces)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place, and return it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = start + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            if not self._at_exit():
                for _, answer in self._asked:
                    answer.cancel()
            self._held = []
        super().close()


class RemoteText(io.RawIOBase):
    """A file that is read forward, from its beginning or any other place on, in chunks.

    Some chunks are asked for ahead. It may be closed while another thread reads it, as a parser's
    does that reads ahead: that ends the wait.
    """

    def __init__(self, remote: Remote, name: str) -> None:
        super().__init__()
        self._remote = remote
        self._name = name
        self._size = remote.size(name)
        self._place = self._begin = 0
        self._places: deque[tuple[int, int]] | None = None
        self._asked: deque[tuple[int, Future[bytearray]]] = deque()
        self._rest = memoryview(b"")
        self._ended = False
        self._lock = threading.Lock()

    def read(self, count: int = -1) -> bytes:
        """Return `count` bytes, fewer only at the end; all that are left if negative."""
        if self._place >= self._size:
            return b""
        pieces = []
        wanted = self._size if count < 0 else count
        while wanted and (self._rest or self._next()):
            piece, self._rest = self._rest[:wanted], self._rest[wanted:]
            pieces.append(piece)
            wanted -= len(piece)
            self._place += len(piece)
        return b"".join(pieces)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place, and return it; reading goes on there with a request of its own."""
        place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        if place != self._place:
            self._stop()
            self._place = place
        return place

    def tell(self) -> int:
        return self._place

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self._ended = True
            self._stop()
        super().close()

    def _next(self) -> bool:
        """Wait for the next chunk, and return whether there is one."""
        with self._lock:
            if self._ended:
                raise SourceClosedError(f"{self._name!r} was closed while it was read")
            if self._places is None:
                self._begin = self._place
                self._places = self._planned()
            while self._places and len(self._asked) < CHUNKS_AHEAD:
                begin, end = self._places.popleft()
                self._asked.append((begin, self._remote.chunk(self._name, begin, end)))
            if not self._asked:
                return False
            begin, answer = self._asked[0]
        chunk = self._remote.await_(self._name, answer)
        with self._lock:
            if self._asked and self._asked[0][1] is answer:
                self._asked.popleft()
        if not self._begin:
            self._remote.keep(self._name, begin, chunk)
        self._rest = memoryview(chunk)
        return True

    def _planned(self) -> deque[tuple[int, int]]:
        """Return the chunks to ask for, after what was asked for ahead is taken."""
        coming = None if self._begin else self._remote.take(self._name)
        if coming is not None:
            self._asked.append((0, coming[1]))
            return deque(split([(coming[0], self._size)], CHUNK_BYTES))
        first = min(self._size, self._begin + FIRST_CHUNK_BYTES)
        return deque(split([(self._begin, first), (first, self._size)], CHUNK_BYTES))

    def _stop(self) -> None:
        """Let go of what is on its way."""
        with self._lock:
            for _, answer in self._asked:
                answer.cancel()
            self._asked.clear()
            self._places, self._rest = None, memoryview(b"")


@dataclass(frozen=True)
class RemoteOrigin(Origin):
    """Where files come from that may not lie in their folder.

    Attributes:
        remote: The Hub, for those that do not.
    """

    remote: Remote

    def open(self, name: str) -> Any:
        if (self.folder / name).is_file():
            return super().open(name)
        return RemoteText(self.remote, name)

    def damaged(self, name: str, what: str) -> CorruptDataError:
        if (self.folder / name).is_file():
            return super().damaged(name, what)
        return CorruptDataError(
            f"hf:{self.dataset}: the file {name!r} {what} ({self.remote.url(name)}); it is so on "
            "the Hub: tell the owner of the dataset, or give another revision"
        )


def coalesced(ranges: Iterable[tuple[int, int]], gap: int = GAP_BYTES) -> list[tuple[int, int]]:
    """Return ranges in order, those that overlap or lie within `gap` of each other as one."""
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(ranges):
        if joined and begin - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def split(ranges: Iterable[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """Return ranges cut into parts of `most` bytes, the last part of each smaller."""
    return [
        (place, min(place + most, end))
        for begin, end in ranges
        for place in range(begin, end, most)
    ]
