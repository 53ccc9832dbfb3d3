"""The sample that `datarax validate datarax-tfds` runs the contract on is what is read."""

import pytest

import datarax
from datarax.errors import CacheMissError, CorruptDataError
from datarax.testing.known import same_host_value
from datarax_tfds.plugin import plugin


@pytest.fixture
def sample(tmp_path):
    return plugin.sample(str(tmp_path))


def test_its_records_are_read_as_it_says(sample):
    with datarax.load(sample.uri, mode="lazy", **sample.options) as source:
        assert len(source) == len(sample.records)
        for index, record in enumerate(sample.records):
            assert same_host_value(source.reader[index], record)


def test_its_damaged_copy_and_what_is_missing_are_refused(sample):
    for (uri, options), error in (
        (sample.corrupt, CorruptDataError),
        (sample.miss, CacheMissError),
    ):
        with pytest.raises(error):
            list(datarax.load(uri, mode="lazy", local_files_only=True, **options))
