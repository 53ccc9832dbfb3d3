"""The source, from its config and by name: what `load` gives, and what it says when it cannot."""

import json
from urllib.parse import quote, urlencode

import jax
import numpy as np
import pytest
from flax import nnx

import datarax
from datarax.core.data_source import LocalFilesOnlyMixin
from datarax.errors import CacheMissError, InvalidURIError, UnknownFieldError, UnknownOptionError
from datarax_arrayrecord import ArrayRecordSource, ArrayRecordSourceConfig


@pytest.fixture
def load(write, payloads, tmp_path, spec):
    """Return a function that loads the digits, written as four shards, with options."""
    write(payloads, shards=4)

    def load(place="", **options):
        return datarax.load(f"arrayrecord:{tmp_path}{place}", **({"spec": spec} | options))

    return load


def test_load_returns_the_class_of_the_plugin(load):
    """It is a source with one local_files_only flag."""
    source = load(local_files_only=True)
    assert type(source) is ArrayRecordSource
    assert isinstance(source, LocalFilesOnlyMixin)
    assert source.local_files_only is True
    assert load().local_files_only is False


def test_the_source_is_built_from_its_config_without_the_registry(load, tmp_path, spec, digits):
    """Config first, rngs and name by keyword."""
    config = ArrayRecordSourceConfig(path=str(tmp_path), spec=spec, split="train[3:]", shuffle=True)
    source = ArrayRecordSource(config, rngs=nnx.Rngs(0), name="digits")
    assert (len(source), source.name) == (20, "digits")
    np.testing.assert_array_equal(source[0]["image"], digits[3]["image"])


@pytest.mark.parametrize("mode", ["eager", "lazy"])
def test_elements_and_batches_are_the_records_written(load, digits, mode):
    """In stored order, over all shards, in either mode."""
    source = load("/digits.array_record-*", mode=mode)
    batch = source.get_batch_at(0, 23)
    for name in digits[0]:
        expected = np.stack([row[name] for row in digits])
        np.testing.assert_array_equal(batch[name], expected)
        np.testing.assert_array_equal(source[-1][name], digits[-1][name])


def test_a_spec_of_structs_is_the_spec_of_the_elements(load):
    """What is declared is what is emitted."""
    spec = {
        "image": jax.ShapeDtypeStruct((4, 3), "uint8"),
        "weight": jax.ShapeDtypeStruct((3,), "float32"),
        "label": jax.ShapeDtypeStruct((), "int32"),
    }
    assert load(spec=spec).element_spec() == spec


def test_a_lazy_source_is_read_under_jit(load):
    """By a host callback."""
    source = load(mode="lazy")
    batch = jax.jit(lambda start: source.get_batch_at(start, 4))(3)
    np.testing.assert_array_equal(batch["label"], [-3, -4, -5, -6])


def test_a_record_of_another_length_reaches_the_user_through_jit(load):
    """The error of the reader is in the text of JAX's."""
    source = load(spec={"image": "uint8[5]"}, mode="lazy")
    with pytest.raises(jax.errors.JaxRuntimeError, match="has 28 bytes, and the spec adds up to 5"):
        jax.block_until_ready(jax.jit(lambda start: source.get_batch_at(start, 4))(3))


def test_the_query_of_a_uri_is_the_keywords(load, tmp_path, spec):
    """One string fits a config file; a question mark in a glob is written %3F."""
    query = urlencode({"spec": json.dumps(spec), "split": "train[:5]", "include_keys": "label"})
    glob = quote(f"{tmp_path}/digits.array_record-0000?-of-*")
    source = datarax.load(f"arrayrecord:{glob}?{query}")
    assert (len(source), list(source.element_spec())) == (5, ["label"])


def test_a_lacking_shard_is_the_same_on_line_and_off(load, tmp_path):
    """Nothing is ever fetched; the shard is named."""
    gone = tmp_path / "digits.array_record-00002-of-00004"
    gone.unlink()
    for offline in (True, False):
        with pytest.raises(CacheMissError) as caught:
            load(local_files_only=offline)
        assert str(gone) in str(caught.value)


@pytest.mark.parametrize("offline", [True, False])
def test_a_remote_path_is_refused(offline):
    """Also where its '@' and its query are escaped."""
    with pytest.raises(ValueError, match="is remote"):
        datarax.load("arrayrecord:gs://bucket/a", spec={"a": "int8"}, local_files_only=offline)


def test_bad_options_and_fields_are_errors(load):
    """What is not known is not ignored."""
    with pytest.raises(UnknownOptionError, match=r"no option 'shufle'.*'shuffle'"):
        load(shufle=True)
    with pytest.raises(UnknownFieldError, match=r"'lable'.*'label'"):
        load(include_keys=("lable",))
    with pytest.raises(InvalidURIError, match="names no dataset"):
        datarax.load("arrayrecord:")
    with pytest.raises(ValueError, match="needs spec"):
        load(spec=None)


def test_inspect_answers_by_name(load, tmp_path, spec):
    """The spec is that of the source."""
    info = datarax.inspect(f"arrayrecord:{tmp_path}", spec=spec)
    assert (info.records, info.bytes) == (23, 23 * 28)
    assert dict(info.spec) == load().element_spec()
