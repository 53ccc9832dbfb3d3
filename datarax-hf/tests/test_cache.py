"""Offline: which files are read, and what is said where they are missing."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from datarax.errors import CacheMissError, InvalidURIError, UnknownSplitError
from datarax_hf import HFSourceConfig
from datarax_hf.cache import hub_cache, repo_folder
from datarax_hf.plugin import plugin

SHA, OTHER = "a" * 40, "ab" + "c" * 38
CARD = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
  - split: test
    path: data/test-*
---
"""


@pytest.mark.parametrize("folder", ["mnist", "ylecun/mnist"])
@pytest.mark.parametrize("asked", ["mnist", "ylecun/mnist"])
def test_a_dataset_is_found_under_either_of_its_names(cache, make, offline, air_gap, folder, asked):
    """A cache folder is named as the dataset was asked for when it was downloaded."""
    _, classes, data = make.digits(9)
    make.snapshot(cache, folder, {"mnist/train-00000-of-00001.parquet": data})
    air_gap()
    reader = offline(asked)
    assert [int(record["label"]) for record in reader.__getitems__(range(9))] == classes.tolist()
    assert reader.identity == {"revision": SHA, "config": "default", "split": "train"}


@pytest.mark.parametrize("variable", ["HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME", "cache_dir"])
def test_the_cache_folder_is_chosen_when_the_call_is_made(
    tmp_path, cache, make, offline, monkeypatch, variable
):
    """HF_HOME, HF_HUB_CACHE and cache_dir count at the call, not at import."""
    inside = {"HF_HOME": "hub", "XDG_CACHE_HOME": "huggingface/hub"}.get(variable, "")
    make.snapshot(tmp_path / "other" / inside, "a/b", {"train.parquet": make.digits(3)[2]})
    options = {}
    if variable == "cache_dir":
        options["cache_dir"] = tmp_path / "other"
    else:
        monkeypatch.delenv("HF_HOME")
        monkeypatch.setenv(variable, str(tmp_path / "other"))
    assert len(offline("a/b", **options)) == 3


def test_what_is_derived_lies_beside_a_cache_that_is_named_by_a_folder_in_it(
    tmp_path, cache, monkeypatch
):
    """As `datarax fetch` says to name it: nothing is put into the folder that was carried."""
    (tmp_path / "there" / "datasets--a--b").mkdir(parents=True)
    monkeypatch.delenv("DATARAX_CACHE", raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "there" / "datasets--a--b" / ".."))
    assert hub_cache(None) == tmp_path / "there"
    folders = plugin.caches()
    assert folders["downloads"] == str(tmp_path / "there")
    assert folders["derived"].startswith(str(tmp_path / "datarax"))


@pytest.mark.parametrize(
    "variable",
    ["HF_HUB_OFFLINE", "DATARAX_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"],
)
def test_the_environment_can_forbid_the_network(
    cache, make, open_reader, monkeypatch, air_gap, variable
):
    """Each of these does what local_files_only does, and a miss names it; 0 and false are off."""
    make.snapshot(cache, "a/b", {"train.parquet": make.digits(3)[2]})
    monkeypatch.setenv(variable, "1")
    air_gap()
    assert len(open_reader("a/b")) == 3
    with pytest.raises(CacheMissError, match=f"with {variable}=1 no socket is opened"):
        open_reader("a/c")
    for off in ("0", "false", ""):
        monkeypatch.setenv(variable, off)
        assert not HFSourceConfig(name="a/b").offline


def test_a_miss_names_the_dataset_the_paths_and_the_remedy(cache, offline, air_gap):
    """An empty cache is a FileNotFoundError that can be acted on."""
    air_gap()
    with pytest.raises(CacheMissError) as caught:
        offline("mnist")
    text = str(caught.value)
    assert isinstance(caught.value, FileNotFoundError)
    assert str(cache / "datasets--mnist" / "refs" / "main") in text
    assert str(cache / "datasets--ylecun--mnist" / "refs" / "main") in text
    assert "hf download ylecun/mnist --repo-type dataset --revision main" in text
    assert 'datarax.load("hf:mnist", local_files_only=False)' in text


def test_a_revision_that_is_not_cached_is_a_miss_and_lists_those_that_are(cache, make, offline):
    """Another revision is never read in its place."""
    make.snapshot(cache, "a/b", {"train.parquet": make.digits(3)[2]}, refs=("main", "v1"))
    with pytest.raises(CacheMissError, match="refs/v2"):
        offline("a/b", revision="v2")
    with pytest.raises(CacheMissError, match="'main', 'v1'"):
        offline("a/b", revision="v2")
    with pytest.raises(CacheMissError, match=f"snapshots/{OTHER}"):
        offline("a/b", revision=OTHER)


@pytest.mark.parametrize(
    "revision", ["main", "v1", "feature/x", SHA, SHA[:7], "refs/convert/parquet"]
)
def test_every_form_of_a_revision_is_resolved(cache, make, offline, revision):
    """Branches, tags, refs, full commits and unique prefixes lead to their snapshot."""
    files = {"default/train/0000.parquet": make.digits(4)[2]}
    make.snapshot(
        cache, "a/b", files, SHA, refs=("main", "v1", "feature/x", "refs/convert/parquet")
    )
    make.snapshot(cache, "a/b", {"train.parquet": make.digits(9)[2]}, OTHER, refs=("other",))
    reader = offline("a/b", revision=revision)
    assert len(reader) == 4
    assert reader.identity["revision"] == SHA


def test_a_prefix_of_two_commits_is_a_miss(cache, make, offline):
    """A short commit must be unique."""
    for commit in (SHA, "aaaab" + "0" * 35):
        make.snapshot(cache, "a/b", {"train.parquet": make.digits(3)[2]}, commit)
    with pytest.raises(CacheMissError):
        offline("a/b", revision="aaaa")


def test_shard_numbers_tell_which_files_a_partial_snapshot_lacks(cache, make, offline):
    """`-00000-of-00003` promises three shards; each that is missing is named by its path."""
    folder = make.snapshot(cache, "a/b", {"data/train-00001-of-00003.parquet": make.digits(3)[2]})
    with pytest.raises(CacheMissError) as caught:
        offline("a/b")
    for number in (0, 2):
        assert str(folder / f"data/train-0000{number}-of-00003.parquet") in str(caught.value)
    assert "00001-of" not in str(caught.value)


def test_a_tree_listing_tells_which_files_a_partial_snapshot_lacks(cache, make, offline):
    """Where the client kept the listing of the commit, each missing file is named."""
    data = make.digits(3)[2]
    folder = make.snapshot(cache, "a/b", {"train/one.parquet": data})
    trees = folder.parents[1] / "trees"
    trees.mkdir()
    names = ["train/one.parquet", "train/two.parquet", "test/three.parquet", "notes.txt"]
    listed = {name: {"size": len(data), "blob_id": "0" * 40} for name in names}
    (trees / f"{SHA}.json").write_text(json.dumps({"format_version": 1, "files": listed}))
    with pytest.raises(CacheMissError) as caught:
        offline("a/b", split="train")
    assert str(folder / "train/two.parquet") in str(caught.value)
    assert "three" not in str(caught.value)
    assert "one.parquet" not in str(caught.value)
    (folder / "train/two.parquet").write_bytes(data)
    assert len(offline("a/b", split="train")) == 6


def test_a_listed_card_that_is_missing_is_named_where_it_may_change_the_answer(
    cache, make, offline
):
    """Files in several folders may be several configs, which only the card can tell."""
    data = make.digits(3)[2]
    folder = make.snapshot(cache, "a/b", {"x/train.parquet": data, "y/train.parquet": data})
    names = ["README.md", "x/train.parquet", "y/train.parquet"]
    (folder.parents[1] / "trees").mkdir()
    listed = {name: {"size": 1, "blob_id": "0" * 40} for name in names}
    tree = folder.parents[1] / "trees" / f"{SHA}.json"
    tree.write_text(json.dumps({"format_version": 1, "files": listed}))
    with pytest.raises(CacheMissError, match=r"README\.md"):
        offline("a/b")


def test_the_card_tells_which_split_a_partial_snapshot_lacks(cache, make, offline):
    """A split of the card without files here is a miss, and one that it lacks is unknown."""
    folder = make.snapshot(
        cache, "a/b", {"README.md": CARD, "data/train-00000-of-00001.parquet": make.digits(3)[2]}
    )
    assert len(offline("a/b")) == 3
    with pytest.raises(CacheMissError) as caught:
        offline("a/b", split="test")
    assert str(folder / "data/test-*") in str(caught.value)
    with pytest.raises(UnknownSplitError, match="'train', 'test'") as unknown:
        offline("a/b", split="tset")
    assert "Did you mean 'test'?" in str(unknown.value)
    assert not isinstance(unknown.value, CacheMissError)


def test_a_split_that_only_a_fuller_cache_would_know_is_both_unknown_and_a_miss(
    cache, make, offline
):
    """Without card and listing nobody can say whether the dataset has the split."""
    make.snapshot(cache, "a/b", {"train-00000-of-00001.parquet": make.digits(3)[2]})
    with pytest.raises(UnknownSplitError, match="'train'") as caught:
        offline("a/b", split="test")
    assert isinstance(caught.value, CacheMissError)
    assert "hf download a/b" in str(caught.value)


def test_a_dangling_link_is_a_missing_file(cache, make, offline):
    """A snapshot entry whose blob is gone is named."""
    folder = make.snapshot(cache, "a/b", {"train-00000-of-00002.parquet": make.digits(3)[2]})
    (folder / "train-00001-of-00002.parquet").symlink_to("../../blobs/gone")
    with pytest.raises(CacheMissError, match="train-00001-of-00002"):
        offline("a/b")


def test_the_name_whose_copy_is_whole_is_read(cache, make, offline):
    """Of two folders for one dataset the complete one serves."""
    make.snapshot(cache, "mnist", {"data/train-00000-of-00002.parquet": make.digits(3)[2]})
    whole = {f"data/train-0000{i}-of-00002.parquet": make.digits(3, i)[2] for i in (0, 1)}
    make.snapshot(cache, "ylecun/mnist", whole)
    assert len(offline("mnist")) == 6


@pytest.mark.parametrize("asked", ["mnist", "ylecun/mnist"])
@pytest.mark.parametrize("later", ["mnist", "ylecun/mnist"])
def test_of_two_commits_the_one_noted_last_is_meant(cache, make, offline, asked, later):
    """What a branch was under the other name is another revision, even where only that is whole."""
    for name in ("mnist", "ylecun/mnist"):
        count, commit = (2, "c" * 40) if name == later else (3, "b" * 40)
        shard = f"data/train-00000-of-0000{1 if name != later else 2}.parquet"
        make.snapshot(cache, name, {shard: make.digits(count)[2]}, commit=commit)
        os.utime(repo_folder(cache, name) / "refs" / "main", (9, 9 + (name == later)))
    with pytest.raises(CacheMissError, match="c{40}.*00001-of-00002"):
        offline(asked)
    second = make.digits(2, 1)[2]
    make.snapshot(cache, later, {"data/train-00001-of-00002.parquet": second}, commit="c" * 40)
    os.utime(repo_folder(cache, later) / "refs" / "main", (10, 10))
    assert len(offline(asked)) == 4
    assert len(offline(asked, revision="b" * 40)) == 3


def test_a_read_only_cache_is_read(cache, make, offline):
    """Reading writes nothing."""
    make.snapshot(cache, "a/b", {"train.parquet": make.digits(3)[2]})
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    folders = [path for path in (cache, *cache.rglob("*")) if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert len(offline("a/b")) == 3
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before


def test_script_repositories_are_read_from_the_converted_branch(cache, make, offline):
    """Where main holds no parquet, refs/convert/parquet is read; another revision has none."""
    pixels, _, data = make.digits(5)
    make.snapshot(cache, "a/b", {"b.py": "raise SystemExit"}, OTHER, refs=("main", "v1"))
    make.snapshot(
        cache, "a/b", {"plain/partial-train/0000.parquet": data}, refs=("refs/convert/parquet",)
    )
    reader = offline("a/b")
    assert reader.identity == {"revision": SHA, "config": "plain", "split": "train"}
    np.testing.assert_array_equal(reader[0]["image"], pixels[0])
    with pytest.raises(CacheMissError):
        offline("a/b", revision="v1")


def test_a_card_that_would_decide_is_a_miss_and_no_wrong_config(hub, make, cache, open_reader):
    """Its configs are not known before it is here."""
    hub.publish("a/b", {"README.md": CARD, "data/train-0.csv": "x\n1\n"})
    open_reader("a/b", split="train")
    (card,) = cache.glob("*/snapshots/*/README.md")
    card.unlink()
    with pytest.raises(CacheMissError, match=r"README\.md"):
        open_reader("a/b", config="other", local_files_only=True)


def test_a_folder_of_this_machine_is_read_like_a_repository(tmp_path, make, offline, monkeypatch):
    """`./folder` is laid out as a repository and has no revision."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "train.parquet").write_bytes(make.digits(4)[2])
    monkeypatch.chdir(tmp_path)
    reader = offline("./mine")
    assert len(reader) == 4
    assert reader.identity == {"config": "default", "split": "train"}


@pytest.mark.parametrize("name", ["", "a/b/c", "../../etc", "a//b", "a b", "a/..", "-x", "a\\b"])
def test_a_name_that_cannot_be_a_dataset_is_refused(name, cache, offline):
    """Names cannot climb out of the cache."""
    with pytest.raises((InvalidURIError, LookupError)):
        offline(name)


@pytest.mark.parametrize("revision", ["../x", "/etc", "a//b", "a\\b", "a b"])
def test_a_revision_that_leaves_the_cache_is_refused(revision):
    """Revisions cannot climb out of the cache either."""
    with pytest.raises(InvalidURIError):
        HFSourceConfig(name="a/b", revision=revision)
