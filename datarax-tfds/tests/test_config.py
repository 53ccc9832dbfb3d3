"""The options: names, folders, and what is refused at once."""

import pickle
from pathlib import Path

import pytest

from datarax_tfds import TFDSSourceConfig


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("mnist", ("mnist", None, None)),
        ("mnist:3.0.1", ("mnist", None, "3.0.1")),
        ("glue/cola", ("glue", "cola", None)),
        ("glue/cola:2.0.0", ("glue", "cola", "2.0.0")),
        ("c4/en.noblocklist:3.*.*", ("c4", "en.noblocklist", "3.*.*")),
        ("wikipedia/20230601.en", ("wikipedia", "20230601.en", None)),
    ],
)
def test_a_name_has_a_config_and_a_version(name, parts):
    """The grammar is that of TFDS."""
    config = TFDSSourceConfig(name=name)
    assert (config.dataset, config.builder_config, config.version) == parts


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../mnist",
        "mnist/..",
        "mnist/../x",
        "/etc",
        "mnist:3",
        "mnist:../x",
        "a b",
        "mnist/",
        "m:",
    ],
)
def test_other_names_are_refused(name):
    """No name leads out of the folder of prepared datasets."""
    with pytest.raises(ValueError, match=r"does not name a dataset .* name\[/config\]\[:version\]"):
        TFDSSourceConfig(name=name)


def test_a_name_is_a_string():
    """Another type is named."""
    with pytest.raises(TypeError, match="name is a string, got int 3"):
        TFDSSourceConfig(name=3)


@pytest.mark.parametrize("offline", [None, False, True])
def test_a_remote_folder_is_refused_whatever_the_options(offline):
    """Nothing here opens a socket."""
    with pytest.raises(ValueError, match="is remote"):
        TFDSSourceConfig(name="mnist", data_dir="gs://tfds-data", local_files_only=offline)


def test_a_remote_folder_of_the_environment_is_refused(monkeypatch):
    """TFDS_DATA_DIR may name a bucket; it is not read."""
    monkeypatch.setenv("TFDS_DATA_DIR", "gs://tfds-data")
    with pytest.raises(ValueError, match="'gs://tfds-data' is remote"):
        TFDSSourceConfig(name="mnist")


def test_the_folder_is_the_one_that_tfds_uses(monkeypatch, tmp_path):
    """What is given, else TFDS_DATA_DIR, else the home folder's tensorflow_datasets."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    assert TFDSSourceConfig(name="x").folder == tmp_path / "tensorflow_datasets"
    monkeypatch.setenv("TFDS_DATA_DIR", "/data")
    assert TFDSSourceConfig(name="x").folder == Path("/data")
    assert TFDSSourceConfig(name="x", data_dir=Path("/mine")).folder == Path("/mine")


def test_a_config_hashes_compares_and_pickles():
    """NNX hashes a config as part of the graph definition."""
    config = TFDSSourceConfig(name="x", data_dir=Path("/mine"))
    assert config == TFDSSourceConfig(name="x", data_dir="/mine")
    assert hash(config) == hash(pickle.loads(pickle.dumps(config)))
