"""A stream reader that reads several shards as one is given all that are left of a pass."""

from __future__ import annotations

import json

import numpy as np
import pytest

from datarax.errors import StateMismatchError
from datarax.sources import Field, ReaderSource, SourceConfig

SIZES = (3, 5, 2, 4)


class Chain:
    """Shards of numbers; `asked` holds what was asked for."""

    fields = {"x": Field.array(np.int32)}  # noqa: RUF012  # read only

    def __init__(self, shards=SIZES):
        self.shards = shards
        self.asked = []

    def stream(self, shard, offset, names):
        self.asked.append((shard, offset))
        begin = sum(SIZES[:shard])
        for x in range(begin + offset, begin + SIZES[shard]):
            yield {"x": np.array([x], np.int32)}

    def chain(self, shards, offset, names):
        self.asked.append((tuple(shards), offset))
        for shard in shards:
            begin, left_out = sum(SIZES[:shard]), min(offset, SIZES[shard])
            offset -= left_out
            if left_out < SIZES[shard]:
                yield {"x": np.arange(begin + left_out, begin + SIZES[shard], dtype=np.int32)}

    def close(self):
        self.asked.append("close")


def read(source):
    return [int(element["x"]) for element in source]


@pytest.mark.parametrize("shards", [SIZES, (3, None, 2, None)])
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_chain_is_resumed_at_every_record(shards, shuffle):
    config = SourceConfig(
        mode="streaming", shuffle=shuffle, seed=1, shuffle_window=3 if shuffle else None
    )
    source = ReaderSource(config, Chain(shards))
    passed = [(int(element["x"]), source.get_state()) for element in source]
    whole = [number for number, _ in passed]
    assert sorted(whole) == list(range(sum(SIZES)))
    for taken, (_, state) in enumerate(passed[:-1]):
        restored = ReaderSource(config, Chain(shards))
        restored.set_state(state)
        assert read(restored) == whole[taken + 1 :]


def test_the_shards_that_are_left_are_asked_for_at_once():
    reader = Chain()
    source = ReaderSource(SourceConfig(mode="streaming"), reader)
    read(source)
    assert reader.asked == [((0, 1, 2, 3), 0)]
    for _ in range(4):
        next(source)
    restored = ReaderSource(SourceConfig(mode="streaming"), reader)
    restored.set_state(source.get_state())
    del reader.asked[:]
    assert read(restored) == list(range(4, 14))
    assert reader.asked == [((1, 2, 3), 1)]


def test_a_chain_that_does_not_know_its_shards_is_told_all_that_is_left_out():
    reader = Chain((3, None, 2, None))
    source = ReaderSource(SourceConfig(mode="streaming"), reader)
    for _ in range(9):
        next(source)
    restored = ReaderSource(SourceConfig(mode="streaming"), reader)
    restored.set_state(source.get_state())
    del reader.asked[:]
    assert read(restored) == list(range(9, 14))
    assert reader.asked == [((1, 2, 3), 6)]


class Marking(Chain):
    """One that notes where it stood."""

    def __init__(self, shards=(None,) * 4):
        super().__init__(shards)
        self.taken = []

    def mark_at(self, shards, offset):
        return {"shards": list(shards), "offset": offset} if offset else None

    def take_mark(self, mark):
        if set(mark) != {"shards", "offset"}:
            raise ValueError(f"no mark: {mark}")
        self.taken.append(mark)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_state_carries_the_mark_of_where_reading_begins(shuffle):
    config = SourceConfig(
        mode="streaming", shuffle=shuffle, seed=1, shuffle_window=3 if shuffle else None
    )
    source = ReaderSource(config, Marking())
    assert "stream_mark" not in source.get_state()
    whole = read(source.clone())
    for _ in range(8):
        next(source)
    state = json.loads(json.dumps(source.get_state()))
    # A window is read from its beginning, whatever was delivered of it.
    assert state["stream_mark"]["offset"] == (6 if shuffle else 8)
    reader = Marking()
    restored = ReaderSource(config, reader)
    restored.set_state(state)
    assert reader.taken == [state["stream_mark"]]
    assert read(restored) == whole[8:]
    (asked,) = reader.asked
    assert asked == (tuple(state["stream_mark"]["shards"]), state["stream_mark"]["offset"])
    source.close()
    assert source.get_state() == state


def test_shards_that_know_their_lengths_are_left_out_of_a_mark():
    source = ReaderSource(SourceConfig(mode="streaming"), Marking((3, 5, None, None)))
    for _ in range(9):
        next(source)
    assert source.get_state()["stream_mark"] == {"shards": [2, 3], "offset": 1}


@pytest.mark.parametrize("mark", [{"other": 1}, 7, None, []])
def test_a_damaged_mark_changes_nothing(mark):
    source = ReaderSource(SourceConfig(mode="streaming"), Marking())
    for _ in range(9):
        next(source)
    state = source.get_state()
    with pytest.raises(StateMismatchError, match="stream_mark"):
        source.set_state({**state, "stream_mark": mark, "cursor": {**state["cursor"], "offset": 2}})
    assert source.get_state() == state


def test_a_reader_that_takes_no_mark_goes_on_without():
    marked = ReaderSource(SourceConfig(mode="streaming"), Marking())
    for _ in range(9):
        next(marked)
    plain = ReaderSource(SourceConfig(mode="streaming"), Chain((None,) * 4))
    plain.set_state(marked.get_state())
    assert read(plain) == list(range(9, 14))
