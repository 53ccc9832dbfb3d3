"""JSON: each mode gives the records that the files hold."""

from __future__ import annotations

import datetime as dt
import decimal
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


def card(features):
    """Return a card of features, in its YAML."""
    lines = "".join(f"  - {{name: {name}, {kind}}}\n" for name, kind in features.items())
    return f"---\ndataset_info:\n  features:\n{lines}---\n"


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
    "nothing but null": [[None, None, None], []],
    "nothing but null within objects": [{"b": [None]}, {"b": [None, None]}],
    "null in objects in lists": [[None, {"b": None, "c": [None, None]}, {"b": 2, "c": None}]],
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


MILLISECOND = dt.datetime(1970, 1, 1, microsecond=1000, tzinfo=dt.UTC)
CLASSES = "class_label: {names: {'0': cat, '1': dog}}"
CARDED = {
    "decimals of text": ("dtype: 'decimal128(7, 2)'", ["1.25", None], [decimal.Decimal("1.25")]),
    "decimals of integers": ("dtype: 'decimal128(7, 2)'", [3], [decimal.Decimal(3)]),
    "integers of text": ("dtype: int64", ["1", "2"], [1, 2]),
    "integers of text and numbers": ("dtype: int16", [1, "2"], [1, 2]),
    "large integers of text": ("dtype: uint64", ["1", "2"], [1, 2]),
    "large integers of text and numbers": ("dtype: uint64", [1, "2"], [1, 2]),
    "large integers of floats": ("dtype: uint64", [1.0, 2], [1, 2]),
    "text of integers": ("dtype: string", [1, 2], ["1", "2"]),
    "text of objects": ("dtype: string", [{"a": 1}, None], ['{"a":1}']),
    "text of anything": ("dtype: string", [1, "b", {"a": 1}], ["1", '"b"', '{"a":1}']),
    "dates": ("dtype: date32", ["2020-01-02", None], [dt.date(2020, 1, 2)]),
    "times of integers": ("dtype: 'timestamp[ms, tz=UTC]'", [1], [MILLISECOND]),
    "Json of one kind": ("dtype: json", [{"a": 1}, {"b": 2}], [{"a": 1}, {"b": 2}]),
    "Json of text": ("dtype: json", ["a", "1", '{"b":1}'], ["a", 1, {"b": 1}]),
    "list of Json": ("list: json", [[{"a": 1}, "x", None], []], [[{"a": 1}, "x", None], []]),
    "struct of Json": (
        "struct: [{name: a, dtype: int8}, {name: j, dtype: json}]",
        [{"a": 1, "j": [1, "x"]}, {"j": {"q": 1}}],
        [{"a": 1, "j": [1, "x"]}, {"a": None, "j": {"q": 1}}],
    ),
    "list of classes": (f"list: {{{CLASSES}}}", [["dog", None], [], None], [[1, None], []]),
    "classes with blanks": (f"dtype: {{{CLASSES}}}", [" dog ", "-1", "0"], [1, -1, 0]),
    "struct of a class": (
        f"struct: [{{name: l, dtype: {{{CLASSES}}}}}]",
        [{"l": "dog"}, {"l": "0"}, {}, None],
        [{"l": 1}, {"l": 0}, {"l": None}],
    ),
    "list of structs that lack a part": (
        "list: [{name: a, dtype: int32}, {name: b, dtype: string}]",
        [[{"a": 1}], []],
        [[{"a": 1, "b": None}], []],
    ),
}


@pytest.mark.parametrize(("feature", "values", "expected"), CARDED.values(), ids=CARDED)
def test_values_become_what_the_features_of_the_card_say(read, feature, values, expected):
    """Wherever in the values, in every mode."""
    rows = [{"x": value} for value in values]
    expected = [{"x": value} for value in [*expected, *[None] * (len(values) - len(expected))]]
    assert read({"a.jsonl": lines(rows), "README.md": card({"x": feature})}) == expected
    assert read({"a.json": json.dumps(rows), "README.md": card({"x": feature})}) == expected


def test_arrays_have_the_dtype_that_the_card_gives(tmp_path, cache):
    feature = "dtype: {array2_d: {shape: [1, 2], dtype: float32}}"
    (tmp_path / "README.md").write_text(card({"x": feature}))
    (tmp_path / "a.jsonl").write_text(lines([{"x": [[1, 2.5]]}]))
    for mode in ("lazy", "streaming"):
        with datarax.load(f"hf:{tmp_path}", mode=mode) as source:
            assert source.reader.fields["x"].shape == (1, 2)
            assert source.reader.fields["x"].dtype == np.float32


def test_columns_that_the_card_names_and_no_record_has_are_null(read):
    features = {
        "x": "dtype: int8",
        "s": "dtype: string",
        "l": "list: json",
        "i": "dtype: image",
        "o": "struct: [{name: p, dtype: {array2_d: {shape: [1, 2], dtype: int8}}}]",
    }
    files = {"a.jsonl": lines([{"x": 1}, {"x": 2}]), "README.md": card(features)}
    lacking = dict.fromkeys("slio")
    assert read(files) == [{"x": 1, **lacking}, {"x": 2, **lacking}]
    files["b.jsonl"] = lines([{"x": 3, "s": "t"}])
    assert read(files)[2] == {**lacking, "x": 3, "s": "t"}


def test_metadata_of_images_lacks_what_the_images_are(tmp_path, cache, make):
    """The card names the images too, which no column of the metadata is."""
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(make.png(np.zeros((2, 3), np.uint8))["bytes"])
    (tmp_path / "metadata.jsonl").write_text(lines([{"file_name": "a.png", "n": 1}]))
    (tmp_path / "README.md").write_text(card({"image": "dtype: image", "n": "dtype: int8"}))
    for mode in ("lazy", "streaming"):
        with datarax.load(f"hf:{tmp_path}", mode=mode) as source:
            assert set(source.reader.fields) == {"image", "n"}


@pytest.mark.parametrize("mode", ["lazy", "eager", "streaming"])
@pytest.mark.parametrize(
    ("feature", "value", "said"),
    [
        ("dtype: int8", 300, "'x' is to be int8: .*300 not in range"),
        ("dtype: int64", "a", "'x' is to be int64: Failed to parse string: 'a' as"),
        (CLASSES, "cow", "'x' is to be ClassLabel: 'cow' is none of the classes"),
        (CLASSES, "2", "'x' is to be ClassLabel: '2' is none of the classes"),
        ("struct: [{name: a, dtype: int8}]", {"b": 1}, "'x' is to be struct.*has a part 'b'"),
        ("dtype: string", [1], "'x' is to be string: .* from list"),
    ],
)
def test_a_type_of_the_card_that_does_not_fit_is_said(tmp_path, cache, mode, feature, value, said):
    """The file is whole, and another copy of it would be no better."""
    (tmp_path / "README.md").write_text(card({"x": feature}))
    (tmp_path / "a.jsonl").write_text(lines([{"x": value}]))
    said = (
        rf"'a\.jsonl' does not hold what the card's features say: column {said}.*type does not fit"
    )
    with pytest.raises(CorruptDataError, match=said) as caught:
        datarax.load(f"hf:{tmp_path}", mode=mode)
    assert "good copy" not in str(caught.value)


@pytest.mark.parametrize("name", ["jsonl", "json", "txt"])
def test_empty_files_beside_others_hold_no_records(read, name):
    """Wherever they come, and with the same error in every mode if all are empty."""
    written = {"jsonl": '{"text": "x"}\n', "json": '["x"]', "txt": "x\n"}[name]
    for full in (0, 1, 2):
        files = {f"{number}.{name}": written if number == full else "" for number in range(3)}
        assert read(files) == [{"text": "x"}]


@pytest.mark.parametrize("mode", ["lazy", "eager", "streaming"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.txt"])
def test_files_that_are_all_empty_are_an_error(tmp_path, cache, mode, name):
    for number in range(2):
        (tmp_path / f"{number}{name}").write_text("")
    with pytest.raises(CorruptDataError, match=f"'0{name}' is empty"):
        datarax.load(f"hf:{tmp_path}", mode=mode)


def test_empty_files_of_the_hub_are_streamed_past(hub):
    """From the beginning and from a saved state."""
    files = {f"train-{number}.jsonl": b"" for number in range(5)}
    files["train-1.jsonl"] = lines([{"n": 0}, {"n": 1}]).encode()
    files["train-3.jsonl"] = lines([{"n": 2}]).encode()
    hub.publish("a/b", files)
    with datarax.load("hf:a/b", mode="streaming") as source:
        assert [int(record["n"]) for record in source] == [0, 1, 2]
        next(source)
        next(source)
        state = source.get_state()
    with datarax.load("hf:a/b", mode="streaming") as source:
        source.set_state(state)
        assert [int(record["n"]) for record in source] == [2]


@pytest.mark.parametrize("held", [[1], 1, "x", None, {"a": 1}, [None]])
def test_an_object_is_no_image_for_the_names_of_its_keys(read, held):
    """Images are bytes, which JSON does not have."""
    rows = [{"i": {"bytes": held, "path": "x"}, "n": 1}]
    assert read({"a.jsonl": lines(rows)}) == rows


def test_text_under_an_image_of_the_card_is_its_bytes(read):
    feature = "dtype: {image: {decode: false}}"
    files = {"a.jsonl": lines([{"i": {"bytes": "x"}}, {}]), "README.md": card({"i": feature})}
    assert read(files) == [{"i": {"bytes": b"x", "path": None}}, {"i": None}]
    with pytest.raises(CorruptDataError, match="'i' is to be Image: .* int64 to binary.*not fit"):
        read({**files, "a.jsonl": lines([{"i": {"bytes": 1}}])})


@pytest.mark.parametrize("mode", ["eager", "lazy"])
@pytest.mark.parametrize("first", [0, 1])
def test_records_without_any_key_are_records(tmp_path, mode, first):
    """In a file of their own, before or after the others."""
    names = ["a.jsonl", "b.jsonl"]
    (tmp_path / names[first]).write_text("{}\n{}\n")
    (tmp_path / names[1 - first]).write_text('{"a": "x"}\n')
    found = [element["a"] for element in datarax.load(f"hf:{tmp_path}", mode=mode)]
    assert found == ([None, None, "x"] if first == 0 else ["x", None, None])


@pytest.mark.parametrize("mode", ["lazy", "streaming"])
def test_records_without_any_key_have_the_columns_of_the_card(tmp_path, mode):
    """All of them null."""
    card = "---\ndataset_info:\n  features:\n  - {name: a, dtype: string}\n---\n"
    (tmp_path / "README.md").write_text(card)
    (tmp_path / "a.jsonl").write_text("{}\n{}\n")
    assert [dict(e) for e in datarax.load(f"hf:{tmp_path}", mode=mode)] == [{"a": None}] * 2


def test_many_records_without_any_key_may_come_first(tmp_path):
    """More than are read at once."""
    whole = {"data": [{}] * 10_000 + [{"a": "x"}]}
    card = "---\nconfigs:\n- {config_name: default, data_files: a.json, field: data}\n---\n"
    (tmp_path / "README.md").write_text(card)
    (tmp_path / "a.json").write_text(json.dumps(whole))
    source = datarax.load(f"hf:{tmp_path}", mode="lazy")
    assert (len(source), source[9_999]["a"], source[10_000]["a"]) == (10_001, None, "x")


@pytest.mark.parametrize("mode", ["lazy", "streaming"])
def test_lines_of_text_are_in_text_whatever_else_the_card_names(tmp_path, mode):
    """Of the other columns a line says nothing."""
    card = "---\ndataset_info:\n  features:\n  - {name: id, dtype: string}\n"
    (tmp_path / "README.md").write_text(card + "  - {name: text, dtype: string}\n---\n")
    (tmp_path / "train.txt").write_text("x\ny\n")
    found = [dict(element) for element in datarax.load(f"hf:{tmp_path}", mode=mode)]
    assert found == [{"id": None, "text": "x"}, {"id": None, "text": "y"}]
