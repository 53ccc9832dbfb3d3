"""JSON in every mode: the values that `datasets` reads."""

from __future__ import annotations

import gc
import json
import math

import datasets
import numpy as np
import pytest
import yaml
from datasets import Array2D, ClassLabel, Features, Image, Json, LargeList, List, Value

import datarax

MODES = ("lazy", "eager", "streaming")


def write(folder, files):
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return folder


def theirs(folder, cache):
    """Return the records that `datasets` reads."""
    rows = datasets.load_dataset(str(folder), cache_dir=str(cache), split="train")
    records = [plain(row) for row in rows]
    gc.collect()
    return records


def ours(folder, mode):
    kept = folder.parent / "kept"
    with datarax.load(f"hf:{folder}", split="train", mode=mode, derived_dir=str(kept)) as source:
        return [plain(record) for record in source]


def plain(value):
    """Return a value without arrays, NaN as None."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if hasattr(value, "__array__"):
        return plain(np.asarray(value).tolist())
    return None if isinstance(value, float) and math.isnan(value) else value


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


CASES = {
    "null before integers": {"a.jsonl": lines({"a": [None, 2]}, {"a": []})},
    "nulls before integers": {"a.jsonl": lines({"a": [None, None]}, {"a": [2]})},
    "null before text": {"a.jsonl": lines({"a": [None, "x"]})},
    "null before times": {"a.jsonl": lines({"a": [None, "2020-01-01"]}, {"a": [None, "x"]})},
    "null before lists": {"a.jsonl": lines({"a": [None, [None, True]]})},
    "null before objects": {"a.jsonl": lines({"a": [None, {"b": [None, {"c": 1}]}]})},
    "null in lists of objects": {"a.jsonl": lines({"a": {"b": [None, 2.5]}, "n": 1})},
    "null before numbers in an array": {"a.json": json.dumps([{"a": [None, 2]}, {"a": None}])},
    "a line of null": {"a.jsonl": '{"a": 1}\nnull\n'},
    "an array after a space": {"a.json": ' [{"a": 1}]'},
    "an array after a tab": {"a.json": '\t["u", "v"]'},
    "an array after lines": {"a.json": '\n\n[{"a": 1}]'},
    "null in an array": {"a.json": '[{"a": 1}, null]'},
    "null in an array of text": {"a.json": '[null, "x", null]'},
    "an object in an array of text": {"a.json": '["x", {"a": 1}]'},
    "an object like an image": {"a.jsonl": lines({"i": {"bytes": [1], "path": "x"}})},
    "a number like an image": {"a.jsonl": lines({"i": {"bytes": 1, "path": "x"}})},
    "an empty file first": {"a.jsonl": "", "b.jsonl": lines({"a": 1})},
    "an empty file last": {"a.jsonl": lines({"a": 1}), "b.jsonl": ""},
    "an empty file of text": {"a.txt": "", "b.txt": "one\n"},
    "an empty document": {
        "a.txt": "",
        "b.txt": "one\n",
        "README.md": "---\nconfigs:\n- {config_name: default, data_files: '*.txt', sample_by: document}\n---\n",
    },
}


ANIMAL = ClassLabel(names=["cat", "dog"])
CARDED = {
    "decimals of text": (Value("decimal128(7, 2)"), ["1.25", None]),
    "integers of text": (Value("int64"), ["1", "2"]),
    "integers of text and numbers": (Value("int16"), [1, "2"]),
    "floats of integers": (Value("float32"), [1, 2.5, None]),
    "text of integers": (Value("string"), [1, 2]),
    "text of objects": (Value("string"), [{"a": 1}, None]),
    "text of anything": (Value("string"), [1, "b", {"a": 1}]),
    "text like times": (Value("string"), ["2020-01-01T10:00:00Z"]),
    "dates": (Value("date32"), ["2020-01-02", None]),
    "times of integers": (Value("timestamp[ms]"), [1577836800000]),
    "times with a zone": (Value("timestamp[us, tz=UTC]"), ["2020-01-01T10:00:00Z"]),
    "Json of one kind": (Json(), [{"a": 1}, {"b": 2}]),
    "Json of text": (Json(), ["a", "1", '{"b":1}', None]),
    "Json of integers": (Json(), [1, 2]),
    "list of Json": (List(Json()), [[{"a": 1}, "x", None], []]),
    "struct of Json": ({"a": Value("int8"), "j": Json()}, [{"a": 1, "j": [1]}, {"j": {"q": 1}}]),
    "list of classes": (List(ANIMAL), [["dog"], [], None]),
    "struct of a class": ({"l": ANIMAL, "n": Value("int8")}, [{"n": 1, "l": "dog"}, {"l": "cat"}]),
    "list of structs": (List({"a": Value("int8"), "b": Value("string")}), [[{"a": 1}], []]),
    "Array2D": (Array2D((1, 2), "float32"), [[[1, 2]], [[0.5, 3]]]),
    "Image not decoded": (Image(decode=False), [{"bytes": "x", "path": "y"}, None]),
    "LargeList": (LargeList(Value("int16")), [[1], [2, 3]]),
}


@pytest.mark.parametrize(("feature", "values"), CARDED.values(), ids=CARDED)
def test_values_become_what_the_card_says_as_in_datasets(tmp_path, feature, values):
    """Beside a column that the card names and the file lacks."""
    listed = Features({"x": feature, "lacking": Value("string")})._to_yaml_list()
    card = yaml.safe_dump({"dataset_info": {"features": listed}})
    files = {
        "a.jsonl": lines(*({"x": value} for value in values)),
        "README.md": f"---\n{card}---\n",
    }
    folder = write(tmp_path / "repo", files)
    expected = theirs(folder, tmp_path / "cache")
    for mode in MODES:
        assert ours(folder, mode) == expected, mode


@pytest.mark.parametrize("files", CASES.values(), ids=CASES)
def test_records_are_those_of_datasets_in_every_mode(tmp_path, files):
    folder = write(tmp_path / "repo", files)
    expected = theirs(folder, tmp_path / "cache")
    for mode in MODES:
        assert ours(folder, mode) == expected, mode
