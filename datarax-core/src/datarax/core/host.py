"""The host side of a source: what NNX must not see as data, compare by value or keep alive.

A source's `Host` holds its reader, its cursor and the programs compiled for it. NNX's graph
definition, which jit caches keep, sees only a `HostRef`: compared by identity, so that nothing
retraces as the cursor moves and no reader needs a hash; and weak, so that a cache keeps no data
alive after the source is gone. `HostAttribute` is where a source holds its host strongly, outside
of the attributes that NNX flattens.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from datarax.core.compiling import Compiling
from datarax.errors import SourceClosedError, StalePassError


class Cursor:
    """Where a source stands: (epoch, offset), and which pass may move it.

    Attributes:
        epoch: The current epoch.
        offset: Elements of that epoch already delivered.
        resumed: Whether the next pass goes on from `offset` instead of beginning at 0.
        skipped: Elements that passes left out as a dropped remainder.
        token: What the newest pass holds; None before one began.
    """

    __slots__ = ("_earlier", "_whole", "epoch", "offset", "resumed", "skipped", "token")

    def __init__(
        self,
        epoch: int = 0,
        offset: int = 0,
        *,
        resumed: bool = False,
        applied: int = 0,
        skipped: int = 0,
    ) -> None:
        self.epoch = epoch
        self.offset = offset
        self.resumed = resumed
        self.skipped = skipped
        self.token: object = None
        self._earlier = applied - offset
        self._whole = threading.Lock()  # an epoch's end moves four numbers; no reader sees a part

    @property
    def applied(self) -> int:
        """Elements delivered by passes so far: those of this epoch and the earlier ones."""
        return self._earlier + self.offset

    def begin(self) -> object:
        """Begin a pass at the start of the epoch, or where a restored cursor stands.

        Returns:
            The token with which the pass may move the cursor, until a newer pass begins.
        """
        if not self.resumed:
            self._earlier += self.offset
            self.offset = 0
        self.resumed = False
        self.token = object()
        return self.token

    def check(self, token: object) -> None:
        """Raise StalePassError unless `token` is that of the newest pass."""
        if self.token is not token:
            raise StalePassError(
                "this pass is stale: a newer pass began on the same source, or its state was set; "
                "go on with the newer one, or give each pass a cursor of its own with clone()"
            )

    def deliver(self, count: int) -> None:
        """Move past `count` delivered elements of this epoch."""
        self.offset += count

    def finish(self, skipped: int = 0) -> None:
        """Move to the beginning of the next epoch, leaving `skipped` elements undelivered."""
        with self._whole:
            self.skipped += skipped
            self._earlier += self.offset
            self.epoch += 1
            self.offset = 0

    def place(self) -> dict[str, int]:
        """Return the epoch, the offset and both counts, as they are at one moment."""
        with self._whole:
            offset = self.offset
            return {
                "epoch": self.epoch,
                "offset": offset,
                "applied": self._earlier + offset,
                "skipped": self.skipped,
            }

    def set(self, epoch: int, offset: int, applied: int, skipped: int) -> None:
        """Stand at (epoch, offset), for the next pass to go on from; older passes are stale."""
        self.epoch, self.offset, self.resumed = epoch, offset, True
        self._earlier, self.skipped = applied - offset, skipped
        self.token = None

    def forget_counts(self) -> None:
        """Count delivered and skipped elements from 0 again."""
        self._earlier, self.skipped = -self.offset, 0

    def copy(self) -> Cursor:
        """Return a cursor that stands at the same place, as a restored one does."""
        return _restored_cursor(self.epoch, self.offset, self.applied, self.skipped)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored_cursor, (self.epoch, self.offset, self.applied, self.skipped)


def _restored_cursor(epoch: int, offset: int, applied: int, skipped: int) -> Cursor:
    return Cursor(epoch, offset, resumed=True, applied=applied, skipped=skipped)


class SharedReader:
    """A reader that several sources (a source and its clones) hold; the last one closes it."""

    def __init__(self, reader: Any) -> None:
        self.reader = reader
        self._holders = 1
        self._lock = threading.Lock()

    def share(self) -> SharedReader:
        """Count one holder more."""
        with self._lock:
            self._holders += 1
        return self

    def release(self) -> None:
        """Count one holder less, and close the reader when none is left."""
        with self._lock:
            self._holders -= 1
            last = self._holders == 0
        if last:
            self.reader.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return SharedReader, (self.reader,)


class Programs:
    """Compiled programs of one source, by key, the most recently used kept."""

    def __init__(self, limit: int = 16) -> None:
        self._limit = limit
        self._held: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Any, build: Callable[[], Any]) -> Any:
        """Return what `build` made for `key`, now or earlier."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        made = build()
        with self._lock:
            self._held[key] = made
            while len(self._held) > self._limit:
                self._held.popitem(last=False)
        return made


class Host:
    """The reader, cursor, facts and programs of one source.

    Attributes:
        cursor: Where the source stands.
        shared: The reader and its count of holders; None for a source without one.
        view: That reader as the source reads it: selected fields, cached records.
        facts: What the source found out at construction and never changes.
        programs: Programs compiled for this source.
        compiling: Those that a thread compiles.
        recycled: The host memory of its batches, once a batch was read into it.
        stored: What the source was built from, where `copy` needs it again.
        running: The pass that `next(source)` goes on with, behind a mark; None where there is none.
    """

    def __init__(
        self,
        *,
        shared: SharedReader | None = None,
        view: Any = None,
        facts: Any = None,
        cursor: Cursor | None = None,
    ) -> None:
        self.cursor = cursor or Cursor()
        self.shared = shared
        self.view = view
        self.facts = facts
        self.programs = Programs()
        self.compiling = Compiling()
        self.recycled: Any = None
        self.running: Any = None
        self.stored: Any = None
        self.closed = False

    def copy(self) -> Host:
        """Return a host with a cursor of its own over the same reader."""
        host = Host(
            shared=self.shared.share() if self.shared else None,
            view=self.view,
            facts=self.facts,
            cursor=self.cursor.copy(),
        )
        host.stored = self.stored
        host.closed = self.closed
        return host

    def reader(self, who: str) -> Any:
        """Return the reader.

        Raises:
            SourceClosedError: If the source was closed.
        """
        self.check_open(who)
        if self.shared is None:
            raise NotImplementedError(f"{who} is not built on a reader, and has none to hand out")
        return self.view

    def check_open(self, who: str) -> None:
        """Raise SourceClosedError if the source was closed."""
        if self.closed:
            raise SourceClosedError(f"{who} was closed; load it again to read on")

    def close(self) -> None:
        """Release the reader; once closed, closing again does nothing."""
        if not self.closed:
            self.closed = True
            self.running = self.recycled = None
            self.compiling.wait()
            if self.shared is not None:
                self.shared.release()

    def __getstate__(self) -> dict[str, Any]:
        return {
            "cursor": self.cursor,
            "shared": self.shared,
            "view": self.view,
            "facts": self.facts,
            "stored": self.stored,
            "closed": self.closed,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]  # a fresh host, then what travelled
        self.__dict__.update(state)


class HostRef:
    """A weak reference to a host, equal only to itself: what NNX's graph definition holds."""

    __slots__ = ("__weakref__", "_host")

    def __init__(self, host: Host) -> None:
        self._host = weakref.ref(host)

    def get(self) -> Host | None:
        """Return the host, or None once no source holds it."""
        return self._host()


class HostSlot:
    """The base that gives a source a slot beside the attributes that NNX flattens.

    NNX modules refuse `__slots__` of their own because what is in a slot is invisible to it, which
    is what is wanted here.
    """

    __slots__ = ("_host_strong",)


class HostAttribute:
    """The attribute `_host` of a source: set with a Host or a HostRef, read as the Host.

    NNX rebuilds a module by setting each attribute, so that a module merged from a graph
    definition takes hold of the host again here.
    """

    name = "_host"

    def __set__(self, source: Any, value: Host | HostRef) -> None:
        ref, host = (HostRef(value), value) if isinstance(value, Host) else (value, value.get())
        source.__dict__[self.name] = ref
        object.__setattr__(source, "_host_strong", host)

    def __get__(self, source: Any, owner: type[Any] | None = None) -> Any:
        if source is None:
            return self
        try:
            host = source._host_strong
        except AttributeError:
            ref = source.__dict__.get(self.name)
            if ref is None:
                raise AttributeError(
                    f"{type(source).__name__} has no {self.name}: call super().__init__(config) "
                    "before using it as a source"
                ) from None
            host = ref.get()
        if host is None:
            raise SourceClosedError(
                f"the {type(source).__name__} that this one was split from is gone, and its reader "
                "with it; keep the source while its graph definition is in use"
            )
        return host
