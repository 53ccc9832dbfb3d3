"""What inspect says of a prepared dataset."""

import pytest

from datarax.errors import CacheMissError
from datarax_tfds.inspection import inspect_dataset


def test_splits_records_version_and_texts_are_known(config, data_dir):
    """All of it from metadata; no record is read."""
    info = inspect_dataset("tfds:toy", config(split="train[:10]"))
    assert {name: split.records for name, split in info.splits.items()} == {"train": 23, "test": 6}
    assert (info.records, info.revision, info.local) == (10, "1.10.0", True)
    assert (info.description, info.citation, info.licence) == ("Toys.", "@toy", "CC0")
    assert info.fields["label"].class_names == ("ant", "bee", "cow")
    assert len(info.files) == 6
    assert all(info.files.values())
    size = sum(
        file.stat().st_size
        for file in (data_dir / "toy" / "1.10.0").glob("toy-train.array_record*")
    )
    assert info.splits["train"].bytes == size


def test_bytes_are_known_where_no_field_is_ragged(config):
    """One byte, twelve of the image, eight, four and twenty-four."""
    assert inspect_dataset("tfds:toy", config()).bytes is None
    fixed = config(exclude_keys=("text", "nested/name"))
    assert inspect_dataset("tfds:toy", fixed).bytes == 23 * (1 + 12 + 8 + 4 + 24)


def test_configs_are_listed(config):
    """Those prepared here."""
    assert inspect_dataset("tfds:zoo", config("zoo/big")).configs == ("big", "small")


def test_lacking_shards_are_listed_as_not_local(copied, config):
    """An incomplete dataset is described, not refused."""
    gone = copied / "toy" / "1.10.0" / "toy-train.array_record-00000-of-00003"
    gone.unlink()
    info = inspect_dataset("tfds:toy", config(data_dir=str(copied)))
    assert (info.local, info.records, info.files[str(gone)]) == (False, None, False)


def test_nothing_there_is_a_miss(config):
    """There is nothing to describe."""
    with pytest.raises(CacheMissError):
        inspect_dataset("tfds:other", config("other"))
