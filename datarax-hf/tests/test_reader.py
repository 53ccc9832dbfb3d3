"""Records and columns: what each kind of column is read as."""

from __future__ import annotations

import datetime as dt
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest

from datarax.errors import CorruptDataError
from datarax.sources import BufferReader, ColumnReader, Field, Identified, Reader
from datarax_hf.columns import ArrayColumn


@pytest.fixture
def read(cache, make, offline):
    """Write one train file of columns and open it."""

    def read_(columns, features=None, config=None, **options):
        data = make.parquet(columns, features, **options)
        make.snapshot(cache, "a/b", {"train.parquet": data})
        return offline("a/b", **(config or {}))

    return read_


def column(reader, name):
    return reader.read(np.arange(len(reader)), [name])[name]


@pytest.mark.parametrize(
    "dtype",
    [
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "float32",
        "float64",
        "bool",
    ],
)
def test_numbers_keep_their_dtype(read, dtype):
    """Every numeric column is an array field of the dtype it is stored in."""
    values = np.array([0, 1, 1, 0, 1], dtype)
    reader = read({"x": values}, row_group_size=2)
    assert reader.fields["x"].shape == ()
    assert reader.fields["x"].dtype == values.dtype
    got = column(reader, "x")
    assert got.dtype == values.dtype
    np.testing.assert_array_equal(got, values)


def test_large_int64_is_read_exactly(read):
    """Integers beyond 53 bits pass through no float."""
    values = np.array([2**62 + 1, -(2**63)], np.int64)
    np.testing.assert_array_equal(column(read({"x": values}), "x"), values)


def test_class_labels_keep_names_and_unlabelled_rows(read, make):
    """ClassLabel is int64 with names; -1 stays -1."""
    reader = read({"y": [1, -1, 0]}, {"y": make.labels("cat", "dog")})
    assert reader.fields["y"].class_names == ("cat", "dog")
    np.testing.assert_array_equal(column(reader, "y"), [1, -1, 0])


def test_array2d_has_its_declared_shape(read):
    """Array2D is stored as lists of lists and read as one array."""
    values = np.arange(24, dtype=np.int32).reshape(4, 2, 3)
    features = {"a": {"shape": [2, 3], "dtype": "int32", "_type": "Array2D"}}
    reader = read({"a": values.tolist()}, features, types={"a": pa.list_(pa.list_(pa.int32()))})
    assert reader.fields["a"].shape == (2, 3)
    got = column(reader, "a")
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, values)


def test_array2d_of_another_shape_is_corrupt(read):
    """A value that breaks the declared shape is an error that names the column."""
    features = {"a": {"shape": [2, 2], "dtype": "int32", "_type": "Array2D"}}
    reader = read(
        {"a": [[[1, 2], [3, 4]], [[1, 2, 3], [4, 5, 6]]]},
        features,
        types={"a": pa.list_(pa.list_(pa.int32()))},
    )
    with pytest.raises(CorruptDataError, match=r"'a' is of shape \(2, 2\).*\[3\] values"):
        reader[0]


def test_lists_of_declared_or_stored_length_are_arrays(read, make):
    """A length in the features, or a fixed-size Arrow list, gives a static shape."""
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    features = {
        "declared": {"feature": make.value("float32"), "length": 3, "_type": "List"},
        "stored": {"feature": make.value("float32"), "length": 3, "_type": "List"},
    }
    columns = {"declared": values.tolist(), "stored": values.tolist()}
    types = {"declared": pa.list_(pa.float32()), "stored": pa.list_(pa.float32(), 3)}
    for columns_, features_ in ((columns, features), ({"stored": columns["stored"]}, None)):
        reader = read(columns_, features_, types=types, row_group_size=3)
        for name in reader.fields:
            assert reader.fields[name].shape == (3,)
            np.testing.assert_array_equal(column(reader, name), values)


def test_class_labels_in_lists_of_one_length_keep_their_names(read, make):
    """The names stand with the array that the list becomes."""
    features = {"y": {"feature": make.labels("a", "b"), "length": 2, "_type": "Sequence"}}
    reader = read({"y": [[0, 1], [1, 1]]}, features)
    assert reader.fields["y"].shape == (2,)
    assert reader.fields["y"].class_names == ("a", "b")


def test_text_bytes_and_ragged_lists_stay_on_the_host(read, make):
    """They are host-only fields that say how they become arrays."""
    reader = read(
        {
            "text": ["héllo", "", None],
            "raw": [b"\x00\xff", b"", b"x"],
            "tokens": [[1, 2], [], [3]],
            "words": [["a"], [], ["b", "c"]],
        },
        types={"tokens": pa.list_(pa.int32())},
    )
    fields = reader.fields
    ragged = {name: field.ragged for name, field in fields.items()}
    assert ragged == {"text": "text", "raw": "bytes", "tokens": "sequence", "words": None}
    assert fields["tokens"].dtype == np.int32
    assert not any(field.is_array for field in fields.values())
    assert column(reader, "text") == ["héllo", "", None]
    assert column(reader, "raw") == [b"\x00\xff", b"", b"x"]
    tokens = column(reader, "tokens")
    assert [value.dtype for value in tokens] == [np.int32] * 3
    assert [value.tolist() for value in tokens] == [[1, 2], [], [3]]
    assert column(reader, "words") == [["a"], [], ["b", "c"]]


def test_structs_and_times_are_python_values(read):
    """What has no array form is read as Python values."""
    when = dt.date(2020, 1, 2)
    reader = read({"s": [{"a": 1, "b": "x"}], "t": [when]})
    assert reader[0] == {"s": {"a": 1, "b": "x"}, "t": when}
    assert "fixed array form" in reader.fields["s"].reason


def test_dictionary_encoded_and_large_columns_are_read_as_plain_ones(read):
    """Dictionaries and 64-bit offsets are how a column is stored, not what it holds."""
    reader = read(
        {
            "d": pa.array(["x", "y", "x"]).dictionary_encode(),
            "n": pa.array([5, 6, 5]).dictionary_encode(),
            "s": pa.array(["p", "q", "r"], pa.large_string()),
            "l": pa.array([[1, 2], [3, 4], [5, 6]], pa.large_list(pa.int64())),
        },
        {"l": {"feature": {"dtype": "int64", "_type": "Value"}, "length": 2, "_type": "LargeList"}},
    )
    assert column(reader, "d") == ["x", "y", "x"]
    assert column(reader, "n").tolist() == [5, 6, 5]
    assert column(reader, "s") == ["p", "q", "r"]
    np.testing.assert_array_equal(column(reader, "l"), [[1, 2], [3, 4], [5, 6]])


def test_numbers_with_nulls_stay_on_the_host_and_say_how_many(read):
    """Footers tell of nulls, which no fixed-width array can hold."""
    reader = read({"x": [1, None, 3, None]}, row_group_size=3)
    assert not reader.fields["x"].is_array
    assert reader.fields["x"].reason.startswith("2 of its values are null; fill_nulls=")
    assert column(reader, "x") == [1, None, 3, None]


def test_nulls_that_no_statistics_tell_of_are_counted(read):
    """A file without statistics is looked into, where the column is read."""
    reader = read({"x": [1, None, 3]}, write_statistics=False)
    assert reader.fields["x"].reason.startswith("1 of its values are null")
    assert column(reader, "x") == [1, None, 3]


def test_column_order_follows_the_features(read, make):
    """Fields stand in the order of the features, others after them."""
    reader = read(
        {"b": [1], "c": [2], "a": [3]}, {"a": make.value("int64"), "b": make.value("int64")}
    )
    assert list(reader.fields) == ["a", "b", "c"]


def test_a_column_name_with_a_dot_is_one_column(read):
    """Names are not taken for paths into structs."""
    reader = read({"a.b": [1, 2], "a": [3, 4]})
    assert reader[1] == {"a.b": 2, "a": 4}


@pytest.mark.parametrize("row_group_size", [1, 4, 100])
def test_any_indices_give_the_same_rows(read, row_group_size):
    """Order, repeats and row-group boundaries change nothing."""
    values = np.arange(23) * 3
    words = [f"w{i}" for i in range(23)]
    reader = read({"x": values, "w": words}, row_group_size=row_group_size)
    for indices in ([22, 0, 7, 7, 3], list(range(23)), [5], []):
        got = reader.read(np.array(indices, np.int64), ["x", "w"])
        assert got["x"].tolist() == values[indices].tolist()
        assert got["w"] == [words[i] for i in indices]
        out = {"x": np.empty(len(indices), np.int64)}
        reader.read_into(np.array(indices, np.int64), out)
        assert out["x"].tolist() == values[indices].tolist()


@pytest.mark.parametrize("index", [-1, 12, 10**12])
def test_an_index_that_is_no_record_is_an_error(read, index):
    """And no row of anything, in whatever order it is read."""
    found = read({"x": list(range(12)), "text": [f"{n}" for n in range(12)]})
    for indices in ([index], [3, index], [index, 3, 4]):
        with pytest.raises(IndexError, match=rf"index {index} is out of range for 12 records"):
            found.read(np.array(indices), ["x", "text"])
        with pytest.raises(IndexError, match="out of range"):
            found.read_into(np.array(indices), {"x": np.zeros(len(indices), np.int64)})


def test_the_reader_keeps_every_promise_of_the_protocol(read):
    """It is a reader, a column reader, a buffer reader and identified."""
    reader = read({"x": [1, 2, 3]})
    for protocol in (Reader, ColumnReader, BufferReader, Identified):
        assert isinstance(reader, protocol)
    assert reader[-1] == {"x": 3}
    with pytest.raises(IndexError):
        reader[3]
    reader.close()
    reader.close()


def test_values_do_not_alias_what_the_reader_keeps(read):
    """Writing into a record changes no later read."""
    reader = read({"x": [[1, 2], [3, 4]]}, types={"x": pa.list_(pa.int64(), 2)})
    reader[0]["x"][:] = 9
    assert reader[0]["x"].tolist() == [1, 2]


def test_sequential_reading_decodes_each_row_group_once(read, monkeypatch):
    """Chunks that are smaller than a row group do not decode it again, nor a second epoch."""
    reader = read({"x": np.arange(100)}, row_group_size=10)
    groups = []
    table = reader._shards.table
    monkeypatch.setattr(
        reader._shards, "table", lambda group, names: (groups.append(group), table(group, names))[1]
    )
    for start in [*range(0, 100, 3)] * 2:
        reader.read(np.arange(start, min(start + 3, 100)), ["x"])
    assert groups == list(range(10))


def test_long_runs_leave_little_data_held(read, monkeypatch):
    """The row group in which each ended, while there is room."""
    reader = read({"x": np.arange(100)}, row_group_size=10)
    for start in range(0, 100, 25):
        reader.read(np.arange(start, start + 25), ["x"])
    monkeypatch.setattr(reader._shards, "table", lambda *_: pytest.fail("decoded again"))
    for start in (20, 40, 70, 90):
        assert reader.read(np.arange(start, start + 10), ["x"])["x"][0] == start


def test_a_pickled_reader_reads_the_same_and_carries_no_data(read):
    """Workers get the files' names, not their contents."""
    reader = read({"x": np.arange(100_000)})
    reader[0]
    sent = pickle.dumps(reader)
    assert len(sent) < 20_000
    again = pickle.loads(sent)
    assert again[77] == {"x": 77}
    assert again.identity == reader.identity


def test_threads_read_one_reader(read):
    """Eight threads over many row groups get the right rows."""
    reader = read({"x": np.arange(500), "w": [str(i) for i in range(500)]}, row_group_size=13)
    barrier = threading.Barrier(8)

    def work(seed):
        barrier.wait()
        indices = np.random.default_rng(seed).integers(0, 500, 300)
        got = reader.read(indices, ["x", "w"])
        return got["x"].tolist() == indices.tolist() and got["w"] == [str(i) for i in indices]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_shards_follow_each_other_in_name_order(cache, make, offline):
    """Records of several files stand in the order of the files."""
    files = {
        f"data/train-{i:05d}-of-00003.parquet": make.parquet({"x": [10 * i, 10 * i + 1]})
        for i in range(3)
    }
    make.snapshot(cache, "a/b", files)
    assert column(offline("a/b"), "x").tolist() == [0, 1, 10, 11, 20, 21]


@pytest.mark.parametrize(
    ("split", "rows"),
    [
        ("train[:3]", [0, 1, 2]),
        ("train[-2:]", [8, 9]),
        ("train[50%:]", [5, 6, 7, 8, 9]),
        ("train[2:4]", [2, 3]),
        ("train+test", [*range(10), 100, 101]),
        ("test+train[:1]", [100, 101, 0]),
        ("train[5:6]+test[1:]+train[:1]", [5, 101, 0]),
    ],
)
def test_split_expressions_choose_records(cache, make, offline, split, rows):
    """Slices and sums are core's; the identity says what was chosen."""
    files = {
        "train.parquet": make.parquet({"x": np.arange(10)}, row_group_size=4),
        "test.parquet": make.parquet({"x": np.array([100, 101])}),
    }
    make.snapshot(cache, "a/b", files)
    reader = offline("a/b", split=split)
    assert column(reader, "x").tolist() == rows
    assert [reader[i]["x"] for i in range(len(reader))] == rows
    assert reader.identity["split"] == split


def test_a_file_that_datasets_wrote_is_read_the_same_whether_or_not_datasets_is_imported(
    read, make
):
    """Its extension types, which `datasets` registers when imported, are read as what they store."""
    storage = pa.array([[[1, 2], [3, 4]]], pa.list_(pa.list_(pa.int32())))

    class Array2D(pa.ExtensionType):
        def __init__(self):
            super().__init__(storage.type, "datarax.tests.Array2D")

        def __arrow_ext_serialize__(self):
            return b""

        @classmethod
        def __arrow_ext_deserialize__(cls, storage_type, serialized):
            return cls()

    features = {"a": {"shape": [2, 2], "dtype": "int32", "_type": "Array2D"}}
    columns = {"a": pa.ExtensionArray.from_storage(Array2D(), storage)}
    without = column(read(columns, features), "a")
    pa.register_extension_type(Array2D())
    try:
        with_ = column(read(columns, features), "a")
    finally:
        pa.unregister_extension_type("datarax.tests.Array2D")
    np.testing.assert_array_equal(without, [[[1, 2], [3, 4]]])
    np.testing.assert_array_equal(with_, without)


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.int32()), pa.large_list(pa.int32()), pa.list_(pa.int32(), 3)]
)
@pytest.mark.parametrize("part", [(0, 6), (2, 3), (5, 1), (6, 0)])
def test_a_part_of_a_column_of_lists_is_those_of_its_rows(kind, part):
    rows = np.arange(18, dtype=np.int32).reshape(6, 3)
    column = ArrayColumn("x", Field.array(np.int32, (3,)))
    stored = pa.chunked_array([pa.array(rows.tolist(), kind).slice(*part)])
    begin, count = part
    np.testing.assert_array_equal(column.load(stored, "here"), rows[begin : begin + count])
