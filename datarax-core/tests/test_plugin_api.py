"""The plugin API keeps its word: what was written for the oldest supported version still loads."""

import dataclasses
import inspect
import sys
from pathlib import Path

import pytest

import datarax
from datarax.errors import SourceIncompatibleError
from datarax.registry import PLUGIN_API_VERSION, PluginInfo, loaded
from datarax.registry.catalogue import CATALOGUE
from datarax.registry.loading import fetch, verify
from datarax.registry.plugin import OLDEST_PLUGIN_API_VERSION, SourceHooks

OLDEST = Path(__file__).with_name("plugins") / f"made_for_api_{OLDEST_PLUGIN_API_VERSION}.py"

HOOKS = {
    "describe": (),
    "open": ("uri", "config", "rngs", "data"),
    "inspect": ("uri", "config", "data"),
    "datasets": (),
    "save": ("source", "uri", "config"),
    "fetch": ("uri", "config"),
    "verify": ("uri", "config"),
    "sample": ("folder",),
}
"""Version 1: hooks and their arguments. Others may join; these stay for as long as it does."""

DESCRIPTION = (
    "summary",
    "config",
    "capabilities",
    "target_option",
    "revision_option",
    "data_options",
    "needs_target",
    "api_version",
)


@pytest.fixture
def squares(publish):
    return publish("squares", OLDEST.read_text(), version="0.1", requires=["datarax-core>=0.2"])


def test_a_plugin_for_the_oldest_supported_version_does_all_it_did(squares):
    with datarax.load("squares:?size=6", split="train[2:]", shuffle=True, seed=3) as source:
        assert len(source) == 4
        assert sorted(int(element["root"]) for element in source) == [2, 3, 4, 5]
        assert source.get_batch_at(0, 3)["root"].shape == (3,)
        assert source[0]["name"] == "square 2"
        datarax.save(source, "squares:")
    assert sys.modules[squares].SAVED == ["4 to squares:"]
    assert datarax.inspect("squares:").licence == "CC0-1.0"
    assert fetch("squares:").bytes == 10
    assert verify("squares:").ok
    hooks = CATALOGUE.find("squares").hooks
    assert list(hooks.datasets()) == ["", "more"]
    assert hooks.sample(folder="").uri == "squares:"


def test_no_hook_and_no_argument_of_version_1_is_lost():
    found = {
        name: tuple(inspect.signature(hook).parameters)
        for name, hook in vars(SourceHooks).items()
        if not name.startswith("_")
        for hook in [getattr(SourceHooks, name)]
    }
    for name, arguments in HOOKS.items():
        assert set(arguments) <= set(found[name])


def test_no_word_of_a_plugins_description_is_lost_or_asked_anew():
    fields = {field.name: field for field in dataclasses.fields(PluginInfo)}
    assert set(DESCRIPTION) <= set(fields)
    asked = [
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    assert asked == ["summary", "config"]


def test_a_version_that_was_dropped_is_incompatible_and_says_so(squares, monkeypatch):
    monkeypatch.setattr(loaded, "OLDEST_PLUGIN_API_VERSION", 2)
    with pytest.raises(SourceIncompatibleError, match=r"interface 1, .*dropped those before 2"):
        datarax.load("squares:")


def test_the_oldest_supported_version_has_its_plugin_and_is_not_ahead():
    assert OLDEST.exists()
    assert 1 <= OLDEST_PLUGIN_API_VERSION <= PLUGIN_API_VERSION
