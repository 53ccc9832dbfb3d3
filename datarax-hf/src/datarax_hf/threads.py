"""Threads that decode: one pool for a process, made on first use, gone with its last user.

A pool is never pickled, and one that a fork left behind is never used: its threads stayed with the
parent.
"""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any, TypeVar

Piece = TypeVar("Piece")
Made = TypeVar("Made")

_lock = threading.Lock()
_within = threading.local()
_shared: tuple[int, weakref.ref[ThreadPoolExecutor]] | None = None


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_pool() -> bool:
    """Return whether this is a thread of the pool, where the other cores have work of their own."""
    return getattr(_within, "pool", False)


class Threads:
    """The right to use the pool of the process, from the first `each` to `close`."""

    def __init__(self) -> None:
        self._held: tuple[int, ThreadPoolExecutor] | None = None

    def each(self, work: Callable[[Piece], Any], pieces: Sequence[Piece]) -> None:
        """Call `work` with each piece, on all cores; work of the pool does its own pieces itself.

        The thread that asks takes pieces as the others do, which are slow to wake; each takes the
        next one as it is done with its last, so that none is left with more than the others.

        Raises:
            Exception: What `work` raises for the first of the pieces for which it raises.
        """
        if len(pieces) < 2 or cores() < 2 or in_pool():
            for piece in pieces:
                work(piece)
            return
        taken = _Taken(work, pieces)
        helpers: list[Future[None]] = []
        try:
            # The interpreter that is shutting down starts no thread any more.
            with suppress(RuntimeError):
                pool = self._pool()
                for _ in range(1, min(cores(), len(pieces))):
                    helpers += [pool.submit(taken.run)]
            _within.pool = True
            try:
                taken.run()
            finally:
                _within.pool = False
        finally:
            taken.stop()
            wait([helper for helper in helpers if not helper.cancel()])
        taken.raise_first()

    def in_order(
        self, work: Callable[[Piece], Made], pieces: Iterable[Piece], *, most: int
    ) -> Generator[Made, None, None]:
        """Yield what `work` makes of each piece, in order, while others make those that follow.

        At most `most` are begun and not consumed at a time. A generator: close it where it is left.

        Raises:
            Exception: What `work` raises for a piece, where that is due.
        """
        if most < 2 or cores() < 2 or in_pool():
            yield from map(work, pieces)
            return
        pool, left = self._pool(), iter(pieces)
        begun: deque[Future[Made]] = deque()
        try:
            while True:
                for piece in itertools.islice(left, most - len(begun)):
                    begun.append(_submitted(pool, work, piece))
                if not begun:
                    return
                yield begun[0].result()
                begun.popleft()
        finally:
            for future in begun:
                future.cancel()

    def close(self) -> None:
        """Let the pool go; its threads end when nobody holds it. Another `each` takes it again."""
        self._held = None

    def __reduce__(self) -> tuple[type[Threads], tuple[()]]:
        return Threads, ()

    def _pool(self) -> ThreadPoolExecutor:
        held = self._held
        if held is None or held[0] != os.getpid():
            held = self._held = (os.getpid(), _pool_of_the_process())
        return held[1]


class _Taken:
    """Pieces that threads take one after another, until one of them fails."""

    def __init__(self, work: Callable[[Any], Any], pieces: Sequence[Any]) -> None:
        self._work = work
        self._pieces = pieces
        self._next = 0
        self._failed: dict[int, BaseException] = {}
        self._lock = threading.Lock()

    def run(self) -> None:
        """Do the next piece, until there is none left to take."""
        while True:
            with self._lock:
                number = self._next
                self._next += 1
            if number >= len(self._pieces):
                return
            try:
                self._work(self._pieces[number])
            except BaseException as error:  # noqa: BLE001  # it belongs to who asked
                self._failed[number] = error
                self.stop()

    def stop(self) -> None:
        """Let no piece be taken any more."""
        with self._lock:
            self._next = len(self._pieces)

    def raise_first(self) -> None:
        """Raise what the first piece that failed raised: those before it were taken before it.

        What is no `Exception`, as an interrupt is not, goes before all others.
        """
        failed = sorted(self._failed.items(), key=_urgency)
        self._failed.clear()
        if failed:
            try:
                raise failed[0][1]
            finally:
                failed.clear()  # an error and its frames hold each other no longer


def _urgency(failed: tuple[int, BaseException]) -> tuple[bool, int]:
    number, error = failed
    return isinstance(error, Exception), number


def _pool_of_the_process() -> ThreadPoolExecutor:
    global _shared  # noqa: PLW0603  # one pool for a process
    with _lock:
        pool = _shared[1]() if _shared is not None and _shared[0] == os.getpid() else None
        if pool is None:
            pool = ThreadPoolExecutor(cores(), "datarax-decode", initializer=_enter)
            _fill(pool)
            _shared = (os.getpid(), weakref.ref(pool))
        return pool


def _fill(pool: ThreadPoolExecutor) -> None:
    """Start all threads of a pool: by itself it starts one as work finds none idle, at any time."""
    here = threading.Barrier(cores())
    try:
        for _ in range(cores()):
            pool.submit(_meet, here)
    except RuntimeError:  # the interpreter is shutting down, and starts no thread any more
        here.abort()


def _meet(others: threading.Barrier) -> None:
    with suppress(threading.BrokenBarrierError):
        others.wait()


def _submitted(
    pool: ThreadPoolExecutor, work: Callable[[Piece], Made], piece: Piece
) -> Future[Made]:
    try:
        return pool.submit(work, piece)
    except RuntimeError:  # the interpreter is shutting down, and starts no thread any more
        done: Future[Made] = Future()
        done.set_result(work(piece))
        return done


def _enter() -> None:
    """Mark a thread as one of the pool: were it to wait for others, all might wait."""
    _within.pool = True


def _forget() -> None:
    """Begin anew in the child of a fork, whatever thread held the lock in the parent."""
    global _lock, _shared
    _lock, _shared = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
