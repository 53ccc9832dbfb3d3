"""Fixtures: a loopback Hub, a cache of its own, and a machine without sockets."""

from __future__ import annotations

import importlib.util
import signal
import socket
import sys
from pathlib import Path

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As a shell starts what runs in its background: the processes of tests are to hear Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _beside(name):
    """Import a module that lies beside this file; tests are no package."""
    full = f"datarax_hf_tests_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, Path(__file__).with_name(f"{name}.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


@pytest.fixture(scope="session")
def make():
    """The writers of tiny repositories."""
    return _beside("repos")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty hub cache, which the environment names by HF_HOME."""
    for name in (
        "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
        "HF_HUB_OFFLINE",
        "HF_DATASETS_OFFLINE",
        "TRANSFORMERS_OFFLINE",
        "DATARAX_OFFLINE",
        "HF_TOKEN",
        "HF_TOKEN_PATH",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "HF_ENDPOINT",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATARAX_HF_RETRY_SECONDS", "0.002")
    folder = tmp_path / "home" / "hub"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def hub(cache, monkeypatch):
    """A Hub on the loopback interface, which the environment names by HF_ENDPOINT."""
    from huggingface_hub import constants

    server = _beside("loopback_hub").LoopbackHub()
    home = cache.parent
    monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
    # The client reads these paths when it is imported, and asks for the second one only where the
    # file is not there.
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
    monkeypatch.setattr(constants, "AGENT_HARNESSES_PATH", str(home / "agents.json"), raising=False)
    (home / "agents.json").write_text('{"harnesses": []}')
    yield server
    server.close()


@pytest.fixture
def xet(hub):
    """Xet storage on the loopback interface, where the Hub's parquet files are stored too."""
    hub.xet = _beside("loopback_xet").LoopbackXet()
    yield hub.xet
    hub.xet.close()


@pytest.fixture
def air_gap(monkeypatch):
    """Make every attempt to open a socket an error."""

    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    def block():
        monkeypatch.setattr(socket, "socket", refuse)
        monkeypatch.setattr(socket, "create_connection", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)

    return block


@pytest.fixture
def open_reader():
    """Open the reader of a dataset, given the options of `HFSourceConfig`."""
    from datarax_hf.config import HFSourceConfig
    from datarax_hf.locate import locate
    from datarax_hf.reader import open_reader

    def open_(name, **options):
        config = HFSourceConfig(name=name, **options)
        return open_reader(locate(config), config)

    return open_


@pytest.fixture
def offline(open_reader):
    """Open a reader with local files only."""
    return lambda name, **options: open_reader(name, local_files_only=True, **options)
