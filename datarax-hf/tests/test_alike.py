"""Parsed files of one split that look like other types: each value is the one that was written."""

from __future__ import annotations

import json

import numpy as np
import pytest

import datarax
from datarax.errors import CorruptDataError

DAYS = {
    "text": ["2020-01-01", "b"],
    "lists": [["2020-01-01", "2020-01-02"], ["b"]],
    "structs": [{"a": "2020-01-01"}, {"a": "b"}],
    "structs in lists": [[{"a": "2020-01-01", "n": 1}], [{"a": "b", "n": 2}]],
}
"""A value that looks like times throughout, and one that does not."""

SEEN = {
    "whole numbers and fractions": ([1, 2], [1.5]),
    "fractions and whole numbers": ([0.5, 2.0], [1.0]),
    "nothing and text": ([None, None], ["k"]),
    "text and nothing": (["k", None], [None]),
    "times and text": (["2020-01-01", None], ["k"]),
    "several kinds and one": ([[1], "k"], [7]),
}
"""What two metadata files hold in one column."""


@pytest.fixture
def write(tmp_path, cache):
    """Write files and return the URI of their folder."""

    def write_(files):
        for name, data in files.items():
            path = tmp_path / "repo" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return f"hf:{tmp_path / 'repo'}"

    return write_


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def values(uri, name, **options):
    """Return what a column holds, without arrays."""
    with datarax.load(uri, **options) as source:
        found = [record[name] for record in source]
    return [value.tolist() if hasattr(value, "__array__") else value for value in found]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", DAYS)
def test_text_of_json_is_as_written_whatever_other_files_hold(write, kind, turned):
    """Text that looks like times in one file, and not in another, is not rewritten as times."""
    held = DAYS[kind][::-1] if turned else DAYS[kind]
    uri = write({f"train-{n}.jsonl": lines([{"y": n, "x": value}]) for n, value in enumerate(held)})
    for mode in ("eager", "lazy"):
        assert values(uri, "x", mode=mode) == held
    if turned:
        assert values(uri, "x", mode="streaming") == held


def test_a_stream_that_began_with_times_says_what_reads_the_text(write):
    """It has handed out the times by then."""
    uri = write({f"train-{n}.jsonl": lines([{"x": x}]) for n, x in enumerate(DAYS["lists"])})
    with pytest.raises(CorruptDataError, match="mode='lazy'"):
        values(uri, "x", mode="streaming")
    assert values(uri, "x", mode="lazy") == DAYS["lists"]


@pytest.mark.parametrize("mode", ["eager", "lazy", "streaming"])
@pytest.mark.parametrize("kind", SEEN)
def test_metadata_files_may_differ_in_what_is_inferred(write, make, kind, mode):
    """As other JSON files: the types are wide enough for all of them."""
    image = make.png(np.zeros((2, 2), np.uint8))["bytes"]
    first, second = SEEN[kind]
    uri = write(
        {
            **dict.fromkeys(["train/a/0.png", "train/a/1.png", "train/b/0.png"], image),
            "train/a/metadata.jsonl": lines(
                [{"file_name": f"{n}.png", "x": value} for n, value in enumerate(first)]
            ),
            "train/b/metadata.jsonl": lines([{"file_name": "0.png", "x": second[0]}]),
        }
    )
    assert values(uri, "x", mode=mode) == [*first, *second]


@pytest.mark.parametrize("mode", ["eager", "lazy", "streaming"])
def test_metadata_files_of_csv_may_differ_too(write, make, mode):
    """In columns that one of them lacks as well."""
    image = make.png(np.zeros((2, 2), np.uint8))["bytes"]
    uri = write(
        {
            **dict.fromkeys(["train/a/0.png", "train/b/0.png"], image),
            "train/a/metadata.csv": "file_name,x\n0.png,1\n",
            "train/b/metadata.csv": "file_name,x,y\n0.png,1.5,k\n",
        }
    )
    assert values(uri, "x", mode=mode) == [1.0, 1.5]
    assert values(uri, "y", mode=mode) == [None, "k"]


@pytest.mark.parametrize("mode", ["eager", "lazy", "streaming"])
def test_a_column_of_images_may_hold_none_in_one_metadata_file(write, make, mode):
    """It is a column of images by what the other file holds."""
    image = make.png(np.full((2, 2), 7, np.uint8))["bytes"]
    uri = write(
        {
            **dict.fromkeys(["train/a/0.png", "train/b/0.png"], image),
            "train/a/metadata.jsonl": lines([{"file_name": "0.png", "more_file_name": None}]),
            "train/b/metadata.jsonl": lines([{"file_name": "0.png", "more_file_name": "0.png"}]),
        }
    )
    assert values(uri, "more", mode=mode) == [None, [[7, 7], [7, 7]]]


@pytest.mark.parametrize("mode", ["eager", "lazy", "streaming"])
@pytest.mark.parametrize("named", ["0.dat", ".hidden/0.png", "other/0.png"])
def test_metadata_may_name_any_file_of_a_folder_of_this_machine(write, make, mode, named):
    """Also one that is none of the split's, by its extension, a hidden folder or the card."""
    first, second = (make.png(np.full((2, 2), n, np.uint8))["bytes"] for n in (1, 2))
    uri = write(
        {
            "README.md": "---\nconfigs:\n- config_name: default\n  data_files:\n"
            "  - {split: train, path: [metadata.jsonl, 'in/*']}\n---\n",
            named: first,
            "in/1.png": second,
            "metadata.jsonl": lines([{"file_name": named}, {"file_name": "in/1.png"}]),
        }
    )
    assert values(uri, "image", mode=mode) == [[[n, n], [n, n]] for n in (1, 2)]
