"""Importing datarax stays light: neither jax nor any plugin, each time proved by a failing twin."""

import subprocess
import sys

import pytest

HEAVY = ("jax", "jaxlib", "flax", "orbax", "pytest", "pandas", "pyarrow", "tensorflow")
GUARD = f"""
import sys
heavy = sorted(
    name for name in sys.modules
    if name.partition(".")[0] in {HEAVY!r}
    or name.startswith("datarax_") or name.endswith("_module")
)
assert not heavy, heavy[:5]
"""


def run(code, *arguments, path=None):
    if path is not None:
        code = f"import sys; sys.path.insert(0, {str(path)!r})\n{code}"
    return subprocess.run(
        [sys.executable, *arguments, "-c", code], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "code",
    [
        "import datarax",
        "import datarax; datarax.list_sources()",
        "import datarax; dir(datarax); datarax.errors.DataraxError",
        "import datarax; datarax.load; datarax.inspect; datarax.save",
        "import datarax.core.config, datarax.core.order, datarax.core.frozen",
        "import datarax.registry, datarax.registry.catalogue, datarax.registry.loading",
        "import datarax.sources; datarax.sources.MemoryReader",
        "import datarax; assert datarax.inspect('memory:', data={'x': [1]}).plan.bytes == 4",
        "import datarax\ntry: datarax.load('zzzzz:x')\nexcept LookupError: pass",
    ],
)
def test_importing_and_listing_import_neither_jax_nor_any_plugin(publish, code):
    publish("toy", "raise RuntimeError('imported')")
    done = run(f"{code}\n{GUARD}", path=publish.folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "code",
    ["import jax", "import datarax; datarax.DataSourceModule", "import datarax_toy_module"],
)
def test_the_guard_can_fail(publish, code):
    publish("toy")
    done = run(f"{code}\n{GUARD}", path=publish.folder)
    assert done.returncode == 1
    assert "AssertionError: ['" in done.stderr


def imported(code):
    done = run(code, "-X", "importtime")
    assert done.returncode == 0, done.stderr
    return {
        line.rpartition("|")[2].strip().partition(".")[0]
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    }


def test_importtime_shows_neither_jax_nor_a_plugin():
    names = imported("import datarax")
    assert "datarax" in names
    assert not names & {*HEAVY}
    assert not {name for name in names if name.startswith("datarax_")}


@pytest.mark.parametrize(("value", "width"), [("True", 8), ("off", 4)])
def test_the_plan_knows_how_wide_jax_will_be_before_it_is_imported(monkeypatch, value, width):
    monkeypatch.setenv("JAX_ENABLE_X64", value)
    done = run(
        "import datarax, sys\n"
        "before = datarax.inspect('memory:', data={'x': [1.5]}).plan\n"
        "assert 'jax' not in sys.modules\n"
        "import jax\n"
        "after = datarax.inspect('memory:', data={'x': [1.5]}).plan\n"
        "print(before.bytes, after.bytes)\n"
    )
    assert done.stdout.split() == [str(width)] * 2, done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "import datarax; datarax.list_sources()",
        "from datarax.sources import ColumnarReader, SourceConfig, SplitReader, choose_split",
    ],
)
def test_listing_and_describing_import_no_numpy(code):
    assert "numpy" not in imported(code)


def test_importtime_can_show_them():
    assert "numpy" in imported("import datarax.core.order")
    assert {"jax", "flax"} <= imported("import datarax; datarax.DataSourceModule")
