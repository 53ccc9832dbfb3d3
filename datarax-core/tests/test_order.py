"""The one order: a bijection for every N, seed and epoch, the same numbers on host and device."""

import itertools
import math
import re

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datarax.core import order

sizes = st.integers(1, 5000)
seeds = st.integers(0, 2**32 - 1)
epochs = st.integers(0, 2**64 - 2)


def epoch_of(seed, size, epoch=0):
    return order.indices(order.seed_words(seed), size, epoch, np.arange(size))


def halves(epoch):
    return jnp.uint32(epoch & 0xFFFFFFFF), jnp.uint32(epoch >> 32)


def epochs_of(seeds, size):
    """Return the first epoch of many seeds, a row for each, by the same arithmetic at once."""
    seeds = np.asarray(seeds, np.uint32).reshape(-1, 1)
    keys = order.round_keys(np, [np.zeros_like(seeds), seeds], size, *order._halves(0))
    x = np.broadcast_to(np.arange(size, dtype=np.uint32), (len(seeds), size))
    y = order._permute(np, keys, size, x)
    while (y >= size).any():
        y = np.where(y < size, y, order._permute(np, keys, size, y))
    return y.astype(np.int64)


# Bijection


@given(size=sizes, seed=seeds, epoch=epochs)
@settings(max_examples=150, deadline=None)
def test_an_epoch_is_a_bijection_for_any_size_seed_and_epoch(size, seed, epoch):
    found = epoch_of(seed, size, epoch)
    assert found.dtype == np.int64
    assert np.array_equal(np.sort(found), np.arange(size))


HARD = sorted(
    {
        *range(1, 70),
        *(2**k + d for k in range(5, 14) for d in (-1, 0, 1)),
        *(n * n + d for n in (9, 31, 32, 33, 100) for d in (-1, 0, 1)),
        *(97, 101, 1009, 4999, 7919),
    }
)


def test_an_epoch_is_a_bijection_at_small_sizes_primes_squares_and_powers_of_two():
    for size in HARD:
        for seed, epoch in ((0, 0), (1, 5), (2**32 - 1, 2**40)):
            assert np.array_equal(np.sort(epoch_of(seed, size, epoch)), np.arange(size)), size


def test_a_dataset_of_one_record_has_one_order():
    assert epoch_of(5, 1, 9).tolist() == [0]


# Host and traced agree


@pytest.mark.parametrize("size", [1, 2, 7, 1000, 2**20 + 3, 2**31 - 1])
def test_the_host_and_traced_code_give_the_same_numbers(size):
    count = min(size, 33)
    traced = jax.jit(
        lambda words, low, high, offset: order.traced_positions(
            list(words), size, low, high, offset, count
        )
    )
    rng = np.random.default_rng(size)
    for epoch in (0, 1, 2**32 - 1, 2**32, 2**63):
        seed, offset = (int(rng.integers(n)) for n in (2**32, size))
        words = order.seed_words(seed)
        expected = order.positions(words, size, epoch, offset, count)
        found = traced(words, *halves(epoch), jnp.uint32(offset))
        assert found.dtype == jnp.int32
        np.testing.assert_array_equal(found, expected)


@given(seed=seeds, epoch=epochs, offset=st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_traced_positions_go_on_through_many_epochs_as_the_hosts_do(seed, epoch, offset):
    words = order.seed_words(seed)
    np.testing.assert_array_equal(
        many_epochs(words, *halves(epoch), jnp.uint32(offset)),
        order.positions(words, 13, epoch, offset, 40),
    )


@jax.jit
def many_epochs(words, low, high, offset):
    return order.traced_positions(list(words), 13, low, high, offset, 40)


@given(
    size=st.integers(1, 200),
    seed=seeds,
    epoch=epochs,
    offset=st.integers(0, 2**20),
    turns=st.integers(4, 40),
)
@settings(max_examples=100, deadline=None)
def test_a_run_over_many_epochs_is_those_of_each(size, seed, epoch, offset, turns):
    words = order.seed_words(seed)
    offset %= size
    count = size * turns + 1
    run = order.positions(words, size, epoch, offset, count)
    whole = [order.indices(words, size, epoch + turn, np.arange(size)) for turn in range(turns + 2)]
    assert np.array_equal(run, np.concatenate(whole)[offset : offset + count])


def test_a_long_run_over_many_epochs_takes_no_longer_than_its_length():
    """It is made in pieces: an epoch's keys are hashed for its positions alone."""
    words = order.seed_words(1)
    run = order.positions(words, 3, 0, 2, 100_000)
    assert np.array_equal(run[1:], order.positions(words, 3, 1, 0, 99_999))
    assert np.array_equal(run[50_000:50_003], order.positions(words, 3, 16_667, 1, 3)[:3])


def test_vmap_and_scan_over_offsets_give_the_same_numbers():
    words, size = order.seed_words(3), 100

    def read(offset):
        return order.traced_positions(
            list(words), size, jnp.uint32(0), jnp.uint32(0), jnp.uint32(offset), 8
        )

    offsets = jnp.arange(0, 96, 8)
    expected = order.positions(words, size, 0, 0, 96).reshape(12, 8)
    np.testing.assert_array_equal(jax.vmap(read)(offsets), expected)
    _, scanned = jax.lax.scan(lambda c, offset: (c, read(offset)), 0, offsets)
    np.testing.assert_array_equal(scanned, expected)


@pytest.mark.parametrize("size", [7, 60_000, 2**31 - 1])
def test_every_platform_is_given_the_same_program_of_integers(size):
    """Integer arithmetic modulo 2**32 is exact and the same on each; a float would not be."""

    def read(words, offset):
        zero = jnp.uint32(0)
        return order.traced_positions(list(words), size, zero, zero, offset, min(size, 128))

    arguments = order.seed_words(3), jnp.uint32(0)
    programs = {
        platform: jax.export.export(jax.jit(read), platforms=[platform])(*arguments).mlir_module()
        for platform in ("cpu", "cuda", "rocm", "tpu")
    }
    texts = {re.sub(r'"(cpu|cuda|rocm|tpu)"', '""', text) for text in programs.values()}
    assert len(texts) == 1
    kinds = set(re.findall(r"tensor<(?:\d+x)*(\w+)>", texts.pop()))
    assert kinds <= {"i1", "i32", "ui32"}, kinds


def test_storage_order_is_the_identity_on_host_and_traced():
    assert order.positions(None, 5, 3, 4, 7).tolist() == [4, 0, 1, 2, 3, 4, 0]
    zero = jnp.uint32(0)
    found = order.traced_positions(None, 5, zero, zero, jnp.uint32(4), 7)
    assert found.tolist() == [4, 0, 1, 2, 3, 4, 0]


def test_a_seed_is_the_key_of_the_same_seed():
    for seed in (0, 7, 2**32 - 1):
        key = jax.random.key_data(jax.random.key(np.uint32(seed)))
        np.testing.assert_array_equal(order.seed_words(seed), key)


# What the order depends on


def test_epochs_are_folded_in_by_hashing_and_not_by_addition():
    assert not np.array_equal(epoch_of(0, 100, 1), epoch_of(1, 100, 0))
    assert not np.array_equal(epoch_of(0, 100, 2), epoch_of(2, 100, 0))
    assert not np.array_equal(epoch_of(1, 100, 1), epoch_of(2, 100, 0))


def test_orders_of_many_seeds_and_epochs_are_all_different():
    seen = {
        epoch_of(seed, 50, epoch).tobytes()
        for seed, epoch in itertools.product(range(12), [*range(12), 2**32, 2**33])
    }
    assert len(seen) == 12 * 14


def test_the_order_is_pinned_to_its_version():
    """A change of these numbers changes every shuffled run: raise ORDER_VERSION with it."""
    assert order.ORDER_VERSION == 1
    assert epoch_of(0, 10).tolist() == PINNED_10
    assert epoch_of(42, 1000, 3)[:6].tolist() == PINNED_1000
    wide = order.indices(order.seed_words(1), 2**40, 0, np.arange(3))
    assert wide.tolist() == PINNED_WIDE


PINNED_10 = [4, 8, 9, 3, 0, 2, 5, 7, 6, 1]
PINNED_1000 = [548, 730, 848, 791, 865, 646]
PINNED_WIDE = [265032084257, 672818040999, 138178929473]


# Cost


def test_the_cost_is_that_of_the_batch_at_any_size():
    """N = 2**40 would need 8 TiB as a permutation."""
    size, words = 2**40, order.seed_words(0)
    found = order.positions(words, size, 7, size - 1000, 2000)
    assert len(set(found[:1000].tolist())) == 1000
    assert 0 <= found.min() <= found.max() < size
    assert found.max() > 2**38


def test_tracing_refuses_a_size_beyond_int32_and_says_what_reads_it():
    with pytest.raises(ValueError, match="lazy mode, whose order is computed on the host"):
        order.traced_positions(None, 2**31, jnp.uint32(0), jnp.uint32(0), jnp.uint32(0), 4)


@pytest.mark.parametrize("size", [1009, 4096, 5000, 10**6 + 3])
def test_fewer_than_two_in_sqrt_n_indices_walk(size):
    keys = order.round_keys(np, list(order.seed_words(9).reshape(-1, 1)), size, *order._halves(0))
    offsets = np.arange(size, dtype=np.uint32)
    walking = np.count_nonzero(order._permute(np, keys, size, offsets) >= size) / size
    a, b = order._sides(size)
    assert a * b - size < a
    assert walking < 1.2 / math.sqrt(size) + 1e-9


# Statistics, with fixed seeds: each bound is far outside of chance, near what a flaw would give


def chi_square(counts):
    expected = counts.mean()
    degrees = counts.size - 1
    return (((counts - expected) ** 2 / expected).sum() - degrees) / math.sqrt(2 * degrees)


def test_many_seeds_at_once_are_the_orders_of_each():
    found = epochs_of(range(5), 100)
    for seed in range(5):
        np.testing.assert_array_equal(found[seed], epoch_of(seed, 100))


@pytest.mark.parametrize("size", [2, 3, 5, 8, 13, 64, 100])
def test_each_record_is_equally_often_at_each_position(size):
    found, seeds = epochs_of(range(6000), size), 6000
    counts = np.stack([np.bincount(found[:, at], minlength=size) for at in range(size)])
    # rows and columns each sum to the number of seeds: (size - 1)**2 degrees of freedom
    degrees = (size - 1) ** 2
    statistic = ((counts - seeds / size) ** 2 / (seeds / size)).sum() * (size - 1) / size
    assert abs(statistic - degrees) / math.sqrt(2 * degrees) < 5


def test_small_sizes_reach_every_permutation_equally_often():
    rows, counts = np.unique(epochs_of(range(24_000), 4), axis=0, return_counts=True)
    assert len(rows) == math.factorial(4)
    assert abs(chi_square(counts)) < 5


@pytest.mark.parametrize("size", [1000, 4096, 9973])
def test_neighbours_are_not_correlated(size):
    found = epochs_of(range(60), size).astype(float)
    for lag in (1, 2, math.isqrt(size), math.isqrt(size) + 1):
        correlations = [np.corrcoef(x[:-lag], x[lag:])[0, 1] for x in found]
        assert abs(np.mean(correlations)) < 5 / math.sqrt(60 * size)


def test_pairs_of_neighbours_fall_in_every_cell_equally_often():
    size, cells = 1024, 8
    found = epochs_of(range(300), size) * cells // size
    counts = np.zeros((cells, cells), np.int64)
    np.add.at(counts, (found[:, :-1], found[:, 1:]), 1)
    assert abs(chi_square(counts)) < 5


def test_epochs_are_independent_of_one_another():
    size = 500
    agree = [
        np.count_nonzero(epoch_of(0, size, epoch) == epoch_of(0, size, epoch + 1))
        for epoch in range(200)
    ]
    assert abs(np.mean(agree) - 1) < 5 / math.sqrt(200)


# Carrying an order into a program


@given(epoch=epochs, offset=st.integers(0, 2**31 - 1), seed=seeds)
def test_a_place_splits_into_what_was_joined(epoch, offset, seed):
    words = order.seed_words(seed)
    found, low, high, at = order.split_place(order.place_words(words, epoch, offset), shuffled=True)
    assert [int(word) for word in found] == words.tolist()
    assert (int(low) + (int(high) << 32), int(at)) == (epoch, offset)
    assert order.split_place(order.place_words(None, epoch, offset), shuffled=False)[0] is None
