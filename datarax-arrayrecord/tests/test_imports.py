"""What importing the package and its plugin costs: neither jax nor array_record."""

import subprocess
import sys

import pytest

import datarax_arrayrecord

HEAVY = ("jax", "flax", "array_record")


def imported(code):
    """Return which heavy packages a fresh interpreter has imported after `code`."""
    report = f"{code}\nimport sys\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return run.stdout.split()


@pytest.mark.parametrize(
    "code",
    [
        "import datarax_arrayrecord",
        "from datarax_arrayrecord.plugin import plugin; plugin.describe()",
        "import datarax_arrayrecord as d; d.ArrayRecordSourceConfig(path='x', spec={'a': 'uint8'})",
        "from datarax_arrayrecord import ArrayRecordReader",
    ],
)
def test_describing_and_configuring_import_nothing_heavy(code):
    """Only opening a dataset brings jax and the native reader in."""
    assert imported(code) == []


def test_a_reader_in_a_worker_never_imports_jax(write, payloads, spec):
    """A process that reads records has no use for it."""
    (file,) = write(payloads)
    code = (
        "from pathlib import Path\n"
        "from datarax_arrayrecord import ArrayRecordReader\n"
        "from datarax_arrayrecord.spec import normalise\n"
        f"ArrayRecordReader([Path({str(file)!r})], normalise({spec!r}))[3]"
    )
    assert imported(code) == ["array_record"]


def test_the_guard_sees_what_is_imported():
    """The guard can fail: the source is made of jax."""
    assert "jax" in imported("import jax")


def test_the_public_names_are_those_listed():
    """Each name in __all__ exists, dir shows it, and another is an AttributeError."""
    for name in datarax_arrayrecord.__all__:
        assert name in dir(datarax_arrayrecord)
    assert datarax_arrayrecord.__all__ == [
        "ArrayRecordReader",
        "ArrayRecordSource",
        "ArrayRecordSourceConfig",
        "__version__",
    ]
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = datarax_arrayrecord.Nothing
