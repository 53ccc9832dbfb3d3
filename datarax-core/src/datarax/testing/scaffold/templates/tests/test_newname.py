"""What is peculiar to this plugin: its tables, its option, and what it says of them."""

import subprocess
import sys

import datarax
import numpy as np
import pytest
from datarax.errors import CacheMissError, CorruptDataError, UnknownDatasetError, UnknownSplitError


@pytest.fixture
def table(tmp_path):
    """Return a function that writes a table and loads it."""

    def load(text, **options):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "train.csv").write_text(text, encoding="utf-8")
        return datarax.load("newname:mine", folder=tmp_path, **options)

    return load


def test_a_table_comes_with_the_package():
    source = datarax.load("newname:fruit")
    assert len(source) == 12
    spec = source.element_spec()
    assert {name: str(leaf.dtype) for name, leaf in spec.items()} == {
        "length": "float32",
        "weight": "float32",
        "kind": "int32",
    }


def test_each_file_is_a_split_and_slices_part_it():
    sizes = {
        split: len(datarax.load("newname:fruit", split=split))
        for split in ("train", "test", "train[:75%]", "train[75%:]", "train+test")
    }
    assert sizes == {"train": 12, "test": 4, "train[:75%]": 9, "train[75%:]": 3, "train+test": 16}


def test_tables_of_another_folder_are_read_as_they_are(table):
    source = table("x:float32,y:int32\n0.5,1\n1.5,-2\n")
    batch = source.get_batch_at(0, 2)
    np.testing.assert_array_equal(batch["x"], [0.5, 1.5])
    np.testing.assert_array_equal(batch["y"], [1, -2])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no end"),
        ("x:float32\n1\n2", "no end"),
        ("x:float32,y:int32\n1\n", "line 2 has 1 values for 2 fields"),
        ("x:float32\none\n", "one"),
        ("x:float33\n1\n", "float33"),
    ],
)
def test_a_file_that_is_no_table_is_named_with_what_is_wrong(table, text, problem):
    with pytest.raises(CorruptDataError, match=f"train.csv is damaged.*{problem}"):
        table(text)


def test_inspect_counts_the_rows_of_each_split():
    info = datarax.inspect("newname:fruit", split="test")
    assert {split.name: split.records for split in info.splits.values()} == {"test": 4, "train": 12}
    assert info.records == 4
    assert info.local is True


def test_an_unknown_table_lists_the_known_and_the_nearest():
    with pytest.raises(UnknownDatasetError, match=r"'fruits'.*'fruit'.*Did you mean 'fruit'"):
        datarax.load("newname:fruits")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CacheMissError, match="nowhere is not there"):
        datarax.load("newname:fruit", folder=tmp_path / "nowhere")


def test_an_unknown_split_lists_those_that_exist():
    with pytest.raises(UnknownSplitError, match=r"'dev'.*'test'.*'train'"):
        datarax.load("newname:fruit", split="dev")


def imported_after(statement):
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_the_plugin_imports_no_jax():
    modules = imported_after("import datarax_newname.plugin")
    assert "jax" not in modules


def test_that_check_can_fail():
    modules = imported_after("import datarax; datarax.load('newname:fruit')")
    assert "jax" in modules
