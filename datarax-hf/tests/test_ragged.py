"""Random access to values of any length: laid out once, mapped, and the same rows as eager."""

from __future__ import annotations

import io
import pickle
from contextlib import nullcontext

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from datarax.errors import CorruptDataError
from datarax_hf import HFSource, HFSourceConfig, flat, laid_out, ragged, reader
from datarax_hf.reader import lay_out

NAMES = ("text", "list", "part", "photo", "perhaps")


def jpeg(seed, size=(9, 7)):
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(out, format="JPEG")
    return {"bytes": out.getvalue(), "path": None}


@pytest.fixture
def derived(cache):
    """Where derived files lie: beside the hub cache."""
    return cache.parent / "datarax"


@pytest.fixture
def on_disk(monkeypatch):
    """Keep nothing in memory, and write chunks of a few values."""
    monkeypatch.setattr(flat, "SMALL_BYTES", 0)
    monkeypatch.setattr(laid_out, "FLAT_IMAGE_BYTES", 0)
    monkeypatch.setattr(ragged, "CHUNK_BYTES", 400)


@pytest.fixture
def shards(cache, make):
    """Write files of 10, 11 and 12 rows, in row groups of 4; return the columns."""
    columns = {
        "text": [None if i % 7 == 3 else f"row {i} " * (i % 5) for i in range(33)],
        "list": [list(range(i % 4)) for i in range(33)],
        "part": [{"a": i, "b": None if i % 3 else [f"{i}"]} for i in range(33)],
        "photo": [jpeg(i) for i in range(33)],
        "perhaps": [None if i % 5 == 2 else jpeg(i, (3 + i % 2, 4)) for i in range(33)],
    }
    features = {"photo": make.IMAGE_FEATURE, "perhaps": make.IMAGE_FEATURE}
    files = {
        f"train-0000{i}-of-00003.parquet": make.parquet(
            {name: values[a:b] for name, values in columns.items()},
            {
                "text": make.value("string"),
                "list": {"feature": make.value("int64"), "_type": "List"},
                "part": {
                    "a": make.value("int64"),
                    "b": {"feature": make.value("string"), "_type": "List"},
                },
                **features,
            },
            row_group_size=4,
            types={
                "photo": make.IMAGE,
                "perhaps": make.IMAGE,
                "list": pa.list_(pa.int64()),
                "part": pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))]),
            },
        )
        for i, (a, b) in enumerate([(0, 10), (10, 21), (21, 33)])
    }
    make.snapshot(cache, "a/b", files)
    return columns


def kept(derived):
    """Return the columns that derived files hold, a name for each file."""
    return sorted(path.name.rsplit("-", 1)[0] for path in derived.rglob("*.arrow"))


def same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert type(one) is type(other)
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other)
        else:
            assert one == other


def check(read, offline, indices=(32, 0, 9, 10, 10, 20, 21, 3), names=NAMES):
    """Compare rows with those of a reader that decodes whole row groups, in storage order."""
    plain = offline("a/b").read(np.arange(33), names)
    indices = np.array(indices, np.int64)
    found = read.read(indices, names)
    for name in names:
        same(found[name], [plain[name][index] for index in indices])


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_laid_out_values_are_the_same(shards, offline, derived, where, request):
    """In any order, with repeats, across files, row groups and chunks; a run too."""
    if where == "disk":
        request.getfixturevalue("on_disk")
    read = offline("a/b")
    lay_out(read, NAMES)
    assert kept(derived) == (sorted(NAMES * 3) if where == "disk" else [])
    read._shards.table = read._shards.slices = lambda *_: pytest.fail("decoded again")
    for indices in ([32, 0, 9, 10, 10, 20, 21, 3], range(33), range(8, 25), [5], []):
        check(read, offline, indices)
    photos = read.read(np.array([30, 2]), ["photo"])["photo"]
    out = np.empty_like(photos)
    read.read_into(np.array([30, 2]), {"photo": out})
    np.testing.assert_array_equal(out, photos)


@pytest.mark.parametrize("window", [0, 2**25])
def test_a_row_group_of_any_size_is_laid_out(cache, make, offline, on_disk, monkeypatch, window):
    """One beyond the window goes slice by slice."""
    monkeypatch.setattr(ragged, "WINDOW_BYTES", window)
    texts = [f"text {i}" for i in range(200)]
    make.snapshot(cache, "a/b", {"train.parquet": make.parquet({"text": texts})})
    read = offline("a/b")
    lay_out(read, ["text"])
    order = np.random.default_rng(0).permutation(200)
    assert read.read(order, ["text"])["text"] == [texts[i] for i in order]


def test_a_shuffled_epoch_is_laid_out_as_it_begins_and_equals_eager(shards, derived, on_disk):
    """Of what batches hold; texts, which they leave out, take no disk."""
    options = {"name": "a/b", "local_files_only": True, "shuffle": True, "seed": 4}
    with (
        HFSource(HFSourceConfig(**options, mode="lazy", include_keys=("photo", "text"))) as lazy,
        HFSource(HFSourceConfig(**options, mode="eager", include_keys=("photo",))) as eager,
    ):
        assert kept(derived) == ["photo"] * 3
        for ours, theirs in zip(lazy.batches(8), eager.batches(8), strict=True):
            np.testing.assert_array_equal(ours["photo"], theirs["photo"])
    assert kept(derived) == ["photo"] * 3
    padded = {"include_keys": ("list",), "pad": {"list": 3}}
    with HFSource(HFSourceConfig(**options, mode="lazy", **padded)):
        assert kept(derived) == ["list"] * 3 + ["photo"] * 3


def test_storage_order_lays_nothing_out_and_random_reads_do(shards, offline, derived, on_disk):
    """Once they would have decoded a part of the row groups; only columns that they read."""
    read = offline("a/b")
    for begin in range(0, 33, 5):
        read.read(np.arange(begin, min(33, begin + 5)), NAMES)
    read.read(np.array([5, 1]), ["text"])
    assert kept(derived) == []
    read.read(np.array([30, 1, 15]), ["text"])
    assert kept(derived) == ["text"] * 3
    check(read, offline)


def test_a_second_pass_lays_out_all_but_images(shards, offline, derived, on_disk, monkeypatch):
    """Which are decoded in each pass wherever they lie; a later reader finds it in its first."""
    monkeypatch.setattr(reader, "HELD_BYTES", 0)
    plain = offline("a/b").read(np.arange(33), NAMES)

    def one_pass(read, names):
        for begin in range(0, 33, 6):
            found = read.read(np.arange(begin, min(33, begin + 6)), names)
            for name in names:
                same(found[name], plain[name][begin : begin + 6])

    read = offline("a/b")
    one_pass(read, NAMES)
    assert kept(derived) == []
    one_pass(read, NAMES)
    assert kept(derived) == sorted(["text", "list", "part"] * 3)
    for reading in (read, offline("a/b")):
        monkeypatch.setattr(reading._shards, "table", lambda *_: pytest.fail("decoded again"))
        monkeypatch.setattr(reading._shards, "slices", lambda *_: pytest.fail("decoded again"))
        one_pass(reading, ("text", "list", "part"))


def test_single_rows_are_laid_out_when_they_are_many_and_in_no_order(
    shards, offline, derived, on_disk, monkeypatch
):
    """One by one in order, or a look at a few, they are not."""
    monkeypatch.setattr(reader, "HELD_BYTES", 0)
    read = offline("a/b")
    for row in (*range(33), 32, 5, 9, 8):
        assert read.read(np.array([row]), ["text"])["text"] == [shards["text"][row]]
    assert kept(derived) == []
    for row in (1, 30, 14):
        assert read.read(np.array([row]), ["text"])["text"] == [shards["text"][row]]
    assert kept(derived) == ["text"] * 3


def test_a_second_reader_builds_nothing(shards, offline, on_disk, monkeypatch):
    """And a pickled one carries no data."""
    read = offline("a/b")
    lay_out(read, NAMES)
    again, sent = offline("a/b"), pickle.dumps(read)
    assert len(sent) < 15_000
    for other in (again, pickle.loads(sent)):
        monkeypatch.setattr(other._shards, "table", lambda *_: pytest.fail("decoded again"))
        monkeypatch.setattr(other._shards, "slices", lambda *_: pytest.fail("decoded again"))
        lay_out(other, NAMES)
        check(other, offline)


def test_the_disk_holds_values_as_they_are_stored(shards, offline, derived, on_disk):
    """Images encoded, and little beside."""
    lay_out(offline("a/b"), ["photo"])
    stored = sum(len(photo["bytes"]) for photo in shards["photo"])
    assert stored < sum(path.stat().st_size for path in derived.rglob("*.arrow")) < 2 * stored
    lay_out(offline("a/b", image_mode="L", image_size=(4, 4)), ["photo"])
    assert kept(derived) == ["photo"] * 3


@pytest.mark.parametrize("limit", [0, 100, None])
def test_where_nothing_can_be_kept_rows_are_the_same(shards, offline, derived, on_disk, limit):
    """Refused in silence, and said once where there is no room or no folder."""
    options = {"derived_limit": limit}
    if limit is None:
        derived.write_bytes(b"a file, where a folder is due")
        options = {"derived_dir": derived}
    read = offline("a/b", **options)
    with nullcontext() if limit == 0 else pytest.warns(UserWarning, match="laid out") as told:
        lay_out(read, NAMES)
        check(read, offline)
        lay_out(read, NAMES)
    assert limit == 0 or len(told) == 1
    assert kept(derived) == []


def test_a_full_disk_leaves_nothing_and_rows_are_the_same(shards, offline, derived, on_disk):
    """As every file that grows too large for the system."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    read = offline("a/b")
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        with pytest.warns(UserWarning, match="cannot be laid out: File too large"):
            lay_out(read, ["photo"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(derived.rglob("*.*")) == []
    check(read, offline)


def test_a_large_row_group_does_not_need_all_its_memory(cache, make, offline):
    """Slices of it are decoded one after another."""
    values = [np.random.default_rng(i).bytes(2**14) for i in range(512)]
    data = make.parquet(
        {"data": values}, use_dictionary=False, data_page_size=2**17, write_batch_size=8
    )
    make.snapshot(cache, "a/b", {"train.parquet": data})
    slices = offline("a/b")._shards.slices(0, ["data"], 16)
    del data, values
    before = most = pa.total_allocated_bytes()
    for _ in slices:
        most = max(most, pa.total_allocated_bytes())
    assert most - before < 2**22


def test_a_dictionary_within_a_struct_stays_in_row_groups(cache, make, offline, derived, on_disk):
    """Each batch would have one of its own, which no Arrow file holds."""
    words = pa.array([f"w{i % 3}" for i in range(8)]).dictionary_encode()
    structs = pa.StructArray.from_arrays([words], ["word"])
    make.snapshot(cache, "a/b", {"train.parquet": make.parquet({"s": structs}, row_group_size=2)})
    read = offline("a/b")
    lay_out(read, ["s"])
    assert read.read(np.array([7, 0]), ["s"])["s"] == [{"word": "w1"}, {"word": "w0"}]
    assert kept(derived) == []


def test_a_text_stored_once_for_many_rows_takes_the_room_that_it_takes(
    cache, make, offline, derived, monkeypatch
):
    """What the file tells is its dictionary: memory and the limit are kept to all the same."""
    texts = ["one long text " * 50] * 400
    data = make.parquet({"text": texts}, row_group_size=100)
    assert len(data) < 20_000
    make.snapshot(cache, "a/b", {"train.parquet": data})
    monkeypatch.setattr(flat, "SMALL_BYTES", 100_000)
    monkeypatch.setattr(ragged, "CHUNK_BYTES", 20_000)
    read = offline("a/b", derived_limit=150_000)
    with pytest.warns(UserWarning, match="beyond the limit of 150,000"):
        lay_out(read, ["text"])
    assert list(derived.rglob("*.*")) == []
    read = offline("a/b")
    lay_out(read, ["text"])
    assert kept(derived) == ["text"]
    assert read.read(np.array([399, 0]), ["text"])["text"] == texts[:2]


def test_a_damaged_layout_is_said(shards, offline, derived, on_disk):
    """Its path is named: deleting it mends it."""
    lay_out(offline("a/b"), ["text"])
    path = next(derived.rglob("*.arrow"))
    whole = path.read_bytes()
    for damage in (b"", whole[:-9], whole[: len(whole) // 2]):
        path.write_bytes(damage)
        with pytest.raises(CorruptDataError, match=r"\.arrow is damaged .*delete it"):
            lay_out(offline("a/b"), ["text"])
    path.unlink()
    lay_out(offline("a/b"), ["text"])


def test_what_is_damaged_within_is_said_with_its_place_in_the_dataset(
    cache, make, offline, monkeypatch
):
    """File, row group, row and column, though chunks hold several row groups."""
    monkeypatch.setattr(laid_out, "FLAT_IMAGE_BYTES", 0)
    photos = [jpeg(i) for i in range(24)]
    photos[18]["bytes"] = photos[18]["bytes"][:-20]
    table = {
        "photo": pa.array(photos, make.IMAGE),
        "day": pa.array([2**60 if i == 9 else 0 for i in range(24)], pa.timestamp("ms")),
    }
    data = make.parquet(table, {"photo": make.IMAGE_FEATURE, "day": None}, row_group_size=5)
    make.snapshot(cache, "a/b", {"train.parquet": data})
    read = offline("a/b")
    lay_out(read, ["photo", "day"])
    assert len(read.read(np.array([17, 3, 19]), ["photo", "day"])["photo"]) == 3
    with pytest.raises(CorruptDataError, match=r"train\.parquet', row group 3, row 3, .*'photo'"):
        read.read(np.array([17, 18, 3]), ["photo"])
    with pytest.raises(CorruptDataError, match=r"row group 1, row 4, .*'day' holds what Python"):
        read.read(np.array([17, 9, 3]), ["day"])


def test_columns_of_names_alike_are_kept_apart(cache, make, offline, on_disk):
    """Their files' names show no more than letters."""
    columns = {"a b": [1, 2], "a-b": [3, 4], "c b": ["x", "y"], "c-b": ["z", "w"]}
    make.snapshot(cache, "a/b", {"train.parquet": make.parquet(columns)})
    read = offline("a/b")
    lay_out(read, list(columns))
    found = read.read(np.array([1, 0]), list(columns))
    assert {name: list(values) for name, values in found.items()} == {
        name: values[::-1] for name, values in columns.items()
    }


def test_what_was_parsed_into_arrow_is_not_laid_out_again(cache, make, offline, derived, on_disk):
    """It lies so already."""
    make.snapshot(cache, "a/b", {"train.jsonl": '{"text": "a"}\n{"text": "b"}\n'})
    read = offline("a/b")
    lay_out(read, ["text"])
    assert read.read(np.array([1, 0]), ["text"])["text"] == ["b", "a"]
    assert [name for name in kept(derived) if name.startswith("text")] == []


def test_other_formats_are_laid_out(cache, make, offline, derived, on_disk):
    """Arrow files are validated once, and images in folders read once."""
    out = io.BytesIO()
    table = pa.table({"text": [f"row {i}" for i in range(9)]})
    with pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    make.snapshot(cache, "a/b", {"train.arrow": out.getvalue()})
    read = offline("a/b")
    lay_out(read, ["text"])
    assert read.read(np.array([8, 0]), ["text"])["text"] == ["row 8", "row 0"]
    images = {f"train/c/{i}.jpg": jpeg(i)["bytes"] for i in range(20)}
    make.snapshot(cache, "a/c", images)
    read = offline("a/c")
    lay_out(read, ["image"])
    assert kept(derived) == ["image", "text"]
    whole = offline("a/c").read(np.arange(20), ["image"])["image"]
    np.testing.assert_array_equal(read.read(np.array([19, 3]), ["image"])["image"], whole[[19, 3]])


def test_closing_lets_files_be_pruned(shards, offline, derived, on_disk):
    """While it is open they stay."""
    import datarax_hf

    read = offline("a/b")
    lay_out(read, NAMES)
    laid_out = kept(derived)
    datarax_hf.prune()
    assert kept(derived) == laid_out
    read.close()
    assert datarax_hf.prune() > 0
    assert kept(derived) == []
    check(read, offline)
