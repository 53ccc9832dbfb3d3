"""Sharded batches on eight CPU devices; run by test_batches.py in a process of its own."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from datarax.sources import (
    Field,
    MemorySource,
    MemorySourceConfig,
    ReaderSource,
    RecordReader,
    SourceConfig,
)
from datarax.structure import Batcher, BatcherConfig, Sharder, SharderConfig


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


@pytest.mark.parametrize("kind", [jax.sharding.AxisType.Auto, jax.sharding.AxisType.Explicit])
@pytest.mark.parametrize("axes", [("data",), ()], ids=["split", "replicated"])
def test_placed_eager_data_gives_the_same_batches_on_every_path(kind, axes):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(kind,))
    placement = NamedSharding(mesh, PartitionSpec(*axes))
    data = {"x": np.arange(96, dtype=np.float32).reshape(24, 4), "y": np.arange(24)}
    config = MemorySourceConfig(shuffle=True, placement=placement)
    placed, plain = MemorySource(config, data), MemorySource(MemorySourceConfig(shuffle=True), data)
    whole = sum(leaf.nbytes for leaf in plain._data.values())
    assert placed.plan.bytes_per_device == (whole // 8 if axes else whole)
    np.testing.assert_array_equal(placed[3]["x"], plain[3]["x"])
    np.testing.assert_array_equal(placed.get_batch_at(20, 8)["y"], plain.get_batch_at(20, 8)["y"])
    read = nnx.jit(lambda source, start: source.get_batch_at(start, 8))
    np.testing.assert_array_equal(read(placed, jnp.int32(5))["x"], plain.get_batch_at(5, 8)["x"])
    for found, expected in zip(placed.batches(8), plain.batches(8), strict=True):
        np.testing.assert_array_equal(found["x"], expected["x"])
    (total, ids), (expected_total, expected_ids) = (
        source.scan_epoch(lambda c, b: (c + b["x"].sum(), b["y"]), 0.0, batch_size=8)
        for source in (placed, plain)
    )
    np.testing.assert_array_equal(ids, expected_ids)
    assert float(total) == float(expected_total) == 96 * 95 / 2


def test_a_placement_that_does_not_divide_is_refused():
    config = MemorySourceConfig(placement=sharding("data"))
    with pytest.raises(ValueError, match="cannot hold 21 rows"):
        MemorySource(config, {"x": np.arange(21)})
    with pytest.raises(ValueError, match="placement is where eager data lies"):
        MemorySource(MemorySourceConfig(placement=sharding("data"), mode="lazy"), {"x": [1]})


@pytest.mark.parametrize("axes", [("data", "model"), (None, "model")])
def test_a_sharding_of_more_than_the_rows_is_refused(source, axes):
    """One sharding serves leaves of every rank, which have only their rows in common."""
    over = sharding(*axes, shape=(4, 2), names=("data", "model"))
    with pytest.raises(TypeError, match="splits more than the leading dimension.*give one of rows"):
        source.batches(8, sharding=over)
    with pytest.raises(TypeError, match="splits more than the leading dimension.*give one of rows"):
        MemorySource(MemorySourceConfig(placement=over), {"x": np.zeros((16, 2))})


# Sharder


def sharder(axes, shape=(8,), names=("data",)):
    mesh = Mesh(np.array(jax.devices()).reshape(shape), names)
    return Sharder(SharderConfig(mesh=mesh, axes=axes))


@pytest.mark.parametrize(
    ("axes", "shape", "names", "rows"),
    [
        ("data", (8,), ("data",), 2),
        ("data", (4, 2), ("data", "model"), 4),
        (("data", "model"), (4, 2), ("data", "model"), 2),
        ((), (8,), ("data",), 16),
    ],
    ids=["split", "one axis of two", "both axes", "replicated"],
)
def test_a_sharder_lays_a_batch_over_the_mesh(source, axes, shape, names, rows):
    made = sharder(axes, shape, names)
    plain = source.get_batch_at(3, 16)
    batch = made(plain)
    assert batch.keys() == plain.keys()
    for name, leaf in batch.items():
        assert leaf.sharding == made.config.sharding
        assert {shard.data.shape[0] for shard in leaf.addressable_shards} == {rows}
        assert len(leaf.addressable_shards) == 8
        np.testing.assert_array_equal(leaf, plain[name])
    assert made.batch_spec(plain) == {
        name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
        for name, leaf in batch.items()
    }


def test_a_sharder_gives_what_batches_with_its_sharding_give(source):
    made = sharder("data")
    whole = zip(
        source.clone().batches(8), source.batches(8, sharding=made.config.sharding), strict=True
    )
    for plain, sharded in whole:
        batch = made(plain)
        assert batch["x"].sharding == sharded["x"].sharding
        np.testing.assert_array_equal(batch["x"], sharded["x"])


def test_a_sharder_lays_batches_of_a_batcher_and_their_mask(source):
    elements = [{"y": element["y"]} for element in source]
    *_, last = Batcher(BatcherConfig(batch_size=8, remainder="pad"))(elements)
    batch = sharder("data")(last)
    assert batch["valid_mask"].tolist() == [True] * 4 + [False] * 4
    assert len(batch["valid_mask"].addressable_shards) == 8


def test_a_sharder_refuses_rows_that_do_not_divide():
    with pytest.raises(ValueError, match="a batch of 6 rows cannot be laid out"):
        sharder("data")({"x": np.arange(6)})


@pytest.mark.parametrize("kind", [jax.sharding.AxisType.Auto, jax.sharding.AxisType.Explicit])
@pytest.mark.parametrize(
    "twin",
    [nnx.clone, lambda m: m.copy(), lambda m: pickle.loads(pickle.dumps(m))],
    ids=["nnx.clone", "copy", "pickle"],
)
def test_a_sharder_survives_being_cloned_copied_and_pickled(twin, kind):
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(kind, kind))
    made = Sharder(SharderConfig(mesh=mesh, axes="data"))
    other = twin(made)
    assert other.config == made.config
    batch = other({"x": np.arange(8)})
    assert batch["x"].sharding == made.config.sharding
