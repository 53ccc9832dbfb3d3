"""Hashes: what `verify=True` and `datarax verify` find in caches of every shape."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from functools import partial

import numpy as np
import pytest

from datarax.errors import CacheMissError, CorruptDataError, DataraxError, NotSupportedError
from datarax.registry.loading import verify
from datarax_hf import flat
from datarax_hf.reader import lay_out

NAME = "data/train-00000-of-00001.parquet"
TEST = "data/test-00000-of-00001.parquet"


CARD = "README.md"


@pytest.fixture
def numbers(hub, make):
    """Publish a/b with a large file and a small one, and return the commit."""
    files = {
        "README.md": "# numbers",
        NAME: make.parquet({"x": np.arange(500)}),
        "data/test-00000-of-00001.parquet": make.parquet({"x": np.arange(5)}),
    }
    return hub.publish("a/b", files)


@pytest.fixture
def damage(cache):
    """Change one byte of the training split where it lies, and return its path."""

    def change(at=100):
        (path,) = cache.glob(f"*/snapshots/*/{NAME}")
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)
        return path

    return change


def verdicts(**options):
    return dict(verify("hf:a/b", **options).files)


@pytest.mark.parametrize("local_files_only", [True, False])
def test_a_byte_that_changed_on_the_disk_is_found(numbers, open_reader, damage, local_files_only):
    """The text has the file, both hashes and the command that fetches it again."""
    good = open_reader("a/b", verify=True)
    assert len(good) == 500
    assert verdicts() == {NAME: "ok", CARD: "ok"}
    path = damage()
    assert len(open_reader("a/b")) == 500
    with pytest.raises(CorruptDataError) as caught:
        open_reader("a/b", verify=True, local_files_only=local_files_only)
    for text in (
        NAME,
        path.resolve().name,
        hashlib.sha256(path.read_bytes()).hexdigest(),
        f"hf download a/b --repo-type dataset --revision {numbers} --include {NAME} --force-download",
    ):
        assert text in str(caught.value)
    found = verify("hf:a/b", local_files_only=local_files_only)
    assert not found.ok
    assert found.files == {NAME: "damaged", CARD: "ok"}
    assert found.remedy is not None
    assert "--force-download" in found.remedy


@pytest.mark.parametrize("local_files_only", [True, False])
def test_a_card_that_changed_on_the_disk_is_found(numbers, open_reader, cache, local_files_only):
    """It says which files are of which split, and what they hold."""
    open_reader("a/b", verify=True)
    next(cache.glob(f"*/snapshots/*/{CARD}")).write_text("# number5")
    with pytest.raises(CorruptDataError, match=f"'{CARD}' has the hash.*--include {CARD}"):
        open_reader("a/b", verify=True, local_files_only=local_files_only)
    found = verify("hf:a/b", local_files_only=local_files_only)
    assert found.files == {NAME: "ok", CARD: "damaged"}
    assert f"--include {CARD}" in (found.remedy or "")


@pytest.mark.parametrize("local_files_only", [True, False])
@pytest.mark.parametrize("right", ["config_name: one", f"data_files: {NAME}"])
def test_a_card_that_changed_is_said_before_what_it_says(
    hub, make, open_reader, cache, right, local_files_only
):
    """By it the config that is asked for has gone, or has no file."""
    card = f"---\nconfigs:\n- config_name: one\n  data_files: {NAME}\n---\n"
    hub.publish("a/b", {NAME: make.parquet({"x": [1]}), CARD: card})
    options = {"config": "one", "local_files_only": local_files_only}
    open_reader("a/b", config="one", verify=True)
    damaged = card.replace(right, f"{right[:-1]}_")
    next(cache.glob(f"*/snapshots/*/{CARD}")).write_text(damaged)
    with pytest.raises(DataraxError) as told:
        open_reader("a/b", **options)
    assert not isinstance(told.value, CorruptDataError)
    for check in (partial(open_reader, "a/b", verify=True), partial(verify, "hf:a/b")):
        with pytest.raises(CorruptDataError, match=f"'{CARD}' has the hash.*--include {CARD}"):
            check(**options)


def test_the_remedy_mends(numbers, open_reader, damage, cache, hub):
    """What it says is what the real client does."""
    from huggingface_hub import hf_hub_download

    open_reader("a/b")
    damage()
    hf_hub_download(
        "a/b",
        NAME,
        repo_type="dataset",
        revision=numbers,
        force_download=True,
        cache_dir=cache,
        endpoint=hub.endpoint,
    )
    assert len(open_reader("a/b", verify=True)) == 500


def test_what_was_laid_out_of_a_damaged_file_is_not_found_for_the_good_one(
    hub, make, open_reader, cache, monkeypatch
):
    """The size and the name are the same; the second in which it was written is not."""
    monkeypatch.setattr(flat, "SMALL_BYTES", 0)
    values = np.arange(500, dtype=np.int32)
    good = make.parquet({"x": values}, compression="none", use_dictionary=False)
    hub.publish("a/b", {NAME: good})
    open_reader("a/b")
    (path,) = cache.glob(f"*/snapshots/*/{NAME}")
    blob, at = path.resolve(), good.index(values.tobytes())

    def total():
        read = open_reader("a/b")
        lay_out(read, ("x",))
        return int(read.read(np.arange(500)[::-1], ["x"])["x"].sum())

    blob.write_bytes(good[:at] + b"\1" + good[at + 1 :])
    os.utime(blob, (1e9, 1e9))
    assert total() == values.sum() + 1
    blob.write_bytes(good)
    assert total() == values.sum()


def test_small_files_are_compared_by_their_git_hash(hub, open_reader, cache):
    """Files that are not large have the hash that git gives them."""
    hub.publish("a/b", {"train.csv": "x\n1\n2\n"})
    open_reader("a/b", verify=True)
    (path,) = cache.glob("*/snapshots/*/train.csv")
    assert len(path.resolve().name) == 40
    path.write_text("x\n1\n3\n")
    with pytest.raises(CorruptDataError, match="has the hash"):
        open_reader("a/b", verify=True)


def test_a_file_of_another_size_than_listed_is_found_without_hashing(hub, open_reader, cache):
    """A truncated text file reads well, and would be short of records."""
    hub.publish("a/b", {"train.csv": "x\n1\n2\n"})
    open_reader("a/b")
    (path,) = cache.glob("*/snapshots/*/train.csv")
    path.write_text("x\n1\n")
    with pytest.raises(CorruptDataError, match="is truncated: it has 4 bytes, and the Hub lists 6"):
        open_reader("a/b")


def test_files_of_other_splits_are_not_verified(numbers, open_reader, damage):
    """Only what `load` would read with the same options is."""
    open_reader("a/b", split="train+test")
    damage()
    assert verdicts(split="test") == {"data/test-00000-of-00001.parquet": "ok", CARD: "ok"}


def test_a_missing_file_has_a_verdict(numbers, open_reader, cache):
    """And the remedy fetches it."""
    open_reader("a/b", split="train+test")
    next(cache.glob(f"*/snapshots/*/{NAME}")).unlink()
    found = verify("hf:a/b", split="train+test")
    assert found.files == {NAME: "missing", "data/test-00000-of-00001.parquet": "ok", CARD: "ok"}
    assert found.remedy is not None
    assert NAME in found.remedy


def test_nothing_cached_is_a_miss(numbers):
    """There is nothing to compare."""
    with pytest.raises(CacheMissError):
        verify("hf:a/b")


@pytest.fixture
def without_links(open_reader, cache):
    """Download a/b, replace links by copies, and forget listing and blobs where asked to."""

    def make(listing):
        open_reader("a/b")
        (repo,) = cache.glob("datasets--a--b")
        for path in repo.glob("snapshots/*/**/*"):
            if path.is_symlink():
                data = path.read_bytes()
                path.unlink()
                path.write_bytes(data)
        shutil.rmtree(repo / "blobs")
        if not listing:
            shutil.rmtree(repo / "trees")

    return make


def test_a_cache_without_links_is_verified_by_its_listing(
    numbers, without_links, damage, open_reader, air_gap
):
    """The listing of the commit has the hashes."""
    without_links(listing=True)
    air_gap()
    assert verdicts(local_files_only=True) == {NAME: "ok", CARD: "ok"}
    damage()
    assert verdicts(local_files_only=True) == {NAME: "damaged", CARD: "ok"}
    with pytest.raises(CorruptDataError):
        open_reader("a/b", verify=True, local_files_only=True)


def test_a_cache_that_knows_no_hashes_asks_the_hub_unless_it_may_not(
    numbers, without_links, damage, open_reader
):
    """Offline the verdict is unknown, and verify=True is refused."""
    without_links(listing=False)
    assert verdicts(local_files_only=True) == {NAME: "unknown", CARD: "unknown"}
    with pytest.raises(NotSupportedError, match="which hash"):
        open_reader("a/b", verify=True, local_files_only=True)
    damage()
    assert verdicts() == {NAME: "damaged", CARD: "ok"}


def test_a_folder_of_hf_download_knows_its_hashes(numbers, hub, tmp_path, cache):
    """`hf download --local-dir` notes them beside the files; a bare folder has none."""
    from huggingface_hub import snapshot_download

    folder = tmp_path / "here"
    snapshot_download(
        "a/b", repo_type="dataset", local_dir=folder, endpoint=hub.endpoint, cache_dir=cache
    )
    uri = f"hf:{folder}"
    assert verify(uri).files == {NAME: "ok", TEST: "ok", CARD: "ok"}
    (folder / NAME).write_bytes(b"other")
    assert verify(uri).files == {NAME: "damaged", TEST: "ok", CARD: "ok"}
    found = verify(uri, split="train")
    assert found.files == {NAME: "damaged", CARD: "ok"}
    assert found.remedy is not None
    assert "good copies" in found.remedy
    shutil.rmtree(folder / ".cache")
    assert verify(uri).files == {NAME: "unknown", TEST: "unknown", CARD: "unknown"}


def test_the_listing_that_is_kept_is_the_one_that_the_client_keeps(
    numbers, hub, open_reader, cache
):
    """Either reads the other's, so that the client too tells a partial snapshot from a whole one."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import IncompleteSnapshotError

    open_reader("a/b")
    with pytest.raises(IncompleteSnapshotError):
        snapshot_download("a/b", repo_type="dataset", cache_dir=cache, local_files_only=True)
    (ours,) = cache.glob("*/trees/*.json")
    snapshot_download(
        "a/b", repo_type="dataset", cache_dir=cache.parent / "b", endpoint=hub.endpoint
    )
    (theirs,) = (cache.parent / "b").glob("*/trees/*.json")
    assert json.loads(ours.read_text()) == json.loads(theirs.read_text())
