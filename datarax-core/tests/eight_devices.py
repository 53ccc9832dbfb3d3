"""Sharded batches on eight CPU devices; run by test_batches.py in a process of its own."""

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from datarax.sources import Field, ReaderSource, RecordReader, SourceConfig


class Counting(RecordReader):
    @property
    def fields(self):
        return {"x": Field.array(np.float32, (4,)), "y": Field.array(np.int32)}

    def __len__(self):
        return 20

    def record(self, index):
        return {"x": np.full(4, index, np.float32), "y": np.int32(index)}


@pytest.fixture(params=["eager", "lazy"])
def source(request):
    return ReaderSource(SourceConfig(mode=request.param), Counting(), uri="test:")


def sharding(*axes, shape=(8,), names=("data",)):
    return NamedSharding(Mesh(np.array(jax.devices()).reshape(shape), names), PartitionSpec(*axes))


def test_each_device_holds_its_rows(source):
    over = sharding("data")
    for number, batch in enumerate(source.batches(8, sharding=over)):
        assert batch["x"].sharding.is_equivalent_to(over, 2)
        np.testing.assert_array_equal(batch["y"], np.arange(8) + 8 * number)
        for shard in batch["x"].addressable_shards:
            assert shard.data.shape == (1, 4)
    assert number == 1


def test_rows_may_be_replicated_over_an_axis(source):
    over = sharding("data", shape=(4, 2), names=("data", "model"))
    batch = next(source.batches(8, sharding=over))
    assert {shard.data.shape for shard in batch["x"].addressable_shards} == {(2, 4)}
    np.testing.assert_array_equal(batch["x"][:, 0], np.arange(8))


def test_a_padded_remainder_is_laid_out_too(source):
    batch = list(source.batches(8, sharding=sharding("data"), remainder="pad"))[-1]
    assert batch["valid_mask"].tolist() == [True] * 4 + [False] * 4
    assert batch["y"].tolist() == [16, 17, 18, 19, 0, 0, 0, 0]
    assert len(batch["valid_mask"].addressable_shards) == 8


def test_sizes_that_do_not_divide_are_refused_before_anything_is_read(source):
    with pytest.raises(ValueError, match="a batch of 6 rows cannot be laid out"):
        source.batches(6, sharding=sharding("data"))
    with pytest.raises(ValueError, match="the last batch of 4 rows"):
        source.batches(8, sharding=sharding("data"), remainder="keep")
