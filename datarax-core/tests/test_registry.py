"""The catalogue: what is installed, found without importing it, each plugin by itself."""

import ast
import importlib
import os
import subprocess
import sys
import threading

import pytest

import datarax
from datarax.errors import (
    InvalidURIError,
    NotSupportedError,
    SourceBrokenError,
    SourceConflictError,
    SourceDisabledError,
    SourceIncompatibleError,
    UnknownSourceError,
)
from datarax.registry import INDEXED, PluginInfo, hookimpl
from datarax.registry.loading import fetch, verify
from datarax.sources import MemoryReader, SourceConfig


class Toy:
    """A plugin registered by hand."""

    @hookimpl
    def describe(self):
        return PluginInfo(summary="by hand", config=SourceConfig, needs_target=False)

    @hookimpl
    def open(self):
        return MemoryReader({"x": [7, 8]})


def listed(scheme):
    return {info.scheme: info for info in datarax.list_sources()}[scheme]


def rows(uri):
    with datarax.load(uri, mode="lazy") as source:
        return [int(source.reader[i]["x"]) for i in range(len(source))]


# Listing


def test_memory_is_always_there():
    info = listed("memory")
    assert (info.distribution, info.version) == ("datarax-core", datarax.__version__)
    assert info.status == "ok"


def test_sources_are_listed_without_importing_any(publish):
    module = publish("toy", "raise RuntimeError('imported')", version="1.2", summary="a toy")
    info = listed("toy")
    assert (info.distribution, info.version, info.summary) == ("datarax-toy", "1.2", "a toy")
    assert (info.status, info.detail) == ("ok", None)
    assert module not in sys.modules
    schemes = [info.scheme for info in datarax.list_sources()]
    assert schemes == sorted(schemes)


@pytest.mark.parametrize(
    ("line", "url"),
    [
        ("Home-page: https://a.example", "https://a.example"),
        ("Project-URL: Homepage, https://b.example", "https://b.example"),
        ("Project-URL: Issues, https://c.example", None),
    ],
)
def test_the_homepage_comes_from_the_metadata(publish, line, url):
    publish("toy", extra=line)
    assert listed("toy").homepage == url


def test_capabilities_are_known_from_the_keywords_without_importing(publish):
    declared = "datarax:toy=streaming+window_shuffle"
    module = publish("toy", extra=f"Keywords: jax,{declared},datarax:other=save")
    assert listed("toy").capabilities == {"streaming", "window_shuffle"}
    assert module not in sys.modules
    assert rows("toy:") == [0, 1, 2]
    assert listed("toy").capabilities == INDEXED


def test_capabilities_that_no_metadata_declares_are_unknown_until_the_plugin_is_imported(publish):
    publish("toy")
    assert listed("toy").capabilities is None
    assert rows("toy:") == [0, 1, 2]
    assert listed("toy").capabilities == INDEXED


def test_only_the_plugin_asked_for_is_imported(publish):
    asked, other = publish("toy"), publish("other")
    assert rows("toy:") == [0, 1, 2]
    assert asked in sys.modules
    assert other not in sys.modules


def test_schemes_are_found_in_any_case(publish):
    publish("Toy")
    assert rows("TOY:") == rows("toy:") == [0, 1, 2]


# A plugin is scanned once, and again on a miss


def test_a_plugin_installed_while_the_process_runs_is_found_at_the_next_miss(publish):
    with pytest.raises(UnknownSourceError):
        datarax.load("toy:")
    publish("toy")
    assert rows("toy:") == [0, 1, 2]
    assert listed("toy").status == "ok"


def test_refresh_forgets_what_was_found(publish):
    publish("toy", value=1)
    assert rows("toy:") == [1, 2, 3]
    info = next(publish.folder.glob("*.dist-info"))
    for path in info.iterdir():
        path.unlink()
    info.rmdir()
    assert rows("toy:") == [1, 2, 3]
    datarax.refresh()
    with pytest.raises(UnknownSourceError):
        datarax.load("toy:")


# Two distributions with one scheme


def test_two_distributions_with_one_scheme_are_a_conflict_that_names_both(publish):
    publish("toy", distribution="a-toys", version="1.0")
    publish("toy", distribution="b-toys", version="2.0")
    with pytest.raises(SourceConflictError) as caught:
        datarax.load("toy:")
    text = str(caught.value)
    assert isinstance(caught.value, LookupError)
    assert "a-toys 1.0" in text
    assert "b-toys 2.0" in text
    assert "DATARAX_PLUGINS=toy=" in text
    assert listed("toy").status == "conflict"
    assert text == f"toy:: {listed('toy').detail}"


def test_a_pin_chooses_between_them(publish, monkeypatch):
    publish("toy", distribution="a-toys", value=10)
    publish("toy", distribution="b-toys", value=20)
    for name, first in (("b-toys", 20), ("A_Toys", 10)):
        monkeypatch.setenv("DATARAX_PLUGINS", f"toy={name}")
        assert rows("toy:")[0] == first
        assert listed("toy").status == "ok"


def test_a_pin_to_a_distribution_that_is_not_there_says_so(publish, monkeypatch):
    publish("toy", distribution="a-toys")
    monkeypatch.setenv("DATARAX_PLUGINS", "toy=c-toys")
    with pytest.raises(SourceDisabledError, match="c-toys"):
        datarax.load("toy:")


def test_a_pin_leaves_other_schemes_alone(publish, monkeypatch):
    publish("toy")
    publish("other", value=5)
    monkeypatch.setenv("DATARAX_PLUGINS", "toy=datarax-toy")
    assert rows("toy:")[0] == 0
    assert rows("other:")[0] == 5


def test_the_same_distribution_found_twice_is_no_conflict(publish, tmp_path, monkeypatch):
    publish("toy")
    folder = tmp_path / "second"
    folder.mkdir()
    info = next(publish.folder.glob("*.dist-info"))
    (folder / info.name).mkdir()
    for path in info.iterdir():
        (folder / info.name / path.name).write_text(path.read_text())
    monkeypatch.syspath_prepend(str(folder))
    datarax.refresh()
    assert rows("toy:") == [0, 1, 2]


# Switches


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_autoload_disabled_means_that_no_installed_plugin_answers(publish, monkeypatch, value):
    module = publish("toy")
    monkeypatch.setenv("DATARAX_DISABLE_PLUGIN_AUTOLOAD", value)
    with pytest.raises(SourceDisabledError, match=r"datarax-toy 1.0.*switched off") as caught:
        datarax.load("toy:")
    assert "add 'toy' to DATARAX_PLUGINS" in str(caught.value)
    assert listed("toy").status == "disabled"
    assert listed("memory").status == "ok"
    assert module not in sys.modules


@pytest.mark.parametrize("value", ["", "0", "false", "no", "off"])
def test_zero_false_and_the_empty_string_are_off(publish, monkeypatch, value):
    publish("toy")
    monkeypatch.setenv("DATARAX_DISABLE_PLUGIN_AUTOLOAD", value)
    assert rows("toy:") == [0, 1, 2]


@pytest.mark.parametrize("named", ["toy", "TOY", "datarax-toy", "x, datarax_toy"])
def test_an_allow_list_names_schemes_or_distributions(publish, monkeypatch, named):
    publish("toy")
    publish("other")
    monkeypatch.setenv("DATARAX_PLUGINS", named)
    assert rows("toy:") == [0, 1, 2]
    with pytest.raises(SourceDisabledError, match="other"):
        datarax.load("other:")
    monkeypatch.setenv("DATARAX_DISABLE_PLUGIN_AUTOLOAD", "1")
    assert rows("toy:") == [0, 1, 2]


def test_an_allow_list_settles_a_conflict(publish, monkeypatch):
    publish("toy", distribution="a-toys", value=10)
    publish("toy", distribution="b-toys", value=20)
    monkeypatch.setenv("DATARAX_PLUGINS", "b-toys")
    assert rows("toy:")[0] == 20


def test_strict_plugins_makes_any_broken_plugin_an_error(publish, monkeypatch):
    publish("toy")
    publish("bad", "raise RuntimeError('no')")
    monkeypatch.setenv("DATARAX_PLUGINS", "toy,bad")
    assert rows("toy:") == [0, 1, 2]
    monkeypatch.setenv("DATARAX_STRICT_PLUGINS", "1")
    with pytest.raises(SourceBrokenError, match="datarax-bad"):
        datarax.load("toy:")


# Every error says which URI was asked for


@pytest.mark.parametrize("ask", [datarax.load, datarax.inspect, fetch, verify])
def test_an_error_of_the_registry_names_the_uri_and_keeps_its_query_to_itself(
    publish, monkeypatch, ask
):
    publish("bad", "import no_such_module_anywhere")
    publish("late", requires=["datarax-core>=99"])
    publish("twice", distribution="a-twice")
    publish("twice", distribution="b-twice")
    publish("off")
    monkeypatch.setenv("DATARAX_PLUGINS", "bad,late,twice")
    reasons = {
        "unknowable": UnknownSourceError,
        "bad": SourceBrokenError,
        "late": SourceIncompatibleError,
        "twice": SourceConflictError,
        "off": SourceDisabledError,
    }
    for scheme, error in reasons.items():
        with pytest.raises(error, match=f"^{scheme}:some/set: ") as caught:
            ask(f"{scheme}:some/set?token=secret")
        assert "secret" not in str(caught.value)


# Broken and incompatible plugins


def test_a_broken_plugin_raises_its_own_error_chained_and_disturbs_no_other(publish):
    publish("bad", "import no_such_module_anywhere", version="3.1")
    publish("toy")
    for _ in range(2):
        with pytest.raises(SourceBrokenError) as caught:
            datarax.load("bad:")
        assert isinstance(caught.value, ImportError)
        assert isinstance(caught.value.__cause__, ModuleNotFoundError)
        assert "datarax-bad 3.1" in str(caught.value)
        assert "no_such_module_anywhere" in str(caught.value)
        assert rows("toy:") == [0, 1, 2]
    assert listed("bad").status == "broken"
    assert "no_such_module_anywhere" in listed("bad").detail
    assert listed("toy").status == "ok"


def test_a_broken_plugin_that_was_mended_works_again(publish):
    module = publish("bad", "raise RuntimeError('no')")
    with pytest.raises(SourceBrokenError, match="RuntimeError: no"):
        datarax.load("bad:")
    code = (publish.folder / f"{publish('toy')}.py").read_text()
    (publish.folder / f"{module}.py").write_text(code)
    importlib.invalidate_caches()
    assert rows("bad:") == [0, 1, 2]
    assert listed("bad").status == "ok"


LIST = "import datarax; print({i.scheme: (i.status, i.detail) for i in datarax.list_sources()})"


def in_another_process(folder):
    listing = f"import sys; sys.path.insert(0, {str(folder)!r}); {LIST}"
    run = subprocess.run(
        [sys.executable, "-c", listing], capture_output=True, text=True, check=True
    )
    return ast.literal_eval(run.stdout)


def test_another_process_lists_what_broke_when_last_tried(publish):
    module = publish("bad", "raise RuntimeError('no')")
    assert in_another_process(publish.folder)["bad"] == ("ok", None)
    with pytest.raises(SourceBrokenError):
        datarax.load("bad:")
    status, detail = in_another_process(publish.folder)["bad"]
    assert status == "broken"
    assert detail == "when last tried: RuntimeError: no"
    code = (publish.folder / f"{publish('toy')}.py").read_text()
    (publish.folder / f"{module}.py").write_text(code)
    importlib.invalidate_caches()
    assert rows("bad:") == [0, 1, 2]
    assert in_another_process(publish.folder)["bad"] == ("ok", None)


def test_a_new_installation_is_not_held_to_have_failed(publish):
    publish("bad", "raise RuntimeError('no')")
    with pytest.raises(SourceBrokenError):
        datarax.load("bad:")
    info = next(publish.folder.glob("*.dist-info"))
    os.utime(info, (0, 0))
    datarax.refresh()
    assert listed("bad").status == "ok"


@pytest.mark.parametrize("held", ["{", "[]", '{"x": 1}', None])
def test_a_list_of_failures_that_cannot_be_read_or_written_is_done_without(
    publish, held, tmp_path, monkeypatch
):
    home = tmp_path / "home"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    if held is None:
        home.write_text("a file, no folder")
    else:
        (home / "datarax").mkdir(parents=True)
        (home / "datarax" / "failures.json").write_text(held)
    publish("bad", "raise RuntimeError('no')")
    publish("toy")
    with pytest.raises(SourceBrokenError, match="RuntimeError: no"):
        datarax.load("bad:")
    assert listed("bad").status == "broken"
    assert rows("toy:") == [0, 1, 2]


@pytest.mark.parametrize(
    ("requires", "fits"),
    [
        ("datarax-core>=99", False),
        ("datarax_core<0.1", False),
        ("datarax-core>=0.1", True),
        ("datarax-core>=99; extra == 'later'", True),
        ("datarax-core>=99; python_version < '3'", True),
        ("numpy>=99", True),
    ],
)
def test_a_plugin_for_another_core_is_incompatible_by_its_metadata_alone(publish, requires, fits):
    module = publish("toy", version="1.5", requires=[requires])
    if fits:
        assert rows("toy:") == [0, 1, 2]
        return
    with pytest.raises(SourceIncompatibleError) as caught:
        datarax.load("toy:")
    assert isinstance(caught.value, ImportError)
    assert "datarax-toy 1.5" in str(caught.value)
    assert f"and {datarax.__version__} is installed" in str(caught.value)
    assert "pip install --upgrade datarax-toy datarax-core" in str(caught.value)
    assert listed("toy").status == "incompatible"
    assert module not in sys.modules


HEAD = """
from datarax.registry import PluginInfo, hookimpl
from datarax.registry.loading import fetch, verify
from datarax.sources import MemoryReader, SourceConfig

INFO = PluginInfo(summary="s", config=SourceConfig, needs_target=False)

class Plugin:
"""
OPEN = "    @hookimpl\n    def open(self, uri): return MemoryReader({'x': [1]})\n"
DESCRIBE = "    @hookimpl\n    def describe(self): return INFO\n"


@pytest.mark.parametrize(
    ("body", "error", "text"),
    [
        (OPEN, SourceBrokenError, "implements no hook 'describe'"),
        (DESCRIBE, SourceBrokenError, "implements no hook 'open'"),
        (
            DESCRIBE + "    @hookimpl\n    def open(self, address): return None\n",
            SourceBrokenError,
            "(?s:has a hook that datarax cannot call.*address)",
        ),
        (
            OPEN + "    @hookimpl\n    def describe(self): raise OSError('disk')\n",
            SourceBrokenError,
            "failed to describe itself with OSError: disk",
        ),
        (
            OPEN + "    @hookimpl\n    def describe(self): return 'a plugin'\n",
            SourceBrokenError,
            "must describe itself with a PluginInfo.*'a plugin'",
        ),
        (
            OPEN + "    @hookimpl\n    def describe(self): return PluginInfo('s', dict)\n",
            SourceBrokenError,
            "config is a StructuralConfig class",
        ),
        (
            OPEN + "    @hookimpl\n    def describe(self): return "
            "PluginInfo('s', SourceConfig, api_version=99)\n",
            SourceIncompatibleError,
            "written for plugin interface 99.*pip install --upgrade datarax-core",
        ),
    ],
)
def test_hooks_are_validated_when_a_plugin_is_asked_for(publish, body, error, text):
    publish("toy", HEAD + body + "\nplugin = Plugin()\n", version="4.0")
    with pytest.raises(error, match=f"datarax-toy 4.0.*{text}"):
        datarax.load("toy:")
    assert listed("toy").status == "broken"
    with pytest.raises(error):
        datarax.load("toy:")


@pytest.mark.parametrize("opened", ["None", "3", "[{'x': 1}]"])
def test_a_plugin_that_opens_neither_a_reader_nor_a_source_says_what_it_opened(publish, opened):
    body = DESCRIBE + f"    @hookimpl\n    def open(self, uri): return {opened}\n"
    publish("toy", HEAD + body + "\nplugin = Plugin()\n")
    with pytest.raises((SourceBrokenError, TypeError), match=r"[Rr]eader"):
        datarax.load("toy:")


def test_an_entry_point_may_name_a_class_or_a_module(publish):
    publish("kind", HEAD + DESCRIBE + OPEN + "\nplugin = Plugin\n")
    assert rows("kind:") == [1]


def test_errors_of_open_are_the_plugins_own(publish):
    body = DESCRIBE + "    @hookimpl\n    def open(self, uri): raise FileNotFoundError('gone')\n"
    publish("toy", HEAD + body + "\nplugin = Plugin()\n")
    with pytest.raises(FileNotFoundError, match=r"^gone$"):
        datarax.load("toy:")


# register, unregister


def test_register_lets_a_plugin_answer_before_any_installed_one(publish):
    publish("toy")
    datarax.register("toy", Toy())
    assert rows("toy:") == [7, 8]
    assert listed("toy") == datarax.SourceInfo(
        "toy", None, None, "by hand", capabilities=frozenset(INDEXED)
    )
    datarax.unregister("toy")
    assert rows("toy:") == [0, 1, 2]


def test_register_takes_a_class_and_registers_the_same_object_twice_harmlessly():
    datarax.register("Mine", Toy)
    datarax.register("mine", Toy)
    assert rows("mine:") == [7, 8]


def test_registering_another_object_for_a_scheme_is_a_conflict():
    datarax.register("mine", Toy())
    with pytest.raises(SourceConflictError, match=r"datarax.unregister\('mine'\) first"):
        datarax.register("mine", Toy())


@pytest.mark.parametrize("scheme", ["", "two words", "1st", "a:b"])
def test_a_scheme_to_register_is_a_word(scheme):
    with pytest.raises(InvalidURIError, match="a scheme is a word"):
        datarax.register(scheme, Toy())


def test_what_is_no_plugin_is_not_registered():
    with pytest.raises(SourceBrokenError, match=r"registered by hand\) implements no hook"):
        datarax.register("mine", object())
    with pytest.raises(UnknownSourceError):
        datarax.load("mine:")


def test_unregistering_what_is_not_registered_says_what_is():
    datarax.register("mine", Toy())
    with pytest.raises(UnknownSourceError, match=r"nothing is registered for 'yours'.*'mine'"):
        datarax.unregister("yours")


def test_registered_plugins_are_not_switched_off_by_the_environment(monkeypatch):
    monkeypatch.setenv("DATARAX_DISABLE_PLUGIN_AUTOLOAD", "1")
    datarax.register("mine", Toy())
    assert rows("mine:") == [7, 8]


# inspect and save through a plugin that has no hooks for them


def test_inspect_looks_where_a_plugin_does_not_say(publish):
    publish("toy")
    info = datarax.inspect("toy:", split=None)
    assert (info.records, list(info.fields), info.plan.mode) == (3, ["x"], "eager")


def test_saving_to_a_plugin_that_only_reads_says_so(publish):
    publish("toy")
    with datarax.load("toy:") as source, pytest.raises(NotSupportedError, match=r"datarax-toy 1.0"):
        datarax.save(source, "toy:")


def test_many_threads_import_a_plugin_once(publish):
    code = (publish.folder / f"{publish('toy')}.py").read_text()
    counted = "import builtins\nbuiltins.counted = getattr(builtins, 'counted', 0) + 1\n"
    publish("many", counted + code)
    import builtins

    threads = [threading.Thread(target=lambda: rows("many:")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert builtins.counted == 1
    del builtins.counted


def test_a_plugin_that_offers_the_built_in_scheme_is_a_conflict(publish):
    """`memory:` is core's; another distribution that takes it is named, not silently preferred."""
    publish("memory")
    with pytest.raises(SourceConflictError, match=r"datarax-core .* and \S+"):
        datarax.load("memory:", data={"x": [1]})
