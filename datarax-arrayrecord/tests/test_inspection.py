"""What inspect says of shards."""

import pytest

from datarax.errors import CacheMissError
from datarax.registry import SplitInfo
from datarax_arrayrecord import ArrayRecordSourceConfig
from datarax_arrayrecord.inspection import inspect_shards


def test_records_bytes_fields_and_files_are_known(write, payloads, spec, tmp_path):
    """With a spec, the size of the decoded selection is exact."""
    files = write(payloads, shards=2)
    config = ArrayRecordSourceConfig(path=str(tmp_path), spec=spec, split="train[:10]")
    info = inspect_shards("arrayrecord:x", config)
    size = sum(file.stat().st_size for file in files)
    assert info.splits == {"train": SplitInfo("train", 23, size)}
    assert (info.records, info.bytes, info.local) == (10, 280, True)
    assert list(info.fields) == list(spec)
    assert info.files == {str(file): True for file in files}


def test_the_spec_is_not_needed(write, payloads, tmp_path):
    """Records are counted before anyone knows what they hold."""
    write(payloads)
    info = inspect_shards("arrayrecord:x", ArrayRecordSourceConfig(path=str(tmp_path)))
    assert (info.records, info.bytes, dict(info.fields)) == (23, None, {})
    assert "no spec" in info.notes[0]


def test_lacking_shards_are_listed_as_not_local(write, payloads, spec, tmp_path):
    """An incomplete set is described, not refused."""
    gone, kept = write(payloads, shards=2)
    gone.unlink()
    config = ArrayRecordSourceConfig(path=str(tmp_path), spec=spec)
    info = inspect_shards("arrayrecord:x", config)
    assert (info.local, info.records) == (False, None)
    assert info.files == {str(kept): True, str(gone): False}


def test_nothing_there_is_a_miss(tmp_path):
    """There is nothing to describe."""
    with pytest.raises(CacheMissError):
        inspect_shards("arrayrecord:x", ArrayRecordSourceConfig(path=str(tmp_path / "nothing")))
