"""`datarax sources`: what is installed and what is wrong with it, with nothing imported."""

import json
import sys

import pytest

import datarax
from datarax.errors import SourceBrokenError


@pytest.fixture
def sources(command_line):
    """Return the sources by scheme, as JSON says them."""

    def listed():
        code, out, err = command_line("sources", "--json")
        assert (code, err) == (0, "")
        return {source["scheme"]: source for source in json.loads(out)["sources"]}

    return listed


def test_a_source_is_told_of_by_its_metadata(publish, sources):
    module = publish(
        "toy",
        "raise RuntimeError('imported')",
        version="1.2",
        summary="some toys",
        extra="Home-page: https://toys.example\nKeywords: datarax:toy=streaming+save",
    )
    assert sources()["toy"] == {
        "scheme": "toy",
        "distribution": "datarax-toy",
        "version": "1.2",
        "status": "ok",
        "detail": None,
        "summary": "some toys",
        "homepage": "https://toys.example",
        "capabilities": ["save", "streaming"],
    }
    assert module not in sys.modules


def test_the_text_has_every_source_and_what_it_can_do(publish, command_line):
    publish("toy", summary="some toys", extra="Home-page: https://toys.example")
    code, out, err = command_line("sources")
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines() if line.startswith("toy ")] == [
        ["toy", "datarax-toy", "1.0", "ok", "some", "toys"],
        ["toy", "unknown", "until", "it", "is", "imported"],
        ["toy", "https://toys.example"],
    ]
    assert "memory" in out


def test_what_is_not_ok_says_why(publish, sources, command_line, monkeypatch):
    publish("old", requires=["datarax-core<0.1"])
    publish("twin", distribution="a-twins")
    publish("twin", distribution="b-twins")
    publish("bad", "raise RuntimeError('no')")
    publish("off")
    monkeypatch.setenv("DATARAX_PLUGINS", "old,twin,bad")
    with pytest.raises(SourceBrokenError):
        datarax.load("bad:")
    found = sources()
    assert {scheme: found[scheme]["status"] for scheme in ("old", "twin", "bad", "off")} == {
        "old": "incompatible",
        "twin": "conflict",
        "bad": "broken",
        "off": "disabled",
    }
    out = command_line("sources")[1]
    for scheme in ("old", "twin", "bad", "off"):
        assert found[scheme]["detail"] in out


def test_schemes_that_are_known_and_not_installed_have_their_pip_line(
    nothing_installed, command_line
):
    answer = json.loads(command_line("sources", "--json")[1])
    assert [source["scheme"] for source in answer["sources"]] == ["memory"]
    assert answer["not_installed"][1] == {
        "scheme": "hf",
        "distribution": "datarax-hf",
        "install": "pip install datarax-hf",
    }
    assert "not installed  hf: pip install datarax-hf\n" in command_line("sources")[1]


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_the_table_fits_the_terminal(vault, command_line, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = command_line("sources")[1].splitlines()
    assert max(map(len, lines)) <= columns
