"""`Batches`: what its thread does, how it ends, and what it counts."""

import copy
import gc
import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import datarax
from datarax.errors import CorruptDataError, SourceClosedError, StalePassError, UnknownFieldError
from datarax.sources import Field, ReaderSource, RecordReader, SourceConfig


class Failing(RecordReader):
    """Reads `size` records, and raises at record `bad`."""

    def __init__(self, size, bad=None):
        self.size, self.bad, self.read_so_far = size, bad, set()

    @property
    def fields(self):
        return {"x": Field.array(np.int32)}

    def __len__(self):
        return self.size

    def record(self, index):
        self.read_so_far.add(index)
        if index == self.bad:
            raise OSError(f"record {index} is damaged")
        return {"x": np.int32(index)}


def lazy(reader):
    return ReaderSource(SourceConfig(mode="lazy"), reader, uri="test:")


def staging():
    return [thread for thread in threading.enumerate() if thread.name == "datarax-stage"]


def ended():
    """Wait for the threads of passes that were let go; return whether they ended."""
    gc.collect()
    deadline = time.monotonic() + 20
    while staging() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not staging()


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert ended()


def place(source):
    cursor = source.get_state()["cursor"]
    return cursor["epoch"], cursor["offset"]


# The thread


@pytest.mark.parametrize("prefetch", [0, 1, 4])
def test_an_exception_of_the_reader_reaches_the_caller_after_the_batches_before_it(prefetch):
    source = lazy(Failing(200, bad=140))
    batches, delivered = source.batches(2, prefetch=prefetch), []
    with pytest.raises(OSError, match="record 140 is damaged"):
        for batch in batches:
            delivered += batch["x"].tolist()
    assert delivered == list(range(len(delivered)))
    assert 64 <= len(delivered) <= 140
    assert place(source) == (0, len(delivered))
    with pytest.raises((OSError, StopIteration)):
        next(batches)


def test_after_an_exception_another_pass_can_be_made():
    reader = Failing(8, bad=5)
    source = lazy(reader)
    with pytest.raises(OSError, match="damaged"):
        list(source.batches(4))
    reader.bad = None
    assert [batch["x"].tolist() for batch in source.batches(4)] == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_an_exception_of_the_reader_reaches_the_caller_of_scan_epoch_and_moves_nothing():
    source = lazy(Failing(8, bad=5))
    with pytest.raises(OSError, match="record 5 is damaged"):
        source.scan_epoch(lambda c, b: (c, b["x"]), 0, batch_size=4)
    assert place(source)[0] == 0


def test_the_thread_reads_only_so_far_ahead():
    reader = Failing(4000)
    batches = lazy(reader).batches(2, prefetch=1)
    next(batches)
    time.sleep(0.3)
    assert len(reader.read_so_far) <= 4 * 64
    batches.close()


def test_close_stops_the_thread_and_is_idempotent():
    batches = lazy(Failing(4000)).batches(2)
    next(batches)
    assert len(staging()) == 1
    batches.close()
    assert staging() == []
    batches.close()
    with pytest.raises(SourceClosedError, match="closed; ask for a new one"):
        next(batches)


def test_a_with_block_closes():
    with lazy(Failing(4000)).batches(2) as batches:
        next(batches)
    assert staging() == []


def test_a_loop_that_breaks_leaves_no_thread_behind():
    for _batch in lazy(Failing(4000)).batches(2):
        break
    del _batch
    assert ended()


def test_collecting_a_pass_as_garbage_does_not_wait_for_its_reader():
    """The collector may run where a lock is held that the reader waits for: it would wait for ever."""
    lock, waiting = threading.Lock(), threading.Event()

    class Locked(Failing):
        def record(self, index):
            if index == 60:
                waiting.set()
                with lock:
                    return super().record(index)
            return super().record(index)

    with lock:
        batches = lazy(Locked(4000)).batches(1)
        next(batches)
        ring = [batches]
        ring.append(ring)
        assert waiting.wait(20)
        del batches, ring
        began = time.monotonic()
        gc.collect()
        assert time.monotonic() - began < 5
        assert len(staging()) == 1  # it waits for the lock, and nobody for it


LEFT = """
import threading, time
import numpy as np
from datarax.sources import ColumnarReader, Field, ReaderSource, SourceConfig

class Waiting(ColumnarReader):
    fields = {"x": Field.array(np.int32)}
    waits = threading.Event()
    def __len__(self):
        return 4000
    def read(self, indices, names):
        if 700 in indices.tolist():
            self.waits.set()
            time.sleep(WAIT)
        return {"x": np.asarray(indices, np.int32)}
    def close(self):
        self.waits.set()

reader = Waiting()
batches = ReaderSource(SourceConfig(mode="lazy"), reader).batches(10, prefetch=4)
next(batches)
assert reader.waits.wait(20)
"""


@pytest.mark.parametrize("wait", [0.2, 600], ids=["soon", "never"])
def test_a_process_ends_quietly_in_the_middle_of_a_pass(wait):
    done = subprocess.run(
        [sys.executable, "-c", LEFT.replace("WAIT", str(wait))],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_loop_that_ends_leaves_no_thread_behind():
    list(lazy(Failing(6)).batches(2))
    assert staging() == []


def test_an_eager_source_needs_no_thread(load):
    batches = load(mode="eager").batches(2)
    next(batches)
    assert staging() == []


def test_closing_the_source_ends_its_batches(load):
    source = load(mode="lazy")
    batches = source.batches(2)
    next(batches)
    source.close()
    with pytest.raises(SourceClosedError, match="closed"):
        next(batches)
    batches.close()


# What is counted


@pytest.mark.parametrize("mode", ["eager", "lazy"])
def test_len_is_the_number_of_batches_still_to_come(load, mode):
    batches = load(11, mode=mode).batches(3, epochs=2, remainder="keep")
    left = [len(batches), *(len(batches) for _ in batches)]
    assert left == [8, 7, 6, 5, 4, 3, 2, 1, 0]


def test_asking_for_len_begins_no_pass(load):
    source = load(11)
    next(source)
    batches = source.batches(3)
    assert len(batches) == 3
    next(source)
    assert place(source) == (0, 2)


@pytest.mark.parametrize("mode", ["eager", "lazy"])
def test_a_batch_size_beyond_the_dataset_gives_no_batch_and_ends_the_epoch(load, mode):
    source = load(5, mode=mode)
    batches = source.batches(8, epochs=2)
    assert len(batches) == 0
    assert list(batches) == []
    assert place(source) == (2, 0)
    assert source.get_operation_stats() == {"applied_count": 0, "skipped_count": 10}


@pytest.mark.parametrize(("remainder", "rows"), [("keep", 5), ("pad", 8)])
def test_a_batch_size_beyond_the_dataset_gives_its_remainder(load, remainder, rows):
    source = load(5)
    (batch,) = source.batches(8, remainder=remainder)
    assert batch["x"].shape == (rows,)
    assert place(source) == (1, 0)


@pytest.mark.parametrize("mode", ["eager", "lazy"])
def test_epochs_that_are_resumed_count_the_one_begun(load, mode):
    source = load(11, mode=mode, shuffle=True)
    expected = [batch["x"].tolist() for batch in load(11, shuffle=True).batches(3, epochs=3)]
    batches = source.batches(3, epochs=3)
    found = [next(batches)["x"].tolist() for _ in range(2)]
    state = source.get_state()
    batches.close()
    restored = load(11, mode=mode, shuffle=True)
    restored.set_state(state)
    again = restored.batches(3, epochs=3)
    assert len(again) == 7
    found += [batch["x"].tolist() for batch in again]
    assert found == expected
    assert place(restored) == (3, 0)


def test_a_pass_broken_off_is_begun_anew(load):
    source = load(11)
    first = next(source.batches(3))["x"].tolist()
    assert next(source.batches(3))["x"].tolist() == first == [0, 1, 2]


def test_a_finished_iterator_stays_finished(load):
    batches = load(5).batches(2)
    assert len(list(batches)) == 2
    assert list(batches) == []
    assert len(batches) == 0


def test_an_iterator_overtaken_by_a_newer_pass_is_stale(load):
    source = load(11, mode="lazy")
    first, second = source.batches(3), source.batches(3)
    next(first)
    next(second)
    with pytest.raises(StalePassError, match="clone"):
        next(first)
    assert next(second)["x"].tolist() == [3, 4, 5]
    first.close()
    second.close()


def test_a_field_named_as_the_mask_is_refused_with_pad_alone():
    source = datarax.load("memory:", data={"valid_mask": [1, 2, 3], "x": [1, 2, 3]})
    with pytest.raises(UnknownFieldError, match=r"'valid_mask'.*exclude_keys"):
        source.batches(2, remainder="pad")
    assert len(list(source.batches(2, remainder="keep"))) == 2


@pytest.mark.parametrize("epochs", [0, -1])
def test_epochs_below_one_are_refused(load, epochs):
    with pytest.raises(ValueError, match=f"epochs .* 1 or more, got {epochs}"):
        load().batches(2, epochs=epochs)


def test_prefetch_is_a_number(load):
    for prefetch in (1.5, True, "2", None):
        with pytest.raises(TypeError, match="prefetch is a number of pieces"):
            load().batches(2, prefetch=prefetch)
    with pytest.raises(ValueError, match="prefetch is a number of pieces, 0 or more, got -1"):
        load().batches(2, prefetch=-1)
    for prefetch in (0, np.int64(2), jax.numpy.int32(2)):
        assert len(list(load(mode="lazy").batches(2, prefetch=prefetch))) == 5


@pytest.mark.parametrize("state", [{}, {"source": {}}, {"source": {}, "stop_epoch": -1}])
def test_a_state_of_another_form_is_refused(load, state):
    with pytest.raises(ValueError, match="stop_epoch"):
        load().batches(2).set_state(state)


def test_the_state_of_a_source_is_told_from_that_of_its_batches(load):
    source = load()
    with pytest.raises(ValueError, match=r"goes to source\.set_state"):
        source.batches(2).set_state(source.get_state())
    with pytest.raises(TypeError, match="a state is a dict"):
        source.batches(2).set_state(None)


@pytest.mark.parametrize("begun", [False, True])
def test_an_iterator_of_batches_is_neither_copied_nor_pickled(load, begun):
    """A copy would take batches from the same pass; the error says what to do instead."""
    batches = load().batches(4)
    if begun:
        next(batches)
    for take in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"get_state\(\).*clone\(\)"):
            take(batches)


def test_batches_are_jax_arrays_on_one_device(load):
    batch = next(load().batches(4))
    assert all(isinstance(leaf, jax.Array) for leaf in batch.values())
    assert batch["x"].devices() == {jax.devices()[0]}


@pytest.mark.long
def test_batches_are_laid_out_over_eight_devices():
    """In a process of its own, whose CPU is told to be eight devices."""
    suite = Path(__file__).with_name("eight_devices.py")
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite)],
        env={**os.environ, "XLA_FLAGS": flags.strip(), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "36 passed" in done.stdout


def test_batches_before_a_record_that_cannot_be_read_are_delivered():
    """A piece of many batches is made again one by one where a record of it is corrupt."""

    class Damaged(RecordReader):
        @property
        def fields(self):
            return {"x": Field.array(np.int32)}

        def __len__(self):
            return 1000

        def record(self, index):
            if index == 107:
                raise CorruptDataError("record 107 is damaged")
            return {"x": np.int32(index)}

    batches = ReaderSource(SourceConfig(mode="lazy"), Damaged(), uri="damaged:").batches(4)
    delivered = []
    with pytest.raises(CorruptDataError, match="107"):
        for batch in batches:
            delivered.extend(batch["x"].tolist())
    assert delivered == list(range(104))


class FailingOnce(Failing):
    """Raises the first time that it reads record `bad`."""

    def record(self, index):
        try:
            return super().record(index)
        except OSError:
            self.bad = None
            raise


@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_pass_goes_on_where_an_error_broke_it_off(prefetch):
    """It does not look complete, and loses no batch."""
    batches = lazy(FailingOnce(12, 7)).batches(3, prefetch=prefetch)
    found = [next(batches)["x"].tolist() for _ in range(2)]
    with pytest.raises(OSError, match="record 7 is damaged"):
        next(batches)
    assert len(batches) == 2
    found += [batch["x"].tolist() for batch in batches]
    assert found == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]


@pytest.mark.parametrize("prefetch", [0, 2])
def test_an_error_that_stays_is_raised_again(prefetch):
    with lazy(Failing(12, 4)).batches(3, prefetch=prefetch) as batches:
        next(batches)
        for _ in range(3):
            with pytest.raises(OSError, match="record 4"):
                next(batches)
            assert len(batches) == 3


@pytest.mark.parametrize("mode", ["eager", "lazy"])
def test_the_state_of_an_iterator_that_was_not_begun_is_the_beginning(mode):
    """Also where the pass before was broken off; one that goes on is another thing."""

    def load():
        return datarax.load("memory:", data={"x": np.arange(10, dtype=np.int32)}, mode=mode)

    source = load()
    with source.batches(3) as broken_off:
        next(broken_off)
    batches = source.batches(3)
    state = batches.get_state()
    restored = load().batches(3)
    restored.set_state(state)
    assert len(restored) == len(batches) == 3
    found = [[batch["x"].tolist() for batch in one] for one in (batches, restored)]
    assert found[0] == found[1] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


@pytest.mark.parametrize("begun", [False, True])
def test_a_pass_that_goes_on_while_the_interpreter_ends_is_served_or_told(begun):
    """It does not wait for a thread that is there no more."""
    code = f"""
import atexit
def late():
    found, rest = begun or source.batches(2), 0
    try:
        rest = sum(1 for _ in found)
    except RuntimeError as error:
        assert "ending" in str(error)
        rest = sum(1 for _ in found)
    print(rest)
atexit.register(late)
import numpy as np, datarax
source = datarax.load("memory:", data={{"n": np.arange(4000, dtype=np.int32)}}, mode="lazy")
begun = source.batches(2) if {begun} else None
if begun:
    next(begun)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert 0 < int(done.stdout) <= 2000
