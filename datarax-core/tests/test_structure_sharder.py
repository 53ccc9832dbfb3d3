"""`Sharder`: configs, specs and refusals on one device; eight_devices.py has the rest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from datarax.core.config import FrozenInstanceError
from datarax.errors import IntegerRangeError
from datarax.structure import Batcher, BatcherConfig, Sharder, SharderConfig


def mesh(*names):
    return jax.make_mesh((1,) * len(names), names)


def sharder(axes="data", names=("data",)):
    return Sharder(SharderConfig(mesh=mesh(*names), axes=axes))


def test_an_axis_that_the_mesh_lacks_is_refused_with_those_it_has():
    with pytest.raises(ValueError, match=r"the axes \('data',\), and none is 'model'"):
        sharder("model")


def test_an_axis_that_is_named_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        sharder(("data", "data"))


@pytest.mark.parametrize(
    ("leaf", "error", "text"),
    [
        (np.full(4, 2**40 + 7), IntegerRangeError, "does not fit 32 bits"),
        (jnp.int32(3), ValueError, "one value"),
        (["a"], TypeError, "has arrays"),
        (3, TypeError, "has arrays"),
    ],
)
def test_what_cannot_be_laid_out_as_it_is_is_refused_by_name(leaf, error, text):
    with pytest.raises(error, match=rf"'x'.*{text}|{text}.*'x'"):
        sharder()({"x": leaf})


def test_one_axis_may_be_given_by_its_name():
    assert sharder("data").config == sharder(("data",)).config
    assert sharder("data").config.sharding == sharder(["data"]).config.sharding


def test_the_spec_is_what_comes_out_with_its_sharding(load):
    source, made = load(11), sharder()
    batch = made(source.get_batch_at(0, 4))
    spec = made.batch_spec(Batcher(BatcherConfig(batch_size=4)).batch_spec(source.element_spec()))
    assert spec == {
        name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
        for name, leaf in batch.items()
    }


def test_host_arrays_are_taken_too():
    batch = sharder()({"x": np.arange(4, dtype=np.float32)})
    assert isinstance(batch["x"], jax.Array)
    assert batch["x"].sharding == sharder().config.sharding


def test_process_takes_one_batch_alone():
    with pytest.raises(TypeError, match="takes one batch, got also"):
        sharder()({"x": jnp.arange(2)}, 3)


def test_a_config_is_frozen_and_hashable():
    config = sharder().config
    with pytest.raises(FrozenInstanceError):
        config.axes = ()
    assert hash(config) == hash(sharder().config)


def test_a_sharder_goes_through_nnx_jit_without_retracing_for_its_clones():
    made, traces = sharder(), []

    @nnx.jit
    def total(made, x):
        traces.append(1)
        return x.sum()

    for one in (made, nnx.clone(made), made.copy()):
        total(one, jnp.arange(3))
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"mesh": None}, "mesh is a jax.sharding.Mesh, got NoneType"),
        ({"mesh": 5, "axes": "data"}, "mesh is a jax.sharding.Mesh, got int 5"),
        ({"axes": 5}, "axes are names of mesh axes, got int 5"),
    ],
)
def test_a_mesh_or_axes_of_another_kind_are_refused(words, said):
    """At construction, before any batch."""
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("data",))
    with pytest.raises(TypeError, match=said):
        SharderConfig(**{"mesh": mesh, **words})


@pytest.mark.parametrize("batch", [None, 5, [np.arange(3)]])
def test_what_is_no_batch_is_refused(batch):
    """A batch has names."""
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("data",))
    with pytest.raises(TypeError, match="a batch is a mapping of names to arrays, got"):
        Sharder(SharderConfig(mesh=mesh))(batch)
