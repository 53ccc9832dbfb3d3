"""A source inside a larger NNX model: it breaks none of that model's jit, split, filters, saves."""

import json
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import nnx

from datarax.sources import MemorySource, MemorySourceConfig

ROWS, WIDTH, SIZE = 20_000, 8, 32
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, WIDTH)).astype(np.float32)
Y = X @ RNG.normal(size=(WIDTH, 3)).astype(np.float32)
MODES = pytest.mark.parametrize("mode", ["eager", "lazy"])


class Model(nnx.Module):
    """Parameters, dropout with rngs, batch statistics, and the source that it learns from."""

    def __init__(self, source, rngs):
        self.norm = nnx.BatchNorm(WIDTH, rngs=rngs)
        self.drop = nnx.Dropout(0.1, rngs=rngs)
        self.out = nnx.Linear(WIDTH, 3, rngs=rngs)
        self.source = source

    def __call__(self, x):
        return self.out(self.drop(self.norm(x)))


def model_with(mode, **options):
    config = MemorySourceConfig(mode=mode, shuffle=True, **options)
    return Model(MemorySource(config, {"x": X, "y": Y}), nnx.Rngs(0, dropout=1))


def loss_of(model, start):
    batch = model.source.get_batch_at(start, SIZE)
    return jnp.mean((model(batch["x"]) - batch["y"]) ** 2)


def train(model, optimizer, steps, *, step=None):
    def one(model, optimizer, start):
        value, gradients = nnx.value_and_grad(loss_of)(model, start)
        optimizer.update(model, gradients)
        return value

    step = step or nnx.jit(one)
    return [float(step(model, optimizer, jnp.int32(SIZE * i))) for i in range(steps)]


def adam(model):
    return nnx.Optimizer(model, optax.adam(3e-2), wrt=nnx.Param)


def sizes(tree):
    return sum(np.size(leaf) for leaf in jax.tree.leaves(tree))


@MODES
def test_a_train_step_under_nnx_jit_reads_from_the_source_and_learns(mode):
    model = model_with(mode)
    losses = train(model, adam(model), 60)
    assert np.mean(losses[-5:]) < 0.5 * losses[0]
    assert int(model.drop.rngs.count[...]) == 60  # the model's own state moves on


@MODES
def test_the_step_is_traced_once_as_the_sources_cursor_moves(mode):
    model, traces = model_with(mode), []
    optimizer = adam(model)

    @nnx.jit
    def step(model, optimizer, start):
        traces.append(1)
        gradients = nnx.grad(loss_of)(model, start)
        optimizer.update(model, gradients)
        return start

    for start in range(3):
        step(model, optimizer, jnp.int32(start))
        next(model.source)
    assert len(traces) == 1
    assert model.source.get_state()["cursor"]["offset"] == 3


@MODES
def test_a_batch_of_the_models_source_may_be_read_outside_and_passed_in(mode):
    model = model_with(mode)
    optimizer = adam(model)

    @nnx.jit
    def step(model, optimizer, batch):
        def loss(model):
            return jnp.mean((model(batch["x"]) - batch["y"]) ** 2)

        value, gradients = nnx.value_and_grad(loss)(model)
        optimizer.update(model, gradients)
        return value

    losses = [float(step(model, optimizer, batch)) for batch in model.source.batches(SIZE * 8)]
    assert len(losses) == ROWS // (SIZE * 8)
    assert losses[-1] < 0.5 * losses[0]


@MODES
def test_the_optimizer_sees_parameters_and_no_source_data(mode):
    model = model_with(mode)
    alone = Model(None, nnx.Rngs(0, dropout=1))
    assert jax.tree.structure(nnx.state(adam(model).opt_state)) == jax.tree.structure(
        nnx.state(adam(alone).opt_state)
    )
    assert sizes(nnx.state(adam(model))) == sizes(nnx.state(adam(alone))) < ROWS
    before = [np.asarray(leaf) for leaf in jax.tree.leaves(model.source.get_batch_at(0, 4))]
    train(model, adam(model), 3)
    for old, new in zip(before, jax.tree.leaves(model.source.get_batch_at(0, 4)), strict=True):
        np.testing.assert_array_equal(old, new)


@MODES
def test_gradients_are_those_of_the_parameters_alone(mode):
    gradients = nnx.grad(loss_of)(model_with(mode), 0)
    assert set(gradients) == {"norm", "out"}


@MODES
def test_split_with_filters_parts_the_model_and_merge_puts_it_together(mode):
    model = model_with(mode)
    graph, params, stats, rest = nnx.split(model, nnx.Param, nnx.BatchStat, ...)
    assert set(params) == {"norm", "out"}
    assert set(stats) == {"norm"}
    merged = nnx.merge(graph, params, stats, rest)
    np.testing.assert_array_equal(
        merged.source.get_batch_at(5, 4)["x"], model.source.get_batch_at(5, 4)["x"]
    )
    merged.eval()
    model.eval()
    np.testing.assert_array_equal(merged(X[:4]), model(X[:4]))


@MODES
def test_a_split_model_trains_under_jax_jit(mode):
    model = model_with(mode)
    graph, params, rest = nnx.split(model, nnx.Param, ...)

    @jax.jit
    def step(params, rest, start):
        def loss(params):
            own = jax.tree.map(lambda leaf: leaf, rest)  # NNX writes only to variables made here
            return loss_of(nnx.merge(graph, params, own), start)

        value, gradients = jax.value_and_grad(loss)(params)
        return value, jax.tree.map(lambda p, g: p - 0.1 * g, params, gradients)

    losses = []
    for start in range(40):
        value, params = step(params, rest, jnp.int32(SIZE * start))
        losses.append(float(value))
    assert losses[-1] < 0.6 * losses[0]


@MODES
def test_a_models_variables_hold_no_source_data(mode):
    model = model_with(mode)
    assert sizes(nnx.state(model, nnx.Param)) == sizes(
        nnx.state(Model(None, nnx.Rngs(0)), nnx.Param)
    )
    assert sizes(nnx.state(model, nnx.Variable)) < 200


def restored(path, state):
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path, state)
        checkpointer.wait_until_finished()
        return checkpointer.restore(path, jax.tree.map(jnp.zeros_like, state))


@MODES
def test_an_orbax_checkpoint_of_the_parameters_restores_the_model(mode, tmp_path):
    model, other = model_with(mode), model_with(mode)
    train(model, adam(model), 5)
    nnx.update(other, restored(tmp_path / "params", nnx.state(model, nnx.Param)))
    np.testing.assert_array_equal(other.out.kernel[...], model.out.kernel[...])
    np.testing.assert_array_equal(other.norm.scale[...], model.norm.scale[...])


def key_data(state):
    """Return the state with typed keys as their data, which Orbax takes on every version."""

    def plain(leaf):
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return jax.random.key_data(leaf) if is_key else leaf

    return jax.tree.map(plain, state)


@MODES
def test_an_orbax_checkpoint_of_every_variable_is_taken_and_small(mode, tmp_path):
    model, other = model_with(mode), model_with(mode)
    optimizer = adam(model)
    train(model, optimizer, 5)
    state = key_data(nnx.state((model, optimizer), nnx.Variable))
    saved = restored(tmp_path / "all", state)
    jax.tree.map(np.testing.assert_array_equal, saved, state)
    written = sum(file.stat().st_size for file in (tmp_path / "all").rglob("*") if file.is_file())
    assert written < X.nbytes // 4
    nnx.update(other, nnx.filter_state(saved[0], nnx.Param, nnx.BatchStat)[0])
    np.testing.assert_array_equal(other.out.kernel[...], model.out.kernel[...])


@MODES
def test_model_and_source_are_saved_together_and_both_go_on(mode, tmp_path):
    """Arrays of the model as a standard checkpoint, the source's place as JSON beside it."""
    model = model_with(mode)
    batches = model.source.batches(SIZE)
    for _ in range(3):
        next(batches)
    params = nnx.state(model, nnx.Param)
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        checkpointer.save(
            tmp_path / "step",
            args=ocp.args.Composite(
                model=ocp.args.StandardSave(params),
                data=ocp.args.JsonSave(model.source.get_state()),
            ),
        )
        saved = checkpointer.restore(
            tmp_path / "step",
            args=ocp.args.Composite(
                model=ocp.args.StandardRestore(jax.tree.map(jnp.zeros_like, params)),
                data=ocp.args.JsonRestore(),
            ),
        )
    other = model_with(mode)
    nnx.update(other, saved["model"])
    other.source.set_state(saved["data"])
    expected, found = next(batches), next(other.source.batches(SIZE))
    np.testing.assert_array_equal(found["x"], expected["x"])
    batches.close()


@MODES
@pytest.mark.parametrize(
    "twin",
    [nnx.clone, lambda m: pickle.loads(pickle.dumps(m))],
    ids=["nnx.clone", "pickle"],
)
def test_a_model_with_a_source_is_cloned_and_pickled(mode, twin):
    model = model_with(mode)
    other = twin(model)
    train(other, adam(other), 2)
    assert not np.array_equal(other.out.kernel[...], model.out.kernel[...])
    np.testing.assert_array_equal(
        other.source.get_batch_at(7, 3)["x"], model.source.get_batch_at(7, 3)["x"]
    )


def test_two_models_may_share_a_source_and_a_model_may_hold_two():
    source = MemorySource(MemorySourceConfig(), {"x": X, "y": Y})

    class Pair(nnx.Module):
        def __init__(self):
            self.left = Model(source, nnx.Rngs(0))
            self.right = Model(source, nnx.Rngs(1))
            self.held_out = MemorySource(MemorySourceConfig(mode="lazy"), {"x": X[:9], "y": Y[:9]})

    pair = Pair()
    pair.eval()

    @nnx.jit
    def losses(pair):
        test = pair.held_out.get_batch_at(0, 9)
        return [jnp.mean((m(test["x"]) - test["y"]) ** 2) for m in (pair.left, pair.right)]

    first, second = losses(pair)
    assert float(first) != float(second)
    assert pair.left.source is pair.right.source


def test_the_place_is_in_the_sources_state_and_in_no_models():
    model = model_with("eager")
    before = jax.tree.leaves(key_data(nnx.state(model, nnx.Variable)))
    next(model.source)
    after = jax.tree.leaves(key_data(nnx.state(model, nnx.Variable)))
    jax.tree.map(np.testing.assert_array_equal, before, after)
    assert json.loads(json.dumps(model.source.get_state()))["cursor"]["offset"] == 1


@MODES
def test_a_function_that_only_reads_does_so_without_graph_updates(mode):
    model = model_with(mode)
    read = nnx.jit(lambda model, start: model.source.get_batch_at(start, 4), graph_updates=False)
    expected = model.source.get_batch_at(9, 4)
    np.testing.assert_array_equal(read(model, jnp.int32(9))["x"], expected["x"])


@MODES
def test_an_epoch_may_be_folded_into_the_key_of_a_traced_start(mode):
    """Each epoch is whole, and another order, however many went before."""
    source = model_with(mode).source
    read = jax.jit(lambda start, key: source.get_batch_at(start, ROWS // 4, key=key)["x"])
    orders = []
    for epoch in (7, 2**31):
        key = jax.random.fold_in(jax.random.key(0), epoch)
        rows = np.concatenate([read(ROWS // 4 * part, key) for part in range(4)])
        np.testing.assert_array_equal(np.sort(rows[:, 0]), np.sort(X[:, 0]))
        orders.append(rows)
    assert not np.array_equal(*orders)
