"""Closing a pass while its reader waits for what does not come."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from datarax.sources import Field, ReaderSource, SourceConfig, pass_closed


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


def test_outside_of_a_pass_nothing_is_closed():
    assert not pass_closed()
