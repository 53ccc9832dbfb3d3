"""`Sampler`: which indices, in the one order that sources have too."""

import dataclasses
import pickle

import jax
import numpy as np
import pytest
from flax import nnx

import datarax
from datarax.core import order
from datarax.structure import Sampler, SamplerConfig

MODES = pytest.mark.parametrize("mode", ["eager", "lazy"])
SIZE, SEED = 23, 5


def sampler(rngs=None, **options):
    return Sampler(SamplerConfig(**options), rngs=rngs)


def stochastic(seed=0):
    return sampler(nnx.Rngs(sample=seed), kind="shuffled", stochastic=True, stream_name="sample")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6]),
        ({"num_samples": 3}, [0, 1, 2]),
        ({"num_samples": 30}, [0, 1, 2, 3, 4, 5, 6]),
        ({"kind": "range"}, [0, 1, 2, 3, 4, 5, 6]),
        ({"kind": "range", "start": 2}, [2, 3, 4, 5, 6]),
        ({"kind": "range", "start": 1, "stop": 6, "step": 2}, [1, 3, 5]),
        ({"kind": "range", "stop": 99, "step": 3}, [0, 3, 6]),
        ({"kind": "range", "start": 8}, []),
        ({"kind": "range", "num_samples": 2, "step": 3}, [0, 3]),
        ({"kind": "window", "window": 3}, [[i, i + 1, i + 2] for i in range(5)]),
        ({"kind": "window", "window": 3, "stride": 2}, [[0, 1, 2], [2, 3, 4], [4, 5, 6]]),
        ({"kind": "window", "window": 3, "stride": 5}, [[0, 1, 2]]),
        ({"kind": "window", "window": 7}, [[0, 1, 2, 3, 4, 5, 6]]),
        ({"kind": "window", "window": 8}, []),
        ({"kind": "window", "window": 2, "num_samples": 2}, [[0, 1], [1, 2]]),
    ],
    ids=str,
)
def test_the_indices_of_seven_records_and_their_spec(options, expected):
    made = sampler(**options)
    assert made(7) == made.process(7) == expected
    shape = np.shape(expected) if expected else (0, *([8] if "window" in options else []))
    assert made.index_spec(7) == jax.ShapeDtypeStruct(shape, np.int32)


@pytest.mark.parametrize("kept", [None, 4, 99])
def test_the_spec_of_shuffled_indices_is_theirs(kept):
    made = sampler(kind="shuffled", num_samples=kept)
    indices = np.asarray(made(SIZE), np.int32)
    assert made.index_spec(SIZE) == jax.ShapeDtypeStruct(indices.shape, indices.dtype)


def test_indices_beyond_int32_are_int64_in_the_spec():
    assert sampler(num_samples=2).index_spec(2**31).dtype == np.int32
    assert sampler(num_samples=2).index_spec(2**31 + 1).dtype == np.int64


def test_a_shuffled_call_is_an_epoch_each_index_once_and_the_next_call_the_next():
    made = sampler(kind="shuffled", seed=SEED)
    epochs = [made(SIZE) for _ in range(3)]
    assert all(sorted(epoch) == list(range(SIZE)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert epochs[0] == sampler(kind="shuffled", seed=SEED)(SIZE)
    assert epochs[0] != sampler(kind="shuffled", seed=SEED + 1)(SIZE)


def test_a_few_of_a_billion_cost_no_permutation():
    made = sampler(kind="shuffled", seed=SEED, num_samples=128)
    drawn = made(10**9)
    assert len(set(drawn)) == 128
    assert drawn == order.indices(order.seed_words(SEED), 10**9, 0, np.arange(128)).tolist()


@MODES
def test_one_law_a_shuffled_sampler_gives_the_sequence_of_every_access_path(load, mode):
    """Sampler, iteration, `batches`, `scan_epoch` and `get_batch_at`, over three epochs."""
    made = sampler(kind="shuffled", seed=SEED)
    options = {"mode": mode, "shuffle": True, "seed": SEED}
    elements, batched, scanned, read = (load(SIZE, **options) for _ in range(4))
    batches = batched.batches(4, epochs=3, remainder="keep")
    for epoch in range(3):
        indices = made(SIZE)
        assert [int(element["x"]) for element in elements] == indices
        rows = np.concatenate([next(batches)["x"] for _ in range(-(-SIZE // 4))])
        assert rows.tolist() == indices
        _, ys = scanned.scan_epoch(lambda c, b: (c, b["x"]), 0, batch_size=4)
        assert ys.ravel().tolist() == indices[: SIZE // 4 * 4]
        assert read.get_batch_at(epoch * SIZE, SIZE)["x"].tolist() == indices
        assert [int(read[index]["x"]) for index in indices] == indices


def test_the_law_holds_for_storage_order_too(load):
    indices = sampler()(SIZE)
    source = load(SIZE)
    assert [int(element["x"]) for element in source] == indices
    assert source.get_batch_at(0, SIZE)["x"].tolist() == indices


@MODES
def test_a_stochastic_sampler_draws_a_key_a_call_and_gives_that_keys_order(load, mode):
    made, rngs, source = stochastic(), nnx.Rngs(sample=0), load(SIZE, mode=mode, shuffle=True)
    drawn = [made(SIZE) for _ in range(2)]
    for epoch, indices in enumerate(drawn):
        batch = source.get_batch_at(epoch * SIZE, SIZE, key=rngs.sample())
        assert batch["x"].tolist() == indices
    assert drawn[0] != drawn[1]
    assert stochastic()(SIZE) == drawn[0]
    assert stochastic(1)(SIZE) != drawn[0]


@pytest.mark.parametrize(
    "make", [lambda: sampler(kind="shuffled", seed=SEED), stochastic], ids=["seed", "rngs"]
)
@pytest.mark.parametrize(
    "twin",
    [
        lambda made, fresh: (fresh.set_state(made.get_state()), fresh)[1],
        lambda made, fresh: made.clone(),
        lambda made, fresh: nnx.clone(made),
        lambda made, fresh: pickle.loads(pickle.dumps(made)),
    ],
    ids=["state", "clone", "nnx.clone", "pickle"],
)
def test_a_restored_cloned_or_pickled_sampler_goes_on_with_the_next_epoch(make, twin):
    made = make()
    for _ in range(2):
        made(SIZE)
    other = twin(made, make())
    expected = [made(SIZE) for _ in range(2)]
    assert [other(SIZE) for _ in range(2)] == expected
    assert other.config == made.config


def test_a_copy_starts_with_the_first_epoch():
    made = sampler(kind="shuffled", seed=SEED)
    first = made(SIZE)
    assert made.copy()(SIZE) == first
    assert made.copy(config=SamplerConfig(num_samples=2))(SIZE) == [0, 1]


def test_a_config_is_frozen_and_hashable():
    config = SamplerConfig(kind="shuffled", seed=SEED)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.seed = 1
    assert hash(config) == hash(SamplerConfig(kind="shuffled", seed=SEED))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"kind": "random"}, ValueError, "kind is 'sequential', 'shuffled', 'range' or 'window'"),
        ({"seed": 3}, ValueError, "seed=3 is for kind='shuffled', and this is 'sequential'"),
        ({"kind": "shuffled", "start": 3}, ValueError, "start=3 is for kind='range'"),
        ({"kind": "range", "stride": 2}, ValueError, "stride=2 is for kind='window'"),
        ({"kind": "window", "stop": 2}, ValueError, "stop=2 is for kind='range'"),
        ({"kind": "shuffled", "seed": 2**32}, ValueError, r"seed is in \[0, 2\*\*32\)"),
        ({"kind": "shuffled", "seed": 0.5}, TypeError, "float"),
        ({"kind": "range", "step": 0}, ValueError, "step"),
        ({"kind": "range", "start": 4, "stop": 2}, ValueError, "start=4, stop=2 is no range"),
        ({"kind": "range", "start": 1.5}, TypeError, "start is an index"),
        ({"kind": "range", "start": True}, TypeError, "start is an index"),
        ({"kind": "range", "stop": 2.5}, TypeError, "stop is an index"),
        ({"kind": "window", "window": 0}, ValueError, "window"),
        ({"kind": "window", "stride": 1.5}, TypeError, "stride"),
        ({"num_samples": 0}, ValueError, "num_samples"),
        ({"stochastic": True, "stream_name": "s"}, ValueError, "draws nothing"),
        (
            {"kind": "shuffled", "seed": 1, "stochastic": True, "stream_name": "s"},
            ValueError,
            "seed=1 and the stream 's' both say",
        ),
    ],
    ids=str,
)
def test_an_option_out_of_range_or_without_meaning_is_refused(options, error, text):
    with pytest.raises(error, match=text):
        SamplerConfig(**options)


@pytest.mark.parametrize(("size", "error"), [(0, ValueError), (-1, ValueError), (2.5, TypeError)])
def test_a_size_is_a_number_of_records(size, error):
    with pytest.raises(error, match="the dataset's size"):
        sampler()(size)


def test_process_takes_the_size_alone():
    with pytest.raises(TypeError, match=r"takes one argument, got also \(3,\)"):
        sampler()(7, 3)


def test_importing_datarax_does_not_import_the_structural_processors():
    import subprocess
    import sys

    code = "import sys, datarax, datarax.sources; datarax.load('memory:', data={'x': [1]})"
    shown = "print('datarax.structure' in sys.modules)"
    for extra, expected in (("", "False"), ("import datarax.structure\n", "True")):
        run = subprocess.run(
            [sys.executable, "-c", f"{code}\n{extra}{shown}"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.strip() == expected
    assert "structure" not in datarax.__all__


@pytest.mark.parametrize("seed", ["a", True, 2.5])
def test_a_seed_that_is_no_integer_is_refused(seed):
    """As sources refuse it."""
    with pytest.raises(TypeError, match="seed is an integer, got"):
        SamplerConfig(kind="shuffled", seed=seed)


def test_a_range_begins_somewhere():
    """None is the end of a range, not its start."""
    with pytest.raises(TypeError, match="start is an index, an integer, got None"):
        SamplerConfig(kind="range", start=None)
