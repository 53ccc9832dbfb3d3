"""The types of a stream: one for each field, whichever file its values come from."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pytest

import datarax
from datarax.errors import CorruptDataError
from datarax_hf.formats import characters


def as_lines(rows):
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def as_csv(rows):
    lines = [",".join(rows[0])]
    lines += [",".join("" if x is None else str(x) for x in row.values()) for row in rows]
    return ("\n".join(lines) + "\n").encode()


def as_arrow(rows):
    table = pa.Table.from_pylist(rows)
    out = io.BytesIO()
    with pa.ipc.new_file(out, table.schema) as file:
        file.write_table(table)
    return out.getvalue()


WRITE = {"jsonl": as_lines, "csv": as_csv, "arrow": as_arrow}


@pytest.fixture
def folder(tmp_path):
    """Write files of one split, each of some records."""

    def write(kind, *files):
        for number, rows in enumerate(files):
            (tmp_path / f"train-{number}.{kind}").write_bytes(WRITE[kind](rows))
        return f"hf:{tmp_path}"

    return write


def rows(*values):
    return [{"a": value, "b": "t"} for value in values]


def found(uri, **options):
    with datarax.load(uri, **options) as source:
        return [element["a"] for element in source]


@pytest.mark.parametrize("kind", WRITE)
def test_a_column_that_is_null_at_first_has_the_type_of_its_first_values(folder, kind):
    """As the other modes have it; another one is an error with both files."""
    uri = folder(kind, rows(None, None), rows(1, None), rows(2, 3))
    for mode in ("lazy", "streaming"):
        assert found(uri, mode=mode) == [None, None, 1, None, 2, 3]
    uri = folder(kind, rows(None, None), rows(1, None), rows("word", "x"))
    with pytest.raises(CorruptDataError, match="'a'"):
        found(uri, mode="lazy")
    with pytest.raises(
        CorruptDataError, match=r"train-2\..*'a'.*unlike in file 'train-1\."
    ) as told:
        found(uri, mode="streaming")
    assert "records from 0 on" in str(told.value)


@pytest.mark.parametrize(
    ("empty", "first", "later", "other"),
    [
        ([], ["x"], [], [{"z": 1}]),
        ([[]], [[1, None]], [[], [2]], ["x"]),
        ({"p": None, "q": 1}, {"p": "x", "q": 2}, {"p": None, "q": 3}, {"p": [1], "q": 4}),
        ([{"p": []}], [{"p": [2.5]}], [{"p": []}], [{"p": ["x"]}]),
    ],
)
@pytest.mark.parametrize("kind", ["jsonl", "arrow"])
def test_lists_that_are_empty_at_first_have_the_type_of_their_first_values(
    folder, kind, empty, first, later, other
):
    """So have parts of structs that are null; a state from between goes on."""
    files = [rows(empty, None), rows(first), rows(later), rows(empty)]
    uri = folder(kind, *files)
    for mode in ("lazy", "streaming"):
        assert found(uri, mode=mode) == [empty, None, first, later, empty]
    with datarax.load(uri, mode="streaming") as source:
        for done in range(5):
            state = source.get_state()
            with datarax.load(uri, mode="streaming") as again:
                again.set_state(state)
                left = [next(again)["a"] for _ in range(5 - done)]
            assert left == [empty, None, first, later, empty][done:]
            next(source)
    uri = folder(kind, *files[:2], rows(other))
    with pytest.raises(CorruptDataError, match=r"train-2\..*'a'.*unlike in file 'train-1\."):
        found(uri, mode="streaming")


def test_integers_that_come_late_are_not_followed_by_fractions(folder):
    uri = folder("jsonl", rows(None), rows(1), rows(2.5))
    with pytest.raises(CorruptDataError, match=r"train-2\.jsonl.*'a' is double.*'train-1\.jsonl'"):
        found(uri, mode="streaming")
    uri = folder("jsonl", rows(None), rows({"x": 1}), rows({"x": 1, "y": 2}))
    with pytest.raises(CorruptDataError, match=r"train-2\.jsonl.*'a'.*part 'y'"):
        found(uri, mode="streaming")


def test_what_comes_late_may_say_at_first_only_that_it_is_a_list(folder):
    uri = folder("jsonl", rows(None), rows([]), rows([1], []), rows([[2]]))
    with pytest.raises(CorruptDataError, match=r"train-3\.jsonl.*'a'.*'train-2\.jsonl'"):
        found(uri, mode="streaming")
    uri = folder("jsonl", rows(None), rows([]), rows([1], []), rows([2]))
    assert found(uri, mode="streaming") == [None, [], [1], [], [2]]


def test_a_resumed_stream_has_the_types_that_were_found_before_its_state(folder, monkeypatch):
    """Here 1 and 2 are fractions, because the file before holds some."""
    monkeypatch.setattr(characters.Characters.blocks, "__defaults__", (60,))
    fractions = rows(*[0.5] * 10)
    uri = folder("jsonl", rows(*[None] * 10), fractions, rows(*[1] * 10), rows(*[2] * 10))
    with datarax.load(uri, mode="streaming") as source:
        passed = [(element["a"], source.get_state()) for element in source]
    expected = [*[None] * 10, *[0.5] * 10, *[1.0] * 10, *[2.0] * 10]
    assert [repr(value) for value, _ in passed] == [*map(repr, expected)]
    for taken, (_, state) in enumerate(passed[:-1]):
        with datarax.load(uri, mode="streaming") as restored:
            restored.set_state(state)
            values = [repr(element["a"]) for element in restored]
        assert values == [*map(repr, expected[taken + 1 :])]


def test_a_state_of_damaged_types_is_refused(folder):
    uri = folder("jsonl", rows(None), rows(0.5), rows(1, 2))
    with datarax.load(uri, mode="streaming") as source:
        for _ in range(3):
            next(source)
        text = json.dumps(source.get_state())
    types = text.split('"types": "')[1].split('"')[0]
    assert types
    with (
        datarax.load(uri, mode="streaming") as source,
        pytest.raises(ValueError, match="damaged"),
    ):
        source.set_state(json.loads(text.replace(types, "AAAA")))


@pytest.mark.parametrize("kind", ["csv", "arrow"])
@pytest.mark.parametrize(
    "files",
    [
        ([{"a": 1, "b": "x"}], [{"a": 2, "c": "x"}]),
        ([{"a": 1}], [{"a": 2, "b": "x"}]),
    ],
)
def test_files_of_other_columns_are_said_as_in_the_other_modes(folder, kind, files):
    uri = folder(kind, *files)
    with pytest.raises(CorruptDataError, match="do not have the same columns") as expected:
        found(uri, mode="lazy")
    with pytest.raises(CorruptDataError) as told:
        found(uri, mode="streaming")
    assert str(told.value) == str(expected.value)


def test_a_csv_file_that_lacks_a_column_is_no_file_of_nulls(folder, tmp_path):
    """Both files and the column are named, as in the other modes; the card may allow it."""
    uri = folder("csv", [{"a": 1, "b": "x"}], [{"a": 2}])
    for mode in ("lazy", "streaming"):
        with pytest.raises(
            CorruptDataError, match=r"'b' is string in 'train-0.csv' and lacking in 'train-1.csv'"
        ):
            found(uri, mode=mode)
    features = "[{name: a, dtype: int64}, {name: b, dtype: string}]"
    card = f"---\ndataset_info:\n  features: {features}\n---\n"
    (tmp_path / "README.md").write_text(card)
    for mode in ("lazy", "streaming"):
        with datarax.load(uri, mode=mode) as source:
            assert [element["b"] for element in source] == ["x", None]


def test_a_part_of_a_struct_that_comes_late_is_not_left_out(folder):
    for values in (({"x": 1}, {"x": 1, "y": 2}), ([{"x": 1}], [{"x": 1, "y": 2}])):
        uri = folder("jsonl", rows(values[0]), rows(values[1]))
        with pytest.raises(CorruptDataError, match=r"train-1\.jsonl.*'a' is .*part 'y'"):
            found(uri, mode="streaming")
    uri = folder("jsonl", rows({"x": 1, "y": 2}), rows({"x": 1}))
    assert found(uri, mode="streaming") == [{"x": 1, "y": 2}, {"x": 1, "y": None}]


def test_records_without_any_key_come_before_those_that_have_some(folder):
    """As in the other modes, their values are null."""
    uri = folder("jsonl", [{}, {}], [{"a": 1, "b": "x"}])
    for mode in ("lazy", "streaming"):
        assert found(uri, mode=mode) == [None, None, 1]
        filled = found(uri, mode=mode, fill_nulls={"a": -1})
        np.testing.assert_array_equal(filled, [-1, -1, 1])


def test_an_arrow_file_without_records_may_come_first_and_decides(tmp_path):
    """As in the other modes: of types, of what they mean, and of which columns there are."""
    features = {"a": {"_type": "ClassLabel", "names": ["no", "yes"]}, "b": None}
    stored = json.dumps({"info": {"features": features}})
    first = pa.schema([("a", pa.int64()), ("b", pa.float32())], {"huggingface": stored})
    tables = [first.empty_table(), pa.table({"a": pa.array([0, 1], pa.int8())})]
    uri = f"hf:{tmp_path}"

    def write():
        for number, table in enumerate(tables):
            with pa.ipc.new_file(tmp_path / f"train-{number}.arrow", table.schema) as file:
                file.write_table(table)

    write()
    for mode in ("lazy", "streaming"):
        with datarax.load(uri, mode=mode) as source:
            assert [(int(e["a"]), e["b"]) for e in source] == [(0, None), (1, None)]
            assert source.reader.fields["a"].class_names == ("no", "yes")
            assert source.reader.fields["a"].dtype == np.int64
    tables[1] = tables[1].append_column("c", pa.array([1, 2]))
    write()
    for mode in ("lazy", "streaming"):
        with pytest.raises(CorruptDataError, match=r"'c' is lacking in 'train-0.arrow' and int64"):
            datarax.load(uri, mode=mode)
