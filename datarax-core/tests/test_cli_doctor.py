"""`datarax doctor`: every problem of an installation is found, and told with its remedy."""

import json
import shutil
import sys

import pytest

import datarax
from datarax.cli.checks import caches
from datarax.registry import PluginInfo, hookimpl, register_policy, unregister_policy
from datarax.sources import MemoryReader, SourceConfig


@pytest.fixture
def doctor(command_line):
    """Return what doctor answers: its JSON, and its problems by what they are about."""

    def examine():
        code, out, _ = command_line("doctor", "--json")
        told = json.loads(out)
        assert "error" not in told, told
        assert code == (1 if told["problems"] else 0)
        assert told["ok"] is not bool(told["problems"])
        problems = {}
        for found in told["problems"]:
            assert found["problem"]
            assert found["remedy"]
            problems.setdefault(found["about"].partition(" ")[0], []).append(found)
        return told, problems

    return examine


@pytest.fixture
def alone(publish, nothing_installed):
    """Leave nothing installed but datarax-core, by its metadata, and what a test publishes."""
    publish(
        "unused",
        distribution="datarax-core",
        version=datarax.__version__,
        requires=(),
        group="other",
    )
    datarax.refresh()
    return publish


# Nothing wrong


def test_a_sound_installation_has_no_problem(alone, vault, doctor, command_line):
    told, problems = doctor()
    assert (told["ok"], problems) == (True, {})
    assert command_line("doctor")[0] == 0
    assert command_line("doctor")[1].endswith("\n\nNo problem found.\n")


def test_the_answer_has_what_was_looked_at(alone, vault, doctor, monkeypatch, tmp_path):
    monkeypatch.setenv("VAULT_HOME", str(tmp_path / "vault"))
    (tmp_path / "vault" / "inside").mkdir(parents=True)
    (tmp_path / "vault" / "inside" / "file").write_bytes(bytes(1000))
    told, _ = doctor()
    assert set(told) == {
        "ok",
        "problems",
        "environment",
        "sources",
        "policies",
        "switches",
        "caches",
    }
    environment = told["environment"]
    assert environment["python"]["executable"] == sys.executable
    core, own = environment["distributions"]
    assert (core["name"], core["version"]) == ("datarax-core", datarax.__version__)
    assert own["requirements"] == [
        {
            "name": "datarax-core",
            "requirement": "",
            "installed": datarax.__version__,
            "satisfied": True,
        }
    ]
    (found,) = [source for source in told["sources"] if source["scheme"] == "vault"]
    assert (found["status"], found["imported"], found["datasets"]) == ("ok", True, 3)
    assert found["seconds"] >= 0
    cache = told["caches"][1]
    assert cache.pop("free") > 0
    assert cache == {
        "owner": "vault",
        "holds": "pets",
        "folder": str(tmp_path / "vault"),
        "exists": True,
        "bytes": 1000,
        "complete": True,
        "writable": True,
    }
    assert [switch["name"] for switch in told["switches"]][:2] == [
        "DATARAX_OFFLINE",
        "HF_HUB_OFFLINE",
    ]


def test_the_text_fits_the_terminal(alone, vault, command_line, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("DATARAX_OFFLINE", "maybe")
    code, out, _ = command_line("doctor")
    assert code == 1
    assert max(map(len, out.splitlines())) <= 80
    assert "1 problem:\n\nabout    DATARAX_OFFLINE\n" in out


# The environment


def test_a_requirement_that_is_not_met_is_a_problem(alone, doctor):
    alone("toy", requires=("datarax-core", "no-such-thing>=2; python_version>'3'", "x; extra=='y'"))
    alone("other", requires=("datarax-toy>=2",))
    _, problems = doctor()
    (toy,), (other,) = problems["datarax-toy"], problems["datarax-other"]
    assert "needs no-such-thing>=2, which is not installed" in toy["problem"]
    assert toy["remedy"] == "run: pip install 'no-such-thing>=2'"
    assert "needs datarax-toy>=2, which is 1.0 here" in other["problem"]


def test_a_distribution_installed_twice_is_a_problem_that_says_which_is_used(
    alone, doctor, tmp_path, monkeypatch
):
    alone("toy", version="2.0")
    behind = tmp_path / "behind"
    info = next(alone.folder.glob("datarax_toy-*.dist-info"))
    shutil.copytree(info, behind / "datarax_toy-1.0.dist-info")
    metadata = behind / "datarax_toy-1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 2.0", "Version: 1.0"))
    monkeypatch.setattr(sys, "path", [*sys.path, str(behind), str(behind)])
    datarax.refresh()
    (found,) = doctor()[1]["datarax-toy"]
    assert f"installed 2 times: 2.0 in {alone.folder} is used" in found["problem"]
    assert f"hides 1.0 in {behind}" in found["problem"]
    assert "pip uninstall datarax-toy" in found["remedy"]


def test_the_older_distribution_beside_core_is_a_problem(alone, doctor):
    alone("unread", distribution="datarax", version="0.1.4", group="other")
    (found,) = doctor()[1]["datarax"]
    assert "datarax 0.1.4 is installed beside datarax-core" in found["problem"]
    assert found["remedy"].startswith("run: pip uninstall datarax, then: pip install")


def test_core_without_its_metadata_or_beside_another_version_is_a_problem(
    publish, nothing_installed, doctor
):
    assert "no metadata of datarax-core" in doctor()[1]["datarax-core"][0]["problem"]
    publish("x", distribution="datarax-core", version="0.0.1", requires=(), group="other")
    datarax.refresh()
    (found,) = doctor()[1]["datarax-core"]
    assert "the metadata in" in found["problem"]
    assert "says 0.0.1" in found["problem"]


def test_entry_points_without_metadata_and_versions_that_are_none_are_problems(alone, doctor):
    alone("left")
    (alone.folder / "datarax_left-1.0.dist-info" / "METADATA").unlink()
    alone("odd", version="no-version", requires=("datarax-odd>=1",))
    datarax.refresh()
    _, problems = doctor()
    assert "has entry points and no metadata" in problems["datarax_left"][0]["problem"]
    assert "needs datarax-odd>=1, which is no-version here" in problems["datarax-odd"][0]["problem"]


# Plugins


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise RuntimeError('no')", "importing it failed with RuntimeError: no"),
        ("import sys; sys.exit(3)", "importing it failed with SystemExit: 3"),
        ("class plugin:\n    def __init__(self, x): ...", "making one failed with TypeError"),
        ("plugin = object()", "implements no hook 'describe'"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_a_problem_and_hides_no_other(
    alone, vault, doctor, code, said
):
    alone("bad", code, extra="Home-page: https://bad.example")
    told, problems = doctor()
    (found,) = problems["bad"]
    assert said in found["problem"]
    assert found["remedy"] == (
        "run: pip install --upgrade datarax-bad, or tell its authors: https://bad.example"
    )
    sources = {source["scheme"]: source for source in told["sources"]}
    assert sources["bad"]["imported"] is False
    assert sources["vault"]["imported"] is True


def test_a_missing_module_is_named(alone, doctor):
    alone("bad", "import no_such_module_anywhere")
    (found,) = doctor()[1]["bad"]
    assert "the module 'no_such_module_anywhere' is missing" in found["remedy"]


def test_a_plugin_for_a_plugin_api_to_come_is_a_problem_with_its_own_remedy(alone, doctor):
    code = HOOKS.replace("needs_target=False", "needs_target=False, api_version=99")
    alone("toy", code)
    (found,) = doctor()[1]["toy"]
    assert "was written for plugin interface 99" in found["problem"]
    assert found["remedy"] == "run: pip install --upgrade datarax-core"


def test_strict_plugins_makes_no_sound_plugin_a_problem(alone, vault, doctor, monkeypatch):
    alone("bad", "raise RuntimeError('no')")
    monkeypatch.setenv("DATARAX_STRICT_PLUGINS", "1")
    assert set(doctor()[1]) == {"bad"}


def test_conflicts_and_incompatible_plugins_are_problems_and_disabled_ones_are_not(
    alone, doctor, monkeypatch
):
    alone("twin", distribution="a-twins")
    alone("twin", distribution="b-twins")
    alone("old", requires=["datarax-core<0.1"])
    alone("off")
    monkeypatch.setenv("DATARAX_PLUGINS", "twin,old")
    told, problems = doctor()
    assert set(problems) == {"twin", "old", "datarax-old"}
    assert "a-twins 1.0" in problems["twin"][0]["problem"]
    assert "b-twins 1.0" in problems["twin"][0]["problem"]
    assert problems["twin"][0]["remedy"].startswith("choose with DATARAX_PLUGINS=twin=")
    assert problems["old"][0]["remedy"].startswith("run: pip install --upgrade")
    imported = {source["scheme"]: source["imported"] for source in told["sources"]}
    assert imported == dict.fromkeys(("twin", "old", "off", "memory"))


HOOKS = """
from datarax.registry import PluginInfo, hookimpl
from datarax.sources import MemoryReader, SourceConfig


class Plugin:
    @hookimpl
    def describe(self):
        return PluginInfo("toys", config=SourceConfig, needs_target=False)

    @hookimpl
    def open(self):
        return MemoryReader({"x": [1]})

    @hookimpl
    def fetchs(self):
        return None

    @hookimpl(optionalhook=True)
    def of_a_later_release(self):
        return None

    @hookimpl
    def datasets(self):
        raise OSError("no listing")

    @hookimpl
    def caches(self):
        raise OSError("no caches")


plugin = Plugin
"""


UNKNOWN = (
    "it implements the hook 'fetchs', which this datarax-core does not know and never calls. "
    "Did you mean 'fetch'?"
)


def test_hooks_that_core_does_not_know_or_that_fail_are_problems(alone, doctor):
    alone("toy", HOOKS)
    found = [problem["problem"] for problem in doctor()[1]["toy"]]
    assert found == [
        "its hook 'datasets' failed with OSError: no listing",
        UNKNOWN,
        "its hook 'caches' failed with OSError: no caches",
    ]


def test_capabilities_that_the_metadata_declares_otherwise_are_a_problem(alone, doctor):
    alone("toy", extra="Keywords: datarax:toy=streaming")
    (found,) = doctor()[1]["toy"]
    assert "its metadata declares streaming, and the plugin exact_resume+" in found["problem"]
    assert "'datarax:toy=exact_resume+indexed_access+traced_access'" in found["remedy"]


def test_a_plugin_registered_by_hand_is_examined_too(alone, doctor):
    class Plugin:
        @hookimpl
        def describe(self):
            return PluginInfo("by hand", config=SourceConfig, needs_target=False)

        @hookimpl
        def open(self):
            return MemoryReader({"x": [1]})

        @hookimpl
        def nonsense(self):
            return None

    datarax.register("hand", Plugin())
    (found,) = doctor()[1]["hand"]
    assert found["about"] == "hand (registered by hand)"
    assert "'nonsense'" in found["problem"]


# Policies


def test_policies_are_listed_and_one_that_cannot_be_asked_is_a_problem(alone, doctor):
    class Policy:
        @hookimpl
        def before_load(self):
            return None

    register_policy("audit", Policy())
    told, problems = doctor()
    assert told["policies"] == [{"name": "audit", "distribution": None, "version": None}]
    assert problems == {}
    unregister_policy("audit")
    alone("acme", "raise RuntimeError('no')", group="datarax.policies")
    datarax.refresh()
    (found,) = doctor()[1]["policies"]
    assert "RuntimeError: no" in found["problem"]
    assert "uninstall it" in found["remedy"]


# Switches


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DATARAX_OFFLINE", "1", "on: only local files are read"),
        ("DATARAX_OFFLINE", "0", "off: a load may use the network"),
        ("HF_HUB_OFFLINE", "yes", "on: "),
        ("HF_DATASETS_OFFLINE", "1", "on: "),
        ("TRANSFORMERS_OFFLINE", "1", "on: "),
        ("DATARAX_PLUGINS", "vault", "only vault and memory answer"),
        ("DATARAX_PLUGINS", "vault=datarax-vault", "vault is datarax-vault's"),
        ("DATARAX_DISABLE_PLUGIN_AUTOLOAD", "1", "on: no plugin answers but memory"),
        ("DATARAX_STRICT_PLUGINS", "true", "on: any plugin that is broken fails every load"),
        ("DATARAX_PROGRESS", "0", "off: no bar is drawn"),
    ],
)
def test_a_switch_is_told_with_what_it_comes_to(
    alone, vault, doctor, monkeypatch, name, value, said
):
    monkeypatch.setenv(name, value)
    told, problems = doctor()
    (switch,) = [switch for switch in told["switches"] if switch["name"] == name]
    assert switch["value"] == value
    assert switch["meaning"].startswith(said)
    assert problems == {}


@pytest.mark.parametrize(
    ("name", "value", "about", "said"),
    [
        ("DATARAX_OFFLINE", "flase", "DATARAX_OFFLINE", "counts as on"),
        ("DATARAX_OFLINE", "1", "DATARAX_OFLINE", "nothing reads it"),
        ("DATARAX_PLUGINS", "valt", "DATARAX_PLUGINS", "Did you mean 'vault'?"),
        (
            "DATARAX_PLUGINS",
            "valt=datarax-vault",
            "DATARAX_PLUGINS",
            "it names 'valt=datarax-vault'",
        ),
        ("DATARAX_PLUGINS", "vault=acme", "DATARAX_PLUGINS", "it pins 'vault' to 'acme'"),
    ],
)
def test_a_switch_that_says_nothing_is_a_problem(
    alone, vault, doctor, monkeypatch, name, value, about, said
):
    monkeypatch.setenv(name, value)
    (found,) = doctor()[1][about]
    assert said in found["problem"]


# Caches


def test_a_cache_that_is_a_file_is_a_problem(alone, vault, doctor, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("VAULT_HOME", str(tmp_path / "file"))
    (found,) = doctor()[1]["vault"]
    assert f"{tmp_path / 'file'} is to hold pets, and is a file" in found["problem"]


def test_the_size_of_a_large_cache_is_a_lower_bound_and_links_are_not_followed(
    alone, vault, doctor, command_line, monkeypatch, tmp_path
):
    monkeypatch.setenv("VAULT_HOME", str(tmp_path / "vault"))
    (tmp_path / "vault").mkdir()
    for name in "abc":
        (tmp_path / "vault" / name).write_bytes(bytes(10))
    (tmp_path / "vault" / "link").symlink_to(tmp_path / "vault" / "a")
    (tmp_path / "vault" / "loop").symlink_to(tmp_path / "vault", target_is_directory=True)
    cache = doctor()[0]["caches"][1]
    assert (cache["bytes"], cache["complete"]) == (30, True)
    monkeypatch.setattr(caches, "ENTRIES", 2)
    cache = doctor()[0]["caches"][1]
    assert cache["bytes"] <= 20
    assert not cache["complete"]
    assert "over " in command_line("doctor")[1]
