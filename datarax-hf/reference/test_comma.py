"""CSV in odd shapes: the values that the library `datasets` reads, lazy and streaming."""

from __future__ import annotations

import random
import re

import datasets
import jax
import pyarrow as pa
import pytest
import yaml
from datasets.packaged_modules.csv.csv import Csv

import datarax
from datarax.errors import DataraxError
from datarax_hf.formats import comma_text

SEEDS = 120
WORDS = (
    *("1", "2", "-3", "007", " 5 ", "+4", "0x1A", "-0x1", "1.5", "1e3", ".5", "5.", "-inf", "inf"),
    *("Infinity", " inf", "NaN", "NAN", "1e400", "1e20", "1d", "True", "false", "yes", "", "NA"),
    *(
        "null",
        "<NA>",
        "x",
        "a b",
        '"q"',
        '""',
        '"a,b"',
        '"l1\nl2"',
        '"l1\r\nl2"',
        "it's",
        "ü",
        "日",
    ),
    *(" pad ", "2020-01-01", "12:30", "  ", "\t", 'x"y', '"a"b', '"a""b"', '" "', "1 2", "\x0b1"),
    *("\u00a01", "1_0", "-", "."),
)
SOUP = 'a,,1"\n\n\r \t2'
OPTIONS = (
    *({}, {}, {}, {}, {"header": None}, {"header": 1}, {"names": ["p", "q"]}),
    {"names": ["p", "q", "r"], "header": 0},
    {"skip_blank_lines": False},
    {"sep": " "},
    {"sep": "\t"},
    {"quoting": 3},
    {"doublequote": False},
    {"escapechar": "\\"},
    {"na_values": {"a": "x", 1: ["1", 5]}},
    {"na_values": ["-", 1.5]},
    {"keep_default_na": False},
)


def made_up(rng):
    """Return a table with rows of other widths and lines of blanks, or mere characters."""
    if rng.random() < 0.3:
        return "".join(rng.choice(SOUP) for _ in range(rng.randint(1, 30)))
    width = rng.randint(1, 4)
    pools = [rng.sample(WORDS, rng.randint(1, 3)) for _ in range(width)]
    rows = [[rng.choice(("a", "b", "a.1", "", "a")) for _ in range(width)]]
    for _ in range(rng.randint(0, 6)):
        row = [rng.choice(pool) for pool in pools]
        chance = rng.random()
        if chance < 0.1:
            row = row[: rng.randint(0, width)]
        elif chance < 0.13:
            row.append(rng.choice(("", "9")))
        elif chance < 0.16:
            row = [rng.choice(("  ", "\t", "", " \t"))]
        rows.append(row)
    if rng.random() < 0.1:  # row names
        rows[1:] = [[*row, rng.choice(("", "7"))] for row in rows[1:]]
    ends = rng.choice(("\n", "\n", "\r\n", "\r"))
    return ends.join(",".join(row) for row in rows) + rng.choice((ends, ""))


def theirs(path, options):
    """Return the records that the library's CSV reader makes of a file, or its error."""
    reader = Csv(cache_dir=str(path.parent.parent / "theirs"), data_files=str(path), **options)
    try:
        tables = [table for _, table in reader._generate_tables([str(path)], [[str(path)]])]
    except (ValueError, OverflowError, pa.ArrowException) as error:
        return error
    return [plain(row) for row in pa.concat_tables(tables).to_pylist()]


def ours(folder, mode):
    try:
        with datarax.load(f"hf:{folder}", mode=mode, derived_dir=str(folder.parent)) as source:
            return [plain(element) for element in source]
    except DataraxError as error:
        return error


def plain(row):
    """Return a record by name, whole numbers and fractions alike, NaN as None."""
    found = {}
    for name, value in row.items():
        number = value.item() if hasattr(value, "item") else value
        found[name] = None if number != number else number  # NaN
    return found


def same(expected, found):
    """Return whether records are the same, but for row names that pandas takes for mere numbers."""
    names = set().union(*expected)
    return len(expected) == len(found) and all(
        {name for name in other if name in names or "__index" not in name} == set(row)
        and all(near(row[name], other[name]) for name in row)
        for row, other in zip(expected, found, strict=True)
    )


def near(one, other):
    """Return whether values are the same; pandas is off by the last bit of some fractions."""
    if isinstance(one, float) and type(other) in {int, float}:
        return one == other or abs(one - other) <= 1e-14 * abs(one)
    return type(one) is type(other) and one == other


@pytest.fixture(autouse=True)
def wide(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("seed", range(SEEDS))
def test_made_up_files_are_read_as_datasets_reads_them(tmp_path, monkeypatch, seed):
    """Quotes, blanks, numbers, widths, line ends, options; in one piece and in small ones.

    Left out is what pandas itself gets wrong: a lone return before a separator takes a field away.
    """
    rng = random.Random(seed)
    text, options = made_up(rng), rng.choice(OPTIONS)
    if re.search(r"\r[, \t]", text):
        text = text.replace("\r", "")
    path = tmp_path / "repo" / "a.csv"
    path.parent.mkdir()
    path.write_bytes(text.encode())
    card = {"configs": [{"config_name": "default", "data_files": "a.csv", **options}]}
    (path.parent / "README.md").write_text(f"---\n{yaml.safe_dump(card)}---\n")
    expected = theirs(path, options)
    if isinstance(expected, Exception) or not expected:
        return
    if rng.random() < 0.5:
        monkeypatch.setattr(comma_text, "BLOCK", rng.choice((5, 17)))
    monkeypatch.setattr(comma_text, "LOOKED_AT", rng.choice((3, 12, 2**15)))
    found = ours(path.parent, "lazy")
    assert not isinstance(found, Exception), found
    assert same(expected, found), (text, options, expected, found)
    streamed = ours(path.parent, "streaming")
    if isinstance(streamed, Exception):
        assert "unlike in the beginning" in str(streamed) or "null values" in str(streamed)
    else:
        assert same(expected, streamed), (text, options, expected, streamed)


LABELS = {
    "names that are other numbers": (["1", "2", "3"], ["1", "0", "1"]),
    "names the other way round": (["1", "0"], ["1", "0"]),
    "names with zeros before them": (["01", "00"], ["01", "00"]),
    "names that are fractions": (["1.0", "0.0"], ["1.0", "0.0"]),
    "names that are truth": (["True", "False"], ["True", "False"]),
    "names and numbers": (["a", "b"], ["a", "1"]),
    "a name that is a number, among words": (["a", "1"], ["a", "1"]),
    "a name that is a number, alone": (["a", "1"], ["1", "1"]),
    "words": (["yes", "no"], ["no", "yes"]),
}


@pytest.mark.parametrize("mode", ["lazy", "streaming"])
@pytest.mark.parametrize("case", LABELS)
def test_classes_are_numbers_where_the_column_is(tmp_path, case, mode):
    """Whatever their names look like: names count in columns of words."""
    names, values = LABELS[case]
    classes = {str(number): name for number, name in enumerate(names)}
    features = [{"name": "y", "dtype": {"class_label": {"names": classes}}}]
    card = yaml.safe_dump({"dataset_info": {"features": features}})
    (tmp_path / "README.md").write_text(f"---\n{card}---\n")
    (tmp_path / "train.csv").write_text("\n".join(["y", *values, ""]))
    theirs = datasets.load_dataset(str(tmp_path), split="train", cache_dir=tmp_path / "cache")
    with datarax.load(f"hf:{tmp_path}", mode=mode) as source:
        assert [int(record["y"]) for record in source] == theirs["y"][:]


def test_classes_mean_the_same_throughout_a_long_file(tmp_path):
    """Which is read block by block."""
    classes = {"0": "1", "1": "2", "2": "3"}
    features = [
        {"name": "y", "dtype": {"class_label": {"names": classes}}},
        {"name": "z", "dtype": "string"},
    ]
    card = yaml.safe_dump({"dataset_info": {"features": features}})
    (tmp_path / "README.md").write_text(f"---\n{card}---\n")
    labels = [1] * 2500 + [0] + [1] * 2500
    rows = "".join(f"{label},{'a' * 9000}\n" for label in labels)
    (tmp_path / "train.csv").write_text(f"y,z\n{rows}")
    for mode in ("lazy", "streaming"):
        with datarax.load(f"hf:{tmp_path}", mode=mode) as source:
            assert [int(record["y"]) for record in source] == labels
