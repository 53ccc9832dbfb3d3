"""`Batches`: passes over a source in batches, staged ahead.

The cursor moves as batches are delivered, never as they are staged.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

import jax

from datarax.core.checks import check_size
from datarax.errors import SourceClosedError, StateMismatchError, UnknownFieldError
from datarax.sources.source_state import MARK
from datarax.staging import (
    MASK,
    Background,
    BatchPlan,
    EmptyEpoch,
    Piece,
    Remainder,
    Staged,
    ahead,
    piece_batches,
)
from datarax.transfer import check_divides, check_sharding

if TYPE_CHECKING:
    from datarax.core.data_source import DataSourceModule


class Batches:
    """An iterator over a source's batches; see `DataSourceModule.batches`.

    It is a pass: it begins at its first `next`, goes stale when a newer pass begins on the same
    source, and moves the source's cursor. `get_state` and `set_state` carry the source's state and
    the epoch at which the iterator stops. Threads may share it: each batch goes to one of them.
    """

    def __init__(
        self,
        source: DataSourceModule,
        batch_size: int,
        *,
        epochs: int = 1,
        remainder: Remainder = "drop",
        sharding: jax.sharding.Sharding | None = None,
        prefetch: int = 2,
    ) -> None:
        self._source = source
        self._size = check_size(batch_size, "batch_size")
        self._epochs = check_size(epochs, "epochs", of="passes")
        if remainder not in ("drop", "pad", "keep"):
            raise ValueError(f"remainder is 'drop', 'pad' or 'keep', got {remainder!r}")
        check_sharding(sharding, "sharding")
        self._remainder = remainder
        self._sharding = sharding
        self._prefetch = check_size(prefetch, "prefetch", of="pieces", least=0)
        self._length = source._known_length()
        if sharding is not None:
            check_divides(sharding, self._size, "a batch")
            if remainder == "keep" and self._length is not None and self._length % self._size:
                check_divides(sharding, self._length % self._size, "the last batch")
        source._host.check_open(source._who())
        self._spec = source.element_spec()
        if remainder == "pad" and isinstance(self._spec, dict) and MASK in self._spec:
            raise UnknownFieldError(
                f"remainder='pad' adds the field {MASK!r}, and {source._who()} has one of that "
                "name; leave it out with exclude_keys, or take another remainder"
            )
        self._stop_epoch: int | None = None
        self._token: object = None
        self._pieces: Iterator[Piece] | None = None
        self._ready: deque[Staged] = deque()
        self._closed = False
        self._done = False
        self._turn = threading.RLock()  # one thread's `next` at a time; `close` waits for none
        self._background: Background | None = None
        self._finalizer: weakref.finalize[..., Any] | None = None

    def __iter__(self) -> Self:
        return self

    def __len__(self) -> int:
        """Batches still to come."""
        cursor = self._source._host.cursor
        if self._done:
            return 0
        length = len(self._source)
        if self._token is None:
            begin = cursor.offset if cursor.resumed else 0
            epochs = self._epochs if self._stop_epoch is None else self._stop_epoch - cursor.epoch
        else:
            begin = cursor.offset
            epochs = (self._stop_epoch or 0) - cursor.epoch
        if epochs <= 0:
            return 0
        return self._count(length - begin) + (epochs - 1) * self._count(length)

    def __next__(self) -> Any:
        if self._closed:
            raise SourceClosedError("this iterator of batches was closed; ask for a new one")
        with self._turn:
            return self._deliver()

    def get_state(self) -> dict[str, Any]:
        """Return the source's state, and the epoch at which this iterator stops."""
        stop = self._stop_epoch
        if stop is None:
            stop = self._source._host.cursor.epoch + self._epochs
        cursor = self._source._host.cursor
        state = self._source.get_state()
        if self._token is None and not cursor.resumed:
            state = _at_the_start(state)  # where this pass will begin, whatever one broke off
        return {"source": state, "stop_epoch": stop}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned: the source's state too. Goes on exactly.

        Raises:
            TypeError: If `state` is not a dict.
            ValueError: If it is not the state of an iterator over this source.
        """
        if not isinstance(state, dict):
            raise TypeError(f"a state is a dict, got {type(state).__name__} {state!r}")
        if set(state) != {"source", "stop_epoch"}:
            raise StateMismatchError(
                "the state of an iterator of batches has the keys 'source' and 'stop_epoch', "
                f"got {sorted(map(str, state))}; a source's own state goes to source.set_state"
            )
        stop = state["stop_epoch"]
        if isinstance(stop, bool) or not isinstance(stop, int) or stop < 0:
            raise StateMismatchError(f"stop_epoch: an epoch is expected, got {stop!r}")
        with self._turn:
            self._source.set_state(state["source"])
            self._release()
            self._stop_epoch = stop
            self._token = None
            self._done = self._closed = False

    def close(self) -> None:
        """Stop staging and release what is ready. Closing again does nothing.

        Any thread may close; a `next` that waits in another one ends with StopIteration.
        """
        self._closed = True
        self._release()
        self._source._host.compiling.wait()  # no thread is left behind

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an iterator of batches is neither copied nor pickled: save its get_state() for "
            "another's set_state, or clone() the source, for a cursor of its own"
        )

    def _count(self, elements: int) -> int:
        full, rest = divmod(elements, self._size)
        return full + (1 if rest and self._remainder != "drop" else 0)

    def _begin(self) -> None:
        cursor = self._source._host.cursor
        self._token = cursor.begin()
        if self._stop_epoch is None:
            self._stop_epoch = cursor.epoch + self._epochs

    def _deliver(self) -> Any:
        if self._done or self._closed:  # by another thread, while this one waited for its turn
            raise StopIteration
        host = self._source._host
        host.check_open(self._source._who())
        cursor = host.cursor
        if self._token is None:
            self._begin()
        cursor.check(self._token)
        if self._pieces is None:
            self._stage()
        try:
            staged = self._next_staged()
        except BaseException:  # nothing is lost: what was staged is staged again, from the cursor
            self._release()
            raise
        if staged is None or self._is_closed():
            self._finish()
            raise StopIteration
        cursor.deliver(staged.elements)
        if staged.ends_epoch:
            cursor.finish(staged.skipped)
        return staged.batch

    def _stage(self) -> None:
        """Stage from where the cursor stands, as a pass begins or after `next` was broken off."""
        cursor = self._source._host.cursor
        many = 1
        if self._sharding is None:
            on_device = not self._source._stages_in_background()
            many = piece_batches(self._spec, self._size, on_device=on_device)
        plan = BatchPlan(self._source, self._size, self._remainder, self._sharding, many, {})
        pieces = plan.pieces(cursor.epoch, cursor.offset, self._stop_epoch or 0)
        if not self._prefetch:
            self._pieces = pieces
        elif self._source._stages_in_background():
            try:
                self._background = Background(pieces, self._prefetch)
            except RuntimeError:  # no thread can be started: each piece is made as it is asked for
                self._pieces = pieces
            else:
                self._pieces = self._background
                self._finalizer = weakref.finalize(self, self._background.let_go)
                self._finalizer.atexit = False
        else:
            self._pieces = ahead(pieces, self._prefetch)
        if self._closed:  # by another thread, before there was one of ours to stop
            self._release()

    def _next_staged(self) -> Staged | None:
        """Return the next batch; None at the end, and where another thread closes meanwhile."""
        ready, pieces = self._ready, self._pieces
        if not ready and pieces is not None:
            cursor = self._source._host.cursor
            for piece in pieces:
                if not isinstance(piece, EmptyEpoch):
                    ready.extend(piece)
                    break
                cursor.finish(piece.skipped)
        try:
            return ready.popleft()
        except IndexError:
            return None

    def _is_closed(self) -> bool:
        return self._closed  # which another thread may set at any moment

    def _finish(self) -> None:
        self._done = True
        self._release()
        self._source._host.compiling.wait()

    def _release(self) -> None:
        self._ready.clear()
        self._pieces = None
        background, self._background = self._background, None
        if background is not None:
            background.stop()
        finalizer, self._finalizer = self._finalizer, None
        if finalizer is not None:
            finalizer.detach()


def _at_the_start(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a source as it stands at the beginning of its epoch."""
    from datarax.core.data_source import CURSOR  # which imports this module

    kept = {name: value for name, value in state.items() if name != MARK}
    return {**kept, CURSOR: {**state[CURSOR], "offset": 0 * state[CURSOR]["offset"]}}
