"""What is said where nothing can be read: which files there are, and what the card asks for."""

from __future__ import annotations

import io
import os
import warnings

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import datarax
from datarax.errors import (
    CacheMissError,
    CorruptDataError,
    InvalidURIError,
    UnknownDatasetError,
    UnknownSplitError,
)
from datarax_hf import CacheWriteError
from datarax_hf.names import near_name


def card(path):
    return f"---\nconfigs:\n- config_name: default\n  data_files:\n  - {{split: train, path: {path}}}\n---\n"


@pytest.fixture
def publish(hub, tmp_path):
    """Publish a/b, or write a folder; return the URI of either."""

    def put(files, where):
        if where == "on the Hub":
            hub.publish("a/b", files)
            return "hf:a/b"
        for name, data in files.items():
            (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "folder" / name).write_text(data)
        (tmp_path / "folder").mkdir(exist_ok=True)
        return f"hf:{tmp_path / 'folder'}"

    return put


WHERE = pytest.mark.parametrize("where", ["on the Hub", "in a folder"])


@WHERE
@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"a.csv": "x\n1\n", "README.md": card("b.csv")},
            "'b.csv' for the split 'train' matches no file; its files are 'a.csv'",
        ),
        (
            {"a.csv": "x\n1\n", "README.md": card("'x/*.csv'")},
            "'x/*.csv' for the split 'train' matches no file",
        ),
        (
            {"a.csv": "x\n1\n", "README.md": card("../a.csv")},
            "'../a.csv' for the split 'train' leads out of the dataset",
        ),
        (
            {"a.csv": "x\n1\n", "README.md": card("/a.csv")},
            "'/a.csv' for the split 'train' leads out",
        ),
        (
            {"a.csv": "x\n1\n", "README.md": card("hf://datasets/c/d/a.csv")},
            "'hf://datasets/c/d/a.csv' for the split 'train' leads out",
        ),
        (
            {"a.csv": "x\n1\n", "README.md": card("https://example.org/a.csv")},
            "'https://example.org/a.csv' for the split 'train' leads out",
        ),
        (
            {"a.foo": "x", "README.md": card("'*.foo'")},
            "'*.foo' for the split 'train' matches no file of a known format",
        ),
        (
            {
                "a.csv": "x\n1\n",
                "README.md": "---\nconfigs: [{config_name: a, data_files: []}]\n---",
            },
            "card's data_files of the config 'a' are empty",
        ),
        (
            {"a.csv": "x\n1\n", "README.md": "---\nconfigs: [{config_name: a, data_dir: b}]\n---"},
            "the card's data_dir 'b' holds no file",
        ),
        ({"data.bin": "x"}, "no files of a format that is read; read are parquet"),
        ({"data.bin": "x"}, "its files are 'data.bin'"),
        ({f"{i}.bin": "x" for i in range(7)}, "'4.bin' and 2 more"),
        ({"README.md": "# b"}, "it has no files"),
        ({"a.tar": "x"}, "but webdataset files; read are parquet"),
    ],
)
def test_what_was_found_and_what_was_asked_for_is_named(publish, files, said, where):
    """By `load` and by `inspect`; a loading script only where there is one."""
    uri = publish(files, where)
    for ask in (datarax.load, datarax.inspect):
        with pytest.raises(UnknownDatasetError) as caught:
            ask(uri)
        assert said in str(caught.value)
        assert "script" not in str(caught.value)


def test_a_loading_script_is_named_where_there_is_one(hub):
    """It is not run."""
    hub.publish("a/b", {"b.py": "raise SystemExit"})
    with pytest.raises(UnknownDatasetError, match=r"its loading script 'b\.py' is not run"):
        datarax.load("hf:a/b")


@WHERE
@pytest.mark.parametrize("mode", ["lazy", "streaming"])
def test_a_part_that_the_card_asks_for_and_is_not_there_is_a_warning(publish, where, mode):
    """Fewer records than the card promises are not read in silence."""
    uri = publish({"a.csv": "x\n1\n", "README.md": card("[a.csv, b.csv]")}, where)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with datarax.load(uri, mode=mode) as source:
            assert [int(record["x"]) for record in source] == [1]
    assert any("'b.csv' for the split 'train' matches no file" in str(one.message) for one in said)
    assert any("'b.csv'" in note for note in datarax.inspect(uri).notes)


def test_a_split_whose_files_are_not_there_names_them(publish):
    """The others can be read."""
    files = {"README.md": card("a.csv}\n  - {split: test, path: b.csv"), "a.csv": "x\n1\n"}
    uri = publish(files, "on the Hub")
    with pytest.raises(UnknownSplitError, match=r"'b\.csv' for the split 'test' matches no file"):
        datarax.load(uri, split="test")


@pytest.mark.parametrize("mode", ["lazy", "streaming"])
def test_malformed_features_name_the_dataset_and_the_remedy(hub, mode):
    """On the Hub, and where the file was downloaded."""
    out = io.BytesIO()
    pq.write_table(pa.table({"x": [1]}).replace_schema_metadata({"huggingface": "{"}), out)
    hub.publish("a/b", {"train.parquet": out.getvalue()})
    with pytest.raises(
        CorruptDataError, match=r"hf:a/b: .*'train\.parquet' has malformed"
    ) as caught:
        datarax.load("hf:a/b", mode=mode)
    remedy = "hf download a/b" if mode == "lazy" else "tell the owner"
    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("org/nope", ""),
        ("nope", ""),
        ("x/y", ""),
        ("mnits", " Did you mean 'mnist'?"),
        ("ylecun/mnits", " Did you mean 'ylecun/mnist'?"),
        ("org/mnist", " Did you mean 'ylecun/mnist'?"),
        ("fashion-mnist", " Did you mean 'fashion_mnist'?"),
    ],
)
def test_only_near_names_are_suggested(hub, asked, near):
    """Of a namespace and a dataset the dataset decides."""
    assert near_name(asked) == near
    with pytest.raises(UnknownDatasetError) as caught:
        datarax.load(f"hf:{asked}")
    assert ("Did you mean" in str(caught.value)) == bool(near)
    assert near in str(caught.value)


@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize("name", ["a/b.git", "b.git", "a/" + "x" * 97, "x" * 97 + "/a"])
def test_names_that_the_hub_never_gives_are_refused(hub, name, offline):
    """Before anybody is asked."""
    with pytest.raises(InvalidURIError, match=r"up to 96 characters and without '\.git'"):
        datarax.load(f"hf:{name}", local_files_only=offline)
    assert hub.requests == []


@pytest.mark.parametrize("mode", ["lazy", "streaming"])
def test_a_cache_that_can_be_none_is_said(hub, make, tmp_path, mode):
    """A file in its place, above it, or a folder where none can be made; offline it is a miss.

    A stream needs none: what it reads of a card is read without one.
    """
    hub.publish("a/b", {"README.md": "# b", "train.parquet": make.parquet({"x": [1]})})
    (tmp_path / "file").write_text("x")
    hub.publish("a/bare", {"train.parquet": make.parquet({"x": [1]})})
    if mode == "lazy":
        with pytest.raises(CacheWriteError, match="give another by cache_dir="):
            datarax.load("hf:a/bare", cache_dir=tmp_path / "file")
    for place in (tmp_path / "file", tmp_path / "file" / "below", "/proc/cache"):
        if mode == "streaming":
            assert [
                int(element["x"]) for element in datarax.load("hf:a/b", cache_dir=place, mode=mode)
            ] == [1]
            assert datarax.inspect("hf:a/b", cache_dir=place).splits["train"].bytes
        else:
            with pytest.raises(CacheWriteError, match="give another by cache_dir=") as caught:
                datarax.load("hf:a/b", cache_dir=place, mode=mode)
            assert str(place) in str(caught.value)
        with pytest.raises(CacheMissError):
            datarax.load("hf:a/b", cache_dir=place, mode=mode, local_files_only=True)


def test_a_ref_that_is_no_text_is_a_miss_and_is_written_anew(hub, make, cache):
    """As one that is empty is."""
    hub.publish("a/b", {"train.parquet": make.parquet({"x": [1]})})
    datarax.load("hf:a/b")
    (ref,) = cache.glob("*/refs/main")
    for data in (b"\xff\xfe\x00", b""):
        ref.write_bytes(data)
        with pytest.raises(CacheMissError, match="refs/main"):
            datarax.load("hf:a/b", local_files_only=True)
        datarax.load("hf:a/b")
        datarax.load("hf:a/b", local_files_only=True)


@pytest.mark.parametrize(
    "name",
    [
        "//datasets/ylecun/mnist",
        "datasets/ylecun/mnist",
        "datasets/ylecun/mnist/tree/main",
        "https://huggingface.co/datasets/ylecun/mnist",
    ],
)
def test_the_address_of_a_datasets_page_says_its_name(name, cache):
    """As it is copied out of a browser, or written for a file system."""
    said = "write 'hf:ylecun/mnist' for the dataset on the Hub"
    with pytest.raises((InvalidURIError, UnknownDatasetError), match=said):
        datarax.load(f"hf:{name}", local_files_only=True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_what_is_neither_a_folder_nor_a_file_is_said(tmp_path):
    """A pipe, which would be waited for, and a home of nobody."""
    os.mkfifo(tmp_path / "a.csv")
    for path in (tmp_path / "a.csv", "~nobody-at-all/x"):
        with pytest.raises(UnknownDatasetError, match="is no folder and no file of this machine"):
            datarax.load(f"hf:{path}")


def test_hashes_of_what_is_not_the_hubs_are_not_promised(publish):
    """No network would bring them."""
    uri = publish({"a.csv": "x\n1\n"}, "in a folder")
    with pytest.raises(NotImplementedError, match="no hash is published; load it without verify"):
        datarax.load(uri, verify=True)


def test_an_option_that_belongs_into_the_uri_is_shown_there():
    with pytest.raises(TypeError, match="takes 'revision' in the URI: 'hf:TARGET@REVISION'"):
        datarax.load("hf:mnist", revision="main")
