"""`inspect`: what card, README, listing and files say of a dataset before it is loaded."""

from __future__ import annotations

import numpy as np
import pytest

from datarax.errors import CorruptDataError, UnknownSplitError
from datarax.registry.loading import inspect
from datarax_hf import HubConnectionError
from datarax_hf.readme import citation_in, description_in

README = """---
license:
- cc-by-4.0
- other
pretty_name: Hand-written digits
dataset_info:
  features:
  - {name: image, dtype: image}
  - {name: label, dtype: {class_label: {names: {'0': zero, '1': one}}}}
  splits: [{name: train, num_examples: 5}, {name: test, num_examples: 2}]
---
# Dataset Card for digits

<!-- not this -->
## Table of Contents
- [Summary](#summary)

## Dataset Description

- **Homepage:** http://example.org
- **Repository:** [more](http://example.org)

### Dataset Summary

Digits, written by
hand in `1998`.

The second paragraph.

### Citation Information

```
@article{digits,
  title={Digits {by} hand},
}
```
"""
TRAIN = "data/train-00000-of-00001.parquet"
TEST = "data/test-00000-of-00001.parquet"


@pytest.fixture
def digits(hub, make):
    """Publish a/digits, and return its commit and the bytes of its files."""
    files = {TRAIN: make.digits(5)[2], TEST: make.digits(2)[2]}
    return hub.publish("a/digits", {"README.md": README, **files}), files


def test_it_tells_all_that_the_hub_knows_and_downloads_no_data(digits, hub):
    """Licence, citation, description, revision, classes, records, and the bytes of each split."""
    commit, files = digits
    info = inspect("hf:a/digits")
    assert info.licence == "cc-by-4.0, other"
    assert info.description == "Digits, written by hand in `1998`."
    assert info.citation == "@article{digits,\n  title={Digits {by} hand},\n}"
    assert info.revision == commit
    assert info.records == 5
    assert info.fields["label"].class_names == ("zero", "one")
    assert {split.name: (split.records, split.bytes) for split in info.splits.values()} == {
        "train": (5, len(files[TRAIN])),
        "test": (2, len(files[TEST])),
    }
    assert info.files == {TRAIN: False, TEST: False}
    assert info.local is False
    assert hub.downloads() == []


def test_several_splits_are_told_as_load_would_read_them(digits):
    """A sum and a slice."""
    assert inspect("hf:a/digits", split="train+test").records == 7
    assert inspect("hf:a/digits", split="train[:2]+test[1:]").records == 3
    with pytest.raises(UnknownSplitError, match="'train', 'test'"):
        inspect("hf:a/digits", split="validation")


def test_what_is_local_is_told_from_the_files(digits, open_reader, hub):
    """Offline the answer is the same, with what the files know."""
    open_reader("a/digits", split="train+test")
    online, offline = (
        inspect("hf:a/digits", split="train+test", local_files_only=only) for only in (False, True)
    )
    assert online.local
    assert online.fields["image"].shape == (6, 5)
    assert online.plan == offline.plan
    assert (online.licence, online.citation, online.splits, online.files, online.revision) == (
        offline.licence,
        offline.citation,
        offline.splits,
        offline.files,
        offline.revision,
    )


def test_a_busy_hub_is_no_obstacle_where_the_cache_knows(digits, open_reader, hub):
    """What is told then is of the cached commit, and says so."""
    hub.failing = 503
    with pytest.raises(HubConnectionError, match="503"):
        inspect("hf:a/digits")
    hub.failing = None
    open_reader("a/digits")
    hub.failing = 503
    info = inspect("hf:a/digits")
    assert info.records == 5
    assert any("HTTP 503" in note and digits[0] in note for note in info.notes)


def test_the_card_speaks_before_the_text(hub, make):
    """`description` and `citation` in the YAML; with no text at all the pretty name."""
    data = make.parquet({"x": [1]})
    card = (
        "---\ndescription: said here\ncitation: cited here\n---\n# x\nnot this\n@misc{no, a={b}}\n"
    )
    hub.publish("a/b", {"README.md": card, "train.parquet": data})
    info = inspect("hf:a/b")
    assert (info.description, info.citation) == ("said here", "cited here")
    hub.publish("a/c", {"README.md": "---\npretty_name: C\n---\n", "train.parquet": data})
    assert inspect("hf:a/c").description == "C"
    hub.publish("a/d", {"train.parquet": data})
    assert inspect("hf:a/d").description is None


def test_a_folder_of_this_machine_is_told_of_too(tmp_path, make):
    """Everything of it is local."""
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "data").mkdir()
    (tmp_path / TRAIN).write_bytes(make.digits(5)[2])
    info = inspect(f"hf:{tmp_path}", split="train")
    assert info.licence == "cc-by-4.0, other"
    assert info.local
    assert info.revision is None


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("", None),
        ("# Title only\n", None),
        ("Just prose.\n", "Just prose."),
        ("# T\n\n[More Information Needed]\n\nThen this.", "Then this."),
        ("# T\n\n| a | b |\n|---|---|\n\n- a list\n\n> quoted\n\nProse.", "Prose."),
        ("# T\n```python\ncode()\n```\nAfter code.", "After code."),
        ("# T\nFirst.\n## Overview\nThe overview.", "The overview."),
        ("x " * 2000, ("x " * 2000).strip()[:999].rstrip() + "…"),
        ("---\na: b\n", "a: b"),
    ],
)
def test_descriptions_are_found_as_people_write_them(text, description):
    """The first prose under a fitting heading; never a table, a list or a placeholder."""
    assert description_in(text) == description


@pytest.mark.parametrize(
    ("text", "citation"),
    [
        ("none at all, mail a@b.org", None),
        ("@misc{open, title={never closed", None),
        ("@misc{a, b={c}}\ntext\n  @book{d}\n", "@misc{a, b={c}}\n\n@book{d}"),
    ],
)
def test_citations_are_whole_entries(text, citation):
    """Braces are counted; what is never closed is none."""
    assert citation_in(text) == citation


@pytest.fixture
def fruit(hub, make):
    """Publish a/fruit: splits of which none is `train`."""
    files = {
        f"data/{split}-00000-of-00001.parquet": make.parquet({"x": list(range(count))})
        for split, count in (("apple", 3), ("pear", 2))
    }
    hub.publish("a/fruit", files)
    return files


def test_splits_of_which_none_is_train_are_listed(fruit, hub, open_reader):
    """Here or not: `load` has to be told which, and the fields are those of the first."""
    for split, here in (("pear", False), ("apple+pear", True)):
        open_reader("a/fruit", split=split)
        for offline in (False, True):
            info = inspect("hf:a/fruit", local_files_only=offline)
            assert list(info.splits) == ["apple", "pear"]
            assert info.splits["pear"].records == 2
            assert (info.records, info.plan, info.local) == (None, None, here)
            assert [name for name, held in info.files.items() if held] == list(fruit)[not here :]
            assert any("'apple', 'pear' with split=" in note for note in info.notes)
    assert info.fields["x"].dtype == "int64"
    info = inspect("hf:a/fruit", split="pear")
    assert (info.records, list(info.splits)) == (2, ["apple", "pear"])
    with pytest.raises(UnknownSplitError, match="say which with split="):
        open_reader("a/fruit")


def test_info_shows_splits_of_which_none_is_train(fruit, capsys):
    """On the command line."""
    from datarax.cli.main import main

    assert main(["info", "hf:a/fruit"]) == 0
    assert {"apple", "pear"} <= set(capsys.readouterr().out.split())


def test_a_folder_of_splits_of_which_none_is_train_is_told_of(tmp_path, fruit):
    """Its first split is read for it."""
    (tmp_path / "data").mkdir()
    for name, data in fruit.items():
        (tmp_path / name).write_bytes(data)
    info = inspect(f"hf:{tmp_path}")
    assert {name: split.records for name, split in info.splits.items()} == {"apple": 3, "pear": 2}
    assert info.fields["x"].dtype == "int64"
    assert info.local


@pytest.fixture
def spoiled(tmp_path):
    """Write a folder of two splits of CSV, of which `train` cannot be parsed."""
    (tmp_path / "train.csv").write_text('x\n"1\n2\n')
    (tmp_path / "test.csv").write_text("x\n1\n2\n3\n")
    return tmp_path


def test_no_other_split_than_the_one_asked_for_is_parsed(spoiled):
    """`load` would not look at it either; its records are those that the card tells of, if any."""
    info = inspect(f"hf:{spoiled}", split="test[1:]")
    assert (info.records, info.notes) == (2, ())
    assert {name: split.records for name, split in info.splits.items()} == {
        "train": None,
        "test": 3,
    }
    (spoiled / "README.md").write_text(
        "---\ndataset_info: {splits: [{name: train, num_examples: 7}]}\n---\n"
    )
    assert inspect(f"hf:{spoiled}", split="test").splits["train"].records == 7


def test_damage_of_a_split_that_load_would_not_read_is_a_note(spoiled):
    """It is told of, and the others are; of the split that `load` would read it is the error."""
    (spoiled / "train.csv").rename(spoiled / "validation.csv")
    (spoiled / "test.csv").rename(spoiled / "train.csv")
    info = inspect(f"hf:{spoiled}")
    assert (info.records, info.splits["validation"].records) == (3, None)
    assert any("split 'validation' were not counted" in note for note in info.notes)
    with pytest.raises(CorruptDataError, match="never closed"):
        inspect(f"hf:{spoiled}", split="validation")


def lists_of(feature, length=-1):
    return {"feature": feature, "length": length, "_type": "List"}


def test_class_names_are_told_wherever_labels_lie(hub, make, open_reader):
    """Of labels with nulls, in lists, and in structs: from the card, and from the files."""
    abc, xy = make.labels("a", "b", "c"), make.labels("x", "y")
    features = {
        "nulls": abc,
        "tags": lists_of(abc),
        "deep": lists_of(lists_of(abc)),
        "one": {"label": abc, "text": make.value("string")},
        "two": {"left": abc, "right": lists_of({"inner": xy})},
    }
    columns = {
        "nulls": [0, None],
        "tags": [[0], [1, 2]],
        "deep": [[[0]], [[1], []]],
        "one": [{"label": 1, "text": "t"}] * 2,
        "two": [{"left": 1, "right": [{"inner": 0}]}] * 2,
    }
    names = "class_label: {names: {'0': a, '1': b, '2': c}}"
    card = f"""---
dataset_info:
  features:
  - {{name: nulls, dtype: {{{names}}}}}
  - {{name: tags, list: {{{names}}}}}
  - {{name: deep, list: {{list: {{{names}}}}}}}
  - {{name: one, struct: [{{name: label, dtype: {{{names}}}}}, {{name: text, dtype: string}}]}}
  - name: two
    struct:
    - {{name: left, dtype: {{{names}}}}}
    - {{name: right, list: [{{name: inner, dtype: {{class_label: {{names: {{'0': x, '1': y}}}}}}}}]}}
---
"""
    hub.publish("a/b", {"README.md": card, "train.parquet": make.parquet(columns, features)})
    for _ in range(2):
        fields = inspect("hf:a/b").fields
        for name in ("nulls", "tags", "deep", "one"):
            assert fields[name].class_names == ("a", "b", "c"), name
        assert fields["one"].description == "the classes are those of 'label'"
        assert fields["two"].description == (
            "'left' has the classes 'a', 'b', 'c'; 'right.inner' has the classes 'x', 'y'"
        )
        open_reader("a/b")
    assert inspect("hf:a/b").local


SQUARE = {"image_mode": "RGB", "image_size": (2, 2)}


@pytest.mark.parametrize("options", [{}, SQUARE])
@pytest.mark.parametrize("bytes_of_all", [None, 1])
def test_original_sizes_are_told_of_images_that_differ(
    tmp_path, make, monkeypatch, options, bytes_of_all
):
    """Whatever is asked of them; of very many, some here and there are looked at."""
    shapes = [(4, 5)] * 300 + [(9, 3)] + [(6, 12)]
    images = [make.png(np.zeros(shape, np.uint8)) for shape in shapes]
    data = make.parquet({"image": images}, row_group_size=50, types={"image": make.IMAGE})
    (tmp_path / "train.parquet").write_bytes(data)
    if bytes_of_all is not None:
        monkeypatch.setattr("datarax_hf.reader.DESCRIBED_BYTES", bytes_of_all)
        monkeypatch.setattr("datarax_hf.reader.DESCRIBED_IMAGES", 10)
    field = inspect(f"hf:{tmp_path}", **options).fields["image"]
    which = "the images" if bytes_of_all is None else "62 of 302 images"
    assert field.description == f"{which} are stored in 4x3 to 9x12 pixels, L"


def test_an_image_folder_is_told_as_its_folders_have_it(hub, make, open_reader):
    """Whatever the card says of its classes and records: `datasets` takes no word of that either."""
    card = (
        "---\ndataset_info:\n  features:\n  - {name: image, dtype: image}\n"
        "  - {name: label, dtype: {class_label: {names: {'0': dog, '1': cat}}}}\n"
        "  splits:\n  - {name: train, num_examples: 9}\n---\n"
    )
    picture = make.png(np.zeros((2, 3), np.uint8))["bytes"]
    files = {f"train/{kind}/{number}.png": picture for kind in ("cat", "dog") for number in (0, 1)}
    hub.publish("a/b", {"README.md": card, **files})
    before = inspect("hf:a/b")
    read = open_reader("a/b")
    after = inspect("hf:a/b", local_files_only=True)
    assert before.fields["label"].class_names == ("cat", "dog")
    assert read.fields["label"].class_names == after.fields["label"].class_names == ("cat", "dog")
    assert before.records == after.records == len(read) == 4
    assert [before.splits["train"].records, after.splits["train"].records] == [4, 4]
