"""Split expressions select the records that `datasets` selects."""

from __future__ import annotations

import datasets
import pytest

import datarax


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of two splits of numbers."""
    place = tmp_path_factory.mktemp("numbers")
    for split, numbers in {"train": range(1234), "test": range(2000, 2151)}.items():
        (place / f"{split}.csv").write_text("\n".join(["x", *map(str, numbers)]) + "\n")
    return place


@pytest.mark.parametrize(
    "split",
    [
        "all",
        "train+test",
        "train[:33%]",
        "train[33%:67%](closest)",
        "train[:33%](pct1_dropremainder)",
        "train[33%:67%](pct1_dropremainder)",
        "train[67%:](pct1_dropremainder)",
        "train[-5%:](pct1_dropremainder)",
        "test[:-99%](pct1_dropremainder)",
        "test[:50%](pct1_dropremainder)+train[1%:2%](pct1_dropremainder)",
    ],
)
def test_the_same_records_are_selected(folder, tmp_path, split):
    """By number, in the same order."""
    theirs = datasets.load_dataset(str(folder), split=split, cache_dir=str(tmp_path))["x"]
    with datarax.load(f"hf:{folder}", split=split, mode="lazy") as source:
        assert [int(record["x"]) for record in source] == list(theirs)
