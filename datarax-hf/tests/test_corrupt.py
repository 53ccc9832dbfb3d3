"""Damaged files: each is said by name, with the way to fetch it again."""

from __future__ import annotations

import base64
import io
import shlex

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub.utils import filter_repo_objects

import datarax
from datarax.errors import CorruptDataError

SHA = "a" * 40
AGAIN = f"hf download a/b --repo-type dataset --revision {SHA} --include train.parquet"
# A column `x` of 1, 2, 3 with size statistics, as pyarrow 26 writes it; older ones write none.
COUNTED = base64.b64decode(
    "UEFSMRUAFSQVJCwVBhUAFQYVBhwAAAACAAAABgEBAAAAAgAAAAMAAAAVBBksNQAYBnNjaGVtYRUCABUCJQIYAXgAFgYZHBkc"
    "JgAcFQIZJQYAGRgBeBUAFgYWShZKJghJHBUAFQAVAgA8KQYZJgAGAAAAFkoWBiYIFkoAKCBwYXJxdWV0LWNwcC1hcnJvdyB2"
    "ZXJzaW9uIDI2LjAuMRkcHAAAAHoAAABQQVIx"
)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: b"", "is empty"),
        (lambda data: POINTER, "is a git-lfs pointer"),
        (lambda data: b"<html>sorry</html>", "is no parquet file: it begins with b'<htm'"),
        (lambda data: data[: len(data) // 2], "is truncated"),
        (lambda data: data[:-12] + b"\xff\xff\xff\x7f" + data[-8:], "has a damaged footer"),
        (lambda data: b"PAR1PAR1", "is truncated"),
    ],
)
def test_a_file_that_is_no_whole_parquet_file_is_named(cache, make, offline, damage, said):
    """The text says what the file is, where it lies, and the command that replaces it."""
    data = make.parquet({"x": np.arange(100)})
    folder = make.snapshot(cache, "a/b", {"train.parquet": damage(data)})
    with pytest.raises(CorruptDataError) as caught:
        offline("a/b")
    assert said in str(caught.value)
    assert str(folder / "train.parquet") in str(caught.value)
    assert AGAIN in str(caught.value)


def footer_of(data):
    return len(data) - 8 - int.from_bytes(data[-8:-4], "little")


def test_names_in_a_footer_that_are_no_text_are_damage(tmp_path):
    """Whichever of its parts holds them."""
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table({"height": [1, 2, 3]}), path, store_schema=False)
    data = path.read_bytes()
    at = footer_of(data)
    said = 0
    while (at := data.find(b"height", at)) > 0:
        path.write_bytes(data[:at] + b"\xff" + data[at + 1 :])
        with pytest.raises(CorruptDataError, match=r"train\.parquet"):
            datarax.load(f"hf:{tmp_path}", mode="eager")
        said, at = said + 1, at + 1
    assert said >= 2


@pytest.mark.parametrize("mode", ["eager", "streaming"])
@pytest.mark.parametrize("kind", [3, 5, 8])
def test_a_chunk_of_another_type_than_its_column_is_damage(tmp_path, mode, kind):
    """Arrow ends the process where it is asked for such a one."""
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table({"x": [1, 2, 3]}), path)
    data = path.read_bytes()
    at = data.index(b"\x1c\x15\x04\x19", footer_of(data)) + 2
    path.write_bytes(data[:at] + bytes([2 * kind]) + data[at + 1 :])
    with pytest.raises(CorruptDataError, match=f"of the type 2 is stored as one of {kind}"):
        datarax.load(f"hf:{tmp_path}", mode=mode)


@pytest.mark.parametrize("name", ["plain", "\x1c\x15\x04\x19"])
def test_what_looks_like_a_chunk_is_none(tmp_path, name):
    """Names and statistics may hold any bytes: what the footer says is looked at then."""
    table = pa.table({name: [b"\x1c\x15\x07\x19", b"\x1c\x15\x07\x19"], "x": [1, 2]})
    pq.write_table(table, tmp_path / "train.parquet", row_group_size=1)
    with datarax.load(f"hf:{tmp_path}") as source:
        assert [source[row][name] for row in range(2)] == [b"\x1c\x15\x07\x19"] * 2


def test_a_footer_of_fewer_rows_than_none_is_damaged(tmp_path):
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table({"x": [1, 2, 3]}), path)
    data = path.read_bytes()
    three, minus_three, tried = 6, 5, 0
    for at in range(footer_of(data), len(data) - 8):
        if data[at] != three:
            continue
        path.write_bytes(data[:at] + bytes([minus_three]) + data[at + 1 :])
        try:
            footer = pq.read_metadata(path)
        except (OSError, ValueError):
            continue
        if footer.num_row_groups and footer.row_group(0).num_rows < 0:
            tried += 1
            with pytest.raises(CorruptDataError, match="a row group has -3 rows"):
                datarax.load(f"hf:{tmp_path}")
    assert tried


def test_damage_inside_a_file_names_the_row_group(cache, make, offline):
    """A whole footer over damaged pages is found when the row group is read."""
    data = bytearray(
        make.parquet({"x": np.arange(3000)}, row_group_size=1000, use_dictionary=False)
    )
    page = pq.read_metadata(io.BytesIO(data)).row_group(1).column(0).data_page_offset
    data[page : page + 16] = b"\xff" * 16
    make.snapshot(cache, "a/b", {"train.parquet": bytes(data)})
    reader = offline("a/b")
    with pytest.raises(
        CorruptDataError, match=r"'train\.parquet' cannot be read in its row group 1"
    ):
        reader.read(np.arange(3000), ["x"])


def test_shards_of_differing_columns_are_named(cache, make, offline):
    """Schema drift names both shards and the columns that differ."""
    files = {
        "data/train-00000-of-00002.parquet": make.parquet({"x": [1], "y": [1.0]}),
        "data/train-00001-of-00002.parquet": make.parquet({"x": ["a"], "z": [1.0]}),
    }
    make.snapshot(cache, "a/b", files)
    with pytest.raises(CorruptDataError) as caught:
        offline("a/b")
    for text in (*files, "'x' is int64", "string", "'y' is double", "'z' is lacking"):
        assert text in str(caught.value)


def test_shards_of_differing_class_names_are_named(cache, make, offline):
    """The same column with other classes is another column."""
    files = {
        f"data/train-0000{i}-of-00002.parquet": make.parquet({"y": [0]}, {"y": make.labels(*names)})
        for i, names in enumerate((("cat", "dog"), ("dog", "cat")))
    }
    make.snapshot(cache, "a/b", files)
    with pytest.raises(CorruptDataError, match="'y' has the classes 'cat', 'dog'"):
        offline("a/b")


def test_shards_may_store_one_column_in_different_ways(cache, make, offline):
    """Column order, 64-bit offsets and dictionaries are no drift."""
    files = {
        "data/train-00000-of-00002.parquet": make.parquet({"x": [1], "s": ["a"]}),
        "data/train-00001-of-00002.parquet": make.parquet(
            {"s": pa.array(["b"], pa.large_string()).dictionary_encode(), "x": [2]}
        ),
    }
    make.snapshot(cache, "a/b", files)
    reader = offline("a/b")
    assert [reader[0], reader[1]] == [{"x": 1, "s": "a"}, {"x": 2, "s": "b"}]


def test_malformed_features_are_an_error(cache, make, offline):
    """Metadata that is not what `datasets` writes is said with its file."""
    out = io.BytesIO()
    pq.write_table(pa.table({"x": [1]}).replace_schema_metadata({"huggingface": "{"}), out)
    make.snapshot(cache, "a/b", {"train.parquet": out.getvalue()})
    with pytest.raises(CorruptDataError, match=r"hf:a/b.*train\.parquet' has malf.*hf download"):
        offline("a/b")


def test_the_command_replaces_the_copy_that_is_damaged(tmp_path, cache, make, offline):
    """In the cache where it lies, under the name it has there, and no other file beside it."""
    elsewhere, name = tmp_path / "elsewhere", "data/train [1*]?.parquet"
    commit = {"commit": "e" * 40}
    make.snapshot(elsewhere, "mnist", {name: make.parquet({"x": [1]})[:-9]}, **commit)
    with pytest.raises(CorruptDataError) as caught:
        offline("ylecun/mnist", cache_dir=elsewhere)
    words = shlex.split(str(caught.value).partition("fetch it again: ")[2])
    assert words[:3] == ["hf", "download", "mnist"]
    assert words[words.index("--cache-dir") + 1] == str(elsewhere)
    pattern = words[words.index("--include") + 1]
    names = [name, "data/train 1.parquet", "data/train [1 ]?.parquet"]
    assert list(filter_repo_objects(names, allow_patterns=[pattern])) == [name]


@pytest.mark.parametrize("mode", ["eager", "streaming"])
def test_counts_of_levels_that_a_column_has_not_are_damage(tmp_path, mode):
    """Arrow ends the process where it is asked for such a chunk."""
    path = tmp_path / "train.parquet"
    path.write_bytes(COUNTED)
    assert [row["x"] for row in datarax.load(f"hf:{tmp_path}", mode=mode)] == [1, 2, 3]
    usual = b"\x29\x06\x19\x26\x00\x06\x00"  # no repetition levels; 0 and 3 definition levels
    assert COUNTED.count(usual) == 1
    path.write_bytes(COUNTED.replace(usual, b"\x29\x26\x00\x06\x19\x06\x00"))
    with pytest.raises(CorruptDataError, match="repetition levels up to 0 counts 2"):
        datarax.load(f"hf:{tmp_path}", mode=mode)
