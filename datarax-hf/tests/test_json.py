"""JSON: each mode gives the records that the files hold."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import datarax
from datarax.errors import CorruptDataError


@pytest.fixture
def read(tmp_path, cache):
    """Write files and return the records of the split train, which every mode gives alike."""

    def read_(files, split="train"):
        folder = tmp_path / f"repo{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for name, data in files.items():
            (folder / name).write_text(data, encoding="utf-8")
        found = []
        for mode in ("lazy", "eager", "streaming"):
            with datarax.load(f"hf:{folder}", split=split, mode=mode) as source:
                found.append([plain(record) for record in source])
        assert found[1:] == [found[0]] * 2
        return found[0]

    return read_


def plain(value):
    """Return a value without arrays."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return np.asarray(value).tolist() if hasattr(value, "__array__") else value


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


NULL_FIRST = {
    "integers": [[None, 2], []],
    "nulls, then integers": [[None, None], [2]],
    "fractions": [[None, 1], [None, 0.5]],
    "text": [[None, "x"]],
    "text like times": [[None, "2020-01-01"], [None, "x"]],
    "booleans": [[None, True, None]],
    "lists": [[None, [None, 2]], [[], None]],
    "objects": [[None, {"b": [None, {"c": 1}]}]],
    "within objects": [{"b": [None, 2]}, {"b": []}],
    "of every row": [[None, 1]] * 9,
}


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
@pytest.mark.parametrize("values", NULL_FIRST.values(), ids=NULL_FIRST)
def test_lists_may_begin_with_null(read, name, values):
    rows = [{"a": value, "n": number} for number, value in enumerate(values)]
    assert read({name: lines(rows) if name == "a.jsonl" else json.dumps(rows)}) == rows


@pytest.mark.parametrize("text", ['null\n{"a": 1}\n', '\n  null\r\n{"a": 1}\nnull\n'])
def test_a_line_of_null_is_a_record_that_lacks_every_key(read, text):
    """Where a file begins with one, too, which ends Arrow's reader and the process with it."""
    expected = [{"a": None}, {"a": 1}, {"a": None}]
    assert read({"a.jsonl": text}) == expected[: text.count("\n") - text.startswith("\n")]


@pytest.mark.parametrize("before", ["", " ", "\t", "\n", "\r\n  "])
def test_space_may_stand_before_an_array(read, before):
    assert read({"a.json": f'{before}[{{"a": 1}}, {{"a": 2}}]\n'}) == [{"a": 1}, {"a": 2}]
    assert read({"a.json": f'{before}["u"]'}) == [{"text": "u"}]


def test_null_in_an_array_lacks_what_the_others_have(read):
    """Beside objects every key, else a value of the field `text`."""
    for array in ('[{"a": 1}, null]', '[null, {"a": 1}]'):
        expected = [{"a": 1}, {"a": None}]
        assert read({"a.json": array}) == expected[:: 1 if array[1] == "{" else -1]
    assert read({"a.json": '[null, "x", null]'}) == [{"text": None}, {"text": "x"}, {"text": None}]
    assert read({"a.json": "[null, null]"}) == [{"text": None}] * 2
    assert read({"a.json": '["x", {"a": 1}]'}) == [{"text": "x"}, {"text": {"a": 1}}]


@pytest.mark.parametrize("value", ["0", '"x"', "[]"])
def test_a_value_that_is_no_object_among_objects_is_said(read, value):
    with pytest.raises(CorruptDataError, match=f"in line 2 holds .{re.escape(value)}., which is"):
        read({"a.json": f'[{{"a": 1}},\n{value}]'})
    card = "---\nconfigs:\n- {config_name: default, data_files: a.json, field: data}\n---\n"
    with pytest.raises(CorruptDataError, match=f"holds .{re.escape(value)}., which is no object"):
        read({"a.json": f'{{"data": [{{"a": 1}}, {value}]}}', "README.md": card})
