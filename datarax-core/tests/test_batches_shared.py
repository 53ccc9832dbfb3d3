"""One iterator of batches, asked by several threads: each batch goes to one of them."""

import sys
import threading
import time

import numpy as np
import pytest

import datarax
from datarax.errors import SourceClosedError
from datarax.sources import Field, ReaderSource, RecordReader, SourceConfig

SIZE = 6000


@pytest.fixture(autouse=True)
def threads_take_turns_often():
    """What goes wrong between two threads goes wrong soon."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(count, work):
    """Call `work` in threads that begin at once; return what they raised, once all have ended."""
    together, raised = threading.Barrier(count), []

    def run():
        together.wait()
        try:
            work()
        except Exception as error:
            raised.append(error)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return raised


class Gated(RecordReader):
    """Waits at record `wait` until the gate opens; raises at record `bad` the first `times`."""

    def __init__(self, size, wait=None, bad=None, times=0):
        self.size, self.wait, self.bad, self.times = size, wait, bad, times
        self.waiting, self.gate = threading.Event(), threading.Event()

    @property
    def fields(self):
        return {"x": Field.array(np.int32)}

    def __len__(self):
        return self.size

    def record(self, index):
        if index == self.wait:
            self.waiting.set()
            assert self.gate.wait(60)
        if index == self.bad and self.times:
            self.times -= 1
            raise OSError(f"record {index} is damaged")
        return {"x": np.int32(index)}


def lazy(reader):
    return ReaderSource(SourceConfig(mode="lazy"), reader, uri="test:")


@pytest.mark.parametrize(
    ("mode", "prefetch"), [("lazy", 2), ("lazy", 0), ("eager", 2), ("streaming", 2)]
)
def test_each_batch_goes_to_one_thread(mode, prefetch):
    """None is delivered twice or lost, each is in order within its thread, and the pass ends."""
    data = {"x": np.arange(SIZE, dtype=np.int32)}
    with datarax.load("memory:", data=data, mode=mode) as source:
        batches, taken = source.batches(7, epochs=2, remainder="keep", prefetch=prefetch), []

        def take():
            taken.append([batch["x"].tolist() for batch in batches])

        assert in_threads(3, take) == []
        found = sorted(rows for mine in taken for batch in mine for rows in batch)
        assert found == sorted(2 * list(range(SIZE)))
        assert list(batches) == []
        cursor = source.get_state()["cursor"]
        assert (cursor["epoch"], cursor["offset"]) == (2, 0)


def test_an_error_reaches_one_thread_and_the_others_go_on():
    """What the error broke off is made again: no batch is lost to it."""
    with lazy(Gated(2000, bad=1000, times=2)) as source:
        batches, taken = source.batches(4), []

        def take():
            for batch in batches:
                taken.extend(batch["x"].tolist())

        raised = in_threads(3, take)
        assert [str(error) for error in raised] == ["record 1000 is damaged"]
        assert sorted(taken) == list(range(2000))


@pytest.mark.parametrize("prefetch", [0, 2])
def test_close_ends_every_thread_that_waits(prefetch):
    """One waits for its batch, two for their turn: none of them is left, none fails."""
    reader = Gated(2000, wait=900)
    source = lazy(reader)
    batches = source.batches(4, prefetch=prefetch)

    def take():
        for _ in batches:
            continue

    def close():
        assert reader.waiting.wait(60)
        time.sleep(0.2)  # by now each of the three waits
        threading.Timer(0.2, reader.gate.set).start()
        batches.close()

    closer = threading.Thread(target=close)
    closer.start()
    assert in_threads(3, take) == []
    closer.join(60)
    assert not closer.is_alive()
    with pytest.raises(SourceClosedError):
        next(batches)
    source.close()


def test_a_state_saved_by_another_thread_is_one_between_two_batches():
    """Epoch, offset and counts belong to one moment, also while an epoch ends."""
    with datarax.load("memory:", data={"x": np.arange(6, dtype=np.int32)}) as source:
        batches, places = source.batches(3, epochs=2000), []

        def take():
            for _ in batches:
                continue

        def save():
            while len(batches):
                places.append(batches.get_state()["source"]["cursor"])

        works = iter([take, save])
        assert in_threads(2, lambda: next(works)()) == []
        assert len(places) > 10
        assert all(at["applied"] == 6 * at["epoch"] + at["offset"] for at in places)


def test_a_reader_that_asks_for_the_batch_it_makes_is_told_not_left_waiting():
    """In the thread that is in `next` already, waiting for its turn would be waiting for ever."""

    class Circular(Gated):
        def record(self, index):
            return next(batches)

    batches = lazy(Circular(8)).batches(4, prefetch=0)
    with pytest.raises((ValueError, RuntimeError)):
        next(batches)
