"""Options: from the query's text, typed by the plugin's config, and from keywords; each once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pytest

import datarax
from datarax.errors import InvalidURIError, UnknownOptionError
from datarax.registry import PluginInfo, hookimpl, parse_uri
from datarax.registry.loaded import check_plugin
from datarax.registry.options import UNSET, build_config
from datarax.sources import MemoryReader, SourceConfig


@dataclass(frozen=True, kw_only=True)
class Config(SourceConfig):
    repo: str = ""
    revision: str | None = None
    config: str | None = None
    count: int = 0
    rate: float = 0.0
    flag: bool = False
    either: int | str = 0
    maybe: int | None = None
    kind: Literal["a", "b", 3] = "a"
    names: tuple[str, ...] = ()
    size: tuple[int, int] = (0, 0)
    table: Mapping[str, int] | None = None
    thing: object = None


class Plugin:
    @hookimpl
    def describe(self):
        return PluginInfo(
            summary="a plugin",
            config=Config,
            target_option="repo",
            revision_option="revision",
            data_options=("data",),
        )

    @hookimpl
    def open(self, config):
        return MemoryReader({"x": [1]})


PLUGIN = check_plugin("p", Plugin(), "datarax-p 1.0")


def build(text, **given):
    return build_config(PLUGIN, parse_uri(text), given)[0]


@pytest.mark.parametrize(
    ("query", "field", "value"),
    [
        ("count=3", "count", 3),
        ("count=-3", "count", -3),
        ("rate=1e-3", "rate", 1e-3),
        ("flag=true", "flag", True),
        ("flag=YES", "flag", True),
        ("flag=0", "flag", False),
        ("either=3", "either", 3),
        ("either=three", "either", "three"),
        ("maybe=none", "maybe", None),
        ("maybe=4", "maybe", 4),
        ("kind=b", "kind", "b"),
        ("kind=3", "kind", 3),
        ("names=a,b", "names", ("a", "b")),
        ("size=2,3", "size", (2, 3)),
        ('table={"a":1}', "table", {"a": 1}),
        ("mode=lazy", "mode", "lazy"),
        ("split=train[:80%25]", "split", "train[:80%]"),
        ("include_keys=a,b", "include_keys", ("a", "b")),
        ('pad={"text":16}', "pad", {"text": 16}),
        ("seed=4294967295", "seed", 2**32 - 1),
        ("local_files_only=true", "local_files_only", True),
    ],
)
def test_text_in_the_query_becomes_the_fields_type(query, field, value):
    found = getattr(build(f"p:t?{query}"), field)
    assert found == value
    assert type(found) is type(value) or isinstance(value, dict)


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("count=3.5", "count='3.5' is not an integer"),
        ("count=", "count='' is not an integer"),
        ("rate=fast", "rate='fast' is not a number"),
        ("flag=perhaps", "flag='perhaps' is not true or false"),
        ("maybe=some", "maybe='some' is not an integer"),
        ("kind=c", "kind='c' is not one of 'a', 'b', 3"),
        ("size=1,2,3", "size='1,2,3' is not"),
        ("table=[1]", "table="),
        ("table={", "table="),
        ("thing=x", "where no text can say it, give it as a keyword"),
    ],
)
def test_text_that_does_not_fit_is_refused_with_what_is_expected(query, what):
    with pytest.raises(InvalidURIError, match=what.replace("[", r"\[")):
        build(f"p:t?{query}")


def test_target_and_revision_go_to_the_configs_fields():
    config = build("p:org/name@v1")
    assert (config.repo, config.revision) == ("org/name", "v1")
    assert build("p:org/name").revision is None


def test_what_the_uri_says_by_place_cannot_be_said_by_option():
    for name, form in (("repo", "p:TARGET"), ("revision", "p:TARGET@REVISION")):
        with pytest.raises(UnknownOptionError, match=f"takes {name!r} in the URI: '{form}'"):
            build("p:t", **{name: "x"})
        with pytest.raises(UnknownOptionError, match=f"takes {name!r} in the URI: '{form}'"):
            build(f"p:t?{name}=x")


def test_an_unknown_option_is_refused_with_those_that_exist_and_the_nearest():
    for text, given in (("p:t?cuont=1", {}), ("p:t", {"cuont": 1})):
        with pytest.raises(UnknownOptionError) as caught:
            build(text, **given)
        assert isinstance(caught.value, TypeError)
        assert "'p' (datarax-p 1.0) takes no option 'cuont'" in str(caught.value)
        assert "'flag'" in str(caught.value)
        assert "Did you mean 'count'?" in str(caught.value)


def test_an_option_given_twice_must_agree():
    assert build("p:t?count=3", count=3).count == 3
    assert build("p:t?names=a,b", names=["a", "b"]).names == ("a", "b")
    with pytest.raises(InvalidURIError, match=r"'count' is given twice: 3 in .* and 4 as a key"):
        build("p:t?count=3", count=4)
    with pytest.raises(InvalidURIError, match="twice"):
        build("p:t?maybe=3", maybe=None)
    with pytest.raises(InvalidURIError, match="twice"):
        build("p:t?count=1", count=True)


def test_an_option_left_out_is_told_from_its_default():
    assert build("p:t?shuffle=true", shuffle=UNSET).shuffle
    with pytest.raises(InvalidURIError, match="twice"):
        build("p:t?shuffle=true", shuffle=False)
    assert repr(UNSET) == "<default>"


def test_data_goes_by_keyword_beside_the_config_and_never_in_a_uri():
    config, data = build_config(PLUGIN, parse_uri("p:t"), {"data": [1], "count": 2})
    assert (config.count, data) == (2, {"data": [1]})
    with pytest.raises(InvalidURIError, match="'data' is data, which a URI cannot carry"):
        build("p:t?data=1")


def test_a_mapping_option_given_twice_compares_by_content():
    assert build('p:t?table={"a":1}', table={"a": 1}).table == {"a": 1}
    with pytest.raises(InvalidURIError, match="twice"):
        build('p:t?table={"a":1}', table={"a": 2})


def test_a_target_or_revision_that_a_scheme_does_not_take_is_refused():
    with pytest.raises(InvalidURIError, match=r"'memory:' takes no target, got 'x'"):
        datarax.load("memory:x", data={"x": [1]})
    with pytest.raises(InvalidURIError, match=r"'memory:' has no revisions, got 'main'"):
        datarax.load("memory:@main", data={"x": [1]})
    with pytest.raises(InvalidURIError, match=r"'p:' names no dataset; write 'p:TARGET'"):
        build("p:")


def test_every_option_of_load_may_stand_in_the_uri(load):
    uri = "memory:?shuffle=true&seed=3&mode=lazy&include_keys=x&split=train[2:7]"
    source = datarax.load(uri, data={"x": list(range(9)), "y": list(range(9))})
    assert len(source) == 5
    config = source.config
    assert (config.shuffle, config.seed, config.mode) == (True, 3, "lazy")
    assert set(source.element_spec()) == {"x"}
