"""The air gap: what other tools left in a cache is read, and what is fetched can be carried."""

from __future__ import annotations

import errno
import functools
import os
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest

import datarax
from datarax.errors import CacheMissError, UnknownConfigError, UnknownDatasetError
from datarax.registry.loading import fetch, inspect, load, verify
from datarax.testing.offline import no_network

NAMES = [f"mnist/train-0000{i}-of-00002.parquet" for i in range(2)]
CARD = """---
license: mit
configs:
- config_name: mnist
  data_files: [{split: train, path: mnist/train-*}, {split: test, path: mnist/test-*}]
---
"""


@pytest.fixture
def mnist(hub, make):
    """Publish ylecun/mnist, which mnist redirects to, and return its labels and its commit."""
    parts = [make.digits(6, seed) for seed in (0, 1)]
    files = {name: data for name, (_, _, data) in zip(NAMES, parts, strict=True)}
    test = make.digits(2, 3)[2]
    commit = hub.publish(
        "ylecun/mnist",
        {"README.md": CARD, "mnist/test-00000-of-00001.parquet": test, **files},
    )
    hub.redirects["mnist"] = "ylecun/mnist"
    return np.concatenate([labels for _, labels, _ in parts]).tolist(), commit


def labels(reader):
    return reader.read(np.arange(len(reader)), ["label"])["label"].tolist()


def by_snapshot_download(name, cache, hub):
    from huggingface_hub import snapshot_download

    snapshot_download(name, repo_type="dataset", cache_dir=cache, endpoint=hub.endpoint)


def by_hf_hub_download(name, cache, hub):
    from huggingface_hub import hf_hub_download

    for file in NAMES:
        hf_hub_download(name, file, repo_type="dataset", cache_dir=cache, endpoint=hub.endpoint)


def by_hf_download(name, cache, hub):
    program = "from huggingface_hub.cli.hf import main; main()"
    command = ["download", name, "--repo-type", "dataset", "--cache-dir", str(cache)]
    subprocess.run(
        [sys.executable, "-c", program, *command],
        check=True,
        capture_output=True,
        env={**os.environ, "HF_HUB_DISABLE_UPDATE_CHECK": "1"},
    )


@pytest.mark.parametrize(
    ("download", "links"),
    [
        (by_snapshot_download, True),
        (by_snapshot_download, False),
        (by_hf_hub_download, True),
        (by_hf_hub_download, False),
        (by_hf_download, True),
    ],
)
def test_what_the_clients_downloaded_is_read_with_no_socket(
    mnist, hub, cache, offline, download, links
):
    """Whichever of them, under whichever name, and with its links followed by a copy."""
    name = "mnist" if download is not by_hf_download else "ylecun/mnist"
    download(name, cache, hub)
    if not links:
        shutil.copytree(cache, cache.parent / "copy", symlinks=False)
        shutil.rmtree(cache)
        (cache.parent / "copy").rename(cache)
        for blobs in cache.glob("*/blobs"):
            shutil.rmtree(blobs)
    with no_network():
        for asked in ("mnist", "ylecun/mnist"):
            reader = offline(asked, split="train")
            assert labels(reader) == mnist[0]
            assert reader.identity["revision"] == mnist[1]


@pytest.mark.parametrize("fetched_before", [False, True], ids=["downloaded", "found"])
def test_offline_reads_what_was_last_read_online(
    mnist, hub, cache, make, open_reader, offline, fetched_before
):
    """Where another client left an older commit, or the same one, under the old name."""
    by_snapshot_download("mnist", cache, hub)
    _, newer, data = make.digits(5, 7)
    commit = hub.publish("ylecun/mnist", {"train.parquet": data})
    if fetched_before:
        from huggingface_hub import snapshot_download

        options = {"repo_type": "dataset", "cache_dir": cache, "endpoint": hub.endpoint}
        snapshot_download("mnist", revision=commit, **options)
    assert labels(open_reader("mnist")) == newer.tolist()
    for asked in ("mnist", "ylecun/mnist"):
        reader = offline(asked)
        assert labels(reader) == newer.tolist()
        assert reader.identity["revision"] == commit


def test_what_is_cached_under_the_old_name_is_not_fetched_again(
    mnist, hub, cache, open_reader, monkeypatch
):
    """So that a cache that cannot be written is read with a network too: not the card either."""
    by_snapshot_download("mnist", cache, hub)
    hub.requests.clear()
    assert labels(open_reader("mnist", split="train")) == mnist[0]
    inspected = inspect("hf:mnist")
    assert inspected.records == len(mnist[0])
    assert not [
        path for method, path in hub.requests if (method, "resolve" in path) == ("GET", True)
    ]
    assert not (cache / "datasets--ylecun--mnist").exists()


def test_one_shard_of_two_by_hf_hub_download_names_the_other(mnist, hub, cache, offline):
    """The client would return the folder as if it were whole."""
    from huggingface_hub import hf_hub_download, snapshot_download

    hf_hub_download(
        "ylecun/mnist", NAMES[1], repo_type="dataset", cache_dir=cache, endpoint=hub.endpoint
    )
    folder = snapshot_download(
        "ylecun/mnist", repo_type="dataset", cache_dir=cache, local_files_only=True
    )
    with no_network(), pytest.raises(CacheMissError) as caught:
        offline("mnist", split="train")
    assert f"{folder}/{NAMES[0]}" in str(caught.value)
    assert NAMES[1] not in str(caught.value)


def test_where_links_are_off_files_stand_in_their_place(
    mnist, cache, open_reader, offline, monkeypatch
):
    """As on file systems that have none."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_SYMLINKS", True)
    assert labels(open_reader("mnist", split="train")) == mnist[0]
    assert not [path for path in cache.rglob("*") if path.is_symlink()]
    with no_network():
        assert labels(offline("mnist", split="train", verify=True)) == mnist[0]


def test_where_links_are_off_the_links_of_other_commits_stay(
    hub, make, open_reader, offline, monkeypatch
):
    """What they lead to is copied, not moved."""
    from huggingface_hub import constants

    data = make.parquet({"label": [1, 2]})
    first = hub.publish("a/b", {"train.parquet": data})
    open_reader("a/b")
    hub.publish("a/b", {"train.parquet": data, "README.md": "other"})
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_SYMLINKS", True)
    open_reader("a/b")
    for revision in (None, first):
        assert labels(offline("a/b", revision=revision)) == [1, 2]


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_that_knows_no_links_gets_files(hub, make, open_reader, monkeypatch, code):
    """Whatever it answers to who asks for one."""

    def refused(*_args, **_kwargs):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "symlink", refused)
    hub.publish("a/b", {"train.parquet": make.parquet({"label": [1, 2]})})
    assert labels(open_reader("a/b")) == [1, 2]


CONFIGS = """---
configs:
- {config_name: small, data_files: small/train.parquet}
- {config_name: large, data_files: large/train.parquet%s}
---
"""


@pytest.mark.parametrize("default", [False, True])
def test_no_config_given_has_the_same_answer_offline_as_online(
    hub, make, open_reader, offline, default
):
    """Never the one that happens to be cached."""
    card = CONFIGS % (", default: true" if default else "")
    files = {f"{name}/train.parquet": make.parquet({"x": [1]}) for name in ("small", "large")}
    hub.publish("a/b", {"README.md": card, **files})
    open_reader("a/b", config="small")
    if not default:
        for load in (open_reader, offline):
            with pytest.raises(
                UnknownConfigError, match="'small', 'large' and none is the default"
            ):
                load("a/b")
        return
    with pytest.raises(CacheMissError, match=r"large/train\.parquet"):
        offline("a/b")
    assert open_reader("a/b").identity == offline("a/b").identity


CHILD = """
import os, sys
cache = sys.argv[1]
def watch(event, arguments):
    if event.startswith("socket."):
        os._exit(3)
    written = event in ("os.mkdir", "os.rename", "os.remove", "os.symlink", "os.link", "os.chmod")
    if event == "open" and isinstance(arguments[2], int):
        written = bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    if not written or isinstance(arguments[0], int):  # a descriptor: its file was opened before
        return
    if os.path.realpath(os.fsdecode(arguments[0])).startswith(cache):
        os._exit(4)
import datarax, jax, socket
jax.devices()
sys.addaudithook(watch)
for variable in ("DATARAX_OFFLINE", "HF_HUB_OFFLINE", None):
    if variable:
        os.environ[variable] = "1"
    options = {} if variable else {"local_files_only": True}
    source = datarax.load("hf:mnist", split="train", **options)
    print([int(source.reader[i]["label"]) for i in range(len(source))])
    if variable:
        del os.environ[variable]
print(datarax.load("hf:mnist", split="train", mode="lazy", shuffle=True, local_files_only=True)[0]["label"])
print(datarax.inspect("hf:mnist", split="train", local_files_only=True).local)
"""


def isolated():
    """Return the words that begin a command in a network namespace of its own, where they can."""
    words = ["unshare", "-rn"]
    if shutil.which("unshare") is None:
        return []
    return (
        words
        if subprocess.run([*words, "true"], check=False, capture_output=True).returncode == 0
        else []
    )


def test_what_was_fetched_is_carried_to_a_machine_without_a_network(mnist, tmp_path, monkeypatch):
    """The folder is moved; there nothing can leave, and nothing is written into it."""
    fetched = fetch("hf:mnist", split="train")
    assert {name.rpartition("/")[2] for name in fetched.files} == {
        "README.md",
        *(name.rpartition("/")[2] for name in NAMES),
    }
    assert fetched.bytes > 0
    there = tmp_path / "there"
    there.mkdir()
    folder = shutil.move(fetched.folder, there)
    setup = {name: value.format(folder=folder) for name, value in fetched.setup.items()}
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HF_", "COVERAGE"))
    }
    environment |= {"HOME": str(tmp_path / "nobody"), "JAX_PLATFORMS": "cpu", **setup}
    done = subprocess.run(
        [*isolated(), sys.executable, "-c", CHILD, str(there)],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:3] == [str(mnist[0])] * 3
    assert int(lines[3]) == mnist[0][0]
    assert lines[4] == "True"


def test_what_was_fetched_is_only_what_load_would_read(mnist, hub, cache):
    """One split; fetched again, nothing comes anew; offline it says what is there."""
    fetch("hf:mnist", split="test")
    assert hub.downloads() == ["mnist/test-00000-of-00001.parquet"]
    again = fetch("hf:mnist", split="test", local_files_only=True)
    assert len(hub.downloads()) == 1
    assert len(again.files) == 2
    with pytest.raises(CacheMissError, match="train-00000"):
        fetch("hf:mnist", split="train", local_files_only=True)


def test_what_a_stream_would_read_is_fetched(mnist, hub):
    """The mode says how files are read; to fetch is to have them here."""
    fetched = fetch("hf:mnist", split="train", mode="streaming")
    assert len(fetched.files) == 3
    with (
        no_network(),
        load("hf:mnist", split="train", mode="streaming", local_files_only=True) as source,
    ):
        assert len(list(source)) == len(mnist[0])


def test_all_splits_are_fetched_where_none_is_named(mnist, hub):
    """Whether or not one of them is `train`; then each is read offline, and verified."""
    files = dict(hub.repos["ylecun/mnist"].commits[mnist[1]])
    other = {
        name.replace("train", "seen"): data for name, data in files.items() if name != "README.md"
    }
    hub.publish("a/b", {name.replace("mnist/", "data/"): data for name, data in other.items()})
    for uri, splits in (("hf:mnist", ("train", "test")), ("hf:a/b", ("seen", "test"))):
        fetched = fetch(uri)
        assert sum(name.endswith(".parquet") for name in fetched.files) == 3
        with no_network():
            for split in splits:
                load(uri, split=split, local_files_only=True)
        assert set(verify(uri).files.values()) == {"ok"}
        assert sum(name.endswith(".parquet") for name in verify(uri).files) == 3
        assert fetch(uri, local_files_only=True).files == fetched.files


def test_a_folder_of_this_machine_is_carried_as_it_is(tmp_path, make):
    """It needs no setup."""
    (tmp_path / "train.parquet").write_bytes(make.parquet({"x": [1]}))
    fetched = fetch(f"hf:{tmp_path}")
    assert fetched.folder == str(tmp_path)
    assert list(fetched.files) == ["train.parquet"]
    assert fetched.setup == {}


def test_inspect_asks_nobody_offline(mnist, open_reader):
    """It tells what is local and what is not."""
    open_reader("mnist", split="test")
    with no_network():
        info = inspect("hf:mnist", split="train", local_files_only=True)
    assert info.local is False
    assert info.files == {
        **dict.fromkeys(NAMES, False),
        "mnist/test-00000-of-00001.parquet": True,
    }


CONVERSION = "refs/convert/parquet"
UNREAD = {
    "a script": {"b.py": "raise SystemExit"},
    "a script and a card": {"b.py": "raise SystemExit", "README.md": "---\nlicense: mit\n---\n"},
    "tars": {"a.tar": "x"},
    "tars and a card": {"a.tar": "x", "README.md": "---\nlicense: mit\n---\n"},
    "sounds": {"train/a.wav": "x"},
    "sounds and a card": {"train/a.wav": "x", "README.md": "---\nlicense: mit\n---\n"},
}


@pytest.fixture
def converted(hub, make):
    """Publish a/b with files that are not read, and its converted copy; return both commits."""

    def publish(files):
        names = [("one", "train"), ("one", "test"), ("two", "train")]
        parts = {
            f"{config}/{split}/0000.parquet": make.parquet({"x": [number]})
            for number, (config, split) in enumerate(names)
        }
        return hub.publish("a/b", files), hub.publish("a/b", parts, CONVERSION)

    return publish


def numbers(uri, **options):
    """Return x of all records, and whether a warning spoke of the converted copy."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with load(uri, mode="eager", **options) as source:
            found = [int(source[i]["x"]) for i in range(len(source))]
    return found, any("converted copy" in str(warning.message) for warning in said)


@pytest.mark.parametrize("files", UNREAD.values(), ids=UNREAD)
def test_what_was_read_from_the_converted_copy_is_read_offline(converted, cache, files):
    """By the same name, loaded or fetched before; a second load still finds it."""
    converted(files)
    for bring in (numbers, fetch):
        bring("hf:a/b", config="one", split="train")
        with no_network():
            assert numbers("hf:a/b", config="one", split="train", local_files_only=True) == (
                [0],
                True,
            )
        shutil.rmtree(cache)
    assert numbers("hf:a/b", config="one", split="train") == ([0], True)
    assert numbers("hf:a/b", config="one", split="train") == ([0], True)


def test_the_converted_copy_is_carried_without_its_empty_folders(
    converted, cache, tmp_path, monkeypatch
):
    """Archives drop folders that hold nothing; what main is must be known all the same."""
    converted(UNREAD["a script"])
    fetch("hf:a/b", config="one", split="train")
    home = tmp_path / "elsewhere"
    shutil.move(cache, home / "hub")
    for folder in sorted((home / "hub").rglob("*"), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    monkeypatch.setenv("HF_HOME", str(home))
    with no_network():
        assert numbers("hf:a/b", config="one", split="train", local_files_only=True) == ([0], True)


def test_the_clients_take_a_cache_with_a_converted_copy_for_whole(converted, cache):
    """`hf cache` would call a ref damaged whose commit has no folder."""
    from huggingface_hub import scan_cache_dir

    converted(UNREAD["a script"])
    numbers("hf:a/b", config="one", split="train")
    assert scan_cache_dir(cache).warnings == []


def test_a_pinned_converted_copy_is_read_as_what_it_is(converted, cache):
    """By its ref or its commit, its folders are configs; main's own commit has nothing to read."""
    main, copy = converted(UNREAD["tars"])
    for revision in (CONVERSION, copy):
        assert numbers(f"hf:a/b@{revision}", config="two") == ([2], False)
        with no_network():
            assert numbers(f"hf:a/b@{revision}", config="two", local_files_only=True) == (
                [2],
                False,
            )
        with no_network(), pytest.raises(CacheMissError):
            load("hf:a/b", config="two", local_files_only=True)
        shutil.rmtree(cache)
    numbers("hf:a/b", config="two")
    for offline in (False, True):
        with pytest.raises(UnknownDatasetError, match=r"webdataset.*follows 'main' only"):
            load(f"hf:a/b@{main}", config="two", local_files_only=offline)


def test_what_a_converted_copy_lacks_is_named(converted):
    """A split or a config that was not fetched."""
    converted(UNREAD["tars and a card"])
    fetch("hf:a/b", config="one", split="train")
    for options, name in (
        ({"config": "one", "split": "test"}, "one/test/0000.parquet"),
        ({"config": "two"}, "two/train/0000.parquet"),
    ):
        with no_network(), pytest.raises(CacheMissError) as caught:
            load("hf:a/b", local_files_only=True, **options)
        assert name in str(caught.value)
        assert "one/train/0000.parquet" not in str(caught.value)


def test_a_converted_copy_stands_for_main_only_where_main_is_known(
    converted, hub, make, cache, offline
):
    """A card alone does not tell that main has nothing to read."""
    from huggingface_hub import hf_hub_download

    hub.publish("a/b", {"README.md": "# b", "train.parquet": make.parquet({"x": [9]})})
    hub.publish("a/b", {"default/train/0000.parquet": make.parquet({"x": [1]})}, CONVERSION)
    hf_hub_download("a/b", "README.md", repo_type="dataset", cache_dir=cache, endpoint=hub.endpoint)
    shutil.rmtree(cache / "datasets--a--b" / "trees", ignore_errors=True)
    numbers(f"hf:a/b@{CONVERSION}")
    with no_network(), pytest.raises(CacheMissError, match="snapshots"):
        offline("a/b")


def test_main_that_moved_to_files_that_are_read_is_read_again(converted, hub, make):
    """And back: what the cache says of main is what the Hub said last."""
    converted(UNREAD["a script"])
    numbers("hf:a/b", config="one", split="train")
    hub.publish("a/b", {"one/train.parquet": make.parquet({"x": [7]})})
    assert numbers("hf:a/b") == ([7], False)
    assert numbers("hf:a/b", local_files_only=True) == ([7], False)
    converted(UNREAD["tars"])
    assert numbers("hf:a/b", config="two") == ([2], True)
    assert numbers("hf:a/b", config="two", local_files_only=True) == ([2], True)


def test_a_converted_dataset_is_told_of_with_its_own_card(converted):
    """The licence is that of main, whose files are not read."""
    converted(UNREAD["tars and a card"])
    assert inspect("hf:a/b", config="one").licence == "mit"


SEVERAL = """---
configs:
- {config_name: en, data_files: en/*.csv}
- {config_name: de fr, data_files: de/*.csv}
---
"""


def test_without_the_card_nothing_is_guessed_that_it_would_say(hub, cache, caplog):
    """Files that a client brought one by one: which config they are, and all of it, is unknown."""
    from huggingface_hub import hf_hub_download

    files = {"en/a.csv": "x\n1\n", "en/b.csv": "x\n2\n", "de/a.csv": "x\n3\n"}
    hub.publish("a/b", {"README.md": SEVERAL, **files})
    download = functools.partial(hf_hub_download, "a/b", repo_type="dataset", cache_dir=cache)
    download("en/a.csv", endpoint=hub.endpoint)
    with no_network():
        for options in ({}, {"config": "de fr"}):
            with pytest.raises(CacheMissError, match=r"Missing:\n.*/README\.md\nThe card says"):
                datarax.load("hf:a/b", local_files_only=True, **options)
        assert len(datarax.load("hf:a/b", local_files_only=True, config="en")) == 1
    assert "the cache holds no listing of this revision" in caplog.text
    assert "the card is not on this machine" in caplog.text
    for name in ("README.md", "en/b.csv"):
        download(name, endpoint=hub.endpoint)
    with no_network():
        assert len(datarax.load("hf:a/b", local_files_only=True, config="en")) == 2
        with pytest.raises(UnknownConfigError, match="the configs 'en', 'de fr' and none is"):
            datarax.load("hf:a/b", local_files_only=True)


@pytest.mark.parametrize(
    ("file", "served"),
    [
        ("data/train-00000-of-00001.parquet", True),
        ("train.parquet", True),
        ("mine/train.parquet", True),
        ("test/0.parquet", True),
        ("test/0.csv", True),
        ("en/train.parquet", False),
        ("en/train.csv", False),
    ],
)
def test_files_of_one_folder_speak_for_themselves_unless_it_may_be_a_config(
    hub, cache, make, caplog, file, served
):
    """A folder of another name than a dataset's own, its data's or a split's may be one of many.

    Where files do not say what they hold themselves, it is logged that there is none.
    """
    from huggingface_hub import hf_hub_download

    data = make.parquet({"x": [1]}) if file.endswith("parquet") else "x\n1\n"
    hub.publish("a/mine", {"README.md": "# mine", file: data})
    place = {"repo_type": "dataset", "cache_dir": cache, "endpoint": hub.endpoint}
    hf_hub_download("a/mine", file, **place)
    with no_network():
        if served:
            split = "test" if file.startswith("test") else "train"
            assert len(datarax.load("hf:a/mine", local_files_only=True, split=split)) == 1
            assert "the card is not on this machine" in caplog.text
            assert ("no listing of this revision" in caplog.text) == ("-of-" not in file)
        else:
            with pytest.raises(CacheMissError, match=r"Missing:\n.*/README\.md"):
                datarax.load("hf:a/mine", local_files_only=True)
        if file == "en/train.parquet":
            assert len(datarax.load("hf:a/mine", local_files_only=True, config="en")) == 1
            with pytest.raises(CacheMissError, match=r"Missing:\n.*/README\.md"):
                datarax.load("hf:a/mine", local_files_only=True, config="fr")
        if file == "train.parquet":
            with pytest.raises(CacheMissError, match="does not hold the dataset's card") as caught:
                datarax.load("hf:a/mine", local_files_only=True, config="fr")
            assert isinstance(caught.value, UnknownConfigError)


def test_a_dataset_that_is_known_to_have_no_card_lacks_none(hub, cache):
    """huggingface_hub notes what it asked for in vain, as `datasets` does before it loads."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    hub.publish("a/b", {"en/a.csv": "x\n1\n"})
    place = {"repo_type": "dataset", "cache_dir": cache, "endpoint": hub.endpoint}
    hf_hub_download("a/b", "en/a.csv", **place)
    with no_network(), pytest.raises(CacheMissError, match="README"):
        datarax.load("hf:a/b", local_files_only=True)
    with pytest.raises(EntryNotFoundError):
        hf_hub_download("a/b", "README.md", **place)
    with no_network():
        assert len(datarax.load("hf:a/b", local_files_only=True)) == 1
