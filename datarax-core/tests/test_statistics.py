"""Statistics of sources: computed over a batch, carried by the saved state, and small there."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

import datarax
from datarax.sources import MemorySource, MemorySourceConfig

MODES = pytest.mark.parametrize("mode", ["eager", "lazy", "streaming"])
DATA = {"x": np.arange(24, dtype=np.float32).reshape(8, 3), "label": np.arange(8) % 3}


def moments(batch):
    return {"mean": batch["x"].mean(0), "std": batch["x"].std(0), "rows": len(batch["x"])}


def source(mode="eager", **options):
    return MemorySource(MemorySourceConfig(mode=mode, **options), DATA)


def through_json(state):
    return json.loads(json.dumps(state))


@MODES
def test_compute_statistics_of_a_batch_returns_and_keeps_what_the_function_makes(mode):
    made = source(mode, batch_stats_fn=moments)
    assert made.get_statistics() is None
    (whole,) = made.batches(8)
    found = made.compute_statistics(whole)
    np.testing.assert_allclose(found["mean"], DATA["x"].mean(0))
    np.testing.assert_allclose(found["std"], DATA["x"].std(0), rtol=1e-6)
    assert made.get_statistics() == found


def test_load_takes_the_function_and_the_precomputed_values():
    made = datarax.load("memory:", data=DATA, batch_stats_fn=moments)
    assert made.compute_statistics(made.get_batch_at(0, 2))["rows"] == 2
    known = datarax.load("memory:", data=DATA, precomputed_stats={"mean": 3.0})
    assert known.get_statistics() == {"mean": 3.0}
    assert known.compute_statistics(known.get_batch_at(0, 2)) is None
    known.reset_statistics()
    assert known.get_statistics() is None
    with pytest.raises(ValueError, match="exclude each other"):
        datarax.load("memory:", data=DATA, batch_stats_fn=moments, precomputed_stats={})


def test_later_statistics_replace_earlier_ones():
    made = source(batch_stats_fn=moments)
    made.compute_statistics(made.get_batch_at(0, 8))
    made.compute_statistics(made.get_batch_at(0, 2))
    assert made.get_statistics()["rows"] == 2
    made.set_statistics({"mean": 1.0})
    assert made.get_statistics() == {"mean": 1.0}
    made.reset_statistics()
    assert made.get_statistics() is None


@MODES
@pytest.mark.parametrize("carry", [lambda state: state, through_json], ids=["as it is", "json"])
def test_statistics_survive_a_saved_state(mode, carry):
    made = source(mode, batch_stats_fn=moments)
    (whole,) = made.batches(8)
    computed = made.compute_statistics(whole)
    other = source(mode, batch_stats_fn=moments)
    other.set_state(carry(made.get_state()))
    held = other.get_statistics()
    assert held.keys() == computed.keys()
    assert held["rows"] == 8
    for name in ("mean", "std"):
        assert held[name].dtype == jnp.float32
        np.testing.assert_array_equal(held[name], computed[name])


def test_nested_statistics_and_plain_values_survive_json():
    made, other = source(), source()
    stats = {
        "x": {"mean": jnp.float32(0.1), "per_class": [jnp.zeros(2), jnp.ones(2)]},
        "rows": 8,
        "share": 0.1,
        "name": "array:not one",
        "whole": True,
        "none": None,
    }
    made.set_statistics(stats)
    other.set_state(through_json(made.get_state()))
    held = other.get_statistics()
    assert float(held["x"]["mean"]) == float(stats["x"]["mean"])
    assert [leaf.tolist() for leaf in held["x"]["per_class"]] == [[0, 0], [1, 1]]
    assert {k: v for k, v in held.items() if k != "x"} == {
        k: v for k, v in stats.items() if k != "x"
    }


def test_64_bit_statistics_survive_json_where_64_bits_are_off():
    values = {
        "bytes": np.int64(3_000_000_000),
        "most": np.uint64(2**63),
        "mean": np.array([1e-300, 0.1]),
        "wave": np.array([1 + 2j]),
    }
    made, other = source(), source()
    made.set_statistics(values)
    for _ in range(2):
        other.set_state(through_json(made.get_state()))
        for name, value in other.get_statistics().items():
            assert value.dtype == values[name].dtype
            assert np.array_equal(value, values[name])
        made = other


@pytest.mark.parametrize("value", [np.datetime64("2020-01-01"), np.array(["a"]), b"a"])
def test_a_state_with_statistics_that_it_cannot_hold_is_refused_when_it_is_asked_for(value):
    made = source()
    made.set_statistics({"x": value})
    with pytest.raises(TypeError, match="leave it out of the statistics"):
        made.get_state()
    made.reset_statistics()
    made.get_state()


def test_that_they_were_reset_survives_and_so_does_that_there_were_none():
    def known():
        return source(precomputed_stats={"mean": 1.0})

    made, other = known(), known()
    made.reset_statistics()
    other.set_state(through_json(made.get_state()))
    assert other.get_statistics() is None
    other.set_state(through_json(known().get_state()))
    assert other.get_statistics() == {"mean": 1.0}


def test_a_state_without_statistics_leaves_none_behind():
    made = source()
    state = made.get_state()
    made.set_statistics({"mean": 1.0})
    made.set_state(through_json(state))
    assert made.get_statistics() is None


def test_clones_keep_them_and_copies_start_afresh():
    made = source(batch_stats_fn=moments)
    made.compute_statistics(made.get_batch_at(0, 8))
    assert made.clone().get_statistics()["rows"] == 8
    assert made.copy().get_statistics() is None


@pytest.mark.parametrize("size", [10, 10**6])
def test_a_state_with_modest_statistics_is_under_two_kilobytes(size):
    """A mean and a deviation of three channels, and the frequencies of ten classes."""
    made = MemorySource(
        MemorySourceConfig(shuffle=True, mode="lazy"), {"x": np.zeros(size, np.uint8)}
    )
    made.set_statistics(
        {
            "mean": jnp.array([0.4914, 0.4822, 0.4465]),
            "std": jnp.array([0.247, 0.2435, 0.2616]),
            "share": jnp.full(10, 1 / 3),
        }
    )
    assert len(json.dumps(made.get_state())) < 2048


def test_batches_carry_the_statistics_of_their_source():
    made = source(batch_stats_fn=moments)
    batches = made.batches(4)
    made.compute_statistics(next(batches))
    other = source(batch_stats_fn=moments)
    again = other.batches(4)
    again.set_state(through_json(batches.get_state()))
    np.testing.assert_array_equal(other.get_statistics()["mean"], DATA["x"][:4].mean(0))
    assert next(again)["label"].tolist() == next(batches)["label"].tolist()


@pytest.mark.parametrize("stats", [{1: 2, "a": 3}, {"a": [{"b": {None: 1, "c": 2}}]}])
def test_statistics_whose_names_have_no_common_order_are_refused(load, stats):
    """JAX sorts names; what was set before stays."""
    source = load()
    source.set_statistics({"mean": 1.0})
    with pytest.raises(TypeError, match="statistics have names of one kind.*with strings"):
        source.set_statistics(stats)
    assert source.get_statistics() == {"mean": 1.0}
