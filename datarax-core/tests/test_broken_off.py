"""Passes that an error breaks off: what came before is delivered, and `next` goes on from there."""

import contextlib
import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

from datarax.errors import CorruptDataError, StalePassError
from datarax.sources import Field, IndexedStream, ReaderSource, RecordReader, SourceConfig

SIZE = 3000


class Damaged(RecordReader):
    """Numbers, of which record `bad` cannot be read: at all, or the first `times` times."""

    def __init__(self, bad, times=None):
        self.bad, self.times = bad, times

    @property
    def fields(self):
        return {"x": Field.array(np.int32)}

    def __len__(self):
        return SIZE

    def record(self, index):
        self.fail([index])
        return {"x": np.int32(index)}

    def fail(self, indices):
        if self.bad in indices and self.times != 0:
            self.times = None if self.times is None else self.times - 1
            raise OSError(f"record {self.bad} is damaged")


class DamagedStream:
    """The same forward only, in pieces of 7."""

    def __init__(self, bad, times=None, *, counted=True):
        self._reader, self._counted = Damaged(bad, times), counted

    @property
    def fields(self):
        return self._reader.fields

    @property
    def shards(self):
        return (SIZE if self._counted else None,)

    def stream(self, shard, offset, names):
        for begin in range(offset - offset % 7, SIZE, 7):
            numbers = np.arange(max(begin, offset), min(begin + 7, SIZE), dtype=np.int32)
            self._reader.fail(numbers.tolist())
            yield {"x": numbers}

    def close(self):
        self.bad = None


KINDS = {
    "lazy": Damaged,
    "streaming": DamagedStream,
    "uncounted": lambda *args: DamagedStream(*args, counted=False),
}


def source(kind, *args):
    mode = "lazy" if kind == "lazy" else "streaming"
    return ReaderSource(SourceConfig(mode=mode), KINDS[kind](*args), uri="test:")


def place(source):
    cursor = source.get_state()["cursor"]
    return cursor["epoch"], cursor["offset"]


def readable(kind, bad):
    """Return how many records lie before the first that cannot be read; streams read by sevens."""
    return bad if kind == "lazy" else bad - bad % 7


@pytest.mark.parametrize("bad", [0, 1, 1029, 2998])
@pytest.mark.parametrize("kind", KINDS)
def test_elements_before_a_damaged_record_are_delivered(kind, bad):
    """All of them, although they are read by the thousand."""
    numbers, elements = source(kind, bad), []
    with pytest.raises(OSError, match=f"record {bad} is damaged"):
        elements.extend(int(element["x"]) for element in numbers)
    assert elements == list(range(readable(kind, bad)))
    assert place(numbers) == (0, readable(kind, bad))


@pytest.mark.parametrize("remainder", ["drop", "keep", "pad"])
@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_whole_batches_before_a_damaged_record_are_delivered(kind, prefetch, remainder):
    """None of them in part."""
    numbers, delivered = source(kind, 1029), []
    batches = numbers.batches(4, prefetch=prefetch, remainder=remainder)
    with pytest.raises(OSError, match="record 1029 is damaged"):
        delivered.extend(batch["x"].tolist() for batch in batches)
    due = readable(kind, 1029) // 4 * 4
    assert delivered == np.arange(due).reshape(-1, 4).tolist()
    assert place(numbers) == (0, due)


@pytest.mark.parametrize("step", ["iter", "next"])
@pytest.mark.parametrize("kind", KINDS)
def test_elements_go_on_where_an_error_broke_them_off(kind, step):
    """At the next `next`, by the same pass: it does not look complete, and loses nothing."""
    numbers = source(kind, 1029, 2)
    begun = iter(numbers) if step == "iter" else numbers
    elements, failures = [], 0
    while True:
        try:
            elements.append(int(next(begun)["x"]))
        except OSError:
            failures += 1
        except StopIteration:
            break
    assert failures == (1 if kind == "lazy" else 2)  # lazy reads a piece again, one by one
    assert elements == list(range(SIZE))
    assert place(numbers) == (1, 0)
    assert int(next(numbers)["x"]) == 0


@pytest.mark.parametrize("step", ["iter", "next"])
def test_an_error_that_stays_is_raised_each_time(step):
    numbers = source("lazy", 2)
    begun = iter(numbers) if step == "iter" else numbers
    assert [int(next(begun)["x"]) for _ in range(2)] == [0, 1]
    for _ in range(3):
        with pytest.raises(OSError, match="record 2"):
            next(begun)
        assert place(numbers) == (0, 2)


def test_a_pass_that_is_stale_stays_so():
    """It was told to go on with the newer one, and does not end as if it were whole."""
    numbers = source("lazy", None)
    old = iter(numbers)
    next(old)
    next(iter(numbers))
    for _ in range(2):
        with pytest.raises(StalePassError):
            next(old)


def test_a_record_that_was_read_again_does_not_slow_the_pieces_behind_it():
    """Only its own piece is read one by one."""
    numbers = source("lazy", 5, 1)
    sizes = []
    read = numbers.reader.__getitems__

    def counted(indices):
        sizes.append(len(indices))
        return read(indices)

    numbers.reader.__getitems__ = counted
    assert [int(element["x"]) for element in numbers] == list(range(SIZE))
    assert sizes[-1] > 1


class Wide(RecordReader):
    """Numbers of 64 bits, of which one does not fit into the 32 of its array."""

    @property
    def fields(self):
        return {"x": Field.array(np.int64)}

    def __len__(self):
        return SIZE

    def record(self, index):
        return {"x": np.int64(2**40 if index == 1029 else index)}


class WideStream:
    """The same forward only."""

    fields, shards = Wide.fields, (SIZE,)

    def stream(self, shard, offset, names):
        for begin in range(offset, SIZE, 700):
            numbers = np.arange(begin, min(begin + 700, SIZE))
            yield {"x": np.where(numbers == 1029, 2**40, numbers)}

    def close(self):
        self.closed = True


@pytest.mark.parametrize("reader", [Wide, WideStream])
def test_what_comes_before_a_value_that_does_not_fit_is_delivered(reader):
    """The record can be read, and cannot be placed."""
    mode = "lazy" if reader is Wide else "streaming"
    numbers = ReaderSource(SourceConfig(mode=mode), reader(), uri="test:")
    elements, batched = [], []
    with pytest.raises(ValueError, match="'x'"):
        elements.extend(int(element["x"]) for element in numbers)
    with pytest.raises(ValueError, match="'x'"):
        batched.extend(batch["x"].tolist() for batch in numbers.batches(4))
    assert elements == list(range(1029))
    assert batched == np.arange(1028).reshape(-1, 4).tolist()


@pytest.mark.parametrize("bad", [0, 5, 1029, 2998])
@pytest.mark.parametrize("size", [4, 128, 1000])
@pytest.mark.parametrize("kind", KINDS)
def test_an_epoch_in_one_program_is_never_shorter_than_it_is(kind, size, bad):
    """A damaged record is an error, wherever it lies within a batch, and not the end."""

    def add(total, batch):
        return total + batch["x"].sum(), None

    numbers, whole = source(kind, bad), SIZE // size * size
    if bad >= whole and kind == "lazy":  # what is left out is not read
        total, _ = numbers.scan_epoch(add, np.int32(0), batch_size=size)
        assert int(total) == sum(range(whole))
        return
    with pytest.raises(OSError, match=f"record {bad} is damaged"):
        numbers.scan_epoch(add, np.int32(0), batch_size=size)


class Misshapen:
    """Good pieces of 10 records, and a third one that is `odd`."""

    shards = (50,)

    def __init__(self, odd):
        self._odd = odd

    @property
    def fields(self):
        return {"x": Field.array(np.int32, (2,)), "y": Field.array(np.int32)}

    def stream(self, shard, offset, names):
        for begin in range(offset, 50, 10):
            y = np.arange(begin, begin + 10, dtype=np.int32)
            piece = {"x": np.stack([y, y], 1), "y": y}
            yield {**piece, **self._odd} if begin == 20 else piece

    def close(self):
        self.closed = True


ODD = {
    "shorter": ({"y": np.zeros(9, np.int32)}, "columns of different lengths: {'x': 10, 'y': 9}"),
    "wider": ({"y": np.zeros(10, np.int64)}, r"int64\[10\] for 'y', and declares int32\[10\]"),
    "shaped": ({"x": np.zeros((10, 1), np.int32)}, r"int32\[10, 1\] for 'x', and declares"),
}


@pytest.mark.parametrize("odd", ODD)
def test_a_piece_of_a_stream_that_is_not_as_declared_spoils_no_other(odd):
    """What came before is delivered, and of the odd one nothing."""
    piece, said = ODD[odd]
    numbers = ReaderSource(SourceConfig(mode="streaming"), Misshapen(piece), uri="test:")
    elements, batched = [], []
    with pytest.raises(CorruptDataError, match=said):
        elements.extend((element["x"].tolist(), int(element["y"])) for element in numbers)
    with pytest.raises(CorruptDataError, match=said):
        batched.extend(batch["y"].tolist() for batch in numbers.batches(4))
    assert elements == [([y, y], y) for y in range(20)]
    assert batched == np.arange(20).reshape(-1, 4).tolist()


class FailingAtTheEnd(DamagedStream):
    """Fails behind its last record, once: as where a checksum follows."""

    def stream(self, shard, offset, names):
        yield from super().stream(shard, offset, names)
        if self._reader.times:
            self._reader.times -= 1
            raise OSError("the checksum is missing")


@pytest.mark.parametrize("remainder", ["drop", "keep"])
def test_a_state_behind_the_last_record_of_a_stream_is_restored(remainder):
    """The epoch is not over there, and nothing of it is left."""
    numbers = ReaderSource(SourceConfig(mode="streaming"), FailingAtTheEnd(None, 1), uri="test:")
    batches = numbers.batches(10, remainder=remainder, epochs=2)
    with pytest.raises(OSError, match="checksum"):
        for _ in range(SIZE // 10 + 1):
            next(batches)
    state = batches.get_state()
    assert place(numbers) == (0, SIZE)
    for left in (batches, numbers.clone().batches(10, remainder=remainder, epochs=2)):
        left.set_state(state)
        assert next(left)["x"].tolist() == list(range(10))
        left.close()


@pytest.mark.parametrize("mode", ["lazy", "streaming"])
def test_a_value_that_is_cut_is_counted_once(mode):
    """Also where its piece is made again."""

    class Texts(RecordReader):
        @property
        def fields(self):
            return {"n": Field.array(np.int64), "t": Field.text()}

        def __len__(self):
            return 200

        def record(self, index):
            return {"n": np.int64(2**40 if index == 99 else index), "t": "long"}

    reader = Texts() if mode == "lazy" else IndexedStream(Texts())
    config = SourceConfig(mode=mode, pad={"t": 2}, overflow="cut")
    with pytest.raises(ValueError, match="'n'"):
        for _ in (numbers := ReaderSource(config, reader, uri="test:")):
            pass
    assert numbers.cuts == {"t": 99}


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_pass_that_an_error_broke_off_holds_nothing(kind, prefetch):
    """Neither the source nor its reader outlive it: the error's traceback names them all."""
    for _ in range(2):
        numbers = source(kind, 5)
        batches = numbers.batches(4, prefetch=prefetch)
        with pytest.raises(OSError, match="damaged"):
            list(batches)
        gone = [weakref.ref(one) for one in (batches, numbers, numbers.reader)]
        del batches, numbers
        gc.collect()
    assert [ref() for ref in gone] == [None] * 3


def test_a_pass_over_elements_can_be_closed_and_not_be_copied():
    """As a generator can: what it holds is let go, and no other pass is touched."""
    numbers = source("lazy", None)
    with contextlib.closing(iter(numbers)) as begun:
        assert int(next(begun)["x"]) == 0
        for copied in (copy.copy, pickle.dumps):
            with pytest.raises(TypeError, match="a pass cannot be"):
                copied(begun)
    assert list(begun) == []
    assert place(numbers) == (0, 1)
    assert int(next(numbers)["x"]) == 0
    newer = iter(numbers)
    begun.close()
    assert int(next(newer)["x"]) == 0


def test_a_stale_pass_over_less_than_was_declared_stays_stale():
    class Short(DamagedStream):
        def stream(self, shard, offset, names):
            yield {"x": np.arange(offset, 3, dtype=np.int32)}

    numbers = ReaderSource(SourceConfig(mode="streaming"), Short(None), uri="test:")
    old = iter(numbers)
    for _ in range(3):
        next(old)
    next(iter(numbers))
    for _ in range(3):
        with pytest.raises(StalePassError):
            next(old)


def test_a_pass_over_elements_that_is_dropped_is_let_go_at_once():
    """With what it reads from; no collector has to come by."""
    closed = []

    class Told(DamagedStream):
        def stream(self, shard, offset, names):
            try:
                yield from super().stream(shard, offset, names)
            finally:
                closed.append(offset)

    numbers = ReaderSource(SourceConfig(mode="streaming"), Told(None), uri="test:")
    gc.disable()
    try:
        begun = iter(numbers)
        next(begun)
        iter(numbers)  # the one that `next(numbers)` would go on with
        del begun
        assert closed == [0]
    finally:
        gc.enable()
