"""`datarax.core.config`, sentence by sentence."""

import dataclasses
import pickle
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pytest

from datarax.core import config as config_module
from datarax.core.config import DataraxModuleConfig, FrozenInstanceError, StructuralConfig


@dataclass(frozen=True)
class MyDataSourceConfig(StructuralConfig):
    required_param: int | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.required_param is None:
            raise ValueError("required_param is required")


@dataclass(frozen=True)
class Holder(StructuralConfig):
    value: object = None


def test_a_module_config_has_three_fields_with_defaults():
    assert DataraxModuleConfig() == DataraxModuleConfig(
        cacheable=False, batch_stats_fn=None, precomputed_stats=None
    )


def test_a_structural_config_adds_stochastic_and_stream_name():
    config = StructuralConfig()
    assert isinstance(config, DataraxModuleConfig)
    assert (config.stochastic, config.stream_name) == (False, None)


def test_batch_stats_fn_and_precomputed_stats_exclude_each_other():
    with pytest.raises(ValueError, match="exclude each other"):
        DataraxModuleConfig(batch_stats_fn=len, precomputed_stats={"mean": 0.0})
    assert DataraxModuleConfig(batch_stats_fn=len).batch_stats_fn is len
    assert DataraxModuleConfig(precomputed_stats={"mean": 0.5}).precomputed_stats == {"mean": 0.5}


def test_batch_stats_fn_must_be_callable_and_precomputed_stats_a_mapping():
    with pytest.raises(TypeError, match="batch_stats_fn must be callable, got int"):
        DataraxModuleConfig(batch_stats_fn=3)
    with pytest.raises(TypeError, match=r"precomputed_stats must be a mapping.*got list"):
        DataraxModuleConfig(precomputed_stats=[1.0])


def test_stochastic_requires_a_stream_name():
    with pytest.raises(ValueError, match="stochastic=True needs stream_name"):
        StructuralConfig(stochastic=True)


def test_a_stream_name_is_forbidden_unless_stochastic():
    with pytest.raises(ValueError, match="stream_name='sample' has no meaning"):
        StructuralConfig(stream_name="sample")
    assert StructuralConfig(stochastic=True, stream_name="sample").stream_name == "sample"


def test_configs_are_frozen_dataclasses():
    for config in (DataraxModuleConfig(), StructuralConfig(), MyDataSourceConfig(required_param=1)):
        assert dataclasses.is_dataclass(config)
        with pytest.raises(FrozenInstanceError):
            config.cacheable = True


def test_frozen_instance_error_is_the_one_of_dataclasses():
    assert FrozenInstanceError is dataclasses.FrozenInstanceError
    assert "FrozenInstanceError" in config_module.__all__


def test_the_pages_config_validates_itself_when_it_is_built():
    assert MyDataSourceConfig(required_param=3).required_param == 3
    with pytest.raises(ValueError, match="required_param is required"):
        MyDataSourceConfig()
    with pytest.raises(ValueError, match="stream_name"):
        MyDataSourceConfig(required_param=3, stochastic=True)


def test_a_dict_or_list_in_a_config_is_frozen_and_hashable():
    given = {"a": [1, {"b": {2}}]}
    config = Holder(value=given)
    given["a"].append(9)
    assert config.value == {"a": (1, {"b": frozenset({2})})}
    assert hash(config) == hash(Holder(value={"a": [1, {"b": {2}}]}))
    with pytest.raises(TypeError, match="cannot be changed"):
        config.value["a"] = 1


@pytest.mark.parametrize(
    "value",
    [np.arange(3), jnp.arange(3), np.float32(1), [np.arange(2)], (1, (jnp.ones(1),))],
    ids=["numpy", "jax", "scalar", "in a list", "nested"],
)
def test_arrays_in_a_config_are_refused(value):
    with pytest.raises(TypeError, match=r"Holder\.value holds an array.*beside its config"):
        Holder(value=value)


@pytest.mark.parametrize("xp", [np, jnp])
def test_precomputed_stats_may_hold_arrays_and_compare_by_content(xp):
    def config(last):
        mean = [xp.arange(2.0), xp.asarray([last])]
        return DataraxModuleConfig(precomputed_stats={"mean": mean, "of": {"x": xp.ones(2)}})

    assert config(1.0) == config(1.0)
    assert config(1.0) != config(2.0)
    assert hash(config(1.0)) == hash(config(1.0))


def test_replace_validates_anew():
    config = MyDataSourceConfig(required_param=3)
    assert dataclasses.replace(config, cacheable=True).cacheable
    with pytest.raises(ValueError, match="required_param is required"):
        dataclasses.replace(config, required_param=None)


def test_configs_pickle():
    config = MyDataSourceConfig(required_param=3, precomputed_stats={"n": {"rows": 4}})
    assert pickle.loads(pickle.dumps(config)) == config
