"""Policies: rules of a company's own around every load, by entry point or by hand."""

import logging
import sys
import threading
import time

import pytest

import datarax
from datarax.errors import (
    NotSupportedError,
    PolicyBrokenError,
    PolicyConflictError,
    RefusedError,
    UnknownPolicyError,
)
from datarax.registry import (
    INDEXED,
    Capability,
    Fetched,
    PluginInfo,
    PolicyInfo,
    hookimpl,
    list_policies,
    register_policy,
    unregister_policy,
)
from datarax.registry.loading import fetch
from datarax.registry.policy import POLICIES
from datarax.sources import MemoryReader, SourceConfig

LOCAL_ONLY = """
from datarax.errors import RefusedError
from datarax.registry import hookimpl


class LocalOnly:
    @hookimpl
    def before_load(self, uri, options, action):
        if not options["local_files_only"]:
            raise RefusedError(
                f"to {action} {uri} needs local_files_only=True: this site reads local files only"
            )


plugin = LocalOnly()
"""


class Licences:
    """Logs the licence of whatever is loaded."""

    @hookimpl
    def after_load(self, uri, source):
        licence = datarax.inspect(str(uri), data={"x": [1]}).licence
        logging.getLogger("audit").info("%s: %d records, licence %s", uri, len(source), licence)


class Timing:
    """Times every load."""

    def __init__(self):
        self.seconds = []

    @hookimpl(wrapper=True)
    def around_load(self, uri):
        begin = time.perf_counter()
        try:
            return (yield)
        finally:
            self.seconds.append((str(uri), time.perf_counter() - begin))


@pytest.fixture(autouse=True)
def no_policy_is_left():
    yield
    for info in list_policies():
        if info.distribution is None:
            unregister_policy(info.name)


def load(**options):
    datarax.load("memory:", data={"x": [1, 2]}, **options).close()


# What policies are for


def test_a_policy_forbids_all_but_local_files(publish, monkeypatch):
    publish("local-only", LOCAL_ONLY, distribution="acme-policy", group="datarax.policies")
    datarax.refresh()
    with pytest.raises(RefusedError, match="to load memory: needs local_files_only=True") as caught:
        load()
    assert isinstance(caught.value, PermissionError)
    with pytest.raises(RefusedError, match="to inspect memory:"):
        datarax.inspect("memory:", data={"x": [1]})
    load(local_files_only=True)
    datarax.load("memory:?local_files_only=true", data={"x": [1]}).close()
    with pytest.raises(RefusedError):
        datarax.load("memory:?local_files_only=false", data={"x": [1]})
    monkeypatch.setenv("DATARAX_OFFLINE", "1")
    load()


def test_a_policy_logs_licences(caplog):
    register_policy("licences", Licences())
    with caplog.at_level("INFO", "audit"):
        load()
    assert caplog.messages == ["memory:: 2 records, licence None"]


def test_a_policy_times_loads_and_their_failures():
    timing = Timing()
    register_policy("timing", timing)
    load()
    with pytest.raises(ValueError, match="no_such"):
        load(split="no_such")
    assert [uri for uri, _ in timing.seconds] == ["memory:", "memory:"]
    assert all(seconds > 0 for _, seconds in timing.seconds)


# What they are told


class Told:
    def __init__(self):
        self.calls = []

    @hookimpl
    def before_load(self, uri, options, action):
        self.calls.append((str(uri), dict(options), action))


def test_a_policy_is_told_the_options_given_typed_and_the_environments_answer(monkeypatch):
    told = Told()
    register_policy("told", told)
    datarax.load("memory:?shuffle=true&seed=3", data={"x": [1]}, mode="lazy").close()
    uri, options, action = told.calls[0]
    assert uri.startswith("memory:")
    assert options == {"shuffle": True, "seed": 3, "mode": "lazy", "local_files_only": False}
    assert action == "load"
    monkeypatch.setenv("DATARAX_OFFLINE", "yes")
    load()
    assert told.calls[1][1] == {"local_files_only": True}


def test_a_policy_cannot_change_the_options():
    class Changing:
        @hookimpl
        def before_load(self, options):
            options["local_files_only"] = True

    register_policy("changing", Changing())
    with pytest.raises(TypeError, match="does not support item assignment"):
        load()


class Store:
    """A source that can fetch and save."""

    def __init__(self):
        self.done = []

    @hookimpl
    def describe(self):
        capabilities = INDEXED | {Capability.SAVE, Capability.FETCHES}
        return PluginInfo("s", SourceConfig, capabilities, needs_target=False)

    @hookimpl
    def open(self):
        return MemoryReader({"x": [1]})

    @hookimpl
    def save(self, uri):
        self.done.append(f"saved {uri}")

    @hookimpl
    def fetch(self, uri):
        self.done.append(f"fetched {uri}")
        return Fetched("folder", {"a": 3, "b": 4})


def test_fetching_and_saving_ask_first():
    store, told = Store(), Told()
    datarax.register("store", store)
    register_policy("told", told)
    assert fetch("store:").bytes == 7
    with datarax.load("store:") as source:
        datarax.save(source, "store:")
    assert store.done == ["fetched store:", "saved store:"]
    assert [action for _, _, action in told.calls] == ["fetch", "load", "save"]

    class Never:
        @hookimpl
        def before_load(self, action):
            raise RefusedError(f"never {action}")

    register_policy("never", Never())
    with pytest.raises(RefusedError, match="never fetch"):
        fetch("store:")
    with pytest.raises(RefusedError, match="never save"):
        datarax.save(source, "store:")
    assert len(store.done) == 2


def test_what_reads_this_machine_alone_has_nothing_to_fetch():
    with pytest.raises(NotSupportedError, match=r"datarax-core .*: there is nothing to fetch"):
        fetch("memory:")


def test_a_policy_that_refuses_what_was_loaded_closes_it():
    seen = []

    class After:
        @hookimpl
        def after_load(self, source):
            seen.append(source)
            raise RefusedError("no licence")

    register_policy("after", After())
    with pytest.raises(RefusedError, match="no licence"):
        load()
    with pytest.raises(ValueError, match="closed"):
        seen[0][0]


# Fail closed


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("import no_such_module_anywhere", "importing it failed with ModuleNotFoundError"),
        ("plugin = object()", "implements no hook"),
        (LOCAL_ONLY.replace("before_load", "befor_load"), "cannot call.*befor_load"),
        (LOCAL_ONLY.replace("(self, uri, options, action)", "(self, address)"), "(?s)address"),
    ],
    ids=["broken", "empty", "misspelt", "signature"],
)
def test_where_a_policy_cannot_be_asked_nothing_is_loaded(publish, code, text):
    publish("acme", code, distribution="acme-policy", version="2.0", group="datarax.policies")
    datarax.refresh()
    for _ in range(2):
        with pytest.raises(PolicyBrokenError, match=text) as caught:
            load()
        assert isinstance(caught.value, ImportError)
        assert "acme-policy 2.0" in str(caught.value)


@pytest.mark.parametrize("switch", ["DATARAX_DISABLE_PLUGIN_AUTOLOAD", "DATARAX_PLUGINS"])
def test_no_switch_of_the_environment_turns_a_policy_off(publish, monkeypatch, switch):
    publish("local-only", LOCAL_ONLY, distribution="acme-policy", group="datarax.policies")
    datarax.refresh()
    monkeypatch.setenv(switch, "1" if "DISABLE" in switch else "memory")
    with pytest.raises(RefusedError):
        load()


def test_around_load_is_for_wrappers_alone():
    class Instead:
        @hookimpl
        def around_load(self, uri):
            return None

    with pytest.raises(PolicyBrokenError, match="hookimpl\\(wrapper=True\\)"):
        register_policy("instead", Instead())
    load()


# Listing, registering


def test_policies_are_listed_without_importing_any(publish):
    module = publish("acme", LOCAL_ONLY, distribution="acme-policy", group="datarax.policies")
    register_policy("timing", Timing())
    assert list_policies() == (PolicyInfo("acme", "acme-policy", "1.0"), PolicyInfo("timing"))
    assert module not in sys.modules


def test_the_same_policy_registers_twice_and_another_by_its_name_does_not():
    timing = Timing()
    register_policy("timing", timing)
    register_policy("timing", timing)
    load()
    assert len(timing.seconds) == 1
    with pytest.raises(PolicyConflictError, match=r"unregister_policy\('timing'\) first"):
        register_policy("timing", Timing())
    unregister_policy("timing")
    load()
    assert len(timing.seconds) == 1
    with pytest.raises(UnknownPolicyError, match="no policy 'timing' is registered; .* none"):
        unregister_policy("timing")


def test_policies_are_asked_in_the_order_of_their_names():
    asked = []

    def named(name):
        class Policy:
            @hookimpl
            def before_load(self):
                asked.append(name)

        return Policy()

    for name in ("b", "c", "a"):
        register_policy(name, named(name))
    load()
    assert asked == ["a", "b", "c"]


def test_many_threads_may_load_at_once_while_a_policy_comes_and_goes():
    stop = threading.Event()
    failures = []

    def loading():
        while not stop.is_set():
            try:
                load(mode="lazy")
            except Exception as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=loading) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        register_policy("timing", Timing())
        unregister_policy("timing")
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert POLICIES.known() == ()
