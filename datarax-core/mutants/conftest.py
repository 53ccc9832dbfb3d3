"""Of the contract, a mutant's class collects the one test that it breaks; the test must fail."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parents[1]
sys.path.insert(0, str(HERE))

import datarax  # noqa: E402
from datarax.registry.catalogue import CATALOGUE  # noqa: E402
from datarax.testing import KnownDataset  # noqa: E402
from mutants.shelf import ROW, ShelfPlugin, rows_of  # noqa: E402

ROWS = 11


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector, name, obj):
    """Collect no test of the contract but those that a class asks for in `only`."""
    only = getattr(getattr(collector, "obj", None), "only", None)
    if only is None or not name.startswith("test_"):
        return None
    return None if name in {asked.partition("[")[0] for asked in only} else []


def pytest_collection_modifyitems(items):
    """Keep of a test the cases that are asked for."""
    items[:] = [item for item in items if _is_asked(item, getattr(item.cls, "only", None))]


def _is_asked(item, only):
    case = set(_case(item.name))
    return only is None or any(
        item.originalname == asked.partition("[")[0] and case.issuperset(_case(asked))
        for asked in only
    )


def _case(name):
    """Return the parts of a case: of `test_x[stored-lazy]` they are stored and lazy."""
    return name.partition("[")[2].rstrip("]").split("-") if "[" in name else []


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """Turn the outcome around where a mutant is tested."""
    mutant = getattr(pyfuncitem.cls, "mutant", None)
    if mutant is None:
        return (yield)
    try:
        yield
    except mutant.fails_with:
        return True
    pytest.fail(f"{mutant.name} passes {mutant.promise}, and is broken: {mutant.how}")


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path_factory):
    """Give the tests' own processes these modules, and no test a switch of this machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    path = [str(HERE), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))
    for name in ("DATARAX_OFFLINE", "DATARAX_PLUGINS", "DATARAX_STRICT_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    yield
    for scheme in list(CATALOGUE._registered):
        datarax.unregister(scheme)


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Put records on a shelf of three parts; return the dataset that is known of it."""

    def put(records=None, plugin=ShelfPlugin):
        datarax.register("shelf", plugin())
        if plugin.installed:
            install(tmp_path / "site", plugin.installed)
            monkeypatch.syspath_prepend(str(tmp_path / "site"))
        rows = rows_of(make_records(ROWS) if records is None else records)
        folders = {name: tmp_path / name / "toys" for name in ("shelf", "bad")}
        cuts = [len(rows) // 3, len(rows) // 2]
        for name, folder in folders.items():
            folder.mkdir(parents=True)
            for part, piece in enumerate(np.split(rows, cuts)):
                path = folder / f"part-{part}.npy"
                np.save(path, piece)
                if name == "bad" and part:
                    path.write_bytes(path.read_bytes()[:-20])
        options = {"cache": str(tmp_path / "cache")}
        known = [{name: row[name] for name in ROW.names} for row in rows]
        known = [{**record, "text": str(record["text"])} for record in known]
        return KnownDataset(
            f"shelf:{folders['shelf']}",
            known,
            options=options,
            miss=(f"shelf:{tmp_path / 'nothing'}", options),
            corrupt=(f"shelf:{folders['bad']}", {"cache": str(tmp_path / "other")}),
            part=(tmp_path / "cache" / "toys" / "part-1.npy").unlink,
            target=(f"shelf:{tmp_path / 'saved'}", options),
        )

    return put


def install(folder, line):
    """Install a distribution that offers `shelf:`, with one line of metadata beside its name."""
    info = folder / "datarax_shelf-1.0.dist-info"
    info.mkdir(parents=True)
    words = ["Metadata-Version: 2.1", "Name: datarax-shelf", "Version: 1.0", line]
    (info / "METADATA").write_text("\n".join(words) + "\n")
    (info / "entry_points.txt").write_text("[datarax.sources]\nshelf = mutants.shelf:ShelfPlugin\n")


def make_records(count):
    """Return records of a shelf, the same each time."""
    rng = np.random.default_rng(0)
    return [
        {
            "image": rng.integers(0, 256, (2, 3), dtype=np.uint8),
            "label": row * 30 - 5,
            "weight": row / 4,
            "text": "abcdefg"[: row % 8],
        }
        for row in range(count)
    ]
