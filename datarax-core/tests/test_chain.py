"""A stream reader that reads several shards as one is given all that are left of a pass."""

from __future__ import annotations

import numpy as np
import pytest

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
