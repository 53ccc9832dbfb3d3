"""The checks of examples/quickstart.py can fail; that they pass is what `tox -e demo` runs."""

import importlib.util
import socket
from pathlib import Path

import pytest

import datarax

PATH = Path(__file__).resolve().parents[1] / "examples" / "quickstart.py"


@pytest.fixture(scope="module")
def quickstart():
    spec = importlib.util.spec_from_file_location("quickstart", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_other_batches_are_told_from_the_same(quickstart):
    def iris(**options):
        return datarax.load("sklearn:iris", **options)

    assert quickstart.same_batches(iris(shuffle=True), iris(shuffle=True))
    assert not quickstart.same_batches(iris(shuffle=True), iris(shuffle=True, seed=1))
    assert not quickstart.same_batches(iris(), iris(exclude_keys=["label"]))


def test_the_digits_of_another_cache_fail_the_run(quickstart, monkeypatch):
    def write_fewer(cache, name):
        load = datarax.load
        with monkeypatch.context() as patch:
            patch.setattr(datarax, "load", lambda uri, **o: load(uri, split="train[1:]", **o))
            write(cache, name)

    write = quickstart.write_hub_cache
    monkeypatch.setattr(quickstart, "train", lambda: 1.0)
    monkeypatch.setattr(quickstart, "write_hub_cache", write_fewer)
    assert quickstart.main() == 1


def test_an_accuracy_at_the_target_fails_the_run(quickstart, monkeypatch):
    monkeypatch.setattr(quickstart, "train", lambda: quickstart.TARGET)
    monkeypatch.setattr(quickstart, "load_from_cache", lambda: True)
    assert quickstart.main() == 1


def test_no_socket_opens_while_networking_is_blocked(quickstart):
    with quickstart.no_network():
        with pytest.raises(OSError, match="networking is blocked"):
            socket.socket()
        with pytest.raises(OSError, match="networking is blocked"):
            socket.create_connection(("localhost", 9))
    socket.socket().close()
