"""Staging: what is made ahead of a pass, piece by piece, and the thread that makes it.

A piece is what is staged at once: one batch, or many where they are small, so that transfers and
compiled calls are large. A source on the host stages in a background thread; one on the device
dispatches ahead and needs none.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import jax

from datarax.core.ending import Ending
from datarax.sources.stopping import staging
from datarax.transfer import CUT_AT_ONCE, Placement, assemble, pad_rows, to_device

if TYPE_CHECKING:
    from datarax.core.data_source import DataSourceModule

MASK = "valid_mask"
PIECE_BYTES = 8 * 2**20
PIECE_BATCHES = 32
GATHERED_AT_ONCE = 8
"""Batches that one program gathers on the device: it runs no slower than one for 32, which takes
twice as long to compile."""

_LOOK_SECONDS = 0.5
"""After so long without a piece a consumer looks whether the thread is still there."""

_threads = Ending(seconds=5.0)
"""The threads that stage. One whose reader waits for what does not come is left behind."""

Remainder = Literal["drop", "pad", "keep"]


class Staged(NamedTuple):
    """A batch, and how the cursor moves when it is delivered."""

    batch: Any
    elements: int
    ends_epoch: bool = False
    skipped: int = 0


class EmptyEpoch(NamedTuple):
    """An epoch that delivers no batch: the cursor moves past its elements all the same."""

    skipped: int


Piece = list[Staged] | EmptyEpoch


class Stack(NamedTuple):
    """Batches for one program to scan over.

    Attributes:
        leaves: Arrays of shape (many, size, ...), of which the first `batches` are batches and the
            rest anything; None where there is no batch.
        batches: How many.
        rest: Behind the last batch, the elements of the epoch that fill none.
        buffers: The host memory that the arrays may lie in, or None.
    """

    leaves: Any
    batches: int
    rest: int
    buffers: Any = None


class BatchPlan(NamedTuple):
    """How batches are made of a source's epochs; holds no iterator, so that a thread may keep it.

    Attributes:
        source: Where from.
        size: Elements of each batch.
        remainder: What becomes of an epoch's last elements.
        sharding: How batches lie over devices, or None.
        many: Batches of a piece.
        scratch: What the source keeps from one piece to the next.
    """

    source: DataSourceModule
    size: int
    remainder: Remainder
    sharding: Placement
    many: int
    scratch: dict[Any, Any]

    def pieces(self, epoch: int, offset: int, stop: int) -> Iterator[Piece]:
        """Yield the pieces from (epoch, offset) to the beginning of epoch `stop`."""
        # The first batch comes alone: it is there before the program that makes many is compiled.
        alone = self.source._stages_in_background()
        while epoch < stop:
            length = self.source._known_length()
            if self.source._is_forward_only() or length is None:
                yield from self._streamed(epoch, offset)
            else:
                yield from self._indexed(epoch, offset, length, alone=alone)
            epoch, offset, alone = epoch + 1, 0, False

    def _indexed(self, epoch: int, offset: int, length: int, *, alone: bool) -> Iterator[Piece]:
        full, rest = divmod(length - offset, self.size)
        tail = rest and self.remainder != "drop"
        if not full and not tail:
            yield EmptyEpoch(rest)
        many = self.many
        while full:
            count = many if full >= many and not alone else 1
            alone = False
            try:
                batches = self._stage(epoch, offset, self.size, count)
            except Exception:
                if count == 1:
                    raise
                many = 1  # what can be read is delivered, batch by batch, up to what cannot
                continue
            full -= count
            offset += count * self.size
            piece = [Staged(batch, self.size) for batch in batches]
            if not full and not tail:
                piece[-1] = piece[-1]._replace(ends_epoch=True, skipped=rest)
            yield piece
        if tail:
            batch = self._stage(epoch, offset, rest, 1)[0]
            yield [Staged(batch, rest, ends_epoch=True)]

    def _stage(self, epoch: int, offset: int, size: int, count: int) -> list[Any]:
        source, sharding = self.source, self.sharding
        if sharding is None or (source._on_device() and sharding.is_fully_addressable):
            batches = source._stage(epoch, offset, size, count, self.scratch)
            if self.remainder == "pad":
                batches = [pad_rows(batch, self.size, MASK) for batch in batches]
            return (
                batches if sharding is None else [to_device(batch, sharding) for batch in batches]
            )
        total = self.size if self.remainder == "pad" else size
        mask = MASK if self.remainder == "pad" else None
        read_rows = source._row_reader(epoch, offset, size)
        return [assemble(sharding, total, size, source.element_spec(), read_rows, mask)]

    def _streamed(self, epoch: int, offset: int) -> Iterator[Piece]:
        held: Staged | None = None
        skipped = 0
        try:
            for batch, elements in self.source._stream_batches(epoch, offset, self.size, self.many):
                if elements < self.size and self.remainder == "drop":
                    skipped = elements
                    break
                if held is not None:
                    yield [held]
                padded = batch if self.remainder != "pad" else pad_rows(batch, self.size, MASK)
                held = Staged(
                    padded if self.sharding is None else to_device(padded, self.sharding), elements
                )
        except Exception:
            if held is not None:
                yield [held]
            raise
        if held is None:
            yield EmptyEpoch(skipped)
        else:
            yield [held._replace(ends_epoch=True, skipped=skipped)]


class Background:
    """Runs an iterator in a thread, holding `ahead` of its items ready; hands on its exception."""

    def __init__(self, pieces: Iterator[Any], ahead: int) -> None:
        self._ready: queue.Queue[tuple[str, Any]] = queue.Queue(ahead)
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=_produce,
            args=(pieces, self._ready, self._stopped),
            name="datarax-stage",
            daemon=True,
        )
        _threads.start(self._thread, self._stopped.set)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        kind, value = self._item()
        if kind == "piece":
            return value
        with contextlib.suppress(queue.Full):  # for the `next` behind it, unless it was stopped
            self._ready.put_nowait((kind, value))
        if kind == "end":
            raise StopIteration
        raise value

    def stop(self) -> None:
        """Stop the thread and wait for it; what it holds is let go."""
        self._stopped.set()
        while self._thread.is_alive():
            try:
                self._ready.get_nowait()
            except queue.Empty:
                self._thread.join(0.01)
        with contextlib.suppress(queue.Empty):
            while True:  # an error, too, whose traceback holds the pass
                self._ready.get_nowait()
        with contextlib.suppress(queue.Full):  # a consumer in another thread must not wait on
            self._ready.put_nowait(("end", None))

    def _item(self) -> tuple[str, Any]:
        """Return what is ready next, waiting for it as long as the thread may bring it.

        Raises:
            RuntimeError: If the thread was stopped, as all are when the interpreter ends.
        """
        while True:
            alive = self._thread.is_alive()
            try:
                return self._ready.get(timeout=_LOOK_SECONDS if alive else 0)
            except queue.Empty:
                if not alive:
                    raise RuntimeError("staging was stopped: the interpreter is ending") from None

    def let_go(self) -> None:
        """Tell the thread to stop, and wait for nothing: for the garbage collector.

        It may run in any thread and at any moment: in this very one as it holds the queue's lock,
        or in one that holds, inside JAX, a lock for which this one waits.
        """
        self._stopped.set()


def ahead(pieces: Iterator[Piece], count: int) -> Iterator[Piece]:
    """Yield the first piece at once, and each other made when the one `count` before is taken."""
    yield from itertools.islice(pieces, 1)
    held: deque[Piece] = deque()
    for piece in pieces:
        held.append(piece)
        if len(held) > count:
            yield held.popleft()
    while held:
        yield held.popleft()


def piece_batches(spec: Any, size: int, *, on_device: bool = False) -> int:
    """Return how many batches of `size` elements of `spec` make a piece."""
    element = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(spec))
    most = GATHERED_AT_ONCE if on_device else PIECE_BATCHES
    most = max(1, min(most, PIECE_BYTES // max(1, int(element) * size)))
    return most - most % CUT_AT_ONCE if most > CUT_AT_ONCE else most


def _produce(
    pieces: Iterator[Any],
    ready: queue.Queue[tuple[str, Any]],
    stopped: threading.Event,
) -> None:
    try:
        with staging(stopped):
            for piece in pieces:
                _put(ready, ("piece", piece), stopped)
                if stopped.is_set():
                    return
        _put(ready, ("end", None), stopped)
    except BaseException as error:  # noqa: BLE001  # whatever it is belongs to the consumer
        _put(ready, ("error", error), stopped)


def _put(
    ready: queue.Queue[tuple[str, Any]], item: tuple[str, Any], stopped: threading.Event
) -> None:
    while not stopped.is_set():
        try:
            ready.put(item, timeout=0.05)
        except queue.Full:
            continue
        return
