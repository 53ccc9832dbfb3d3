"""What importing costs, and that TensorFlow is never imported, even where it is installed."""

import os
import subprocess
import sys

import pytest

import datarax_tfds

HEAVY = ("jax", "flax", "tensorflow_datasets", "array_record", "tensorflow")


@pytest.fixture
def imported(tmp_path):
    """Return a function that says which heavy packages a fresh interpreter imports.

    A package named tensorflow is put in its way, so that an import of it would succeed.
    """
    fake = tmp_path / "path" / "tensorflow"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("__version__ = '2.19.0'\n")

    def imported(code):
        report = f"{code}\nimport sys\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
        run = subprocess.run(
            [sys.executable, "-c", report],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(fake.parent)},
        )
        return run.stdout.split()

    return imported


@pytest.mark.parametrize(
    "code",
    [
        "import datarax_tfds",
        "from datarax_tfds.plugin import plugin; plugin.describe()",
        "import datarax_tfds; datarax_tfds.TFDSSourceConfig(name='mnist')",
        "from datarax_tfds import TFDSReader",
    ],
)
def test_describing_and_configuring_import_nothing_heavy(imported, code):
    """Only opening a dataset brings jax and TFDS in."""
    assert imported(code) == []


READ = """
from datarax_tfds import TFDSSourceConfig
from datarax_tfds.reader import open_reader
for name in ("toy", "zoo/big"):
    reader = open_reader(TFDSSourceConfig(name=name, data_dir={data_dir!r}))
    reader[0], reader.__getitems__(range(len(reader)))
"""


def test_reading_every_feature_never_imports_tensorflow_or_jax(imported, data_dir):
    """Images, text, sequences and encoded tensors are decoded without either."""
    found = imported(READ.format(data_dir=str(data_dir)))
    assert found == ["tensorflow_datasets", "array_record"]


AIR_GAP = """
import datarax
from datarax.testing import no_network
with no_network():
    datarax.load("tfds:toy", data_dir={data_dir!r}, local_files_only=True)[0]
"""


def test_the_first_load_of_a_process_opens_no_socket(imported, data_dir):
    """Importing TFDS and its features is within the air gap too."""
    assert "tensorflow" not in imported(AIR_GAP.format(data_dir=str(data_dir)))


def test_the_guard_sees_what_is_imported(imported):
    """The guard can fail: both are importable there."""
    assert imported("import jax, tensorflow") == ["jax", "tensorflow"]


def test_the_public_names_are_those_listed():
    """Each name in __all__ exists, dir shows it, and another is an AttributeError."""
    for name in datarax_tfds.__all__:
        assert name in dir(datarax_tfds)
        assert getattr(datarax_tfds, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = datarax_tfds.Nothing
