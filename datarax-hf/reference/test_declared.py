"""A card over files that store otherwise: types, class names and columns as `datasets` casts them.

Differences are deliberate and named here: a column that the card does not name stays, and class
names in dictionaries and decimals of whole numbers are read.
"""

from __future__ import annotations

import json

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import datarax
from datarax.errors import CorruptDataError

CLASSES = "{class_label: {names: {'0': cat, '1': dog}}}"
LABEL = f"dtype: {CLASSES}"
MODES = ("lazy", "eager", "streaming")
NUMBERS = pa.array([[1, 2], [3, 4], None], pa.list_(pa.int64(), 2))

CASES = {
    "names": (["dog", "cat", None, " dog ", "1", "-1"], LABEL),
    "large names": (pa.array(["dog", "cat"], pa.large_string()), LABEL),
    "narrow labels": (pa.array([1, -1, None], pa.int32()), LABEL),
    "labels beyond the names": ([5], LABEL),
    "labels of floats": ([1.0, 0.0], LABEL),
    "labels of booleans": ([True, False], LABEL),
    "narrower": ([1, 2, None], "dtype: int32"),
    "wider": (pa.array([1, 2], pa.int8()), "dtype: int64"),
    "unsigned": ([1, 2], "dtype: uint8"),
    "whole numbers as floats": ([1, 2], "dtype: float32"),
    "floats as whole numbers": ([1.0, 2.0], "dtype: int64"),
    "rounded": ([0.1, 1e300], "dtype: float32"),
    "numbers as booleans": ([0, 5], "dtype: bool"),
    "numbers as words": ([0, None], "dtype: string"),
    "words as numbers": (["0", "5"], "dtype: int64"),
    "nothing as words": (pa.nulls(2), "dtype: string"),
    "nothing as labels": (pa.nulls(2), LABEL),
    "nothing as lists": (pa.nulls(2), "list: int8"),
    "bytes as words": ([b"a"], "dtype: string"),
    "units": (pa.array([1], pa.timestamp("s")), "dtype: 'timestamp[us]'"),
    "words as times": (["2020-01-02 03:04:05"], "dtype: 'timestamp[s]'"),
    "lists": ([[1, 2], None, [], [None]], "list: int8"),
    "lists of names": ([["cat", "dog"], None, []], f"list: {CLASSES}"),
    "lists of a length": (NUMBERS, "list: int8\n    length: 2"),
    "of a length, as lists": (NUMBERS[:2], "list: int8"),
    "lists, as of a length": ([[1, 2], [3, 4]], "list: int8\n    length: 2"),
    "Array2D": ([[[1, 2]]], "dtype: {array2_d: {shape: [1, 2], dtype: int8}}"),
    "Json": ([{"a": 1}], "dtype: json"),
    "parts": (
        [{"a": 1, "b": "cat"}, None, {"a": None, "b": None}],
        f"struct: [{{name: b, dtype: {CLASSES}}}, {{name: a, dtype: int8}}]",
    ),
    "a part lacks": (
        [{"a": 1}],
        "struct: [{name: b, list: string}, {name: a, dtype: int8}]",
    ),
    "structs in lists": (
        [[{"a": 1, "b": "cat"}], None],
        f"list: [{{name: b, dtype: {CLASSES}}}, {{name: a, dtype: int8}}]",
    ),
}

REFUSED = {
    "another name": (["dog", "cow"], LABEL),
    "another number": (["dog", "2"], LABEL),
    "narrow labels beyond": (pa.array([5], pa.int32()), LABEL),
    "too large": ([1, 2**40], "dtype: int32"),
    "negative": ([-1], "dtype: uint8"),
    "not exact": ([2**24 + 1], "dtype: float32"),
    "a fraction": ([1.5], "dtype: int64"),
    "no number": (["a"], "dtype: int64"),
    "something as nothing": (["a"], "dtype: 'null'"),
    "finer": (pa.array([1000], pa.timestamp("us")), "dtype: 'timestamp[s]'"),
    "other lengths": ([[1, 2], [3]], "list: int8\n    length: 2"),
    "another length": (NUMBERS, "list: int8\n    length: 3"),
    "another part": ([{"a": 1, "c": 2}], "struct: [{name: a, dtype: int8}]"),
    "no list": ([1], "list: int64"),
    "a list": ([[1]], "dtype: int64"),
    "a list as words": ([[1]], "dtype: string"),
    "no image": ([1], "dtype: image"),
}
"""What neither reads."""


def write(folder, kind, declared, *tables):
    folder.mkdir()
    listed = "".join(f"  - name: {feature}\n" for feature in declared)
    (folder / "README.md").write_text(f"---\ndataset_info:\n  features:\n{listed}---\n")
    for number, table in enumerate(tables):
        path = folder / f"train-{number}.{kind}"
        if kind == "parquet":
            pq.write_table(table, path, row_group_size=2)
            continue
        with pa.ipc.new_stream(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    return folder


def plain(value):
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    return [plain(part) for part in value] if isinstance(value, list) else value


def theirs(folder):
    cache = folder.parent / "cache"
    return datasets.load_dataset(str(folder), split="train", cache_dir=str(cache))


def ours(folder, mode):
    with datarax.load(f"hf:{folder}", mode=mode) as source:
        return [plain(element) for element in source]


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
@pytest.mark.parametrize("name", CASES)
def test_the_card_decides(name, kind, tmp_path):
    """Streams of Arrow files are left out: they are told of no nulls beforehand."""
    stored, declared = CASES[name]
    table = pa.table({"x": stored})
    folder = write(tmp_path / "data", kind, [f"x\n    {declared}"], table)
    expected = list(theirs(folder))
    for mode in MODES if kind == "parquet" else ("lazy", "eager"):
        assert ours(folder, mode) == expected


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_by_both(name, tmp_path):
    stored, declared = REFUSED[name]
    folder = write(tmp_path / "data", "parquet", [f"x\n    {declared}"], pa.table({"x": stored}))
    with pytest.raises(datasets.exceptions.DatasetGenerationError):
        theirs(folder)
    for mode in MODES:
        with pytest.raises(datarax.errors.CorruptDataError, match="'x'"):
            ours(folder, mode)


@pytest.mark.filterwarnings("ignore:Downcasting array dtype")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 3)], ids=str)
def test_pixels_in_lists_are_images(tmp_path, mode, dtype, shape):
    """Which both encode alike, or neither does: several channels of floats."""
    pixels = (np.arange(np.prod(shape)).reshape(shape) * 7).astype(dtype)
    kind = pa.from_numpy_dtype(pixels.dtype)
    for _ in shape:
        kind = pa.list_(kind)
    table = pa.table({"x": pa.array([pixels.tolist(), None], kind)})
    folder = write(tmp_path / "data", "parquet", ["x\n    dtype: image"], table)
    if dtype == "float32" and len(shape) == 3:
        with pytest.raises(datasets.exceptions.DatasetGenerationError):
            theirs(folder)
        with pytest.raises(CorruptDataError, match="row 0, column 'x'.*cannot be decoded"):
            ours(folder, mode)
        return
    expected = [value if value is None else np.asarray(value) for value in theirs(folder)["x"]]
    with datarax.load(f"hf:{folder}", mode=mode) as source:
        found = [element["x"] for element in source]
    np.testing.assert_array_equal(found[0], expected[0], strict=True)
    assert found[1] is expected[1] is None


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_columns_that_files_lack_are_null(kind, tmp_path):
    """In all files, or in some of them, whatever their type; in the card's order."""
    declared = [
        f"c\n    {LABEL}",
        "x\n    dtype: int8",
        "s\n    struct: [{name: a, dtype: int8}]",
        "l\n    list: string",
        "y\n    dtype: string",
    ]
    tables = (pa.table({"x": [1, 2]}), pa.table({"y": [3], "x": [4], "c": ["dog"]}))
    folder = write(tmp_path / "data", kind, declared, *tables)
    expected = theirs(folder)
    assert expected[2] == {"c": 1, "x": 4, "s": None, "l": None, "y": "3"}
    for mode in MODES if kind == "parquet" else ("lazy", "eager"):
        assert ours(folder, mode) == list(expected)
        with datarax.load(f"hf:{folder}", mode=mode) as source:
            assert list(source.reader.fields) == expected.column_names


def test_the_card_goes_before_what_the_file_says_of_itself(tmp_path):
    own = {"names": ["a", "b"], "_type": "ClassLabel"}
    told = json.dumps({"info": {"features": {"x": own, "y": own}}})
    table = pa.table({"x": [1, 0], "y": [1, 0]}).replace_schema_metadata({"huggingface": told})
    declared = [f"x\n    {LABEL}", "y\n    dtype: string"]
    folder = write(tmp_path / "data", "parquet", declared, table)
    expected = theirs(folder)
    assert expected.features["x"].names == ["cat", "dog"]
    for mode in MODES:
        assert ours(folder, mode) == list(expected) == [{"x": 1, "y": "1"}, {"x": 0, "y": "0"}]
        with datarax.load(f"hf:{folder}", mode=mode) as source:
            assert source.reader.fields["x"].class_names == ("cat", "dog")


def test_more_is_read_than_datasets_does(tmp_path):
    words = pa.array(["dog"]).dictionary_encode()
    for name, declared, table in (
        ("more", LABEL, pa.table({"x": [1], "y": ["a"]})),
        ("words", LABEL, pa.table({"x": words})),
        ("decimals", "dtype: 'decimal128(7, 2)'", pa.table({"x": [1]})),
    ):
        folder = write(tmp_path / name, "parquet", [f"x\n    {declared}"], table)
        with pytest.raises(datasets.exceptions.DatasetGenerationError):
            theirs(folder)
        for mode in MODES:
            assert ours(folder, mode)[0]["x"] == 1


FEATURES = "  features:\n  - {name: x, dtype: string}\n"
NAMED = f"dataset_info:\n- config_name: other\n{FEATURES}"
BARE = f"dataset_info:\n{FEATURES}"
CONFIGS = "configs:\n- {config_name: own, data_files: a.csv}\n"


@pytest.mark.parametrize(
    ("card", "standalone"),
    [
        (f"{NAMED}{CONFIGS}", ""),
        (f"{BARE}{CONFIGS}", ""),
        (BARE, ""),
        (NAMED.replace("other", "own") + CONFIGS, ""),
        (CONFIGS, CONFIGS.replace("a.csv", "b.csv")),
        (CONFIGS, BARE.replace("info:", "info:\n  config_name: own")),
        ("license: mit\n", CONFIGS.replace("a.csv", "b.csv")),
    ],
)
def test_which_entry_of_a_card_speaks_for_a_config(tmp_path, card, standalone):
    """Its own; that of another config decides nothing, and `.huggingface.yaml` counts first."""
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "b.csv").write_text("x\n2\n")
    (tmp_path / "README.md").write_text(f"---\n{card}---\n")
    if standalone:
        (tmp_path / ".huggingface.yaml").write_text(standalone)
    assert ours(tmp_path, "lazy") == list(theirs(tmp_path))


OLD = datasets.Features(
    {
        "x": datasets.Value("float32"),
        "y": datasets.ClassLabel(names=["no", "yes"]),
        "z": datasets.Sequence({"a": datasets.Value("int16"), "b": datasets.Value("string")}),
    }
)
WIDE = {"default": OLD.to_dict() | {"x": {"dtype": "string", "_type": "Value"}}}


@pytest.mark.parametrize(
    ("infos", "card"),
    [
        ({"user--name": OLD.to_dict()}, ""),
        ({"default": OLD.to_dict()}, CONFIGS.replace("own", "default").replace("a.csv", "a.jsonl")),
        (
            {"one": WIDE["default"], "default": OLD.to_dict()},
            CONFIGS.replace("own", "default").replace("a.csv", "a.jsonl"),
        ),
        ({"other": OLD.to_dict(), "third": OLD.to_dict()}, CONFIGS.replace("a.csv", "a.jsonl")),
        (WIDE, BARE.replace("features:\n", "features:\n  - {name: y, dtype: int8}\n")),
    ],
)
def test_the_infos_of_old_repositories_are_read(tmp_path, infos, card):
    """As `datasets` wrote them before cards had them: types, class names, lists of structs."""
    row = {"x": 1, "y": "yes", "z": {"a": [2], "b": ["c"]}}
    if "int8" in card:
        row = {"x": "1", "y": 1}
    elif "own" in card:
        row = {"x": 1, "y": "yes"}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    text = json.dumps({name: {"features": features} for name, features in infos.items()})
    (tmp_path / "dataset_infos.json").write_text(text)
    if card:
        (tmp_path / "README.md").write_text(f"---\n{card}---\n")
    expected = list(theirs(tmp_path))
    for mode in MODES:
        assert ours(tmp_path, mode) == expected
