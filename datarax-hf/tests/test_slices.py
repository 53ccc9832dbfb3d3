"""Row groups too large to decode whole are read a slice at a time, and give what others give."""

import pickle
import threading

import numpy as np
import pytest

import datarax_hf.slices
from datarax.errors import CorruptDataError

ROWS = 90


@pytest.fixture
def small_slices(monkeypatch):
    """Let row groups of half a KiB be large ones, and slices some rows."""
    monkeypatch.setattr(datarax_hf.slices, "LARGE_BYTES", 512)
    monkeypatch.setattr(datarax_hf.slices, "SLICE_BYTES", 256)


@pytest.fixture
def written(cache, make):
    """Write files of two, one and three row groups, of which the first is the largest."""
    pixels, classes, _ = make.digits(ROWS)
    columns = {
        "x": np.arange(ROWS * 4, dtype=np.int32).reshape(ROWS, 4).tolist(),
        "image": [make.png(image) for image in pixels],
        "text": [f"row {row} " * (row % 4) for row in range(ROWS)],
        "label": classes.tolist(),
    }
    features = {
        "x": {"feature": make.value("int32"), "length": 4, "_type": "List"},
        "image": make.IMAGE_FEATURE,
        "text": make.value("string"),
        "label": make.value("int64"),
    }
    ends = (0, 50, 58, ROWS)
    files = {
        f"train-0000{file}-of-00003.parquet": make.parquet(
            {name: column[begin:end] for name, column in columns.items()},
            features,
            row_group_size=group,
            types={"image": make.IMAGE},
        )
        for file, (begin, end, group) in enumerate(zip(ends, ends[1:], (44, 8, 13), strict=False))
    }
    make.snapshot(cache, "a/b", files)
    return {**columns, "x": np.array(columns["x"]), "image": pixels, "label": classes}


def check(reader, written, begin, end, names=("x", "image", "text", "label")):
    found = reader.read(np.arange(begin, end), names)
    for name in names:
        expected = written[name][begin:end]
        if name == "text":
            assert found[name] == expected
        else:
            np.testing.assert_array_equal(found[name], expected, err_msg=name)


@pytest.mark.parametrize("step", [1, 7, 31, ROWS])
def test_a_run_in_pieces_of_any_size_is_what_was_written(small_slices, written, offline, step):
    reader = offline("a/b")
    for begin in range(0, ROWS, step):
        check(reader, written, begin, min(ROWS, begin + step))
    check(reader, written, 3, 61)


@pytest.mark.parametrize("begin", [0, 30, 43])
def test_a_run_over_large_row_groups_and_small_ones(written, offline, monkeypatch, begin):
    monkeypatch.setattr(datarax_hf.slices, "LARGE_BYTES", 2**12)
    monkeypatch.setattr(datarax_hf.slices, "SLICE_BYTES", 256)
    reader = offline("a/b")
    due = [reader._slices.are_due(group, ["image"]) for group in range(len(reader._shards))]
    assert due == [True, *[False] * 5]
    for _ in range(2):  # those held from the first time are not decoded on threads
        check(reader, written, begin, ROWS, ("image",))
        check(reader, written, begin, ROWS)


def test_runs_that_begin_anywhere_and_take_turns_are_right(small_slices, written, offline):
    reader = offline("a/b")
    for begin, end in ((5, 9), (9, 20), (2, 3), (20, 30), (40, 70), (0, 0), (89, 90), (0, ROWS)):
        check(reader, written, begin, end)
        check(reader, written, begin, end, ("label",))


def test_a_run_that_goes_on_decodes_nothing_twice(small_slices, written, offline, monkeypatch):
    reader, slices = offline("a/b"), []
    begun = reader._shards.slices
    monkeypatch.setattr(
        reader._shards, "slices", lambda *asked: slices.append(asked[0]) or begun(*asked)
    )
    for begin in range(0, ROWS, 5):
        check(reader, written, begin, begin + 5, ("x", "text"))
    assert slices == sorted(set(slices))
    assert 0 in slices


def test_threads_read_runs_of_their_own(small_slices, written, offline):
    reader, failed = offline("a/b"), []

    def work(begin):
        try:
            for start in range(begin, ROWS - 6, 6):
                check(reader, written, start, start + 6)
        except BaseException as error:  # said by the thread that waits
            failed.append(error)

    threads = [threading.Thread(target=work, args=(begin,)) for begin in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_pickled_reader_reads_them_too(small_slices, written, offline):
    reader = offline("a/b")
    check(reader, written, 0, 10)
    check(pickle.loads(pickle.dumps(reader)), written, 10, 40)


def test_a_damaged_image_in_a_slice_is_named_by_its_row(small_slices, cache, make, offline):
    pixels, _, _ = make.digits(60)
    images = [make.png(image) for image in pixels]
    images[41]["bytes"] = images[41]["bytes"][:50]
    data = make.parquet(
        {"image": images}, {"image": make.IMAGE_FEATURE}, types={"image": make.IMAGE}
    )
    make.snapshot(cache, "a/b", {"train.parquet": data})
    with pytest.raises(CorruptDataError, match=r"row group 0, row 41"):
        offline("a/b").read(np.arange(60), ["image"])
