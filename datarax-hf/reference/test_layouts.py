"""Configs, splits and files: the same as `datasets` finds, for made-up layouts and for each rule."""

from __future__ import annotations

import random

import pytest
import yaml
from datasets.data_files import EmptyDatasetError
from datasets.exceptions import DataFilesNotFoundError
from datasets.load import LocalDatasetModuleFactory

from datarax_hf.card import CARD, read_card
from datarax_hf.layout import find_layout

WORDS = ("train", "test", "val", "dev", "validation", "eval", "training", "a", "data", "x1", "en")
JOINTS = ("-", "_", ".", " ", "", "1")


def name(rng):
    """Return a name that has something of a split in it, or not."""
    parts = rng.sample(WORDS, rng.choice((1, 1, 2)))
    return rng.choice(JOINTS).join(parts) + rng.choice(("", "0", "_1", "-00000-of-00001"))


def files_of(rng, extensions):
    """Return the names of a made-up repository."""
    names = set()
    for _ in range(rng.randint(1, 6)):
        folders = [name(rng) for _ in range(rng.choice((0, 0, 1, 1, 2)))]
        if rng.random() < 0.2:
            folders.insert(0, rng.choice(("data", ".git", "__pycache__")))
        names.add("/".join([*folders, name(rng) + rng.choice(extensions)]))
    return sorted(names)


def write(folder, names, card=None):
    for path in (folder / name for name in names):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x\n1\n")
    if card is not None:
        (folder / CARD).write_text(f"---\n{yaml.safe_dump(card)}---\n")


def theirs(folder):
    """Return (files by split by config, the default config) as `datasets` finds them, or None."""
    try:
        module = LocalDatasetModuleFactory(str(folder)).get_module()
    except (EmptyDatasetError, DataFilesNotFoundError, ValueError, FileNotFoundError):
        return None
    parameters = module.builder_configs_parameters
    found = {}
    for config in parameters.builder_configs:
        files = config.data_files
        if hasattr(files, "resolve"):
            root = folder / (config.data_dir or "")
            files = files.resolve(root.as_posix())
        found[config.name] = {
            str(split): [path.removeprefix(f"{folder.as_posix()}/") for path in paths]
            for split, paths in files.items()
        }
    names = list(found)
    default = parameters.default_config_name
    return found, names[0] if len(names) == 1 else default


def ours(folder, names):
    layout = find_layout([*names, CARD], read_card(folder, "a/b"))
    found = {
        config: {split: list(files) for split, files in splits.items() if files}
        for config, splits in layout.configs.items()
    }
    return found, layout.default


def once(names):
    return list(dict.fromkeys(names))


@pytest.mark.parametrize("seed", range(150))
def test_names_alone_give_the_splits_that_datasets_finds(tmp_path, seed):
    """Of files of one format, by rules of folders, names and shards, in the same order."""
    rng = random.Random(seed)
    names = files_of(rng, (rng.choice((".csv", ".jsonl", ".parquet", ".txt")),))
    write(tmp_path, names)
    expected = theirs(tmp_path)
    found, _ = ours(tmp_path, names)
    if expected is None:  # hidden files only, or a shard's name that is no split's there
        assert not any(found["default"].values()) or "-of-" in str(names)
        return
    splits = {split: once(files) for split, files in expected[0]["default"].items()}
    assert found["default"] == splits


@pytest.mark.parametrize("seed", range(60))
def test_the_format_of_most_files_is_read_as_datasets_does(tmp_path, seed):
    """Where files of several formats lie together."""
    rng = random.Random(1000 + seed)
    extensions = rng.sample((".csv", ".tsv", ".jsonl", ".json", ".txt", ".parquet", ".arrow"), 2)
    names = [f"{number}{rng.choice(extensions)}" for number in range(rng.randint(1, 6))]
    write(tmp_path, names)
    expected = theirs(tmp_path)
    assert expected is not None
    assert ours(tmp_path, names)[0]["default"] == expected[0]["default"]


FILES = ["a.csv", "data/b.csv", "data/c.csv", "data/x/d.csv", "other/train.csv", "other/test.csv"]


@pytest.mark.parametrize(
    "configs",
    [
        [{"config_name": "one", "data_files": "a.csv"}],
        [{"config_name": "one", "data_files": "data/*"}],
        [{"config_name": "one", "data_files": "data/**"}],
        [{"config_name": "one", "data_files": "**/*.csv"}],
        [{"config_name": "one", "data_files": "data/[bc].csv"}],
        [{"config_name": "one", "data_files": "data/?.csv"}],
        [{"config_name": "one", "data_files": ["data/c.csv", "data/b.csv", "data/*.csv"]}],
        [{"config_name": "one", "data_files": ["a.csv", "data/b.csv", "a.csv"]}],
        [{"config_name": "one", "data_files": [{"split": "s", "path": "data/*.csv"}]}],
        [
            {
                "config_name": "one",
                "data_files": [
                    {"split": "s", "path": ["data/c.csv", "a.csv"]},
                    {"split": "train", "path": "other/*"},
                ],
            }
        ],
        [{"config_name": "one", "data_dir": "other"}],
        [{"config_name": "one", "data_dir": "data", "data_files": "*.csv"}],
        [{"config_name": "a", "data_dir": "data"}, {"config_name": "b", "data_dir": "other"}],
        [
            {"config_name": "a", "data_files": "a.csv"},
            {"config_name": "b", "data_files": "data/b.csv", "default": True},
        ],
        [
            {"config_name": "a", "data_files": "a.csv"},
            {"config_name": "default", "data_files": "data/b.csv"},
        ],
        [{"config_name": "one", "data_files": "a.csv", "sep": ";"}],
    ],
)
def test_cards_give_the_configs_that_datasets_finds(tmp_path, configs):
    """Globs, lists, splits, folders, defaults; a file that two patterns ask for counts twice."""
    write(tmp_path, FILES, {"configs": configs})
    expected = theirs(tmp_path)
    assert expected is not None
    splits, default = expected
    found, own = ours(tmp_path, FILES)
    assert found == {
        config: {split: list(files) for split, files in of.items()} for config, of in splits.items()
    }
    assert own == default


@pytest.mark.parametrize(
    ("infos", "default"), [(["a"], "a"), (["a", "b"], None), (["other"], None)]
)
def test_the_only_described_config_is_the_default(tmp_path, infos, default):
    """Where no config is marked as the default."""
    card = {
        "configs": [
            {"config_name": "a", "data_files": "a.csv"},
            {"config_name": "b", "data_files": "data/b.csv"},
        ],
        "dataset_info": [{"config_name": config, "features": []} for config in infos],
    }
    write(tmp_path, FILES, card)
    expected = theirs(tmp_path)
    assert expected is not None
    if default is not None:
        assert expected[1] == default
    assert ours(tmp_path, FILES)[1] == default


@pytest.mark.parametrize(
    "names",
    [
        ["cat/1.png", "dog/2.png"],
        ["train/cat/1.png", "train/dog/2.jpg", "test/cat/3.png"],
        ["metadata.csv", "1.png", "2.png"],
        ["train/metadata.jsonl", "train/1.png", "test/metadata.jsonl", "test/1.png"],
        ["a.csv", "1.png", "2.png"],
        ["a.csv.gz", "b.csv.gz"],
        ["a.csv", "config.json", "dataset_info.json"],
        ["train.csv", "README.txt", "notes.txt", "more.txt"],
    ],
)
def test_images_and_odd_files_fall_where_datasets_puts_them(tmp_path, names):
    """Metadata files go with their images; what describes a repository is no data."""
    write(tmp_path, names)
    expected = theirs(tmp_path)
    assert expected is not None
    assert ours(tmp_path, names)[0]["default"] == expected[0]["default"]
