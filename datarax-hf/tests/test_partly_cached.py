"""Caches that hold a part of a dataset: what they cannot tell is missed or logged, never guessed."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pytest

import datarax
from datarax.errors import CacheMissError, UnknownConfigError, UnknownSplitError
from datarax.testing.offline import no_network


@pytest.fixture
def bring(hub, cache):
    """Publish a dataset and bring some of its files, as a client does one by one; or all listed."""
    from huggingface_hub import hf_hub_download, snapshot_download

    place = {"repo_type": "dataset", "cache_dir": cache, "endpoint": hub.endpoint}

    def bring_(files, names, *, listed=False, dataset="a/b"):
        commit = hub.publish(dataset, files)
        if listed:
            snapshot_download(dataset, allow_patterns=list(names), **place)
        for name in () if listed else names:
            hf_hub_download(dataset, name, **place)
        return commit

    return bring_


offline = functools.partial(datarax.load, local_files_only=True)


def numbers(source, name="x"):
    return [int(record[name]) for record in source]


def configs(*entries):
    return "---\nconfigs:\n" + "".join(f"- {entry}\n" for entry in entries) + "---\n"


INFO = "---\ndataset_info: {splits: [{name: train, num_examples: 2}, {name: test, num_examples: 1}]}\n---\n"
SPLITS = {
    "infos": INFO,
    "files": configs("{config_name: d, data_files: {train: train.csv, test: test.csv}}"),
    "parameters": configs("{config_name: d, sep: ','}"),
    "nothing": "# b\n",
}


@pytest.mark.parametrize("card", SPLITS)
def test_another_split_is_never_read_in_the_place_of_train(bring, card):
    """Only test is here, and no split is named: online it would be train."""
    files = {"README.md": SPLITS[card], "train.csv": "x\n1\n2\n", "test.csv": "x\n3\n"}
    bring(files, ["README.md", "test.csv"])
    with no_network():
        with pytest.raises(CacheMissError):
            offline("hf:a/b")
        assert numbers(offline("hf:a/b", split="test")) == [3]


@pytest.mark.parametrize("card", SPLITS)
def test_splits_that_are_not_here_are_missed(bring, card):
    """And `all` is not some; what is missing is no unknown split where it may exist."""
    files = {"README.md": SPLITS[card], "train.csv": "x\n1\n2\n", "test.csv": "x\n3\n"}
    bring(files, ["README.md", "train.csv"])
    with no_network():
        for split in ("all", "test", "train+test"):
            with pytest.raises(CacheMissError):
                offline("hf:a/b", split=split)
        if card != "files":
            with pytest.raises(UnknownSplitError, match="holds no listing of this revision"):
                offline("hf:a/b", split="test")
        assert numbers(offline("hf:a/b", split="train")) == [1, 2]


def test_all_splits_that_the_card_tells_of_are_read(bring):
    files = {"README.md": INFO, "train.csv": "x\n1\n2\n", "test.csv": "x\n3\n"}
    bring(files, files)
    with no_network():
        assert numbers(offline("hf:a/b", split="all")) == [1, 2, 3]


def test_a_config_of_which_no_file_is_here_is_missed(bring):
    """It exists: the card tells of it."""
    card = configs("{config_name: a, data_dir: a}", "{config_name: b, data_dir: b}")
    bring({"README.md": card, "a/t.csv": "x\n1\n", "b/t.csv": "x\n2\n"}, ["README.md", "a/t.csv"])
    with no_network(), pytest.raises(CacheMissError, match="no file of the config 'b'") as caught:
        offline("hf:a/b", config="b")
    assert isinstance(caught.value, UnknownConfigError)


LISTED = {
    "configs": configs(
        "{config_name: en, data_files: data/en.parquet}",
        "{config_name: fr, data_files: data/fr.parquet}",
    ),
    "splits": configs(
        "{config_name: d, data_files: {train: data/en.parquet, extra: data/fr.parquet}}"
    ),
}


@pytest.mark.parametrize("card", LISTED)
def test_a_card_that_is_listed_and_not_here_is_missed(bring, make, card):
    """As after `snapshot_download` of the data alone: it may say which file is what."""
    data = {f"data/{name}.parquet": make.parquet({"x": [1]}) for name in ("en", "fr")}
    bring({"README.md": LISTED[card], **data}, ["*.parquet"], listed=True)
    with no_network(), pytest.raises(CacheMissError, match=r"Missing:\n.*/README\.md"):
        offline("hf:a/b")


def test_numbered_parquet_files_that_are_listed_need_no_card(bring, make):
    """Their names say the split, and how many they are."""
    data = {f"data/train-0000{i}-of-00002.parquet": make.parquet({"x": [i]}) for i in range(2)}
    bring({"README.md": "# b", **data}, ["*.parquet"], listed=True)
    with no_network():
        assert numbers(offline("hf:a/b")) == [0, 1]


def test_a_pinned_commit_that_is_here_in_part_is_asked_for(bring):
    """Without a listing nobody knows whether it is all; without a network what is here is read."""
    card = configs("{config_name: d, data_files: '*.csv'}")
    files = {"README.md": card, "a.csv": "x\n1\n", "b.csv": "x\n2\n"}
    commit = bring(files, ["README.md", "a.csv"])
    with no_network():
        assert numbers(offline(f"hf:a/b@{commit}")) == [1]
    assert numbers(datarax.load(f"hf:a/b@{commit}")) == [1, 2]
    with no_network():
        assert numbers(datarax.load(f"hf:a/b@{commit}")) == [1, 2]


def test_what_a_cache_without_a_listing_may_lack_is_logged(bring, caplog):
    """Where names are not numbered; the card's counts tell more, and files are not said right."""
    card = "---\ndataset_info: {splits: [{name: train, num_examples: 4}]}\n---\n"
    files = {"README.md": card, "a.csv": "x\n1\n2\n", "b.csv": "x\n3\n4\n"}
    bring(files, ["README.md", "a.csv"])
    with no_network(), pytest.warns(UserWarning, match="which holds no listing .* may lack some"):
        assert numbers(offline("hf:a/b")) == [1, 2]
    assert "the cache holds no listing of this revision" in caplog.text


def test_the_standalone_yaml_counts_without_a_card(bring):
    """Also where a config is asked for that a folder bears the name of."""
    yaml = (
        "configs:\n- {config_name: en, data_files: {train: en/a.csv, test: en/b.csv}, sep: ';'}\n"
    )
    files = {".huggingface.yaml": yaml, "en/a.csv": "x;y\n1;2\n", "en/b.csv": "x;y\n3;4\n"}
    bring(files, files)
    with no_network():
        source = offline("hf:a/b", config="en", split="train")
        assert numbers(source, "y") == [2]


def test_metadata_whose_images_are_not_here_is_no_table(bring, make):
    """A table of file names would be another dataset."""
    image = make.png(np.zeros((2, 2), np.uint8))["bytes"]
    files = {"README.md": "# b", "metadata.csv": "file_name,y\na.png,1\n", "a.png": image}
    bring(files, ["README.md", "metadata.csv"])
    with no_network(), pytest.raises(CacheMissError, match=r"Missing:\n.*/\*\n"):
        offline("hf:a/b")


def test_numbered_files_that_a_folder_lacks_are_told(tmp_path, make):
    """What is there is read: a folder is the user's own."""
    (tmp_path / "train-00001-of-00003.parquet").write_bytes(make.parquet({"x": [1]}))
    for mode in ("eager", "lazy", "streaming"):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            assert numbers(datarax.load(f"hf:{tmp_path}", mode=mode)) == [1]
        assert "2 files are missing" in str(said[0].message)
        assert "'train-00000-of-00003.parquet', 'train-00002-of" in str(said[0].message)


@pytest.mark.parametrize("parameter", ["filters: [[x, '>', 1]]", "columns: [x]"])
def test_parameters_that_would_leave_out_rows_or_columns_of_parquet_are_refused(
    tmp_path, make, parameter
):
    (tmp_path / "a.parquet").write_bytes(make.parquet({"x": [1, 2], "y": [3, 4]}))
    card = f"---\nconfigs:\n- config_name: d\n  data_files: a.parquet\n  {parameter}\n---\n"
    (tmp_path / "README.md").write_text(card)
    for mode in ("eager", "lazy", "streaming"):
        with pytest.raises(NotImplementedError, match="parquet: the card gives the parameter"):
            datarax.load(f"hf:{tmp_path}", mode=mode)


@pytest.mark.parametrize("card", ["# b", configs("{config_name: d, data_files: metadata.csv}")])
def test_a_table_that_is_called_metadata_is_a_table(bring, card):
    """It names no images."""
    files = {"README.md": card, "metadata.csv": "x,y\n1,2\n"}
    bring(files, files)
    with no_network():
        for mode in ("eager", "lazy", "streaming"):
            assert numbers(offline("hf:a/b", split="train", mode=mode)) == [1]


def test_files_in_folders_that_tell_their_split_need_no_card(bring, make):
    """`data` and the split's name, one within the other."""
    files = {"data/train/a.parquet": make.parquet({"x": [1]})}
    bring({"README.md": "# b", **files}, files)
    with no_network():
        assert numbers(offline("hf:a/b")) == [1]


def test_a_pinned_commit_that_is_whole_answers_a_mistake_itself(bring, hub, make):
    """Without asking anybody."""
    files = {"README.md": "# b", "train.parquet": make.parquet({"x": [1]})}
    commit = bring(files, ["*"], listed=True)
    before = len(hub.requests)
    with pytest.raises(UnknownSplitError, match="no split 'tset'"):
        datarax.load(f"hf:a/b@{commit}", split="tset")
    with pytest.raises(UnknownConfigError, match="no config 'x'"):
        datarax.load(f"hf:a/b@{commit}", config="x")
    assert len(hub.requests) == before


def test_a_pinned_commit_that_may_be_seen_no_more_is_read_from_the_cache(bring, hub, make):
    """It stays what it is; `main` does not, and is refused with what the cache has."""
    files = {"README.md": "# b", "train.parquet": make.parquet({"x": [1]})}
    commit = bring(files, files)
    hub.failing = 401
    assert numbers(datarax.load(f"hf:a/b@{commit}")) == [1]
    with pytest.raises(PermissionError, match=rf"[^.]\. The cache holds its commit {commit}"):
        datarax.load("hf:a/b")
