"""`scan_epoch`: one pass in compiled code, as `lax.scan` over its batches."""

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import datarax

MODES = pytest.mark.parametrize("mode", ["eager", "lazy"])


def place(source):
    cursor = source.get_state()["cursor"]
    return cursor["epoch"], cursor["offset"]


def total(carry, batch):
    return carry + batch["x"].sum(), batch["x"]


@MODES
def test_the_carry_is_promoted_to_what_the_step_returns(load, mode):
    source = load(mode=mode)
    carry, _ = source.scan_epoch(total, 0, batch_size=4)
    assert (carry.dtype, float(carry)) == (jnp.float32, 28.0)
    carry, _ = source.scan_epoch(total, 0.5, batch_size=4)
    assert (carry.dtype, float(carry)) == (jnp.float32, 28.5)
    carry, ys = source.scan_epoch(lambda c, b: ((c[0] + 1, c[1]), None), (0, True), batch_size=4)
    assert (int(carry[0]), carry[1].dtype, ys) == (2, jnp.bool, None)


@pytest.mark.parametrize(
    ("step", "carry", "text"),
    [
        (total, jnp.int32(0), r"at carry: takes int32\[\], returns float32\[\]"),
        (lambda c, b: ({"a": b["x"]}, None), {"a": 0.0}, r"carry\['a'\]: takes float32\[\]"),
        (lambda c, b: ((c, c), None), 0, "another structure than it takes"),
        (lambda c, b: c, 0, r"step returns \(carry, y\), got"),
        (3, 0, "step is a function"),
    ],
)
def test_a_step_that_does_not_fit_its_carry_is_refused_and_moves_nothing(load, step, carry, text):
    source = load()
    with pytest.raises(TypeError, match=text):
        source.scan_epoch(step, carry, batch_size=4)
    assert place(source) == (0, 0)


@MODES
def test_one_program_serves_a_step_and_batch_size_resumed_passes_too(load, mode):
    source, traces = load(23, mode=mode, shuffle=True), []

    def step(carry, batch):
        traces.append(batch["x"].shape)
        return carry + 1, batch["x"]

    source.scan_epoch(step, 0, batch_size=4)
    first = len(traces)
    for _ in range(2):
        source.scan_epoch(step, 0, batch_size=4)
    checked = len(traces) - first  # each call checks the step's types, which traces it once
    assert checked <= 2
    for _ in range(6):
        next(source)
    source.set_state(source.get_state())
    before = len(traces)
    carry, ys = source.scan_epoch(step, 0, batch_size=4)
    assert (int(carry), ys.shape) == (4, (4, 4))
    assert len(traces) - before <= 1
    source.scan_epoch(step, 0, batch_size=5)
    assert (5,) in traces


@MODES
def test_the_compiled_program_is_built_once(load, mode):
    source = load(23, mode=mode)

    def step(carry, batch):
        return carry, batch["x"]

    source.scan_epoch(step, 0, batch_size=4)
    (program,) = source._host.programs._held.values()
    source.scan_epoch(step, 0, batch_size=4)
    next(source)
    source.set_state(source.get_state())
    source.scan_epoch(step, 0, batch_size=4)
    assert program._cache_size() == 1
    assert list(source._host.programs._held.values()) == [program]


@MODES
def test_zero_batches_give_the_carry_and_empty_ys(load, mode):
    source = load(5, mode=mode)
    carry, ys = source.scan_epoch(
        lambda c, b: (c + 1, {"x": b["x"], "n": b["label"].sum()}), 7, batch_size=8
    )
    assert int(carry) == 7
    assert {name: (leaf.shape, leaf.dtype.name) for name, leaf in ys.items()} == {
        "x": ((0, 8), "float32"),
        "n": ((0,), "int32"),
    }
    assert place(source) == (1, 0)


@MODES
def test_the_carry_is_never_donated(load, mode):
    source = load(mode=mode)
    carry = {"w": jnp.ones(1000), "n": jnp.int32(0)}
    for _ in range(2):
        source.scan_epoch(lambda c, b: ({**c, "n": c["n"] + 1}, None), carry, batch_size=4)
    assert not carry["w"].is_deleted()
    np.testing.assert_array_equal(carry["w"], np.ones(1000))


@MODES
def test_it_is_lax_scan_over_the_batches_of_the_pass(load, mode):
    source = load(11, mode=mode, shuffle=True, seed=3)
    batches = list(load(11, shuffle=True, seed=3).batches(3))
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *batches)
    expected = jax.lax.scan(total, 0.0, stacked)
    found = source.scan_epoch(total, 0.0, batch_size=3)
    jax.tree.map(np.testing.assert_allclose, found, expected)
    assert source.get_operation_stats() == {"applied_count": 9, "skipped_count": 2}


def test_a_lazy_pass_of_many_pieces_is_whole(load):
    source = load(203, mode="lazy")
    carry, ys = source.scan_epoch(lambda c, b: (c + 1, b["x"]), 0, batch_size=2)
    assert int(carry) == 101
    np.testing.assert_array_equal(ys.ravel(), np.arange(202))


@pytest.mark.parametrize("mode", ["lazy", "streaming"])
def test_what_a_step_still_reads_is_not_written_again(load, mode):
    source = load(20_000, mode=mode)

    def slow(carry, batch):
        x = batch["x"]
        held = jax.lax.fori_loop(0, 300, lambda _, held: jnp.maximum(held, x), x)
        return carry + 1, held

    carry, ys = source.scan_epoch(slow, 0, batch_size=50)
    assert int(carry) == 400
    np.testing.assert_array_equal(ys.ravel(), np.arange(20_000))


def test_it_refuses_to_run_inside_another_transformation(load):
    source = load()
    for transform in (
        lambda: jax.jit(lambda c: source.scan_epoch(total, c, batch_size=4))(0.0),
        jax.jit(lambda: source.scan_epoch(total, 0.0, batch_size=4)),
        lambda: jax.vmap(lambda c: source.scan_epoch(total, c, batch_size=4))(jnp.zeros(2)),
        lambda: jax.grad(lambda c: source.scan_epoch(total, c, batch_size=4)[0])(0.0),
    ):
        with pytest.raises(RuntimeError, match=r"inside another JAX transformation.*get_batch_at"):
            transform()
    assert place(source) == (0, 0)


def test_programs_do_not_keep_a_source_alive(load):
    import datarax

    source = datarax.load("memory:", data={"x": np.ones(8, np.float32)}, mode="lazy")
    source.scan_epoch(total, 0.0, batch_size=4)
    host = weakref.ref(source._host)
    del source
    gc.collect()
    assert host() is None


@pytest.mark.parametrize("mode", ["eager", "lazy", "streaming"])
@pytest.mark.parametrize("size", [12, 2**40, 2**70])
def test_a_batch_size_beyond_the_dataset_makes_no_step_and_ends_the_epoch(load, mode, size):
    """Of any magnitude: there is no batch of that size, and no program for it."""
    source = load(11, mode=mode)
    carry, ys = source.scan_epoch(lambda c, batch: (c + 1, batch["x"].sum()), 0, batch_size=size)
    assert (int(carry), ys.shape) == (0, (0,))
    assert source.get_state()["cursor"]["epoch"] == 1
    assert source.get_operation_stats() == {"applied_count": 0, "skipped_count": 11}


@pytest.mark.parametrize("mode", ["eager", "lazy", "streaming"])
@pytest.mark.parametrize("shape", [(0,), (3, 0)])
def test_leaves_without_values_are_scanned_as_they_are_iterated(mode, shape):
    """An array of no values has a shape all the same."""
    data = {"x": np.zeros((7, *shape), np.float32), "n": np.arange(7, dtype=np.int32)}
    with datarax.load("memory:", data=data, mode=mode) as source:
        total, ys = source.scan_epoch(lambda c, b: (c + b["n"].sum(), b["x"]), 0, batch_size=2)
        assert (int(total), ys.shape) == (15, (3, 2, *shape))
        assert [batch["x"].shape for batch in source.batches(2)] == 3 * [(2, *shape)]
