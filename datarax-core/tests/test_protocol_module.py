"""`DataraxModule`, sentence by sentence of the protocol page."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import nnx

from datarax.core.config import DataraxModuleConfig
from datarax.core.module import DataraxModule, OperationCount


class Scaler(DataraxModule):
    """A module with a parameter, data beside it, an argument of its own, and generators."""

    def __init__(self, config, width, *, offset=0.0, rngs=None, name=None):
        super().__init__(config, rngs=rngs, name=name)
        self.width = width
        self._offset = offset
        self.scale = nnx.Param(jnp.ones(width))
        self.seen = nnx.Variable(jnp.int32(0))
        self.rows = nnx.data([jnp.arange(2.0)])

    def __call__(self, x):
        self.seen.set_value(self.seen[...] + 1)
        self.count_operation(applied=1, skipped=2)
        return x * self.scale[...] + self._offset


def scaler(width=2, **options):
    config = options.pop("config", DataraxModuleConfig())
    return Scaler(config, width, rngs=nnx.Rngs(0, noise=1), **options)


def same(left, right):
    left, right = (jax.tree.leaves_with_path(tree) for tree in (left, right))
    assert [path for path, _ in left] == [path for path, _ in right]
    for (_, a), (_, b) in zip(left, right, strict=True):
        np.testing.assert_array_equal(a, b)


# Construction


def test_a_module_keeps_its_config_rngs_and_name():
    config, rngs = DataraxModuleConfig(), nnx.Rngs(0)
    module = DataraxModule(config, rngs=rngs, name="m")
    assert (module.config, module.rngs, module.name) == (config, rngs, "m")
    assert isinstance(module, nnx.Module)
    assert DataraxModule(config).rngs is None


def test_a_module_takes_a_module_config_and_nothing_else():
    with pytest.raises(TypeError, match="takes a DataraxModuleConfig, got dict"):
        DataraxModule({"cacheable": True})


# get_operation_stats, reset_operation_stats


def test_get_operation_stats_counts_from_zero_in_python_ints():
    module = scaler()
    assert module.get_operation_stats() == {"applied_count": 0, "skipped_count": 0}
    module(jnp.ones(2))
    module(jnp.ones(2))
    stats = module.get_operation_stats()
    assert stats == {"applied_count": 2, "skipped_count": 4}
    assert all(type(count) is int for count in stats.values())


def test_reset_operation_stats_resets_to_zero_with_new_arrays():
    module = scaler()
    counters = [module.applied_count, module.skipped_count]
    before = [counter.get_value() for counter in counters]
    module.reset_operation_stats()
    assert module.get_operation_stats() == {"applied_count": 0, "skipped_count": 0}
    for counter, old in zip(counters, before, strict=True):
        assert counter.get_value() is not old
        assert isinstance(counter.get_value(), jax.Array)


def test_operations_are_counted_under_nnx_jit_and_ignored_where_a_module_is_closed_over():
    module = scaler()
    nnx.jit(lambda module, x: module.count_operation(applied=1))(module, 0)
    assert module.get_operation_stats()["applied_count"] == 1
    jax.jit(lambda x: (module.count_operation(applied=1), x)[1])(0)
    assert module.get_operation_stats()["applied_count"] == 1


# compute_statistics, get_statistics, set_statistics, reset_statistics


def mean_of(data):
    return {"mean": jnp.mean(data)}


def test_compute_statistics_returns_what_batch_stats_fn_makes_and_caches_it():
    module = DataraxModule(DataraxModuleConfig(batch_stats_fn=mean_of))
    assert module.get_statistics() is None
    assert float(module.compute_statistics(jnp.arange(3.0))["mean"]) == 1.0
    assert float(module.get_statistics()["mean"]) == 1.0
    assert float(module._computed_stats.get_value()["mean"]) == 1.0


def test_compute_statistics_returns_none_without_batch_stats_fn():
    module = DataraxModule(DataraxModuleConfig(precomputed_stats={"mean": 2.0}))
    assert module.compute_statistics(jnp.arange(3.0)) is None
    assert module.get_statistics() == {"mean": 2.0}


def test_get_statistics_returns_the_precomputed_ones_until_others_are_set():
    module = DataraxModule(DataraxModuleConfig(precomputed_stats={"mean": 2.0}))
    assert module.get_statistics() == {"mean": 2.0}
    module.set_statistics({"mean": 3.0})
    assert module.get_statistics() == {"mean": 3.0}


def test_what_get_statistics_returns_can_be_changed_without_changing_the_module():
    module = DataraxModule(DataraxModuleConfig(precomputed_stats={"mean": 2.0}))
    module.get_statistics()["mean"] = 9.0
    given = {"mean": 3.0}
    assert module.get_statistics() == {"mean": 2.0}
    module.set_statistics(given)
    given["mean"] = module.get_statistics()["mean"] = 9.0
    assert module.get_statistics() == {"mean": 3.0}


def test_set_statistics_takes_a_mapping():
    with pytest.raises(TypeError, match="a dict of names to values, got list"):
        scaler().set_statistics([1.0])


@pytest.mark.parametrize("anew", ["set", "computed"])
def test_reset_statistics_hides_even_the_precomputed_until_new_ones_are_set_or_computed(anew):
    options = {"batch_stats_fn": mean_of} if anew == "computed" else {"precomputed_stats": {"a": 1}}
    module = DataraxModule(DataraxModuleConfig(**options))
    module.set_statistics({"mean": 3.0})
    module.reset_statistics()
    assert module.get_statistics() is None
    if anew == "set":
        module.set_statistics({"mean": 4.0})
    else:
        module.compute_statistics(jnp.full(2, 4.0))
    assert float(module.get_statistics()["mean"]) == 4.0


def test_statistics_are_computed_under_nnx_jit_too():
    module = DataraxModule(DataraxModuleConfig(batch_stats_fn=mean_of))
    nnx.jit(lambda module, x: module.compute_statistics(x))(module, jnp.arange(3.0))
    assert float(module.get_statistics()["mean"]) == 1.0


# copy


def test_copy_as_the_page_shows_it():
    module = DataraxModule(DataraxModuleConfig(), name="old")
    new_config = DataraxModuleConfig(cacheable=True)
    new_module = module.copy(config=new_config)
    assert (new_module.config, new_module.name) == (new_config, "old")
    renamed = module.copy(name="new_name")
    assert (renamed.config, renamed.name) == (module.config, "new_name")
    assert module.name == "old"


def test_copy_keeps_a_subclasss_constructor_arguments_and_its_type():
    module = scaler(3, offset=0.5)
    copied = module.copy(name="b")
    assert type(copied) is Scaler
    assert (copied.width, copied._offset, copied.name) == (3, 0.5, "b")
    assert copied.rngs is module.rngs


def test_copy_with_new_rngs_takes_them():
    rngs = nnx.Rngs(7)
    assert scaler().copy(rngs=rngs).rngs is rngs


def test_copy_starts_afresh_and_leaves_the_first_as_it_is():
    module = scaler()
    module(jnp.ones(2))
    copied = module.copy()
    assert copied.get_operation_stats()["applied_count"] == 0
    assert module.get_operation_stats()["applied_count"] == 1


class Lossy(DataraxModule):
    def __init__(self, config, secret, *, rngs=None, name=None):
        super().__init__(config, rngs=rngs, name=name)


class Greedy(DataraxModule):
    def __init__(self, config, **kwargs):
        super().__init__(config)


class Nameless(DataraxModule):
    def __init__(self, config, *, rngs=None):
        super().__init__(config, rngs=rngs, name="fixed")


class Ordered(DataraxModule):
    def __init__(self, config, first, /, second):
        super().__init__(config)
        self.first, self.second = first, second


def test_copy_says_which_constructor_argument_it_cannot_keep():
    with pytest.raises(TypeError, match=r"'secret' is kept neither as self.secret nor as"):
        Lossy(DataraxModuleConfig(), 1).copy()
    with pytest.raises(TypeError, match=r"cannot tell what \*kwargs was given; override copy"):
        Greedy(DataraxModuleConfig(), a=1).copy()
    with pytest.raises(TypeError, match="takes no 'name' to replace"):
        Nameless(DataraxModuleConfig()).copy(name="other")
    assert Nameless(DataraxModuleConfig()).copy().name == "fixed"


def test_copy_passes_positional_only_arguments_by_position():
    copied = Ordered(DataraxModuleConfig(), 1, second=2).copy()
    assert (copied.first, copied.second) == (1, 2)


# clone


def test_clone_has_the_same_state_and_lives_on_its_own():
    module = scaler()
    module(jnp.ones(2))
    module.set_statistics({"mean": 1.0})
    clone = module.clone()
    same(clone.get_state(), module.get_state())
    clone(jnp.ones(2))
    clone.scale.set_value(jnp.zeros(2))
    clone.rngs.noise()
    clone.set_statistics({"mean": 2.0})
    assert int(module.seen[...]) == 1
    assert module.get_statistics() == {"mean": 1.0}
    assert int(module.rngs.noise.count[...]) == 0
    np.testing.assert_array_equal(module.scale[...], [1, 1])


@pytest.mark.parametrize(
    "twin",
    [nnx.clone, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))],
    ids=["nnx.clone", "deepcopy", "pickle"],
)
def test_modules_survive_being_cloned_copied_and_pickled(twin):
    module = scaler(config=DataraxModuleConfig(cacheable=True))
    module(jnp.ones(2))
    module.rngs.noise()
    other = twin(module)
    same(other.get_state(), module.get_state())
    np.testing.assert_array_equal(
        jax.random.key_data(other.rngs.noise()), jax.random.key_data(module.rngs.noise())
    )
    assert (other.config, other.width) == (module.config, 2)


# get_state, set_state


def test_get_state_is_a_dict_of_every_variable_and_of_no_data():
    state = scaler().get_state()
    assert set(state) == {"applied_count", "skipped_count", "scale", "seen", "rngs"}
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
    assert state["rngs"]["noise"]["key"].dtype == jnp.uint32


def test_set_state_restores_what_get_state_returned():
    module, other = scaler(), scaler()
    module(jnp.ones(2))
    module.rngs.noise()
    module.set_statistics({"mean": jnp.float32(2)})
    other.set_state(module.get_state())
    same(other.get_state(), module.get_state())
    assert float(other.get_statistics()["mean"]) == 2.0
    np.testing.assert_array_equal(
        jax.random.key_data(other.rngs.noise()), jax.random.key_data(module.rngs.noise())
    )


def test_set_state_restores_that_statistics_were_reset():
    config = DataraxModuleConfig(precomputed_stats={"mean": 1.0})
    module, other = DataraxModule(config), DataraxModule(config)
    module.reset_statistics()
    other.set_state(module.get_state())
    assert other.get_statistics() is None
    other.set_state(DataraxModule(config).get_state())
    assert other.get_statistics() == {"mean": 1.0}


def test_set_state_restores_the_statistics_of_modules_within_modules():
    class Pair(DataraxModule):
        def __init__(self, config):
            super().__init__(config)
            self.inner = DataraxModule(config)

    module, other = (Pair(DataraxModuleConfig()) for _ in range(2))
    module.inner.set_statistics({"mean": jnp.float32(1)})
    other.set_state(module.get_state())
    assert float(other.inner.get_statistics()["mean"]) == 1.0
    other.set_state(Pair(DataraxModuleConfig()).get_state())
    assert other.inner.get_statistics() is None


def test_a_subclass_may_name_its_variables_as_it_likes():
    class Named(DataraxModule):
        def __init__(self, config, value):
            super().__init__(config)
            self.statistics = nnx.Variable(jnp.float32(value))

    module = Named(DataraxModuleConfig(), 1)
    module.set_state(Named(DataraxModuleConfig(), 2).get_state())
    assert float(module.statistics[...]) == 2.0


@pytest.mark.parametrize("state", [None, [], "state", 3])
def test_set_state_raises_type_error_if_state_is_not_a_dict(state):
    with pytest.raises(TypeError, match="a state is a dict, got"):
        scaler().set_state(state)


def without(state, key):
    return {name: value for name, value in state.items() if name != key}


MISMATCHES = {
    "missing": (lambda s: without(s, "scale"), r"^scale: missing from"),
    "extra": (lambda s: {**s, "bogus": jnp.ones(1)}, r"^bogus: unknown in"),
    "nested": (lambda s: {**s, "rngs": without(s["rngs"], "noise")}, r"^rngs\.noise: missing"),
    "shape": (lambda s: {**s, "scale": jnp.ones(3)}, r"^scale: shape \[2\] is expected, got \[3\]"),
    "dtype": (lambda s: {**s, "seen": jnp.float32(0)}, r"^seen: dtype int32 .* got float32"),
    "leaf": (lambda s: {**s, "scale": "text"}, r"^scale: float32\[2\] is expected, got str"),
    "tree": (lambda s: {**s, "rngs": jnp.ones(2)}, r"^rngs: a dict with the keys"),
    "stats": (lambda s: {**s, "_computed_stats": 3}, r"^_computed_stats: a dict is expected"),
    "keys": (lambda s: {**s, 0: jnp.ones(1)}, r"^0: unknown in"),
}


@pytest.mark.parametrize(("change", "text"), MISMATCHES.values(), ids=MISMATCHES)
def test_set_state_raises_value_error_naming_the_first_mismatch_and_changes_nothing(change, text):
    module = scaler()
    module.set_statistics({"mean": 1.0})
    before = module.get_state()
    changed = scaler()
    changed(jnp.ones(2))
    changed.rngs.noise()
    with pytest.raises(ValueError, match=text):
        module.set_state(change(changed.get_state()))
    same(module.get_state(), before)
    assert module.get_statistics() == {"mean": 1.0}


def test_a_key_of_another_type_is_a_mismatch_and_no_key_error():
    class Many(DataraxModule):
        def __init__(self, config):
            super().__init__(config)
            self.parts = nnx.List([nnx.Variable(jnp.zeros(2))])

    module = Many(DataraxModuleConfig())
    state = module.get_state()
    module.set_state(state)
    with pytest.raises(ValueError, match=r"^parts\.0: missing"):
        module.set_state({**state, "parts": {0: jnp.zeros(2)}})


def test_set_state_leaves_the_given_dict_as_it_was():
    module = scaler()
    module.set_statistics({"mean": 1.0})
    state = module.get_state()
    keys = set(state)
    module.set_state(state)
    assert set(state) == keys


# NNX and Orbax


def test_modules_survive_split_and_merge():
    module = scaler()
    module(jnp.ones(2))
    merged = nnx.merge(*nnx.split(module))
    same(merged.get_state(), module.get_state())
    np.testing.assert_array_equal(merged(jnp.ones(2)), module(jnp.ones(2)))


def test_modules_survive_nnx_jit_and_do_not_retrace_as_their_state_moves():
    module, traces = scaler(config=DataraxModuleConfig(cacheable=True)), []

    @nnx.jit
    def apply(module, x):
        traces.append(1)
        return module(x), module.rngs.noise.uniform(())

    (_, first), (_, second) = (apply(module, jnp.ones(2)) for _ in range(2))
    assert len(traces) == 1
    assert float(first) != float(second)
    assert int(module.seen[...]) == 2


@pytest.mark.parametrize("kind", ["standard", "pytree"])
def test_modules_survive_an_orbax_save_and_restore(tmp_path, kind):
    module = scaler()
    module(jnp.ones(2))
    module.rngs.noise()
    module.set_statistics({"mean": jnp.float32(2)})
    state = module.get_state()
    if kind == "standard":
        with ocp.StandardCheckpointer() as checkpointer:
            checkpointer.save(tmp_path / "state", state)
            checkpointer.wait_until_finished()
            saved = checkpointer.restore(tmp_path / "state", state)
    else:
        with ocp.PyTreeCheckpointer() as checkpointer:
            checkpointer.save(tmp_path / "state", state)
            how = ocp.checkpoint_utils.construct_restore_args(state)
            saved = checkpointer.restore(tmp_path / "state", item=state, restore_args=how)
    other = scaler()
    other.set_state(saved)
    same(other.get_state(), state)
    np.testing.assert_array_equal(
        jax.random.key_data(other.rngs.noise()), jax.random.key_data(module.rngs.noise())
    )


# requires_rng_streams, ensure_rng_streams, reset_cache


def test_requires_rng_streams_is_none_where_none_is_drawn_from():
    assert scaler().requires_rng_streams() is None
    scaler().ensure_rng_streams([])


def test_ensure_rng_streams_raises_value_error_if_a_required_stream_is_not_available():
    class Drawing(DataraxModule):
        def requires_rng_streams(self):
            return ["noise", "drop"]

    module = Drawing(DataraxModuleConfig())
    module.ensure_rng_streams(["drop", "noise", "more"])
    with pytest.raises(ValueError, match=r"'drop', which is not available; .*\['noise'\]"):
        module.ensure_rng_streams(["noise"])


def test_reset_cache_empties_what_a_cacheable_module_keeps():
    module = DataraxModule(DataraxModuleConfig(cacheable=True))
    module._cache["row"] = 1
    clone = module.clone()
    assert len(clone._cache) == 0
    module.reset_cache()
    assert len(module._cache) == 0
    plain = DataraxModule(DataraxModuleConfig())
    plain.reset_cache()
    assert plain._cache is None


def test_what_the_cache_holds_never_retraces_nnx_jit():
    module, traces = DataraxModule(DataraxModuleConfig(cacheable=True)), []
    jitted = nnx.jit(lambda module, x: (traces.append(1), x + 1)[1])
    jitted(module, 0)
    module._cache["row"] = np.ones(2)
    jitted(module, 0)
    assert len(traces) == 1


def test_counters_are_variables_of_their_own_kind():
    counts = jax.tree.leaves(nnx.state(scaler(), OperationCount))
    assert [count.dtype for count in counts] == [jnp.int32, jnp.int32]
