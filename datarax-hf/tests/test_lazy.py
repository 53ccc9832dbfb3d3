"""Random access: columns laid out flat once, in memory or on the disk, and what makes that happen.

Values of no one width are in `test_ragged.py`.
"""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest

from datarax_hf import flat, laid_out, reader
from datarax_hf.reader import lay_out

FSL = pa.list_(pa.int32(), 4)


@pytest.fixture
def derived(cache):
    """Where derived files lie: beside the hub cache."""
    return cache.parent / "datarax"


@pytest.fixture
def small_memory(monkeypatch):
    """Lay every column out on the disk, and decode row groups in slices of two or three rows."""
    monkeypatch.setattr(flat, "SMALL_BYTES", 0)
    monkeypatch.setattr(flat, "SLICE_BYTES", 40)


@pytest.fixture
def shards(cache, make):
    """Write three train files of 10, 11 and 12 rows, in row groups of 4; return the columns."""
    values = np.arange(33 * 4, dtype=np.int32).reshape(33, 4)
    pixels, _, _ = make.digits(33, size=(3, 4))
    columns = {
        "x": values,
        "flag": np.arange(33) % 3 == 0,
        "image": pixels,
        "text": np.array([f"row {i}" for i in range(33)]),
    }
    features = {"image": make.IMAGE_FEATURE}
    files = {}
    for i, (a, b) in enumerate([(0, 10), (10, 21), (21, 33)]):
        files[f"train-0000{i}-of-00003.parquet"] = make.parquet(
            {
                "x": pa.FixedSizeListArray.from_arrays(pa.array(values[a:b].ravel()), 4),
                "flag": columns["flag"][a:b],
                "image": [make.png(image) for image in pixels[a:b]],
                "text": columns["text"][a:b].tolist(),
            },
            {**features, "x": {"feature": make.value("int32"), "length": 4, "_type": "List"}},
            row_group_size=4,
            types={"image": make.IMAGE},
        )
    make.snapshot(cache, "a/b", files)
    return columns


def kept(derived):
    return sorted(path.name.rsplit("-", 1)[0] for path in derived.rglob("*.npy"))


def check(read, columns, indices, names=("x", "flag", "image", "text")):
    indices = np.array(indices, np.int64)
    got = read.read(indices, names)
    for name in names:
        np.testing.assert_array_equal(got[name], columns[name][indices])
    fixed = {name: np.empty_like(columns[name][indices]) for name in names if name != "text"}
    read.read_into(indices, fixed)
    for name, values in fixed.items():
        np.testing.assert_array_equal(values, columns[name][indices])


@pytest.mark.parametrize("at_once", [10, 40, None])
@pytest.mark.parametrize("on_disk", [False, True])
def test_laid_out_columns_give_the_same_rows(
    shards, offline, derived, on_disk, at_once, request, monkeypatch
):
    """In memory or mapped from the disk, in any order, with repeats, across files.

    A run of 2 * `at_once` bytes or more is copied by several threads.
    """
    if on_disk:
        request.getfixturevalue("small_memory")
    if at_once is not None:
        monkeypatch.setattr(reader, "COPIED_BYTES", at_once)
    read = offline("a/b")
    lay_out(read, tuple(read.fields))
    for indices in ([32, 0, 9, 10, 10, 20, 21], range(33), [5], [], range(8, 25)):
        check(read, shards, list(indices))
    assert kept(derived) == (["flag"] * 3 + ["image"] * 3 + ["x"] * 3 if on_disk else [])


def test_storage_order_lays_nothing_out(shards, offline, derived, small_memory):
    """The first pass in storage order reads row groups, whatever its pieces."""
    read = offline("a/b", mode="lazy")
    for begin in range(0, 33, 5):
        check(read, shards, range(begin, min(33, begin + 5)))
    assert kept(derived) == []


def passes(read, columns, count, names=("x", "flag", "image", "text")):
    """Read all records but the last ones in order, some times, and a column after the other."""
    for _ in range(count):
        for begin in range(0, 30, 5):
            for name in names:
                check(read, columns, range(begin, begin + 5), [name])


@pytest.mark.parametrize("names", [("x", "image"), ("flag",)])
def test_a_second_pass_in_storage_order_lays_out_what_it_would_decode(
    shards, offline, derived, small_memory, monkeypatch, names
):
    """Whether or not the rest of the records is left out; from then on nothing is decoded."""
    monkeypatch.setattr(reader, "HELD_BYTES", 0)
    read = offline("a/b", mode="lazy")
    passes(read, shards, 1, names)
    assert kept(derived) == []
    passes(read, shards, 1, names)
    assert kept(derived) == sorted(names * 3)
    read._shards.table = read._shards.slices = lambda *_: pytest.fail("decoded again")
    passes(read, shards, 2, names)


def test_passes_over_what_is_held_lay_nothing_out(shards, offline, derived, small_memory):
    """But images, of which what is held is encoded."""
    read = offline("a/b", mode="lazy")
    passes(read, shards, 4)
    assert kept(derived) == ["image"] * 3


def test_parts_that_are_read_again_and_again_are_no_pass(
    shards, offline, derived, small_memory, monkeypatch
):
    """As by who looks at the first rows, or goes on from a state that was saved."""
    monkeypatch.setattr(reader, "HELD_BYTES", 0)
    read = offline("a/b", mode="lazy")
    for begin in (0, 0, 0, 5, 3, 0, 4):
        check(read, shards, range(begin, begin + 4), ["x"])
    assert kept(derived) == []


@pytest.mark.parametrize("mode", ["lazy", "eager"])
def test_what_lies_on_the_disk_is_read_in_storage_order_too(
    shards, offline, small_memory, monkeypatch, mode
):
    """From the first pass on."""
    lay_out(offline("a/b"), ("x", "image"))
    read = offline("a/b", mode=mode)
    monkeypatch.setattr(read._shards, "table", lambda *_: pytest.fail("decoded again"))
    monkeypatch.setattr(read._shards, "slices", lambda *_: pytest.fail("decoded again"))
    passes(read, shards, 1, ("x", "image"))


@pytest.mark.parametrize("options", [{"derived_limit": 0}, {"derived_limit": 10}])
def test_passes_that_cannot_be_kept_are_decoded_and_nothing_is_said(
    shards, offline, derived, small_memory, monkeypatch, options
):
    monkeypatch.setattr(reader, "HELD_BYTES", 0)
    read = offline("a/b", mode="lazy", **options)
    passes(read, shards, 3)
    assert kept(derived) == []


def test_a_few_single_rows_lay_nothing_out_and_many_do(shards, offline, derived, small_memory):
    """It pays once random reads would have decoded a part of the row groups."""
    read = offline("a/b")
    read.read(np.array([5, 1]), ["x"])
    assert kept(derived) == []
    read.read(np.array([30, 1, 15]), ["x"])
    assert kept(derived) == ["x"] * 3
    check(read, shards, [3, 2, 1])


def test_single_rows_of_what_is_held_lay_nothing_out(shards, offline, derived, small_memory):
    """In any order; those that each decode a row group do, once they are many."""
    read = offline("a/b")
    for row in (2, 0, 3, 1) * 5:
        check(read, shards, [row], ["x", "flag"])
    assert kept(derived) == []
    for row in (30, 1, 15, 11):
        check(read, shards, [row], ["x"])
    assert kept(derived) == ["x"] * 3


def test_only_columns_that_are_read_are_laid_out(shards, offline, derived, small_memory):
    """Others take no disk."""
    lay_out(offline("a/b"), ["flag"])
    assert kept(derived) == ["flag"] * 3


def test_only_files_of_the_slice_are_laid_out(shards, offline, derived, small_memory):
    """And of them only the row groups that hold its records."""
    read = offline("a/b", split="train[12:20]")
    lay_out(read, ["x"])
    (path,) = derived.rglob("*.npy")
    assert len(np.load(path)) == 11  # row groups of 4, 4 and 3
    np.testing.assert_array_equal(
        read.read(np.array([7, 0, 3]), ["x"])["x"], shards["x"][[19, 12, 15]]
    )


def test_a_second_reader_finds_what_the_first_laid_out(shards, offline, small_memory, monkeypatch):
    """Nothing is decoded again."""
    lay_out(offline("a/b"), ["x"])
    read = offline("a/b")
    monkeypatch.setattr(read._shards, "slices", lambda *_: pytest.fail("decoded again"))
    lay_out(read, ["x"])
    check(read, shards, [3, 30, 12], ["x"])


def test_large_images_stay_encoded(shards, offline, derived, small_memory, monkeypatch):
    """Their pixels would take many times the disk."""
    monkeypatch.setattr(laid_out, "FLAT_IMAGE_BYTES", 11)
    read = offline("a/b")
    lay_out(read, ["image", "x"])
    assert kept(derived) == ["x"] * 3
    check(read, shards, [3, 30, 12])


def test_refused_nothing_is_written_and_rows_are_the_same(shards, offline, derived, small_memory):
    """derived_limit=0 decodes row groups, and says nothing."""
    read = offline("a/b", derived_limit=0)
    lay_out(read, tuple(read.fields))
    check(read, shards, [3, 30, 12, 0])
    assert not derived.exists()


def test_without_room_it_is_said_once_and_rows_are_the_same(shards, offline, small_memory):
    """The option is named."""
    read = offline("a/b", derived_limit=100)
    with pytest.warns(UserWarning, match=r"hf:a/b: .*whole row groups.*derived_limit=0") as told:
        lay_out(read, tuple(read.fields))
        check(read, shards, [3, 30, 12, 0])
    assert len(told) == 1


def test_a_pickled_reader_maps_what_was_laid_out(shards, offline, small_memory, monkeypatch):
    """Workers carry no data, and decode nothing."""
    read = offline("a/b")
    lay_out(read, ["x"])
    sent = pickle.dumps(read)
    assert len(sent) < 10_000
    again = pickle.loads(sent)
    monkeypatch.setattr(again._shards, "table", lambda *_: pytest.fail("decoded again"))
    check(again, shards, range(3, 9), ["x"])


def test_threads_lay_out_once(shards, offline, derived, small_memory):
    """Readers of eight threads find each other's files."""
    barrier = threading.Barrier(8)

    def work(_):
        read = offline("a/b")
        barrier.wait()
        lay_out(read, ["x", "flag"])
        check(read, shards, [32, 0, 9], ["x", "flag"])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert kept(derived) == ["flag"] * 3 + ["x"] * 3


def test_closing_lets_files_be_pruned(shards, offline, derived, small_memory):
    """While it is open they stay."""
    import datarax_hf

    read = offline("a/b")
    lay_out(read, ["x"])
    datarax_hf.prune()
    assert kept(derived) == ["x"] * 3
    check(read, shards, [3, 30, 12], ["x"])
    read.close()
    assert datarax_hf.prune() > 33 * 16
    assert kept(derived) == []


def test_a_damaged_file_leaves_nothing(cache, make, offline, derived, small_memory):
    """What was wrong is said; no part of the layout stays."""
    from datarax.errors import CorruptDataError

    data = bytearray(make.parquet({"x": [1, 2, 3, 4]}, row_group_size=2))
    data[4:30] = bytes(26)  # the head of the first page
    make.snapshot(cache, "a/b", {"train.parquet": bytes(data)})
    with pytest.raises(CorruptDataError, match=r"train\.parquet.*row group 0"):
        lay_out(offline("a/b"), ["x"])
    assert kept(derived) == []


def test_a_damaged_layout_is_said(shards, offline, derived, small_memory):
    """Its path is named: deleting it mends it."""
    from datarax.errors import CorruptDataError

    lay_out(offline("a/b"), ["x"])
    path = next(derived.rglob("*.npy"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptDataError, match=r"\.npy is damaged .*delete it"):
        lay_out(offline("a/b"), ["x"])
    path.unlink()
    lay_out(offline("a/b"), ["x"])


def test_a_shuffled_lazy_source_is_laid_out_when_it_is_opened(shards, derived, small_memory):
    """In the thread of the caller, where it can be interrupted; other sources are not."""
    from datarax_hf import HFSource, HFSourceConfig

    options = {"name": "a/b", "mode": "lazy", "local_files_only": True, "include_keys": ("x",)}
    HFSource(HFSourceConfig(**options)).close()
    assert kept(derived) == []
    with HFSource(HFSourceConfig(**options, shuffle=True)) as source:
        assert kept(derived) == ["x"] * 3
        seen = np.concatenate([np.asarray(batch["x"]) for batch in source.batches(11)])
    np.testing.assert_array_equal(np.sort(seen[:, 0]), shards["x"][:, 0])
