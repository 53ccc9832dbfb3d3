"""Prepared datasets on disk: which one is meant, and what is said when it is not there."""

import json
import shutil

import pytest

from datarax.errors import CacheMissError, CorruptDataError, UnknownConfigError
from datarax_tfds import TFDSSourceConfig
from datarax_tfds.prepared import datasets, find


def at(root, name):
    return find(TFDSSourceConfig(name=name, data_dir=str(root)))


def edit(file, **changes):
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | changes))


def test_without_a_version_the_latest_is_read(data_dir):
    """Versions are ordered by their numbers: 1.10.0 is later than 1.9.3."""
    assert at(data_dir, "toy").title == "toy:1.10.0"


@pytest.mark.parametrize(
    ("asked", "found"), [("1.9.3", "1.9.3"), ("1.*.*", "1.10.0"), ("1.9.*", "1.9.3")]
)
def test_a_version_is_exact_or_the_latest_that_fits(data_dir, asked, found):
    """A star stands for any number."""
    assert at(data_dir, f"toy:{asked}").title == f"toy:{found}"


def test_splits_have_their_shards_and_counts(data_dir):
    """All of it comes from dataset_info.json."""
    splits = at(data_dir, "toy").splits
    assert {name: split.records for name, split in splits.items()} == {"train": 23, "test": 6}
    names = [file.name for file in splits["train"].files]
    assert names == [f"toy-train.array_record-0000{shard}-of-00003" for shard in range(3)]


def test_a_missing_dataset_names_each_path_and_the_nearest(data_dir):
    """The error says where it looked, what lies there and how to prepare it."""
    with pytest.raises(CacheMissError) as caught:
        at(data_dir, "toys")
    text = str(caught.value)
    for name in ("dataset_info.json", "features.json"):
        assert str(data_dir / "toys" / "<version>" / name) in text
    assert "are 'toy', 'zoo'" in text
    assert "Did you mean 'toy'?" in text
    assert f"tfds build toys --file_format=array_record --data_dir={data_dir}" in text


def test_a_missing_version_lists_those_there_are(data_dir):
    """The path that was looked for has the version asked for."""
    with pytest.raises(FileNotFoundError, match=r"The versions there are '1.9.3', '1.10.0'") as e:
        at(data_dir, "toy:2.0.0")
    assert str(data_dir / "toy" / "2.0.0" / "dataset_info.json") in str(e.value)


def test_a_missing_folder_is_named(tmp_path):
    """The folder of all datasets may not exist."""
    with pytest.raises(CacheMissError, match=r"nowhere' does not exist; data_dir= gives another"):
        at(tmp_path / "nowhere", "toy")


def test_a_choice_among_configs_is_asked_for(data_dir):
    """The error lists them."""
    with pytest.raises(
        UnknownConfigError, match=r"'big', 'small'; say which, as in 'tfds:zoo/big'"
    ):
        at(data_dir, "zoo")


def test_the_only_config_is_read_unasked(copied):
    """One config needs no choice."""
    shutil.rmtree(copied / "zoo" / "big")
    assert at(copied, "zoo").title == "zoo/small:1.0.0"


def test_a_config_is_chosen_by_name(data_dir):
    """Others that lie beside it are listed."""
    prepared = at(data_dir, "zoo/big:1.0.0")
    assert (prepared.title, prepared.configs) == ("zoo/big:1.0.0", ("big", "small"))


def test_a_missing_config_offers_the_nearest(data_dir):
    """It may exist for TFDS, so it is a miss and not an error of the name."""
    with pytest.raises(
        CacheMissError, match=r"configs in .* are 'big', 'small'. Did you mean 'small'"
    ):
        at(data_dir, "zoo/smal")


def test_a_config_of_a_dataset_without_configs_is_refused(data_dir):
    """The name without it is shown."""
    with pytest.raises(UnknownConfigError, match="has no configs; it is asked for as 'tfds:toy'"):
        at(data_dir, "toy/plain")


@pytest.mark.parametrize("held", ["tfrecord", "riegeli", None])
def test_another_file_format_is_named_with_the_remedy(copied, held):
    """Without a fileFormat a dataset is of the days when there was only tfrecord."""
    edit(copied / "toy" / "1.10.0" / "dataset_info.json", fileFormat=held)
    with pytest.raises(ValueError, match=f"prepared as {held or 'tfrecord'}.*array_record") as e:
        at(copied, "toy")
    assert f"tfds build toy --file_format=array_record --data_dir={copied}" in str(e.value)


def test_the_remedy_for_a_config_has_the_folder_of_all_datasets(copied):
    """The folder is three levels up from a version of a config."""
    edit(copied / "zoo" / "big" / "1.0.0" / "dataset_info.json", fileFormat="tfrecord")
    with pytest.raises(ValueError, match="array_record") as caught:
        at(copied, "zoo/big")
    assert f"tfds build zoo/big --file_format=array_record --data_dir={copied}" in str(caught.value)


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
def test_a_folder_without_its_metadata_is_not_complete(copied, name):
    """The file that lacks is named."""
    file = copied / "toy" / "1.10.0" / name
    file.unlink()
    with pytest.raises(CacheMissError, match="is not complete") as caught:
        at(copied, "toy")
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"fileFormat": "array_record", "splits": [3]}']
)
def test_metadata_that_cannot_be_read_is_corrupt(copied, content):
    """The file is named."""
    (copied / "toy" / "1.10.0" / "dataset_info.json").write_text(content)
    with pytest.raises(CorruptDataError, match=r"dataset_info\.json"):
        at(copied, "toy")


@pytest.mark.parametrize(
    "split",
    [
        {"name": "train", "shardLengths": ["many"]},
        {"name": "train", "shardLengths": ["-1"]},
        {"name": "train", "shardLengths": ["1"], "filepathTemplate": "../{DATASET}"},
        {"name": "train", "shardLengths": ["1"], "filepathTemplate": "/etc/{DATASET}"},
        {"name": "train", "shardLengths": ["1"], "filepathTemplate": "{UNKNOWN}"},
        {"name": "../../x", "shardLengths": ["1"]},
    ],
)
def test_splits_that_lie_or_lead_out_are_corrupt(copied, split):
    """No file outside the dataset's folder is ever read."""
    edit(copied / "toy" / "1.10.0" / "dataset_info.json", splits=[split])
    with pytest.raises(CorruptDataError, match="does not describe its splits"):
        at(copied, "toy")


def test_another_template_of_file_names_is_honoured(copied):
    """Names follow filepathTemplate."""
    folder = copied / "toy" / "1.10.0"
    template = "{SPLIT}/{SHARD_INDEX}".replace("/", "_") + ".{FILEFORMAT}"
    edit(
        folder / "dataset_info.json",
        splits=[{"name": "train", "shardLengths": ["2", "3"], "filepathTemplate": template}],
    )
    (split,) = at(copied, "toy").splits.values()
    assert [file.name for file in split.files] == [
        "train_00000.array_record",
        "train_00001.array_record",
    ]


def test_incomplete_preparations_are_passed_over(copied):
    """TFDS prepares into a folder with another name."""
    (copied / "toy" / "1.10.0").rename(copied / "toy" / "incomplete.ABC_1.10.0")
    assert at(copied, "toy").title == "toy:1.9.3"


def test_prepared_datasets_are_listed(data_dir):
    """Names, configs and versions, as they are asked for."""
    assert list(datasets(data_dir)) == [
        "toy:1.9.3",
        "toy:1.10.0",
        "zoo/big:1.0.0",
        "zoo/small:1.0.0",
    ]
