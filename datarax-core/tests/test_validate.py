"""`validate`: the contract on the sample that an installed plugin makes, or why it cannot be run."""

import json

import pytest

import datarax
from datarax.errors import (
    NotSupportedError,
    SourceBrokenError,
    SourceConflictError,
    SourceNotInstalledError,
    UnknownSourceError,
)
from datarax.testing.validate import validate

PLUGIN = """
from datarax.registry import PluginInfo, hookimpl
from datarax.sources import SourceConfig


class Plugin:
    @hookimpl
    def describe(self):
        return PluginInfo(summary="toys", config=SourceConfig, needs_target=False)

    @hookimpl
    def open(self, uri):
        raise ValueError("it never opens")

    @hookimpl
    def sample(self, folder):
        {sample}


plugin = Plugin()
"""
KNOWN = """
        from datarax.testing import KnownDataset
        return KnownDataset("toy:", [{"x": row} for row in range(5)], reads_files=False)
"""


@pytest.mark.long
def test_memory_keeps_the_contract_and_every_test_of_it_ran(monkeypatch):
    """Settings of pytest that would bend the verdict are not the plugin's."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing --no-such-option")
    report = validate("datarax-core")
    assert (report.distribution, report.scheme) == ("datarax-core", "memory")
    assert report.version == datarax.__version__
    assert report.failures == ()
    assert report.passed
    assert report.count == report.matrix.count > 100
    assert f"{report.count} passed" in report.output
    assert "no files" in {row.verdict for row in report.matrix.rows}


@pytest.mark.long
def test_a_promise_that_is_broken_is_a_failure_with_its_reason(publish):
    publish("toy", PLUGIN.replace("{sample}", KNOWN.strip()))
    report = validate("Datarax_Toy")
    assert not report.passed
    assert (report.distribution, report.scheme, report.version) == ("datarax-toy", "toy", "1.0")
    assert report.count == report.matrix.count
    (failure,) = (f for f in report.failures if f.startswith("test_the_reader_hands_out"))
    assert "it never opens" in failure
    said = json.loads(json.dumps(report.as_dict()))
    assert said["matrix"]["count"] == said["count"]
    assert len(said["failures"]) == len(report.failures)
    assert said["failures"][0] == report.failures[0]


def test_a_plugin_without_a_sample_is_told_how_to_add_one(publish):
    publish("toy")
    with pytest.raises(NotSupportedError, match=r"'toy' \(datarax-toy 1.0\).*sample\(folder\)"):
        validate("datarax-toy")


@pytest.mark.parametrize(
    ("sample", "text"),
    [
        ("raise OSError('no room')", "OSError: no room"),
        ("return {'x': [1]}", "returns a datarax.testing.KnownDataset, got dict"),
    ],
)
def test_a_sample_that_cannot_be_made_is_one_error_and_not_one_for_each_test(publish, sample, text):
    publish("toy", PLUGIN.replace("{sample}", sample))
    with pytest.raises(SourceBrokenError, match=text) as caught:
        validate("datarax-toy")
    assert "datarax-toy 1.0" in str(caught.value)
    assert "Traceback" in caught.value.__notes__[0]


def test_a_plugin_that_ends_its_process_fails(publish):
    publish("toy", PLUGIN.replace("{sample}", "import os; os._exit(3)"))
    report = validate("datarax-toy")
    assert not report.passed
    assert report.count == 0
    assert "ended early" in report.failures[0]


def test_a_plugin_that_cannot_be_imported_is_broken(publish):
    publish("toy", "import no_such_backend")
    with pytest.raises(SourceBrokenError, match="no_such_backend"):
        validate("datarax-toy")


def test_what_is_not_installed_is_named_with_the_nearest_and_the_pip_line(publish):
    publish("toy")
    with pytest.raises(
        SourceNotInstalledError, match=r"Did you mean 'datarax-toy'.*pip install datarax-toi"
    ):
        validate("datarax-toi")
    with pytest.raises(SourceNotInstalledError, match="''"):
        validate("")


def test_a_distribution_without_a_source_says_so():
    with pytest.raises(UnknownSourceError, match=r"pluggy .*no entry point in the group"):
        validate("pluggy")


def test_of_several_schemes_one_is_chosen(publish):
    module = publish("toy")
    info = next(publish.folder.glob("*.dist-info"))
    (info / "entry_points.txt").write_text(
        f"[datarax.sources]\ntoy = {module}:plugin\ngame = {module}:plugin\n"
    )
    datarax.refresh()
    with pytest.raises(UnknownSourceError, match="'game', 'toy'; say which with scheme="):
        validate("datarax-toy")
    with pytest.raises(UnknownSourceError, match="no source 'gam'.*Did you mean 'game'"):
        validate("datarax-toy", scheme="gam")
    with pytest.raises(NotSupportedError, match="'game'"):
        validate("datarax-toy", scheme="game")


def test_a_scheme_that_another_plugin_answers_to_here_is_a_conflict(publish, monkeypatch):
    publish("toy")
    publish("toy", distribution="datarax-other")
    with pytest.raises(SourceConflictError, match="datarax-other"):
        validate("datarax-toy")
    monkeypatch.setenv("DATARAX_PLUGINS", "toy=datarax-other")
    with pytest.raises(SourceConflictError, match="answered here by datarax-other"):
        validate("datarax-toy")
