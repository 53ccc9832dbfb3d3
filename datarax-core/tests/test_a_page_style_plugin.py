"""A source written straight from the protocol page, published by an entry point and loaded."""

import pickle

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import datarax
from datarax.errors import InvalidURIError, UnknownOptionError

CODE = """
from dataclasses import dataclass
from typing import Any

from datarax.core.config import StructuralConfig
from datarax.registry import PluginInfo, hookimpl


@dataclass(frozen=True)
class MyDataSourceConfig(StructuralConfig):
    required_param: int | None = None
    target: str = ""

    def __post_init__(self):
        super().__post_init__()
        if self.required_param is None:
            raise ValueError("required_param is required")


class Plugin:
    @hookimpl
    def describe(self):
        return PluginInfo(
            summary="counts to required_param",
            config=MyDataSourceConfig,
            target_option="target",
        )

    @hookimpl
    def open(self, config, rngs):
        from page_style_source import MyDataSource

        import jax.numpy as jnp

        data = [
            {"x": jnp.full((2,), i, jnp.float32), "word": f"{config.target} {i}"}
            for i in range(config.required_param)
        ]
        return MyDataSource(config, data, rngs=rngs, name=config.target)


plugin = Plugin()
"""

SOURCE = """
import jax
import jax.numpy as jnp
from datarax import DataSourceModule
from flax import nnx


class MyDataSource(DataSourceModule):
    data: list[dict]

    def __init__(self, config, data: list[dict], *,
                 rngs: nnx.Rngs | None = None, name: str | None = None):
        super().__init__(config, rngs=rngs, name=name)
        self.data = nnx.data(data)  # Mark as pytree data, not parameters.

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        return self.data[index]

    def element_spec(self):
        return {"x": jax.ShapeDtypeStruct((2,), jnp.float32)}

    def get_batch_at(self, start, size, key=None):
        rows = jnp.stack([row["x"] for row in self.data])
        return {"x": rows[(start + jnp.arange(size)) % len(self.data)]}
"""


@pytest.fixture
def page(publish):
    publish("page", CODE, distribution="datarax-page", version="2.3", summary="counts")
    (publish.folder / "page_style_source.py").write_text(SOURCE)
    publish.modules.append("page_style_source")
    return publish


@pytest.fixture
def source(page):
    with datarax.load("page:cats?required_param=5") as source:
        yield source


def column(batch):
    return np.asarray(batch["x"])[..., 0].tolist()


def place(source):
    cursor = source.get_state()["cursor"]
    return int(cursor["epoch"]), int(cursor["offset"])


def test_it_is_listed_with_its_distribution_and_version(page):
    listed = {info.scheme: info for info in datarax.list_sources()}["page"]
    assert (listed.distribution, listed.version) == ("datarax-page", "2.3")
    assert (listed.summary, listed.status) == ("counts", "ok")


def test_load_returns_the_plugins_own_class_with_its_typed_config(source):
    assert type(source).__name__ == "MyDataSource"
    assert isinstance(source, datarax.DataSourceModule)
    assert (source.config.required_param, source.config.target) == (5, "cats")
    assert source.name == "cats"


def test_its_options_are_its_configs_and_are_checked(page):
    with pytest.raises(ValueError, match="required_param is required"):
        datarax.load("page:cats")
    with pytest.raises(InvalidURIError, match="required_param='many' is not an integer"):
        datarax.load("page:cats?required_param=many")
    with pytest.raises(UnknownOptionError, match="takes no option 'shuffle'"):
        datarax.load("page:cats", required_param=3, shuffle=True)
    with pytest.raises(UnknownOptionError, match="takes 'target' in the URI: 'page:TARGET'"):
        datarax.load("page:cats", required_param=3, target="dogs")


def test_rngs_reach_a_source_that_draws_for_itself(page):
    rngs = nnx.Rngs(draw=0)
    options = {"required_param": 2, "stochastic": True, "stream_name": "draw"}
    assert datarax.load("page:cats", rngs=rngs, **options).rngs is rngs
    with pytest.raises(ValueError, match="needs rngs"):
        datarax.load("page:cats", **options)


def test_it_iterates_with_its_host_values(source):
    elements = list(source)
    assert column(elements[3]) == 3.0
    assert elements[3]["word"] == "cats 3"
    assert place(source) == (1, 0)


def test_it_gives_batches_over_epochs(source):
    found = [column(batch) for batch in source.batches(2, epochs=2, remainder="keep")]
    assert found == [[0, 1], [2, 3], [4]] * 2
    padded = list(source.batches(3, remainder="pad"))[-1]
    assert padded["valid_mask"].tolist() == [True, True, False]


def test_it_scans_epochs_in_compiled_code(source):
    total, ys = source.scan_epoch(
        lambda carry, batch: (carry + batch["x"].sum(), batch["x"][:, 0]), 0.0, batch_size=2
    )
    assert (float(total), ys.tolist()) == (12.0, [[0, 1], [2, 3]])
    assert place(source) == (1, 0)


def test_get_batch_at_is_traced_by_nnx_jit(source):
    read = nnx.jit(lambda source, start: source.get_batch_at(start, 3))
    assert column(read(source, jnp.int32(4))) == [4, 0, 1]


def test_its_state_has_a_cursor_and_restores(source):
    next(source)
    next(source)
    other = datarax.load("page:cats?required_param=5")
    other.set_state(source.get_state())
    assert [column(element) for element in other] == [2, 3, 4]
    with pytest.raises(ValueError, match="offset 2 is no place"):
        datarax.load("page:cats?required_param=2").set_state(source.get_state())


@pytest.mark.parametrize("twin", [lambda s: s.clone(), lambda s: pickle.loads(pickle.dumps(s))])
def test_clones_and_pickles_go_on_alone(source, twin):
    next(source)
    assert [column(element) for element in twin(source)] == [1, 2, 3, 4]
    assert place(source) == (0, 1)


def test_inspect_and_save_say_what_the_plugin_does_not_do(source):
    with pytest.raises(NotImplementedError, match="implements no hook 'save'"):
        datarax.save(source, "page:dogs?required_param=1")
    with pytest.raises(NotImplementedError, match=r"reader|inspect"):
        datarax.inspect("page:cats?required_param=5")
