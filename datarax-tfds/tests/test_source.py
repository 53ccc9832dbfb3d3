"""The source, from its config and by name: what `load` gives, and what it says when it cannot."""

import jax
import numpy as np
import pytest
from flax import nnx

import datarax
from datarax.core.data_source import LocalFilesOnlyMixin
from datarax.errors import CacheMissError, InvalidURIError, UnknownFieldError, UnknownOptionError
from datarax_tfds import TFDSSource, TFDSSourceConfig
from datarax_tfds.plugin import plugin


@pytest.fixture
def load(data_dir):
    """Return `datarax.load` with the folder of prepared datasets."""
    return lambda uri, **options: datarax.load(uri, data_dir=str(data_dir), **options)


def test_load_returns_the_class_of_the_plugin(load):
    """It is a source with one local_files_only flag."""
    source = load("tfds:toy:1.9.3", local_files_only=True)
    assert type(source) is TFDSSource
    assert isinstance(source, LocalFilesOnlyMixin)
    assert source.local_files_only is True
    assert load("tfds:toy").local_files_only is False


def test_the_source_is_built_from_its_config_without_the_registry(data_dir, toys):
    """Config first, rngs and name by keyword."""
    config = TFDSSourceConfig(name="toy", data_dir=str(data_dir), split="train[3:]", shuffle=True)
    source = TFDSSource(config, rngs=nnx.Rngs(0), name="toys")
    assert len(source) == 20
    assert source.name == "toys"
    np.testing.assert_array_equal(source[0]["image"], toys(3)["image"])


@pytest.mark.parametrize("mode", ["eager", "lazy"])
def test_elements_and_batches_are_the_prepared_records(load, toys, mode):
    """Arrays are as declared; text stays a string in elements and is not in batches."""
    source = load("tfds:toy", mode=mode, split="train[5:15]")
    for offset in (0, 9):
        element = source[offset]
        assert element["text"] == toys(5 + offset)["text"]
        np.testing.assert_array_equal(element["weight"], toys(5 + offset)["weight"])
    batch = source.get_batch_at(2, 3)
    assert "text" not in batch
    np.testing.assert_array_equal(batch["nested/count"], [7, 8, 9])


def test_text_becomes_an_array_where_a_width_is_given(load, toys):
    """Bytes of UTF-8, with their length."""
    source = load("tfds:toy", pad={"text": 32}, include_keys=("text",))
    batch = source.get_batch_at(0, 2)
    stored = toys(1)["text"].encode()
    assert int(batch["text_length"][1]) == len(stored)
    assert bytes(np.asarray(batch["text"][1]))[: len(stored)] == stored


def test_a_lazy_source_is_read_under_jit(load):
    """By a host callback."""
    source = load("tfds:toy", mode="lazy")
    batch = jax.jit(lambda start: source.get_batch_at(start, 4))(3)
    np.testing.assert_array_equal(batch["nested/count"], [3, 4, 5, 6])


def test_the_query_of_a_uri_is_the_keywords(data_dir):
    """One string fits a config file."""
    source = datarax.load(f"tfds:toy:1.9.3?split=test&data_dir={data_dir}&include_keys=label")
    assert (len(source), list(source.element_spec())) == (6, ["label"])


def test_wide_integers_that_do_not_fit_are_an_error(load):
    """Nothing wraps: the values of `bits` need 64 bits."""
    with pytest.raises((ValueError, OverflowError), match="bits"):
        load("tfds:zoo/big", include_keys=("bits",), mode="eager")


def test_a_miss_is_the_same_on_line_and_off(load):
    """Nothing is ever fetched."""
    for offline in (True, False):
        with pytest.raises(CacheMissError, match="is not prepared on this machine"):
            load("tfds:other", local_files_only=offline)


def test_bad_options_and_fields_are_errors(load):
    """What is not known is not ignored."""
    with pytest.raises(UnknownOptionError, match=r"no option 'shufle'.*'shuffle'"):
        load("tfds:toy", shufle=True)
    with pytest.raises(UnknownFieldError, match=r"'lable'.*'label'"):
        load("tfds:toy", include_keys=("lable",))
    with pytest.raises(InvalidURIError, match="names no dataset"):
        load("tfds:")


def test_inspect_answers_by_name(data_dir):
    """The spec is that of the source."""
    info = datarax.inspect("tfds:toy", data_dir=str(data_dir))
    assert info.records == 23
    source = datarax.load("tfds:toy", data_dir=str(data_dir))
    assert dict(info.spec) == source.element_spec()


def test_the_plugin_lists_what_is_prepared(data_dir, monkeypatch):
    """Targets for `load`, from the folder of the environment."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
    assert "toy:1.10.0" in plugin.datasets()
