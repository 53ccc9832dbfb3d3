"""`HFSource` and the plugin: the way from a name to JAX arrays."""

from __future__ import annotations

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import datarax
import datarax_hf
from datarax.core.data_source import DataSourceModule, LocalFilesOnlyMixin
from datarax.errors import (
    CacheMissError,
    UnknownConfigError,
    UnknownFieldError,
    UnknownOptionError,
)
from datarax.sources.config import SourceConfig
from datarax_hf import HFSource, HFSourceConfig

CARD = """---
license: apache-2.0
pretty_name: Numbers
configs:
- config_name: small
  data_files: [{split: train, path: small/train-*}, {split: test, path: small/test-*}]
- config_name: large
  data_files: [{split: train, path: large/*}]
dataset_info:
- config_name: small
  features:
  - {name: x, dtype: int32}
  - {name: y, dtype: {class_label: {names: {'0': a, '1': b}}}}
  splits: [{name: train, num_examples: 5}, {name: test, num_examples: 4}]
- config_name: large
  features: [{name: x, dtype: int32}]
---
"""


@pytest.fixture
def digits(cache, make):
    """The digits in a cache, as ylecun/mnist."""
    pixels, classes, data = make.digits(20)
    make.snapshot(cache, "ylecun/mnist", {"mnist/train-00000-of-00001.parquet": data})
    return pixels, classes


@pytest.fixture
def published(hub, make):
    """A repository of two configs on the Hub."""

    def table(count):
        features = {"x": make.value("int32"), "y": make.labels("a", "b")}
        return make.parquet({"x": np.arange(count, dtype=np.int32), "y": [0] * count}, features)

    files = {
        "README.md": CARD,
        "small/train-00000-of-00001.parquet": table(5),
        "small/test-00000-of-00001.parquet": table(4),
        "large/a.parquet": table(3),
    }
    return hub.publish("a/b", files)


def test_a_source_is_made_from_its_config_without_the_registry(digits, air_gap):
    """It composes the mixin with the module, and gives the stored records as JAX arrays."""
    air_gap()
    config = HFSourceConfig(name="mnist", split="train", local_files_only=True)
    source = HFSource(config, rngs=None, name="digits")
    assert isinstance(source, DataSourceModule)
    assert isinstance(source, LocalFilesOnlyMixin)
    assert source.local_files_only is True
    assert source.name == "digits"
    assert source.element_spec() == {
        "image": jax.ShapeDtypeStruct((6, 5), jnp.uint8),
        "label": jax.ShapeDtypeStruct((), jnp.int32),
    }
    batch = source.get_batch_at(3, 8)
    np.testing.assert_array_equal(batch["image"], digits[0][3:11])
    np.testing.assert_array_equal(batch["label"], digits[1][3:11])


def test_a_copy_reads_with_its_own_options(digits):
    """`copy` opens the dataset anew as the new config says."""
    source = datarax.load("hf:mnist", local_files_only=True)
    other = HFSourceConfig(name="mnist", split="train[:5]", local_files_only=True)
    copy = source.copy(config=other)
    assert type(copy) is HFSource
    assert (len(source), len(copy)) == (20, 5)


def test_the_token_is_in_no_state(digits):
    """Checkpoints carry no secrets."""
    source = datarax.load("hf:mnist", local_files_only=True, token="hf_secret")
    assert "hf_secret" not in str(source.get_state())
    assert "hf_secret" not in repr(source)


def test_load_returns_the_plugins_own_class(digits):
    """`hf:mnist` gives an HFSource whose fields know their class names."""
    source = datarax.load("hf:mnist", local_files_only=True)
    assert type(source) is HFSource
    assert source.reader.fields["label"].class_names == tuple("0123456789")


@pytest.mark.parametrize("mode", ["eager", "lazy"])
def test_both_modes_give_the_same_batches(digits, mode):
    """Shuffled batches agree with the records by their order, in either mode."""
    source = datarax.load("hf:mnist", local_files_only=True, mode=mode, shuffle=True, seed=7)
    other = datarax.load("hf:mnist", local_files_only=True, mode="eager", shuffle=True, seed=7)
    for mine, theirs in zip(source.batches(6), other.batches(6), strict=True):
        np.testing.assert_array_equal(mine["image"], theirs["image"])


def test_the_uri_and_the_keywords_give_one_source(published):
    """Revision, config and split may stand in the URI."""
    first = datarax.load(f"hf:a/b@{published}?config=small&split=test[1:]")
    second = datarax.load("hf:a/b", config="small", split="test[1:]")
    assert first.get_batch_at(0, 3)["x"].tolist() == [1, 2, 3]
    assert second.get_batch_at(0, 3)["x"].tolist() == [1, 2, 3]
    assert first.reader.identity == second.reader.identity
    assert first.reader.identity == {"revision": published, "config": "small", "split": "test[1:]"}


def test_image_options_are_typed_in_a_uri(cache, make):
    """image_size and image_mode make an array of images that differ."""
    images = [make.png(np.zeros((4 + i, 5, 3), np.uint8)) for i in range(3)]
    data = make.parquet(
        {"image": images}, {"image": make.IMAGE_FEATURE}, types={"image": make.IMAGE}
    )
    make.snapshot(cache, "a/b", {"train.parquet": data})
    source = datarax.load("hf:a/b", local_files_only=True, image_size=(8, 9), image_mode="L")
    assert source.element_spec()["image"].shape == (8, 9)
    assert datarax.load("hf:a/b", local_files_only=True)[1]["image"].shape == (5, 5, 3)


def test_text_becomes_an_array_by_pad(cache, make):
    """Host-only text is in elements as it is, and in batches once it has a width."""
    make.snapshot(cache, "a/b", {"train.parquet": make.parquet({"t": ["ab", "é"], "x": [1, 2]})})
    plain = datarax.load("hf:a/b", local_files_only=True)
    assert plain[1]["t"] == "é"
    assert set(plain.get_batch_at(0, 2)) == {"x"}
    padded = datarax.load("hf:a/b", local_files_only=True, pad={"t": 4})
    assert padded.get_batch_at(0, 2)["t"].tolist() == [[97, 98, 0, 0], [195, 169, 0, 0]]
    assert padded.get_batch_at(0, 2)["t_length"].tolist() == [2, 2]


def test_integers_beyond_int32_are_an_error_not_a_wrap(cache, make):
    """int64 becomes int32 only where it fits."""
    make.snapshot(cache, "a/b", {"train.parquet": make.parquet({"x": [1, 2**40]})})
    source = datarax.load("hf:a/b", local_files_only=True, mode="lazy")
    with pytest.raises(ValueError, match="'x'"):
        source.get_batch_at(0, 2)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"confg": "x"}, UnknownOptionError, "config"),
        ({"include_keys": ("imag",)}, UnknownFieldError, "'image'"),
        ({"config": "mnist_"}, UnknownConfigError, "'default'"),
        ({"image_mode": "HSV"}, ValueError, "image_mode is one of"),
        ({"image_size": (0, 3)}, ValueError, "1 or more"),
        ({"image_size": 3}, TypeError, "height, width"),
    ],
)
def test_bad_options_are_refused(digits, options, error, said):
    """Each says what was asked and what exists."""
    with pytest.raises(error, match=said):
        datarax.load("hf:mnist", local_files_only=True, **options)


def test_a_miss_through_load_is_a_file_not_found_error(cache, air_gap):
    """It names the dataset, the paths and the command."""
    air_gap()
    with pytest.raises(CacheMissError, match="hf download uoft-cs/cifar10"):
        datarax.load("hf:cifar10", local_files_only=True)


def test_inspect_reads_the_card_and_downloads_nothing_else(published, hub):
    """Splits, fields, records, licence and what is local are known without data."""
    info = datarax.inspect("hf:a/b", config="small", split="test")
    assert hub.downloads() == []
    assert {name: split.records for name, split in info.splits.items()} == {"train": 5, "test": 4}
    assert info.fields["x"].dtype == np.int32
    assert info.fields["y"].class_names == ("a", "b")
    assert info.records == 4
    assert info.revision == published
    assert info.licence == "apache-2.0"
    assert info.description == "Numbers"
    assert info.configs == ("small", "large")
    assert info.local is False
    assert set(info.files.values()) == {False}
    datarax.load("hf:a/b", config="small", split="test").close()
    after = datarax.inspect("hf:a/b", config="small", split="test", local_files_only=True)
    assert after.local is True
    assert after.files["small/test-00000-of-00001.parquet"] is True
    assert after.files["small/train-00000-of-00001.parquet"] is False
    assert after.records == 4


def test_inspect_lists_configs_where_one_must_be_named(published):
    """It says so in a note, where load is an error."""
    info = datarax.inspect("hf:a/b")
    assert info.configs == ("small", "large")
    assert info.fields == {}
    assert "say which of the configs 'small', 'large'" in info.notes[0]
    with pytest.raises(UnknownConfigError):
        datarax.load("hf:a/b")


def test_inspect_notes_a_card_that_cannot_be_read_and_one_that_miscounts(cache, make):
    """Files are trusted; the note says what the card got wrong."""
    data = make.parquet({"x": [1, 2, 3]})
    make.snapshot(cache, "a/bad", {"README.md": "---\nconfigs: [\n---\n", "train.parquet": data})
    info = datarax.inspect("hf:a/bad", local_files_only=True)
    assert "a/bad/README.md" in info.notes[0]
    assert info.records == 3
    card = "---\ndataset_info: {splits: [{name: train, num_examples: 9}]}\n---\n"
    make.snapshot(cache, "a/odd", {"README.md": card, "train.parquet": data})
    info = datarax.inspect("hf:a/odd", local_files_only=True)
    assert "the card says 9 records of 'train', its files hold 3" in info.notes[1]
    assert "the cache holds no listing of this revision" in info.notes[0]


def test_the_plugin_lists_the_datasets_of_the_cache(digits):
    """Targets that need no network."""
    from datarax_hf.plugin import plugin

    assert list(plugin.datasets()) == ["ylecun/mnist"]


def _heavy_modules_after(statement):
    code = (
        f"{statement}\nimport sys\n"
        "print([n for n in ('jax', 'pyarrow', 'huggingface_hub', 'PIL') if n in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return out.stdout.strip()


def test_importing_the_plugin_and_the_config_imports_no_backend():
    """Neither jax, pyarrow, huggingface_hub nor Pillow comes with the entry point."""
    assert _heavy_modules_after("import datarax_hf.plugin, datarax_hf") == "[]"
    assert _heavy_modules_after("from datarax_hf import HFSourceConfig") == "[]"


def test_the_guard_on_imports_can_fail():
    """The same look sees what the reader brings in."""
    assert "pyarrow" in _heavy_modules_after("import datarax_hf.reader")


def test_reading_imports_no_jax():
    """Workers that unpickle a reader stay free of it."""
    assert "jax" not in _heavy_modules_after("import datarax_hf.reader")


def test_the_package_offers_its_public_names():
    """Each is there on use; another is an AttributeError."""
    for name in datarax_hf.__all__:
        assert getattr(datarax_hf, name) is not None
        assert name in dir(datarax_hf)
    with pytest.raises(AttributeError, match="no attribute 'HFSauce'"):
        _ = datarax_hf.HFSauce


@pytest.mark.parametrize("config", [None, "mnist", SourceConfig()], ids=repr)
def test_what_is_no_config_of_its_own_is_refused(config):
    with pytest.raises(TypeError, match="HFSource takes an HFSourceConfig, got"):
        HFSource(config)
