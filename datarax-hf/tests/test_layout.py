"""Configs and splits, from cards and from file names."""

from __future__ import annotations

from pathlib import Path

import pytest

from datarax.errors import UnknownConfigError
from datarax_hf.cache import Snapshot
from datarax_hf.card import parse_card
from datarax_hf.contents import read_contents
from datarax_hf.layout import find_layout, glob_pattern, lacking_shards, splits_by_name


def layout(files, yaml=""):
    return find_layout(files, parse_card(f"---\n{yaml}\n---\n# Title\n", "a/b"))


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (["x.parquet"], {"train": ["x.parquet"]}),
        (["train.parquet", "test.parquet"], {"train": ["train.parquet"], "test": ["test.parquet"]}),
        (["dev.parquet"], {"validation": ["dev.parquet"]}),
        (
            ["my-val_1.parquet", "eval.parquet"],
            {"validation": ["my-val_1.parquet"], "test": ["eval.parquet"]},
        ),
        (
            ["training/a.parquet", "valid/b.parquet"],
            {"train": ["training/a.parquet"], "validation": ["valid/b.parquet"]},
        ),
        (["data/2020-testing/a.parquet"], {"test": ["data/2020-testing/a.parquet"]}),
        (
            ["constrain.parquet", "latest.parquet"],
            {"train": ["constrain.parquet", "latest.parquet"]},
        ),
        (
            ["data/extra-00000-of-00001.parquet", "data/train-00000-of-00001-0a1b.parquet"],
            {
                "train": ["data/train-00000-of-00001-0a1b.parquet"],
                "extra": ["data/extra-00000-of-00001.parquet"],
            },
        ),
        ([".hidden/train.parquet", "__x/train.parquet", "a.py"], {}),
    ],
)
def test_file_and_folder_names_tell_splits(files, splits):
    """Sharded names in data/, else folders, else file names; else all is train."""
    found = find_layout(files, parse_card("", "a/b")).configs["default"]
    assert {split: list(names) for split, names in found.items()} == splits


def test_splits_stand_in_their_usual_order():
    """Train, validation, test; others by name."""
    names = [f"data/{split}-00000-of-00001.parquet" for split in ("b", "test", "a", "train")]
    assert list(splits_by_name(names)) == ["train", "test", "a", "b"]


@pytest.mark.parametrize(
    ("data_files", "splits"),
    [
        ("data_files: 'data/*.parquet'", {"train": ["data/a.parquet", "data/b.parquet"]}),
        (
            "data_files: [data/b.parquet, data/a.parquet]",
            {"train": ["data/b.parquet", "data/a.parquet"]},
        ),
        ("data_files: {dev: data/a.parquet}", {"dev": ["data/a.parquet"]}),
        (
            "data_files: [{split: x, path: ['data/a*', 'data/b*']}]",
            {"x": ["data/a.parquet", "data/b.parquet"]},
        ),
        (
            "data_files: [{split: x, path: '**/*.parquet'}]",
            {"x": ["c.parquet", "data/a.parquet", "data/b.parquet"]},
        ),
        ("data_dir: data", {"train": ["data/a.parquet", "data/b.parquet"]}),
        ("{}", {"train": ["c.parquet", "data/a.parquet", "data/b.parquet"]}),
    ],
)
def test_cards_name_files_in_several_forms(data_files, splits):
    """A glob, a list, a mapping, entries of split and path, a folder, or nothing."""
    entry = "" if data_files == "{}" else f"  {data_files}\n"
    found = layout(
        ["data/a.parquet", "data/b.parquet", "c.parquet"], f"configs:\n- config_name: one\n{entry}"
    )
    assert found.default == "one"
    assert {split: list(names) for split, names in found.configs["one"].items()} == splits


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("data/train-*", ["data/train-0.parquet"], ["data/x/train-0", "data/test-0"]),
        ("**/a.parquet", ["a.parquet", "x/a.parquet", "x/y/a.parquet"], ["xa.parquet"]),
        ("x/**", ["x/a", "x/y/a"], ["y/a"]),
        ("a[0-9].p", ["a1.p"], ["ab.p", "a12.p"]),
        ("a[!0-9].p", ["ab.p"], ["a1.p"]),
        ("{en,fr}/*.parquet", ["en/a.parquet", "fr/b.parquet"], ["de/a.parquet"]),
        ("./a?.parquet", ["ab.parquet"], ["a/.parquet"]),
        ("a+b(1).parquet", ["a+b(1).parquet"], ["aab1.parquet"]),
    ],
)
def test_globs_match_as_the_hub_matches_them(glob, yes, no):
    """A star stays within a folder, two stars cross folders."""
    pattern = glob_pattern(glob)
    assert all(pattern.fullmatch(name) for name in yes)
    assert not any(pattern.fullmatch(name) for name in no)


@pytest.mark.parametrize(
    ("configs", "default"),
    [
        ([("a", "")], "a"),
        ([("a", ""), ("b", "default: true")], "b"),
        ([("a", ""), ("default", "")], "default"),
        ([("a", ""), ("b", "")], None),
    ],
)
def test_the_default_config_is_the_only_one_the_marked_one_or_the_one_so_named(configs, default):
    """Else one must be asked for, and the error lists them."""
    yaml = "configs:\n" + "".join(f"- config_name: {n}\n  {extra}\n" for n, extra in configs)
    found = layout(["x.parquet"], yaml)
    assert found.default == default
    if default is None:
        with pytest.raises(UnknownConfigError, match=r"'a', 'b'.*say which with config="):
            found.choose(None, dataset="hf:a/b")
    with pytest.raises(UnknownConfigError, match="has no config 'defaul'"):
        found.choose("defaul", dataset="hf:a/b")


def test_lacking_shards_are_those_the_numbering_promises():
    """A hash that each name ends in is not made up."""
    assert lacking_shards(["x/t-00000-of-00001.parquet"]) == []
    assert lacking_shards(["t-00001-of-00002.parquet"]) == ["t-00000-of-00002.parquet"]
    assert lacking_shards(["t-00001-of-00002-ab12.parquet"]) == ["t-00000-of-00002*.parquet"]


@pytest.mark.parametrize(
    "yaml",
    [
        "configs: [",
        "configs: 7",
        "configs: [{data_files: 3}]",
        "- a\n- b",
        "a: &x [*x",
        pytest.param("a: " + "[" * 50_000, id="deep"),
        "configs: [{config_name: a, data_files: [{path: x}]}]",
    ],
)
def test_a_card_that_cannot_be_read_is_a_note_and_file_names_speak(yaml):
    """The note names the card; the line too, where YAML says it."""
    card = parse_card(f"---\n{yaml}\n---\n", "a/b")
    assert "a/b/README.md" in card.notes[0]
    assert find_layout(["train.parquet"], card).configs == {
        "default": {"train": ("train.parquet",)}
    }


def test_a_card_without_yaml_is_empty():
    """So is a missing one."""
    assert parse_card("# Title\n---\nx: 1\n---\n", "a/b").meta == {}


def test_the_yaml_form_of_features_is_read(make):
    """The card's features mean what parquet metadata would say."""
    card = parse_card(
        """---
dataset_info:
  features:
  - {name: image, dtype: image}
  - name: label
    dtype:
      class_label:
        names: {'0': cat, '1': dog}
  - {name: a, dtype: {array2_d: {shape: [2, 3], dtype: int32}}}
  - {name: l, list: float32, length: 4}
  - {name: s, sequence: int64}
  - name: q
    struct:
    - {name: x, dtype: string}
  splits:
  - {name: train, num_examples: 12}
---
""",
        "a/b",
    )
    assert card.features("default") == {
        "image": {"_type": "Image"},
        "label": make.labels("cat", "dog"),
        "a": {"shape": [2, 3], "dtype": "int32", "_type": "Array2D"},
        "l": {"feature": make.value("float32"), "length": 4, "_type": "List"},
        "s": {"feature": make.value("int64"), "length": -1, "_type": "List"},
        "q": {"x": make.value("string")},
    }
    assert card.records("default") == {"train": 12}


def test_a_folder_of_this_machine_may_lie_directly_under_the_root():
    """It is no cache, whose folders lie deeper."""
    snapshot = Snapshot("/data", "", "", Path("/data"), {"train.csv": 4}, complete=True)
    assert list(read_contents(snapshot).layout.configs) == ["default"]
