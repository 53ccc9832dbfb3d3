"""The sample that `datarax validate datarax-hf` runs the contract on is what is read."""

import pytest

import datarax
from datarax.errors import CacheMissError, CorruptDataError
from datarax.testing.known import same_host_value
from datarax_hf.plugin import plugin


@pytest.fixture
def sample(tmp_path, monkeypatch, cache):
    """The sample; the environment it sets is set back after the test."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_TOKEN", "hf_nobody_elses")
    return plugin.sample(str(tmp_path))


@pytest.mark.parametrize("mode", ["eager", "lazy", "streaming"])
def test_its_records_are_read_as_it_says(sample, mode):
    with datarax.load(sample.uri, mode=mode, **sample.options) as source:
        assert len(source) == len(sample.records)
        for found, record in zip(source, sample.records, strict=True):
            assert found.keys() == record.keys()
            for name, value in record.items():
                assert same_host_value(found[name], value), name


def test_it_is_downloaded_once_and_a_part_that_is_gone_is_fetched_again(sample, tmp_path):
    datarax.load(sample.uri, **sample.options)
    held = datarax.load(sample.uri, local_files_only=True, **sample.options)
    sample.part()
    with pytest.raises(CacheMissError, match="train-00001-of-00002"):
        datarax.load(sample.uri, local_files_only=True, **sample.options)
    assert len(datarax.load(sample.uri, **sample.options)) == len(held)
    assert (tmp_path / "home" / "hub").is_dir()


def test_inspect_tells_its_fields_before_anything_is_downloaded(sample):
    told = datarax.inspect(sample.uri, **sample.options)
    assert set(told.fields) == set(sample.records[0])
    assert told.records == len(sample.records)


def test_its_damaged_copy_and_what_is_missing_are_refused(sample):
    for (uri, options), error, local in (
        (sample.corrupt, CorruptDataError, False),
        (sample.miss, CacheMissError, True),
    ):
        with pytest.raises(error):
            list(datarax.load(uri, mode="lazy", local_files_only=local, **options))
