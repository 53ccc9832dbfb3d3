"""Damaged files: each is said by name, with the way to fetch it again."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datarax.errors import CorruptDataError

SHA = "a" * 40
AGAIN = f"hf download a/b --repo-type dataset --revision {SHA} --include train.parquet"
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
