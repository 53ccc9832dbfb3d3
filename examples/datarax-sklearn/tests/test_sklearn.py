"""What is peculiar to this plugin: its five datasets, and what it says of them."""

import subprocess
import sys

import datarax
import numpy as np
import pytest
from datarax.errors import UnknownDatasetError, UnknownSplitError
from sklearn import datasets

from datarax_sklearn import DATASETS

CLASSIFICATION = ("breast_cancer", "digits", "iris", "wine")


def bunch(name):
    return getattr(datasets, f"load_{name}")()


@pytest.mark.parametrize("name", DATASETS)
def test_every_row_is_scikit_learns_in_its_order(name):
    stored = bunch(name)
    source = datarax.load(f"sklearn:{name}")
    batch = source.get_batch_at(0, len(source))
    inputs, target = tuple(batch)
    expected = stored.images if name == "digits" else stored.data
    assert len(source) == len(stored.target)
    np.testing.assert_array_equal(batch[inputs], expected.astype(batch[inputs].dtype))
    np.testing.assert_array_equal(batch[target], stored.target.astype(batch[target].dtype))


@pytest.mark.parametrize("name", DATASETS)
def test_host_records_keep_scikit_learns_dtypes(name):
    stored = bunch(name)
    record = datarax.load(f"sklearn:{name}", mode="lazy").reader[-1]
    inputs, target = record.values()
    assert inputs.dtype == stored.data.dtype
    assert target == stored.target[-1]
    assert target.dtype == stored.target.dtype


def test_digits_are_images_of_8_by_8_and_labels():
    spec = datarax.load("sklearn:digits").element_spec()
    assert {name: leaf.shape for name, leaf in spec.items()} == {"image": (8, 8), "label": ()}


def test_slices_part_the_rows():
    first = datarax.load("sklearn:digits", split="train[:80%]")
    rest = datarax.load("sklearn:digits", split="train[80%:]")
    assert (len(first), len(rest)) == (1438, 359)
    np.testing.assert_array_equal(rest[0]["image"], bunch("digits").images[1438])


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_labels_know_their_classes(name):
    field = datarax.inspect(f"sklearn:{name}").fields["label"]
    assert field.class_names == tuple(map(str, bunch(name).target_names))


def test_inspect_counts_the_rows_that_load_would_read():
    info = datarax.inspect("sklearn:digits", split="train[:80%]", include_keys=("label",))
    assert info.splits["train"].records == 1797
    assert (info.records, info.bytes) == (1438, 1438 * 4)
    assert tuple(info.fields) == ("label",)
    assert info.local is True


def test_an_unknown_dataset_lists_the_known_and_the_nearest():
    with pytest.raises(UnknownDatasetError, match=r"'digit'.*'wine'.*Did you mean 'digits'"):
        datarax.load("sklearn:digit")


def test_an_unknown_split_lists_train():
    with pytest.raises(UnknownSplitError, match=r"'test'.*'train'"):
        datarax.load("sklearn:digits", split="test")


def imported_after(statement):
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_the_plugin_imports_neither_scikit_learn_nor_jax():
    modules = imported_after("from datarax_sklearn.plugin import plugin; plugin.describe()")
    assert not modules & {"sklearn", "jax", "flax"}


def test_that_check_can_fail():
    assert "sklearn" in imported_after("import datarax_sklearn.reader")
