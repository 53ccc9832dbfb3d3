"""Plugins published by hand, and a clean catalogue for every test."""

import importlib
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

import datarax
from datarax.cli import main
from datarax.registry.catalogue import CATALOGUE

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As a shell starts what runs in its background: the processes of tests are to hear Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

PLUGIN = """
from datarax.registry import PluginInfo, hookimpl
from datarax.sources import MemoryReader, SourceConfig


class Plugin:
    @hookimpl
    def describe(self):
        return PluginInfo(summary="toys", config=SourceConfig, needs_target=False)

    @hookimpl
    def open(self, uri):
        return MemoryReader({{"x": [{value}, {value} + 1, {value} + 2]}})


plugin = Plugin()
"""


class Publisher:
    """Installs distributions in a folder on `sys.path`, as pip leaves them: files and metadata."""

    def __init__(self, folder):
        self.folder = folder
        self.modules = []

    def __call__(
        self,
        scheme,
        code=None,
        *,
        distribution=None,
        version="1.0",
        requires=("datarax-core",),
        summary="toys",
        value=0,
        extra="",
        group="datarax.sources",
    ):
        distribution = distribution or f"datarax-{scheme}"
        module = f"{distribution.replace('-', '_')}_module"
        (self.folder / f"{module}.py").write_text(code or PLUGIN.format(value=value))
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = [f"Name: {distribution}", f"Version: {version}", f"Summary: {summary}"]
        lines += [f"Requires-Dist: {line}" for line in requires]
        lines += [extra] if extra else []
        (info / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{scheme} = {module}:plugin\n")
        self.modules.append(module)
        return module


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Publish a plugin: `publish("toy")` makes `toy:` loadable, with no install step."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    datarax.refresh()
    publisher = Publisher(folder)
    yield publisher
    for module in publisher.modules:
        sys.modules.pop(module, None)
    monkeypatch.undo()
    importlib.invalidate_caches()
    datarax.refresh()


@pytest.fixture
def nothing_installed(monkeypatch):
    """Leave no distribution on `sys.path`: what is imported stays, what is installed is gone."""
    # what the registry and the command line import on use, and the memory source with jax and flax
    for name in (
        "importlib_metadata",
        "packaging.requirements",
        "packaging.utils",
        "datarax.sources.memory",
        "datarax.cli.sources",
        "datarax.cli.doctor",
        "datarax.cli.checks",
    ):
        importlib.import_module(name)
    bare = [path for path in sys.path if not any(Path(path or ".").glob("*.dist-info"))]
    monkeypatch.setattr(sys, "path", bare)
    datarax.refresh()
    yield
    monkeypatch.undo()
    datarax.refresh()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path_factory):
    """No switch and no cache of the machine that runs the tests decides what they see."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    for name in (
        "DATARAX_OFFLINE",
        "DATARAX_PLUGINS",
        "DATARAX_DISABLE_PLUGIN_AUTOLOAD",
        "DATARAX_STRICT_PLUGINS",
    ):
        monkeypatch.delenv(name, raising=False)
    yield
    for scheme in list(CATALOGUE._registered):
        datarax.unregister(scheme)


@pytest.fixture
def load():
    """Load eleven rows from memory: x = 0 ... 10, and a label."""
    opened = []

    def load(size=11, **options):
        data = {"x": np.arange(size, dtype=np.float32), "label": np.arange(size) % 3}
        opened.append(datarax.load("memory:", data=data, **options))
        return opened[-1]

    yield load
    for source in opened:
        source.close()


@pytest.fixture
def command_line(capsys, monkeypatch):
    """Run the command line in this process: `command_line("sources")` is (code, out, err)."""
    monkeypatch.delenv("COLUMNS", raising=False)  # tox sets it, and lines would be wrapped

    def run(*arguments):
        capsys.readouterr()
        code = main(arguments)
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def vault(publish):
    """Publish a plugin with every hook, `vault:`."""
    path = Path(__file__).with_name("plugins") / "vault.py"
    keyword = "Keywords: datarax:vault=exact_resume+fetches+indexed_access+traced_access"
    return publish("vault", path.read_text(), extra=keyword)
