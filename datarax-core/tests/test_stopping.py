"""Closing a pass while its reader waits for what does not come."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from datarax.errors import SourceClosedError
from datarax.sources import (
    Field,
    MemoryReader,
    ReaderSource,
    SourceConfig,
    pass_closed,
    recycled,
)


class WaitingStream:
    """One record, and then nothing until somebody gives up."""

    fields = {"x": Field.array(np.int32)}  # noqa: RUF012  # read only
    shards = (None,)

    def __init__(self):
        self.waits = threading.Event()

    def stream(self, shard, offset, names):
        yield {"x": np.arange(1, dtype=np.int32)}
        while not pass_closed():
            self.waits.set()
            time.sleep(0.005)
        raise ConnectionAbortedError("nobody waits for it any more")

    def close(self):
        self.waits.set()


def test_a_reader_that_waits_learns_that_its_pass_was_closed():
    reader = WaitingStream()
    with ReaderSource(SourceConfig(mode="streaming"), reader) as source:
        batches = source.batches(2)
        closing = threading.Thread(target=lambda: (reader.waits.wait(), batches.close()))
        closing.start()
        began = time.monotonic()
        with pytest.raises(StopIteration):
            next(batches)
        closing.join()
        assert time.monotonic() - began < 5
        assert not pass_closed()


class ClosedAtOnce(WaitingStream):
    """Has its pass closed as soon as the thread of that begins."""

    def stream(self, shard, offset, names):
        self.batches.close()
        yield from super().stream(shard, offset, names)


def test_a_pass_may_be_closed_before_it_has_begun():
    """By the thread that stages, which runs before the one that started it is told so."""
    reader = ClosedAtOnce()
    interval = sys.getswitchinterval()
    with ReaderSource(SourceConfig(mode="streaming"), reader) as source:
        reader.batches = source.batches(2)
        sys.setswitchinterval(5)
        try:
            with pytest.raises(StopIteration):
                next(reader.batches)
        finally:
            sys.setswitchinterval(interval)
        with pytest.raises(SourceClosedError):
            next(reader.batches)


@pytest.mark.parametrize("turn", range(20))
def test_a_pass_may_be_closed_at_any_moment(turn):
    """A pass that is read in one thread, and closed in another a moment later."""
    with ReaderSource(SourceConfig(mode="lazy"), MemoryReader({"x": np.arange(200_000)})) as source:
        batches = source.batches(1)
        closing = threading.Timer(turn * 0.001, batches.close)
        closing.start()
        seen = []
        try:
            seen += [int(batch["x"][0]) for batch in batches]
        except SourceClosedError:
            seen += []
        closing.join()
        assert seen == list(range(len(seen)))
        assert len(seen) < 200_000


def test_outside_of_a_pass_nothing_is_closed():
    assert not pass_closed()


LEFT = """
import time
import numpy as np
from datarax.sources import Field, ReaderSource, SourceConfig

class Slow:
    fields = {"x": Field.array(np.int32)}
    shards = (None,)

    def stream(self, shard, offset, names):
        try:
            for number in range(10**6):
                yield {"x": np.full(1, number, np.int32)}
        finally:
            time.sleep(0.5)
            print("ended", flush=True)

    def close(self):
        print("closed", flush=True)

source = ReaderSource(SourceConfig(mode="streaming"), Slow())
for batch in source.batches(2):
    raise KeyError("no more")
"""


def test_a_pass_that_an_exception_left_ends_before_the_interpreter():
    """All of it: a thread that lets go of arrays as JAX is torn down ends the process."""
    done = subprocess.run(
        [sys.executable, "-c", LEFT], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("KeyError: 'no more'")
    assert "ended" in done.stdout


def test_a_source_that_is_closed_keeps_no_memory_of_its_batches(monkeypatch):
    """Not that of a batch which its thread began to read meanwhile either."""
    monkeypatch.setattr(recycled, "LEAST_BYTES", 1)
    for _ in range(20):
        data = {"x": np.zeros((64, 4), np.float32)}
        source = ReaderSource(SourceConfig(mode="lazy"), MemoryReader(data))
        batches = source.batches(1, prefetch=8, epochs=50)
        next(batches)
        reading = source._recycled
        source.close()
        assert reading() is not None
        assert source._host.recycled is None
        batches.close()
