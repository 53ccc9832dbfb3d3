"""A card over parquet and Arrow files that store otherwise: the card decides, as in `datasets`.

`reference/test_declared.py` compares the values with those that it gives.
"""

from __future__ import annotations

import decimal
import io
import json
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import datarax
from datarax.errors import CorruptDataError
from datarax_hf import flat, ragged, stream_footers

MODES = ["lazy", "eager", "streaming"]
CLASSES = "{class_label: {names: {'0': cat, '1': dog}}}"

FIT = {
    "class names": (["dog", None, "cat"], f"dtype: {CLASSES}", [1, None, 0], None),
    "no nulls": (["dog", "cat"], f"dtype: {CLASSES}", [1, 0], "int64"),
    "numbers in words, blanks": ([" dog ", "0", "-1"], f"dtype: {CLASSES}", [1, 0, -1], "int64"),
    "narrow classes": (pa.array([1, 0], pa.int8()), f"dtype: {CLASSES}", [1, 0], "int64"),
    "dictionaries": (
        pa.array(["dog", "cat"]).dictionary_encode(),
        f"dtype: {CLASSES}",
        [1, 0],
        "int64",
    ),
    "narrower": ([1, -2], "dtype: int16", [1, -2], "int16"),
    "wider": (pa.array([1, 2], pa.uint8()), "dtype: int64", [1, 2], "int64"),
    "floats": ([1, 2], "dtype: float32", [1.0, 2.0], "float32"),
    "whole floats": ([1.0, 2.0], "dtype: int32", [1, 2], "int32"),
    "rounded": ([0.1], "dtype: float32", [float(np.float32(0.1))], "float32"),
    "words": ([1, None], "dtype: string", ["1", None], None),
    "decimals": ([1], "dtype: 'decimal128(7, 2)'", [decimal.Decimal(1)], None),
    "numbers of words": (["1", "2"], "dtype: int64", [1, 2], "int64"),
    "nothing": (pa.nulls(2), "dtype: int64", [None, None], None),
    "lists": ([[1], None, []], "list: int8", [[1], None, []], "int8"),
    "lists of classes": ([["dog"], []], f"list: {CLASSES}", [[1], []], "int64"),
    "lists of a length": (
        pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2)),
        "list: float32\n    length: 2",
        [[1.0, 2.0], [3.0, 4.0]],
        "float32",
    ),
    "Array2D": (
        [[[1, 2]], [[3, 4]]],
        "dtype: {array2_d: {shape: [1, 2], dtype: int8}}",
        [[[1, 2]], [[3, 4]]],
        "int8",
    ),
    "parts": (
        [{"a": 1, "b": "dog"}, None],
        f"struct: [{{name: b, dtype: {CLASSES}}}, {{name: a, dtype: int8}}, {{name: c, dtype: bool}}]",
        [{"b": 1, "a": 1, "c": None}, None],
        None,
    ),
}

MISFIT = {
    "no class": (["dog", "cow"], f"dtype: {CLASSES}", "ClassLabel", "string: 'cow' is none of"),
    "no number of a class": (["2"], f"dtype: {CLASSES}", "ClassLabel", "string: '2' is none of"),
    "beyond the classes": (
        pa.array([2], pa.int32()),
        f"dtype: {CLASSES}",
        "ClassLabel",
        "int32: 2 is beyond the 2 classes",
    ),
    "too large": ([2**40], "dtype: int32", "int32", "int64: Integer value"),
    "a fraction": ([1.5], "dtype: int64", "int64", "double: Float value"),
    "no number": (["a"], "dtype: int64", "int64", "string: Failed to parse"),
    "no list": ([1], "list: int64", "list<item: int64>", "int64: it is no list"),
    "a list": ([[1]], "dtype: string", "string", "list<item: int64>: it has parts"),
    "other lengths": (
        pa.array([[1, 2]], pa.list_(pa.int8(), 2)),
        "list: int8\n    length: 3",
        "list<item: int8>",
        "fixed_size_list<item: int8>[2]: lists of 2 values stand where 3 are due",
    ),
    "too flat": (
        [[1]],
        "dtype: {array2_d: {shape: [1, 1], dtype: int8}}",
        "list<item: list<item: int8>>",
        "list<item: int64>: lists lie 1 less deep",
    ),
    "another part": (
        [{"a": 1}],
        "struct: [{name: b, dtype: int8}]",
        "struct<b: int8>",
        "struct<a: int64>: it has a part 'a'",
    ),
    "no struct": ([1], "struct: [{name: b, dtype: int8}]", "struct<b: int8>", "int64: it is no"),
    "no image": ([1], "dtype: image", "Image", "int64: it is neither bytes nor a path"),
}


def card(*features):
    listed = "".join(f"  - name: {feature}\n" for feature in features)
    return f"---\ndataset_info:\n  features:\n{listed}---\n"


def parquet(table):
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=2)
    return out.getvalue()


def arrow(table):
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return out.getvalue()


WRITERS = {"parquet": parquet, "arrow": arrow}


@pytest.fixture
def write(tmp_path):
    """Write tables as files of one split, and a card; return the dataset's name."""

    def write_(said, *tables, kind="parquet"):
        (tmp_path / "README.md").write_text(said)
        for number, table in enumerate(tables):
            data = WRITERS[kind](pa.table(table) if isinstance(table, dict) else table)
            (tmp_path / f"train-{number}.{kind}").write_bytes(data)
        return f"hf:{tmp_path}"

    return write_


def plain(value):
    """Return a value in Python's own types."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    value = value.tolist() if hasattr(value, "tolist") else value
    return [plain(part) for part in value] if isinstance(value, list) else value


def records(uri, mode, **options):
    with datarax.load(uri, mode=mode, **options) as source:
        return [plain(element) for element in source]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("name", FIT)
def test_what_the_card_declares_decides(write, mode, kind, name):
    """Fields tell the dtype before anything is read."""
    stored, declared, expected, dtype = FIT[name]
    uri = write(card(f"x\n    {declared}"), {"x": stored}, kind=kind)
    with datarax.load(uri, mode=mode) as source:
        field = source.reader.fields["x"]
        assert (None if field.dtype is None else field.dtype.name) == dtype
        assert [plain(element["x"]) for element in source] == expected
    if "class_label" in declared:
        assert datarax.inspect(uri).fields["x"].class_names == ("cat", "dog")


@pytest.mark.parametrize("mode", ["lazy", "eager"])
def test_lists_of_a_length_may_be_null(write, mode):
    """In Arrow files, which every release of pyarrow reads then."""
    lists = [[1, 2], None, [3, None]]
    table = {"x": pa.array(lists, pa.list_(pa.int64(), 2))}
    uri = write(card("x\n    list: int8\n    length: 2"), table, kind="arrow")
    assert records(uri, mode) == [{"x": value} for value in lists]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", MISFIT)
def test_what_cannot_be_as_declared_names_file_column_and_types(write, mode, name):
    stored, declared, asked, found = MISFIT[name]
    uri = write(card(f"x\n    {declared}"), {"x": stored})
    with (
        pytest.raises(CorruptDataError) as caught,
        datarax.load(uri, mode=mode) as source,
    ):
        list(source)
    said = str(caught.value)
    assert "file 'train-0.parquet' does not hold what the card's features say" in said
    assert f"the column 'x' is to be {asked}, and it is stored as {found}" in said
    assert "correct it, or leave the features out, in the README.md" in said


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", WRITERS)
def test_a_column_that_no_file_has_is_null(write, mode, kind):
    """In the card's order; a fill makes an array of it, and what no card names stays."""
    said = card(f"n\n    dtype: {CLASSES}", "x\n    dtype: int8", "t\n    dtype: string")
    uri = write(said, {"other": [0.5, 1.5, 2.5], "x": [1, 2, 3]}, kind=kind)
    found = records(uri, mode)
    assert found[2] == {"n": None, "x": 3, "t": None, "other": 2.5}
    assert records(uri, mode, include_keys=["t"]) == [{"t": None}] * 3
    with datarax.load(uri, mode=mode, fill_nulls={"n": -1}) as source:
        assert list(source.reader.fields) == ["n", "x", "t", "other"]
        assert next(iter(source.batches(3)))["n"].tolist() == [-1] * 3


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", WRITERS)
def test_files_that_differ_are_each_read_as_declared(write, mode, kind):
    """Words in one, numbers in another, and nothing in a third."""
    uri = write(
        card(f"x\n    dtype: {CLASSES}", "y\n    dtype: float32"),
        {"x": ["dog", "cat"], "y": [1, 2]},
        {"x": [1], "y": ["0.5"]},
        {"y": [0.25]},
        kind=kind,
    )
    found = [(one["x"], one["y"]) for one in records(uri, mode, fill_nulls={"x": -1})]
    assert found == [(1, 1.0), (0, 2.0), (1, 0.5), (-1, 0.25)]


def test_a_stream_of_many_files_is_as_declared(write, monkeypatch):
    """Of which only the first one's footer is read beforehand."""
    monkeypatch.setattr(stream_footers, "AT_ONCE", 1)
    said = card(f"x\n    dtype: {CLASSES}", "n\n    dtype: int8")
    uri = write(said, {"x": ["dog", "cat"]}, {"n": [5], "x": [1]})
    with datarax.load(uri, mode="streaming", fill_nulls={"n": 0}) as source:
        assert {name: str(spec.dtype) for name, spec in source.element_spec().items()} == {
            "x": "int32",
            "n": "int8",
        }
        assert [plain(one) for one in source] == [
            {"x": 1, "n": 0},
            {"x": 0, "n": 0},
            {"x": 1, "n": 5},
        ]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", WRITERS)
def test_the_card_goes_before_what_files_say_of_themselves(write, make, mode, kind):
    """What it does not name, or nobody knows, is as the files say."""
    own = {
        "x": make.labels("a", "b"),
        "y": make.labels("a", "b"),
        "z": make.labels("no", "yes"),
        "n": make.labels("n", "m"),
    }
    table = pa.table({"x": [1, 0], "y": [1, 0], "z": [1, 0], "n": [1, 0]})
    told = json.dumps({"info": {"features": own}})
    uri = write(
        card(f"x\n    dtype: {CLASSES}", "y\n    dtype: string", "n\n    dtype: {tomorrow: {}}"),
        table.replace_schema_metadata({"huggingface": told}),
        kind=kind,
    )
    with datarax.load(uri, mode=mode) as source:
        fields = source.reader.fields
        assert [fields[name].class_names for name in "xzn"] == [
            ("cat", "dog"),
            ("no", "yes"),
            ("n", "m"),
        ]
        assert plain(next(iter(source))) == {"x": 1, "y": "1", "n": 1, "z": 1}


@pytest.mark.parametrize("mode", MODES)
def test_parts_of_structs_are_declared_too(write, mode):
    """As columns of their own, those that the files lack among them."""
    uri = write(
        card(
            f"s\n    struct: [{{name: b, dtype: {CLASSES}}}, {{name: c, dtype: int8}}]",
            "t\n    struct: [{name: d, dtype: string}]",
        ),
        {"s": [{"b": "dog"}, {"b": "cat"}, None]},
    )
    rows = [(1, None), (0, None), (None, None)]
    assert records(uri, mode, flatten=True) == [{"s.b": b, "s.c": c, "t.d": None} for b, c in rows]


def test_a_stream_from_the_hub_is_as_declared(hub):
    """Of columns that the files lack nothing is asked for."""
    said = card(f"x\n    dtype: {CLASSES}", "n\n    dtype: int8")
    hub.publish("a/b", {"README.md": said, "train.parquet": parquet(pa.table({"x": ["dog"] * 5}))})
    with datarax.load("hf:a/b", mode="streaming") as source:
        assert source.reader.fields["x"].class_names == ("cat", "dog")
        assert [plain(one) for one in source] == [{"x": 1, "n": None}] * 5
    assert records("hf:a/b", "streaming", include_keys=["n"]) == [{"n": None}] * 5
    hub.publish("a/c", {"README.md": said, "train.parquet": parquet(pa.table({"x": ["cow"]}))})
    with pytest.raises(CorruptDataError, match=r"hf:a/c: .*'train.parquet'.* 'x' .*'cow' is none"):
        records("hf:a/c", "streaming")


def test_random_access_is_to_the_same_values(write, offline, tmp_path, monkeypatch):
    """From derived files that another card does not share, and after pickling."""
    monkeypatch.setattr(flat, "SMALL_BYTES", 0)
    monkeypatch.setattr(ragged, "CHUNK_BYTES", 400)
    table = {"x": ["dog", "cat"] * 150, "t": [[n] for n in range(300)]}
    order = np.random.default_rng(0).permutation(300)
    derived = tmp_path.with_name(f"{tmp_path.name}-derived")
    uri = write("", table)
    for said, classes, kind in (
        ("", ["dog", "cat"], "int64"),
        (card(f"x\n    dtype: {CLASSES}", "t\n    list: int16"), [1, 0], "int16"),
        (card("x\n    dtype: {class_label: {names: [dog, cat]}}"), [0, 1], "int64"),
    ):
        (tmp_path / "README.md").write_text(said)
        reader = offline(uri.removeprefix("hf:"), derived_dir=derived)
        for one in (reader, pickle.loads(pickle.dumps(reader))):
            for _ in range(2):
                found = one.read(order, ["x", "t"])
                assert list(found["x"]) == [classes[n % 2] for n in order]
                assert [value.tolist() for value in found["t"]] == [[n] for n in order]
                assert {value.dtype.name for value in found["t"]} == {kind}
            one.close()
    assert len(list(derived.rglob("x-*"))) == 3
    assert len(list(derived.rglob("t-*"))) >= 2


def test_files_as_declared_are_read_as_they_lie(write, tmp_path, offline):
    """What is derived of them is shared with who reads them without a card."""
    uri = write("", {"x": [1, 2], "t": ["a", "b"]})
    sources = []
    for said in ("", card("t\n    dtype: large_string", "x\n    dtype: int64")):
        (tmp_path / "README.md").write_text(said)
        reader = offline(uri.removeprefix("hf:"))
        sources.append(reader._shards.source_of(0))
        assert reader._shards.table(0, ["x"]).column("x").to_pylist() == [1, 2]
    assert sources[0] == sources[1]
