"""Files of one split that store a column otherwise are read as `datasets` reads them."""

from __future__ import annotations

import datetime as dt
import decimal

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import datarax

DAY, TIME = dt.date(2020, 1, 1), dt.datetime(2020, 1, 1, 2, 3)  # noqa: DTZ001  # no zone
PAIR = pa.struct([("a", pa.int64()), ("b", pa.string())])
TURNED = pa.struct([("b", pa.large_string()), ("a", pa.int16())])
PART = pa.struct([("b", pa.string())])

PAIRS = {
    "words and nothing": (pa.array(["a"]), pa.nulls(2)),
    "numbers and nothing": (pa.array([1]), pa.nulls(2)),
    "narrower": (pa.array([1]), pa.array([2, None], pa.int32())),
    "wider": (pa.array([1], pa.uint8()), pa.array([255, None])),
    "double, float": (pa.array([0.5]), pa.array([0.1, None], pa.float32())),
    "float, double": (pa.array([0.5], pa.float32()), pa.array([0.1, None])),
    "whole numbers, fractions": (pa.array([1]), pa.array([2.0, 3.0])),
    "fractions, whole numbers": (pa.array([1.5]), pa.array([2, 3])),
    "booleans": (pa.array([True]), pa.array([0, 1])),
    "numbers, booleans": (pa.array([5]), pa.array([True])),
    "micro, nano": (pa.array([1], pa.timestamp("us")), pa.array([2000], pa.timestamp("ns"))),
    "a zone": (pa.array([1], pa.timestamp("us")), pa.array([2], pa.timestamp("us", tz="UTC"))),
    "zones": (
        pa.array([1], pa.timestamp("us", tz="UTC")),
        pa.array([2], pa.timestamp("us", tz="Asia/Tokyo")),
    ),
    "times, days": (pa.array([TIME]), pa.array([DAY])),
    "decimals": (
        pa.array([decimal.Decimal("1.20")], pa.decimal128(7, 2)),
        pa.array([decimal.Decimal("1.3")], pa.decimal128(5, 1)),
    ),
    "words, numbers": (pa.array(["a"]), pa.array([1, None])),
    "words, bytes": (pa.array(["a"]), pa.array([b"b", None])),
    "bytes, words": (pa.array([b"a"]), pa.array(["b", None])),
    "dictionaries": (pa.array(["a"]), pa.array(["b"], pa.dictionary(pa.int8(), pa.string()))),
    "lists of nothing": (pa.array([[1]]), pa.array([[], None, [None]], pa.list_(pa.null()))),
    "lists": (pa.array([[1], None]), pa.array([[2], None, [None]], pa.large_list(pa.int8()))),
    "lists of a length": (
        pa.array([[1, 2]], pa.list_(pa.int64(), 2)),
        pa.array([[3, 4], None, [5, None]], pa.list_(pa.int32())),
    ),
    "order of parts": (
        pa.array([{"a": 1, "b": "x"}]),
        pa.array([{"b": "y", "a": 2}, None], TURNED),
    ),
    "a part lacks": (pa.array([{"a": 1, "b": "x"}], PAIR), pa.array([{"b": "y"}, None], PART)),
    "a part is nothing": (
        pa.array([{"a": 1}]),
        pa.array([{"a": None}], pa.struct({"a": pa.null()})),
    ),
    "structs in lists": (
        pa.array([[{"a": 1, "b": "x"}], []], pa.list_(PAIR)),
        pa.array([[{"b": "y"}, None], None], pa.list_(PART)),
    ),
}

REFUSED = {
    "too large": (pa.array([1], pa.int32()), pa.array([2**40])),
    "negative": (pa.array([1], pa.uint8()), pa.array([-1])),
    "a fraction": (pa.array([1]), pa.array([1.5])),
    "finer": (pa.array([1], pa.timestamp("us")), pa.array([1], pa.timestamp("ns"))),
    "more digits": (
        pa.array([decimal.Decimal("1.2")], pa.decimal128(7, 1)),
        pa.array([decimal.Decimal("1.35")], pa.decimal128(7, 2)),
    ),
    "words": (pa.array([1]), pa.array(["a"])),
    "other lengths": (pa.array([[1, 2]], pa.list_(pa.int8(), 2)), pa.array([[1]])),
    "another part": (pa.array([{"a": 1}]), pa.array([{"b": 1}])),
    "no struct": (pa.array([{"a": 1}]), pa.array([1])),
    "no list": (pa.array([[1]]), pa.array([1])),
}
"""What neither reads."""


def write(folder, kind, *tables):
    for number, table in enumerate(tables):
        path = folder / f"train-{number}.{kind}"
        if kind == "parquet":
            pq.write_table(table, path, row_group_size=2)
            continue
        with pa.ipc.new_stream(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=2)


def plain(value):
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    return [plain(part) for part in value] if isinstance(value, list) else value


def theirs(folder):
    cache = folder.parent / "cache"
    return list(datasets.load_dataset(str(folder), split="train", cache_dir=str(cache)))


def ours(folder, mode):
    with datarax.load(f"hf:{folder}", mode=mode) as source:
        return [plain(element) for element in source]


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
@pytest.mark.parametrize("name", PAIRS)
def test_the_first_file_decides(name, kind, tmp_path):
    """Streams of Arrow files are left out: they are told of no nulls beforehand."""
    folder = tmp_path / "data"
    folder.mkdir()
    first, other = (pa.table({"x": column}) for column in PAIRS[name])
    write(folder, kind, first, other)
    expected = theirs(folder)
    for mode in ("lazy", "eager") if kind == "arrow" else ("lazy", "eager", "streaming"):
        assert ours(folder, mode) == expected


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_by_both(name, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    first, other = (pa.table({"x": column}) for column in REFUSED[name])
    write(folder, "parquet", first, other)
    with pytest.raises(datasets.exceptions.DatasetGenerationError):
        theirs(folder)
    for mode in ("lazy", "eager", "streaming"):
        with pytest.raises(datarax.errors.CorruptDataError, match="'x' is .*train-0.*train-1"):
            ours(folder, mode)


def test_a_column_that_a_later_file_lacks_is_null(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder, "parquet", pa.table({"x": [1], "y": ["a"], "n": [1.5]}), pa.table({"y": ["b"]}))
    expected = theirs(folder)
    assert expected[1] == {"x": None, "y": "b", "n": None}
    for mode in ("lazy", "eager", "streaming"):
        assert ours(folder, mode) == expected
