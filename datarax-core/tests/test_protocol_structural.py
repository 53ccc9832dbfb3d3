"""`StructuralModule`, sentence by sentence, and the page's batcher and samplers."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from datarax.core.batch import Batch
from datarax.core.config import DataraxModuleConfig, StructuralConfig
from datarax.core.module import DataraxModule
from datarax.core.structural import StructuralModule

Element = dict


@dataclass(frozen=True)
class BatcherConfig(StructuralConfig):
    batch_size: int = 1


class Batcher(StructuralModule):
    def process(self, elements: list[Element]) -> list[Batch]:
        batches = []
        for i in range(0, len(elements), self.config.batch_size):
            batch_elements = elements[i : i + self.config.batch_size]
            batches.append(Batch.from_elements(batch_elements))
        return batches


@dataclass(frozen=True)
class SamplerConfig(StructuralConfig):
    num_samples: int = 4


class DeterministicSampler(StructuralModule):
    def process(self, dataset_size: int) -> list[int]:
        return list(range(min(self.config.num_samples, dataset_size)))


class StochasticSampler(StructuralModule):
    def process(self, dataset_size: int) -> list[int]:
        key = self.rngs[self.config.stream_name]()
        return jax.random.permutation(key, dataset_size)[: self.config.num_samples].tolist()


def stochastic(seed=0):
    config = SamplerConfig(stochastic=True, stream_name="sample")
    return StochasticSampler(config, rngs=nnx.Rngs(sample=seed))


def test_the_pages_batcher_turns_elements_into_batches():
    elements = [{"x": jnp.float32(i), "y": jnp.arange(2) + i} for i in range(5)]
    batches = Batcher(BatcherConfig(batch_size=2)).process(elements)
    assert [batch.size for batch in batches] == [2, 2, 1]
    np.testing.assert_array_equal(batches[1]["y"], [[2, 3], [3, 4]])
    assert batches[1]["x"].dtype == jnp.float32


def test_the_pages_deterministic_sampler_gives_the_first_indices():
    sampler = DeterministicSampler(SamplerConfig(num_samples=3))
    assert sampler.process(10) == sampler.process(10) == [0, 1, 2]
    assert sampler.process(2) == [0, 1]


def test_the_pages_stochastic_sampler_draws_from_its_stream():
    sampler, same, other = stochastic(0), stochastic(0), stochastic(1)
    first = sampler.process(1000)
    assert len(set(first)) == 4
    assert same.process(1000) == first
    assert other.process(1000) != first
    assert sampler.process(1000) != first
    assert int(sampler.rngs["sample"].count[...]) == 2


def test_a_stochastic_sampler_restored_goes_on_drawing_as_the_first_does():
    sampler, restored = stochastic(0), stochastic(5)
    sampler.process(1000)
    restored.set_state(sampler.get_state())
    assert restored.process(1000) == sampler.process(1000)


def test_a_structural_module_is_a_datarax_module_without_parameters():
    module = StructuralModule(StructuralConfig(), name="s")
    assert isinstance(module, DataraxModule)
    assert module.name == "s"
    assert jax.tree.leaves(nnx.state(module, nnx.Param)) == []


def test_it_takes_a_structural_config_and_nothing_else():
    with pytest.raises(TypeError, match="takes a StructuralConfig, got DataraxModuleConfig"):
        StructuralModule(DataraxModuleConfig())


def test_value_error_if_stochastic_but_rngs_is_none():
    with pytest.raises(ValueError, match=r"needs rngs; pass rngs=nnx.Rngs\(sample=seed\)"):
        StochasticSampler(SamplerConfig(stochastic=True, stream_name="sample"))


def test_value_error_if_rngs_lack_the_stream():
    with pytest.raises(ValueError, match=r"'sample', which is not available; .*\['other'\]"):
        StochasticSampler(
            SamplerConfig(stochastic=True, stream_name="sample"), rngs=nnx.Rngs(other=0)
        )


def test_a_default_stream_serves_every_name():
    config = SamplerConfig(stochastic=True, stream_name="sample")
    assert len(StochasticSampler(config, rngs=nnx.Rngs(0)).process(9)) == 4


def test_requires_rng_streams_is_the_stream_of_a_stochastic_module():
    assert stochastic().requires_rng_streams() == ["sample"]
    assert DeterministicSampler(SamplerConfig()).requires_rng_streams() is None
    assert (stochastic().stochastic, stochastic().stream_name) == (True, "sample")


def test_process_must_be_implemented_by_subclasses():
    with pytest.raises(NotImplementedError, match=r"StructuralModule does not define process"):
        StructuralModule(StructuralConfig()).process([])


def test_call_delegates_to_process_with_all_arguments_and_counts():
    class Echo(StructuralModule):
        def process(self, input, *args, **kwargs):
            return input, args, kwargs

    echo = Echo(StructuralConfig())
    assert echo(1, 2, a=3) == (1, (2,), {"a": 3})
    assert echo.get_operation_stats() == {"applied_count": 1, "skipped_count": 0}


def test_splitters_and_sharders_are_free_in_what_they_take_and_return():
    class Halves(StructuralModule):
        def process(self, input):
            return input[: len(input) // 2], input[len(input) // 2 :]

    assert Halves(StructuralConfig())([1, 2, 3, 4]) == ([1, 2], [3, 4])


def test_copy_keeps_the_stream_and_takes_a_new_config():
    sampler = stochastic()
    wider = SamplerConfig(stochastic=True, stream_name="sample", num_samples=7)
    assert len(sampler.copy(config=wider).process(100)) == 7
