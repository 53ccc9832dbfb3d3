"""Split expressions over a Hub dataset: `all`, and percents in whole hundredths."""

from __future__ import annotations

import pytest

import datarax
from datarax.errors import CacheMissError, UnknownSplitError
from datarax.registry.loading import fetch, inspect

MODES = pytest.mark.parametrize("mode", ["eager", "lazy", "streaming"])
SPLITS = {"train": 230, "test": 101}


@pytest.fixture
def numbers(hub, make):
    """Publish a/b, and return its numbers by split."""
    values, start, files = {}, 0, {}
    for split, count in SPLITS.items():
        values[split] = list(range(start, start + count))
        start += count
        files[f"data/{split}-00000-of-00001.parquet"] = make.parquet({"x": values[split]})
    hub.publish("a/b", files)
    return values


def read(**options):
    with datarax.load("hf:a/b", **options) as source:
        return [int(record["x"]) for record in source]


@MODES
def test_all_is_every_split(numbers, mode):
    """One after another; `inspect` and `fetch` take it too."""
    assert read(split="all", mode=mode) == numbers["train"] + numbers["test"]
    assert len(fetch("hf:a/b", split="all").files) == 2
    assert inspect("hf:a/b", split="all").records == 331


@MODES
@pytest.mark.parametrize(
    ("split", "first", "last"),
    [
        ("train[:10%](pct1_dropremainder)", 0, 20),
        ("train[10%:](pct1_dropremainder)", 20, 230),
        ("train[-1%:](pct1_dropremainder)", 228, 230),
        ("train[:1%](closest)", 0, 2),
        ("test[:50%](pct1_dropremainder)", 230, 280),
    ],
)
def test_percents_can_count_whole_hundredths(numbers, mode, split, first, last):
    """A state of the one is none of the other."""
    with datarax.load("hf:a/b", split=split, mode=mode) as source:
        assert [int(record["x"]) for record in source] == list(range(first, last))
        said = source.reader.identity["split"]
    assert ("pct1_dropremainder" in said) == ("pct1_dropremainder" in split)


@MODES
def test_hundredths_of_fewer_than_a_hundred_records_are_refused(hub, make, mode):
    """As `datasets` refuses them: it would be no record at all."""
    hub.publish("a/b", {"train.parquet": make.parquet({"x": [1, 2]})})
    with pytest.raises(UnknownSplitError, match="'train' has 2 records, and a hundredth of it"):
        read(split="train[:50%](pct1_dropremainder)", mode=mode)


def test_all_with_a_split_that_cannot_be_read_is_refused(hub):
    """Nobody asked for a part of it."""
    hub.publish("a/b", {"train/a.csv": "x\n1\n", "test/a.tar": "x"})
    with pytest.raises(UnknownSplitError, match=r"'test' has .* webdataset files.*of 'train'"):
        read(split="all")
    assert read() == [1]
    assert len(fetch("hf:a/b").files) == 1


def test_all_is_a_miss_where_the_splits_are_not_known(cache, make, hub):
    """A cache without a card and a listing may lack some."""
    make.snapshot(cache, "a/b", {"data/test-00000-of-00001.parquet": make.parquet({"x": [1]})})
    with pytest.raises(CacheMissError, match="there may be splits that it lacks"):
        read(split="all", local_files_only=True)
    assert read(split="test", local_files_only=True) == [1]


@MODES
@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_a_file_that_a_card_asks_for_twice_is_read_twice(hub, make, mode, kind):
    """In order, shuffled and as shared by splits; it is fetched, counted and compared once."""
    files = {}
    for name, values in {"a": [0, 10], "b": [1, 11]}.items():
        lines = "".join(f'{{"x": {value}}}\n' for value in values)
        files[f"{name}.{kind}"] = make.parquet({"x": values}) if kind == "parquet" else lines
    path = f"[a.{kind}, b.{kind}, a.{kind}]"
    entries = f"  - {{split: train, path: {path}}}\n  - {{split: test, path: a.{kind}}}\n"
    files["README.md"] = f"---\nconfigs:\n- config_name: one\n  data_files:\n{entries}---\n"
    hub.publish("a/b", files)
    assert read(split="train", mode=mode) == [0, 10, 1, 11, 0, 10]
    assert read(split="test+train[1:]", mode=mode) == [0, 10, 10, 1, 11, 0, 10]
    shuffled = read(split="train", mode=mode, shuffle=True, verify=mode != "streaming")
    assert sorted(shuffled) == [0, 0, 1, 10, 10, 11]
    shared = read(split="test+train[:4]", mode=mode, shuffle=True)
    assert sorted(shared) == [0, 0, 1, 10, 10, 11]
    assert len(fetch("hf:a/b", split="all").files) == 3
    train = inspect("hf:a/b", split="train").splits["train"]
    data = sum(len(content) for name, content in files.items() if name != "README.md")
    assert (train.records, train.bytes) == (6, data)
