"""Columns that are aligned, and lines that fit the terminal and lose nothing that matters."""

import json

import pytest

from datarax.cli import output
from datarax.cli.tables import display_width, pairs, shorten, table, wrap


def test_columns_are_aligned_under_their_headings():
    text = table(("name", "size"), [("a", 1), ("longer", 100)], None, right=("size",))
    assert text.splitlines() == ["NAME    SIZE", "a          1", "longer   100"]


def test_what_is_not_known_is_a_dash_and_lines_end_without_blanks():
    assert table(("a", "b"), [(None, ""), ("x\ny", "  z ")], None).splitlines() == [
        "A    B",
        "-",
        "x y  z",
    ]


def test_the_last_column_is_wrapped_and_loses_nothing():
    words = "a summary of many words that goes on for longer than the line"
    lines = table(("name", "summary"), [("toy", words)], 40).splitlines()
    assert max(map(len, lines)) <= 40
    assert " ".join(line[6:].strip() for line in lines[1:]) == words
    assert all(line.startswith("      ") for line in lines[2:])


def test_where_that_is_not_enough_the_widest_column_is_cut():
    row = ("a" * 40, "bb", "c" * 30)
    lines = table(("first", "second", "third"), [row], 50).splitlines()
    assert max(map(len, lines)) <= 50
    assert lines[1].startswith("a" * 19 + "…  bb")
    assert "".join(line[-20:].strip() for line in lines[1:]) == "c" * 30


def test_without_a_width_nothing_is_cut():
    assert "a" * 500 in table(("x", "y"), [("a" * 500, "b" * 500)], None)


@pytest.mark.parametrize("width", [1, 5, 12, 24])
def test_a_very_narrow_terminal_is_no_error(width):
    assert table(("first", "second"), [("word " * 9, "word " * 9)], width)
    assert pairs([("name", "word " * 9)], width)


def test_wide_characters_take_two_columns_and_combining_ones_none():
    assert display_width("日本") == 4
    assert display_width("e\u0301") == 1
    lines = table(("a", "b"), [("日本", "x"), ("abcd", "y")], None).splitlines()
    assert lines == ["A     B", "日本  x", "abcd  y"]
    assert shorten("日本語です", 5) == "日本…"


def test_a_word_wider_than_a_line_is_broken():
    assert wrap("ab " + "x" * 7 + " c", 3) == ["ab", "xxx", "xxx", "x c"]


def test_pairs_leave_out_what_has_no_value():
    text = pairs([("name", "x"), ("nothing", None), ("empty", ""), ("long name", 0)], None)
    assert text.splitlines() == ["name       x", "long name  0"]
    assert pairs([("nothing", None)], 10) == ""


def test_json_has_a_line_for_each_key_and_lists_of_values_on_one():
    value = {"a": [[1, 2], [3]], "b": [{"c": None}, 1], "d": {}, "e": [], "é": "\x1b"}
    text = output.as_json(value)
    assert json.loads(text) == value
    assert '"a": [[1, 2], [3]],\n' in text
    assert text.isascii()


def test_the_width_is_that_of_columns_or_of_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "57")
    assert output.width() == 57
    monkeypatch.delenv("COLUMNS")
    assert output.width() is None
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert output.width() > 0
