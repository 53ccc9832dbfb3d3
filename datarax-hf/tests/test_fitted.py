"""Files of one split that store a column otherwise: the first one decides, as in `datasets`.

`reference/test_drift.py` compares the values with those that it gives.
"""

from __future__ import annotations

import datetime as dt
import io
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import datarax
from datarax.errors import CorruptDataError
from datarax_hf.formats.fitted import fitted

MODES = ["lazy", "eager", "streaming"]
NAMES = ("train-0", "train-1")
PAIR = pa.struct([("a", pa.int64()), ("b", pa.string())])
TURNED = pa.struct([("b", pa.string()), ("a", pa.int32())])

FIT = {
    "nothing": (pa.array(["a"]), pa.nulls(2), ["a", None, None]),
    "nothing at first": (pa.nulls(1), pa.array(["a"]), [None, "a"]),
    "narrower": (pa.array([1, None]), pa.array([2], pa.int8()), [1, None, 2]),
    "wider": (pa.array([1, None], pa.int8()), pa.array([2]), [1, None, 2]),
    "floats": (pa.array([0.5, None], pa.float32()), pa.array([0.1]), [0.5, None, np.float32(0.1)]),
    "whole floats": (pa.array([1, None]), pa.array([2.0]), [1, None, 2]),
    "units": (
        pa.array([1], pa.timestamp("s")),
        pa.array([5000], pa.timestamp("ms")),
        [dt.datetime(1970, 1, 1, 0, 0, second) for second in (1, 5)],  # noqa: DTZ001  # no zone
    ),
    "lists of nothing": (
        pa.array([["a"], None]),
        pa.array([[], None, [None]], pa.list_(pa.null())),
        [["a"], None, [], None, [None]],
    ),
    "lists of a length": (
        pa.array([[1, 2]], pa.list_(pa.int64(), 2)),
        pa.array([[3, 4], [5, 6]], pa.list_(pa.int32())),
        [[1, 2], [3, 4], [5, 6]],
    ),
    "order of parts": (
        pa.array([{"a": 1, "b": "x"}]),
        pa.array([{"b": "y", "a": 2}, None], TURNED),
        [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}, None],
    ),
    "lacking parts in lists": (
        pa.array([[{"a": 1, "b": "x"}], None]),
        pa.array([[{"b": "y"}, None], []]),
        [[{"a": 1, "b": "x"}], None, [{"a": None, "b": "y"}, None], []],
    ),
    "words for numbers": (pa.array(["a"]), pa.array([2]), ["a", "2"]),
    "dictionaries": (
        pa.array([["a"]]),
        pa.array([["b"], None], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
        [["a"], ["b"], None],
    ),
}

MISFIT = {
    "too large": (pa.array([1], pa.int32()), pa.array([2**40])),
    "fractions": (pa.array([1]), pa.array([1.5])),
    "infinite": (pa.array([1.0], pa.float32()), pa.array([1e300])),
    "no truth": (pa.array([True]), pa.array([5])),
    "finer": (pa.array([1], pa.timestamp("us")), pa.array([1], pa.timestamp("ns"))),
    "time of day": (pa.array([1], pa.date32()), pa.array([1], pa.timestamp("s"))),
    "numbers for words": (pa.array([1]), pa.array(["2"])),
    "other lists": (
        pa.array([[1, 2]], pa.list_(pa.int8(), 2)),
        pa.array([[1]], pa.list_(pa.int8())),
    ),
    "other parts": (pa.array([{"a": 1}]), pa.array([{"b": 1}])),
    "no struct": (pa.array([{"a": 1}]), pa.array([1])),
}


def parquet(table):
    out = io.BytesIO()
    pa.parquet.write_table(table, out, row_group_size=2)
    return out.getvalue()


def arrow(table):
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return out.getvalue()


WRITERS = {"parquet": parquet, "arrow": arrow}


@pytest.fixture
def write(tmp_path):
    """Write tables as files of one split, and return the dataset's name."""

    def write_(*tables, kind="parquet"):
        for name, table in zip(NAMES, tables, strict=True):
            (tmp_path / f"{name}.{kind}").write_bytes(WRITERS[kind](table))
        return f"hf:{tmp_path}"

    return write_


def plain(value):
    """Return a value in Python's own types."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    value = value.tolist() if hasattr(value, "tolist") else value
    return [plain(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("name", FIT)
def test_what_the_first_file_stores_decides(write, mode, kind, name):
    """The values are those of both files, whichever mode reads them."""
    first, other, expected = FIT[name]
    uri = write(pa.table({"x": first}), pa.table({"x": other}), kind=kind)
    with datarax.load(uri, mode=mode) as source:
        assert [plain(element["x"]) for element in source] == plain(expected)


def test_lists_become_lists_of_a_length_with_their_nulls():
    lists = pa.array([[9, 9], [3, 4], None, [5, None], None])[1:]
    kind = pa.list_(pa.int16(), 2)
    for values in (lists, lists.cast(pa.large_list(pa.int32()))):
        made = fitted(values, kind)
        assert made.type == kind
        assert made.to_pylist() == [[3, 4], None, [5, None], None]
        assert fitted(made, pa.list_(pa.int8())).to_pylist() == made.to_pylist()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", MISFIT)
def test_what_would_lose_something_names_both_files_and_the_column(write, mode, name):
    first, other = MISFIT[name]
    uri = write(pa.table({"x": first}), pa.table({"x": other}))
    with (
        pytest.raises(CorruptDataError, match="do not have the same columns: 'x' is") as caught,
        datarax.load(uri, mode=mode) as source,
    ):
        list(source)
    for text in (*NAMES, "as different splits or configs"):
        assert text in str(caught.value)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("flatten", [False, True])
def test_a_column_that_a_later_file_lacks_is_null_there(write, mode, flatten):
    """Numbers are no array then, and a fill makes one of them."""
    whole = pa.table(
        {"x": [1, 2, 3], "n": [5, 6, 7], "s": pa.array([{"a": 1, "b": "x"}] * 3, PAIR)}
    )
    uri = write(whole, pa.table({"x": [4, 5, 6]}))
    with datarax.load(uri, mode=mode, flatten=flatten) as source:
        elements = [plain(element) for element in source]
    assert [element["n"] for element in elements] == [5, 6, 7, None, None, None]
    if flatten:
        assert [element["s.a"] for element in elements] == [1, 1, 1, None, None, None]
    else:
        assert [element["s"] for element in elements[2:4]] == [{"a": 1, "b": "x"}, None]
    with datarax.load(uri, mode=mode, fill_nulls={"n": -1}, include_keys=["n"]) as source:
        batch = next(iter(source.batches(6)))
    assert batch["n"].tolist() == [5, 6, 7, -1, -1, -1]


@pytest.mark.parametrize("mode", MODES)
def test_flattened_structs_may_be_nothing_in_one_file(write, mode):
    """Their parts are null there, and it makes no column of its own."""
    uri = write(pa.table({"s": pa.array([{"a": 1, "b": "x"}], PAIR)}), pa.table({"s": pa.nulls(2)}))
    with datarax.load(uri, mode=mode, flatten=True) as source:
        assert [plain(element) for element in source] == [
            {"s.a": 1, "s.b": "x"},
            {"s.a": None, "s.b": None},
            {"s.a": None, "s.b": None},
        ]


@pytest.mark.parametrize("mode", MODES)
def test_the_card_may_name_what_the_first_file_lacks(write, tmp_path, mode):
    """A column that neither names is an error."""
    uri = write(pa.table({"x": [1]}), pa.table({"x": [2], "y": ["b"]}))
    with pytest.raises(CorruptDataError, match="'y' is lacking in .*train-0.* and string in"):
        datarax.load(uri, mode=mode)
    features = "[{name: x, dtype: int64}, {name: y, dtype: string}]"
    (tmp_path / "README.md").write_text(f"---\ndataset_info:\n  features: {features}\n---\n")
    with datarax.load(uri, mode=mode) as source:
        assert [plain(element) for element in source] == [{"x": 1, "y": None}, {"x": 2, "y": "b"}]


@pytest.mark.parametrize("mode", MODES)
def test_images_may_be_nothing_in_one_file(write, make, mode):
    """They are null there, also where no header is read."""
    images = pa.array([make.png(np.full((2, 3), 7, np.uint8))], make.IMAGE)
    uri = write(pa.table({"i": images, "x": [1]}), pa.table({"i": pa.nulls(1), "x": [2]}))
    for options in ({}, {"image_mode": "L", "image_size": (2, 3)}):
        with datarax.load(uri, mode=mode, **options) as source:
            first, other = (element["i"] for element in source)
        assert first.tolist() == [[7] * 3] * 2
        assert other is None


def test_random_access_is_to_the_same_values(write, tmp_path):
    """Laid out or not, from derived files or in memory, and after pickling."""
    numbers = np.arange(300)
    first = pa.table({"x": numbers[:100], "t": [[str(n)] for n in numbers[:100]]})
    others = {"x": numbers[100:].astype(np.int32), "t": pa.nulls(200)}
    uri = write(first, pa.table(others))
    with datarax.load(uri, mode="lazy", shuffle=True, seed=3) as source:
        assert sorted(int(element["x"]) for element in source) == numbers.tolist()
        again = pickle.loads(pickle.dumps(source.reader))
        rows = np.array([299, 0, 100])
        assert again.read(rows, ["x"])["x"].tolist() == rows.tolist()
        assert again.read(rows, ["t"])["t"] == [None, ["0"], None]
    # The same file beside another one, that has words: what was made of it is not found again.
    (tmp_path / "train-0.parquet").write_bytes(parquet(pa.table({"x": ["word"], "t": [["w"]]})))
    with datarax.load(uri, mode="lazy", shuffle=True, seed=3, include_keys=["x"]) as source:
        assert {element["x"] for element in source} == {"word", *map(str, numbers[100:])}
