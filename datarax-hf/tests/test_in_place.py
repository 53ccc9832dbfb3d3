"""Images that a file does not compress are read where they lie, and are the same as ever."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import warnings
from inspect import signature
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from datarax.errors import CorruptDataError
from datarax_hf import HFSource, HFSourceConfig, flat, in_place
from datarax_hf.derived import Derived
from datarax_hf.formats.compact import Compact, CompactError
from datarax_hf.formats.pages import NotPlainError, places, plain_chunks
from datarax_hf.reader import lay_out

PLAIN = {
    "compression": {"image.bytes": "none", "image.path": "none", "label": "snappy"},
    "use_dictionary": ["label"],
    "column_encoding": {"image.bytes": "PLAIN", "image.path": "PLAIN"},
}
"""What `datasets` 5.2 writes with."""

CHUNKING = "use_content_defined_chunking"
"""Older releases of pyarrow lack it."""

FORMS = {
    "as datasets writes": {
        "write_page_index": True,
        **({CHUNKING: True} if CHUNKING in signature(pq.ParquetWriter.__init__).parameters else {}),
    },
    "pages of few values": {"data_page_size": 900},
    "second version of pages": {"data_page_version": "2.0", "data_page_size": 900},
    "no statistics": {"write_statistics": False},
    "checksums": {"write_page_checksum": True},
    "row groups of one": {"row_group_size": 1},
}
ROWS = 33


def jpeg(seed, size=(40, 36)):
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(out, format="JPEG")
    return {"bytes": out.getvalue(), "path": f"{seed}.jpg"}


@pytest.fixture
def derived(cache):
    """Where derived files lie: beside the hub cache."""
    return cache.parent / "datarax"


@pytest.fixture
def write(cache, make):
    """Write a dataset in two files, with its images as they are unless options say otherwise."""

    def write(images=None, **options):
        images = [jpeg(seed) for seed in range(ROWS)] if images is None else images
        options = {**PLAIN, "row_group_size": 4, **options}
        files = {
            f"train-0000{number}-of-00002.parquet": make.parquet(
                {"image": images[begin:end], "label": list(range(begin, end))},
                {"image": make.IMAGE_FEATURE, "label": make.value("int64")},
                types={"image": make.IMAGE},
                **options,
            )
            for number, (begin, end) in enumerate([(0, 10), (10, len(images))])
        }
        return make.snapshot(cache, "a/b", files)

    return write


@pytest.fixture
def kept(monkeypatch):
    """Keep the places of the smallest file."""
    monkeypatch.setattr(in_place, "LEAST_BYTES", 0)


def source(**options):
    return HFSource(HFSourceConfig(name="a/b", local_files_only=True, **options))


def pixels(seed):
    return np.asarray(Image.open(io.BytesIO(jpeg(seed)["bytes"])))


def names(folder):
    return sorted(path.name.split("-")[0] for path in folder.rglob("*.*") if path.is_file())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", ["memory", "disk"])
def test_images_in_place_are_those_of_the_files(write, offline, derived, form, where, request):
    """In any order, with repeats, across files and row groups; a run too."""
    if where == "disk":
        request.getfixturevalue("kept")
    write(**FORMS[form])
    read = offline("a/b")
    assert read.fields["image"].shape == (40, 36, 3)
    lay_out(read, ["image"])
    assert names(derived) == (["places"] * 2 if where == "disk" else [])
    read._shards.table = read._shards.slices = lambda *_: pytest.fail("read as row groups")
    for indices in ([32, 0, 9, 10, 10, 20, 21, 3], range(ROWS), range(8, 25), [5], []):
        rows = np.array(indices, np.int64)
        found = read.read(rows, ["image"])["image"]
        assert len(found) == len(rows)
        for image, row in zip(found, indices, strict=True):
            np.testing.assert_array_equal(image, pixels(row))


def test_a_shuffled_epoch_takes_no_disk_for_images(write, derived, kept):
    """No more than 16 bytes for each, whatever their size."""
    write()
    with (
        source(mode="lazy", shuffle=True, seed=4) as lazy,
        source(mode="eager", shuffle=True, seed=4) as eager,
    ):
        for ours, theirs in zip(lazy.batches(8), eager.batches(8), strict=True):
            np.testing.assert_array_equal(ours["image"], theirs["image"])
        sizes = [path.stat().st_size for path in derived.rglob("places-*")]
    assert sum(sizes) == 16 * ROWS + 2 * 4
    assert not list(derived.rglob("*.arrow"))


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "snappy"},
        {"compression": {"image.bytes": "zstd"}},
        {"use_dictionary": True, "column_encoding": None, "compression": "none"},
        {"column_encoding": {"image.bytes": "DELTA_LENGTH_BYTE_ARRAY"}},
    ],
)
def test_other_files_are_laid_out(write, options):
    """Compressed, or encoded: nothing is found in place, and the images are the same."""
    write(**options)
    with source(mode="lazy", shuffle=True) as found:
        assert found.reader._laid_out._lying == {"image": None}
        assert found.element_spec()["image"].shape == (40, 36, 3)
        np.testing.assert_array_equal(
            found.reader.read(np.array([7]), ["image"])["image"][0], pixels(7)
        )


def test_null_images_stay_null(write):
    images = [None if seed == 12 else jpeg(seed) for seed in range(ROWS)]
    write(images)
    with source(mode="lazy", shuffle=True) as found:
        assert found.reader.fields["image"].shape is None
        read = found.reader.read(np.array([12, 3]), ["image"])["image"]
    assert read[0] is None
    np.testing.assert_array_equal(read[1], pixels(3))


def test_images_of_several_sizes_stay_on_the_host(write):
    """Until they are given one."""
    write([jpeg(seed, (40, 36 + seed // 20)) for seed in range(ROWS)])
    with source(mode="lazy", shuffle=True) as found:
        assert "image_size=(height, width)" in found.reader.fields["image"].reason
        assert found.reader.read(np.array([30, 3]), ["image"])["image"][0].shape == (40, 37, 3)
    with source(mode="lazy", shuffle=True, image_size=(8, 8)) as found:
        assert found.get_batch_at(0, 4)["image"].shape == (4, 8, 8, 3)


def test_what_is_no_image_is_said_where_it_lies(write):
    images = [jpeg(seed) for seed in range(ROWS)]
    images[17]["bytes"] = b"no image"
    write(images)
    with pytest.raises(
        CorruptDataError, match=r"00001-of-00002.*row group 1, row 3, column 'image'"
    ):
        source(mode="lazy", shuffle=True)


def test_a_damaged_image_is_said_where_it_lies(write):
    """Its header is whole, so that it is found when it is decoded."""
    images = [jpeg(seed) for seed in range(ROWS)]
    whole = images[17]["bytes"]
    images[17]["bytes"] = whole[:-600]
    write(images)
    with (
        source(mode="lazy", shuffle=True) as found,
        pytest.raises(
            CorruptDataError, match=r"00001-of-00002.*row group 1, row 3, column 'image'"
        ),
    ):
        found.reader.read(np.array([3, 17, 9]), ["image"])


def test_places_need_no_disk(write, derived, kept):
    """Refused or impossible: they are held in memory, and nothing is said."""
    write()
    derived.parent.mkdir(exist_ok=True)
    derived.write_text("no folder")
    for options in ({"derived_limit": 0}, {"derived_dir": str(derived)}):
        with warnings.catch_warnings(), source(mode="lazy", shuffle=True, **options) as found:
            warnings.simplefilter("error")
            image = found.reader.read(np.array([31, 2]), ["image"])["image"][0]
            np.testing.assert_array_equal(image, pixels(31))


@pytest.mark.parametrize("damage", ["cut", "longer", "zeros", "beyond"])
def test_places_that_are_damaged_are_found_anew(write, derived, kept, damage):
    write()
    with source(mode="lazy", shuffle=True):
        before = {path: path.read_bytes() for path in derived.rglob("places-*")}
    for path, data in before.items():
        other = {
            "cut": data[:-1],
            "longer": data + b"\0",
            "zeros": bytes(len(data)),
            "beyond": data[:12] + b"\x01" + data[13:],
        }[damage]
        path.write_bytes(other)
    with source(mode="lazy", shuffle=True) as found:
        image = found.reader.read(np.array([31, 2]), ["image"])["image"][0]
        np.testing.assert_array_equal(image, pixels(31))
    assert {path: path.read_bytes() for path in derived.rglob("places-*")} == before


def test_places_are_found_once(write, monkeypatch, kept):
    """Whoever opens the dataset next looks at no page."""
    write()
    source(mode="lazy", shuffle=True).close()
    monkeypatch.setattr("datarax_hf.formats.parquet.places", lambda *_: pytest.fail("looked again"))
    with source(mode="lazy", shuffle=True) as found:
        np.testing.assert_array_equal(
            found.reader.read(np.array([30, 1]), ["image"])["image"][1], pixels(1)
        )


def test_a_reader_goes_to_another_process(write, kept):
    write()
    with source(mode="lazy", shuffle=True) as found:
        sent = pickle.loads(pickle.dumps(found.reader))
    image = sent.read(np.array([30, 1]), ["image"])["image"][0]
    np.testing.assert_array_equal(image, pixels(30))
    assert sent._laid_out._lying["image"] is not None
    sent.close()


def test_a_file_in_a_schema_of_others_is_read_in_place(make, tmp_path):
    """One lacks a column; and parts of structs are columns of their own."""
    nested = pa.struct([("image", make.IMAGE), ("n", pa.int64())])
    rows = [{"image": jpeg(seed), "n": seed} for seed in range(ROWS)]
    data = make.parquet(
        {"of": rows},
        {"of": {"image": make.IMAGE_FEATURE, "n": make.value("int64")}},
        types={"of": nested},
        row_group_size=8,
        compression="none",
        use_dictionary=False,
    )
    (tmp_path / "train.parquet").write_bytes(data)
    config = HFSourceConfig(name=str(tmp_path), mode="lazy", shuffle=True, flatten=True)
    with HFSource(config) as found:
        read = found.reader.read(np.array([30, 1]), ["of.image", "of.n"])
        assert found.reader._laid_out._lying["of.image"] is not None
    np.testing.assert_array_equal(read["of.image"][0], pixels(30))
    assert read["of.n"].tolist() == [30, 1]


CHANGED = """
import os, sys
import numpy as np
from datarax.errors import CorruptDataError
from datarax_hf import HFSource, HFSourceConfig
folder = sys.argv[1]
path = os.path.join(folder, "train.parquet")
source = HFSource(HFSourceConfig(name=folder, mode="lazy", shuffle=True, derived_limit=0))
for change in ("cut", "written", "gone"):
    print(source.reader.read(np.array([30, 1]), ["image"])["image"].shape)
    state, data = os.stat(path), open(path, "rb").read()
    if change == "cut":
        os.truncate(path, 100)
    elif change == "written":
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    else:
        os.unlink(path)
    try:
        source.reader.read(np.array([30, 1]), ["image"])
        print("read")
    except CorruptDataError as error:
        print(error)
    if change != "gone":
        open(path, "r+b").write(data)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
source.close()
"""


def test_a_file_that_changes_while_it_is_open_is_an_error(make, tmp_path):
    """Not the end of the process, and no image with another one's label; one that is gone stays."""
    images = [jpeg(seed) for seed in range(ROWS)]
    data = make.parquet(
        {"image": images, "label": list(range(ROWS))},
        {"image": make.IMAGE_FEATURE, "label": make.value("int64")},
        types={"image": make.IMAGE},
        **PLAIN,
    )
    (tmp_path / "train.parquet").write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", CHANGED, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shape, size = "(2, 40, 36, 3)", f"({len(data):,} bytes became"
    told = done.stdout.splitlines()
    assert [told[0], told[2], told[4], told[5]] == [shape, shape, shape, "read"]
    assert f"was written again while it was open {size} 100)" in told[1]
    assert f"was written again while it was open {size} {len(data):,})" in told[3]


def is_written(kind):
    """Return whether this release of pyarrow writes bytes of a type."""
    try:
        pq.write_table(pa.table({"x": pa.array([b""], pa.binary()).cast(kind)}), io.BytesIO())
    except pa.ArrowNotImplementedError:
        return False
    return True


KINDS = (pa.binary_view(), pa.large_binary(), pa.dictionary(pa.int32(), pa.binary()))


@pytest.mark.parametrize("compression", ["none", "snappy"])
@pytest.mark.parametrize("kind", list(filter(is_written, KINDS)), ids=str)
@pytest.mark.parametrize("mode", ["lazy", "eager"])
def test_bytes_of_any_type_are_images(make, tmp_path, compression, kind, mode):
    """Whether they are a column, or stand in a struct."""
    images = [jpeg(seed)["bytes"] for seed in range(ROWS)]
    columns = {"plain": pa.array(images, pa.binary()).cast(kind)}
    features = {"plain": make.IMAGE_FEATURE, "struct": make.IMAGE_FEATURE}
    paths = pa.array([None] * ROWS, pa.string())
    columns["struct"] = pa.StructArray.from_arrays([columns["plain"], paths], ["bytes", "path"])
    data = make.parquet(columns, features, compression=compression, use_dictionary=False)
    (tmp_path / "train.parquet").write_bytes(data)
    config = HFSourceConfig(name=str(tmp_path), mode=mode, shuffle=mode == "lazy")
    with HFSource(config) as found:
        read = found.reader.read(np.array([30, 1]), ["plain", "struct"])
        np.testing.assert_array_equal(read["plain"][0], pixels(30))
        np.testing.assert_array_equal(read["struct"][1], pixels(1))
        batch = found.get_batch_at(0, 4)
        np.testing.assert_array_equal(batch["plain"], batch["struct"])


def test_many_files_take_no_descriptors_and_few_looks(make, tmp_path, kept, monkeypatch):
    """Neither in place nor laid out flat; the derived folder is not listed for each."""
    monkeypatch.setattr(flat, "SMALL_BYTES", 0)
    looks, entries = [], Derived._entries
    monkeypatch.setattr(Derived, "_entries", lambda self: looks.append(1) or entries(self))
    for number in range(40):
        data = make.parquet(
            {"image": [jpeg(number)], "label": [number]},
            {"image": make.IMAGE_FEATURE, "label": make.value("int64")},
            types={"image": make.IMAGE},
            **PLAIN,
        )
        (tmp_path / f"train-{number:05d}-of-00040.parquet").write_bytes(data)
    derived = tmp_path / "derived"
    config = HFSourceConfig(name=str(tmp_path), mode="lazy", shuffle=True, derived_dir=str(derived))
    before = len(list(Path("/dev/fd").iterdir()))
    with HFSource(config) as found:
        read = found.reader.read(np.array([30, 1]), ["image", "label"])
        assert read["label"].tolist() == [30, 1]
        np.testing.assert_array_equal(read["image"][0], pixels(30))
        assert len(list(Path("/dev/fd").iterdir())) < before + 10
    assert len(list(derived.rglob("places-*"))) == len(list(derived.rglob("*.npy"))) == 40
    assert len(looks) < 20


def written(values, **options):
    out = io.BytesIO()
    nullable = options.pop("nullable", True)
    schema = pa.schema([pa.field("x", pa.binary(), nullable=nullable)])
    table = pa.table({"x": pa.array(values, pa.binary())}, schema=schema)
    pq.write_table(table, out, compression="none", use_dictionary=False, **options)
    return out.getvalue()


def found(data):
    """Return the values of the column x as they are found in place."""
    chunks = plain_chunks(pq.read_metadata(io.BytesIO(data)), "x")
    view = memoryview(data)
    return [
        bytes(view[begin:end]) for chunk in chunks for begin, end in places(view, chunk).tolist()
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(max_size=300), max_size=80),
    st.sampled_from(["1.0", "2.0"]),
    st.integers(1, 3000),
    st.integers(1, 90),
    st.booleans(),
)
def test_places_are_those_of_any_values(values, version, page, group, nullable):
    data = written(
        values,
        data_page_version=version,
        data_page_size=page,
        write_batch_size=8,
        row_group_size=group,
        nullable=nullable,
    )
    assert found(data) == values


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damaged_pages_are_never_read_beyond(data):
    """Whatever bytes change: places lie within the file and go up, or there are none."""
    version = data.draw(st.sampled_from(["1.0", "2.0"]))
    good = written([b"abc" * n for n in range(9)], data_page_version=version, data_page_size=40)
    chunk = plain_chunks(pq.read_metadata(io.BytesIO(good)), "x")[0]
    bad = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        bad[data.draw(st.integers(chunk.begin, chunk.end - 1))] = data.draw(st.integers(0, 255))
    view = memoryview(bytes(bad))
    try:
        ends = places(view, chunk).reshape(-1)
    except NotPlainError:
        return
    assert len(ends) == 2 * chunk.values
    assert (np.diff(ends) >= 0).all()
    assert chunk.begin <= ends[0]
    assert ends[-1] <= chunk.end


def test_a_null_that_the_file_does_not_count_is_seen():
    """The footer is believed for a start only: the pages say which values are there."""
    values = [b"one", None, b"three"]
    data = written(values)
    chunk = plain_chunks(pq.read_metadata(io.BytesIO(written([b"one", b"two", b"three"]))), "x")[0]
    with pytest.raises(NotPlainError):
        places(memoryview(data), chunk)


@pytest.mark.parametrize(
    ("there", "missing"),
    [(b"\x06\x01", b"\x06\x00"), (b"\x03\x07", b"\x03\x05")],
    ids=["run", "packed"],
)
def test_levels_say_which_values_are_there(there, missing):
    """In either encoding: where one says null, what lies there is not taken for its value."""
    data, size = written([b"one", b"two", b"three"]), b"\x02\0\0\0"
    chunk = plain_chunks(pq.read_metadata(io.BytesIO(data)), "x")[0]
    assert data.count(size + b"\x06\x01") == 1
    whole = data.replace(size + b"\x06\x01", size + there)
    assert len(places(memoryview(whole), chunk)) == 3
    with pytest.raises(NotPlainError):
        places(memoryview(whole.replace(size + there, size + missing)), chunk)


def test_a_count_that_is_no_number_is_refused():
    """As a byte that changed makes of one: a list of numbers."""
    data = bytearray(written([b"one", b"two"], nullable=False, write_statistics=False))
    chunk = plain_chunks(pq.read_metadata(io.BytesIO(bytes(data))), "x")[0]
    data[data.index(b"\x2c\x15", chunk.begin) + 1] = 0x19
    with pytest.raises(NotPlainError):
        places(memoryview(bytes(data)), chunk)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x15",
        b"\x1c" * 40,  # structs in structs
        b"\x15" + b"\xff" * 12,  # a number without an end
        b"\x1b\x00\x00",  # a map
        b"\x19\xf7\xff\xff\xff\x7f\x00",  # a list of more numbers than bytes
        b"\x18\xff\x01\x00",  # bytes beyond the end
        b"\x19" * 5000,  # lists in lists
    ],
)
def test_what_is_no_struct_is_refused(data):
    with pytest.raises(CompactError):
        Compact(memoryview(data), 0).struct()


def test_a_struct_is_read_as_the_protocol_has_it():
    """Short and long steps of field numbers, flags, signs, lists, text and structs."""
    data = b"\x15\x03\x11\x12\x18\x02ab\x29\x25\x02\x04\x1c\x15\x01\x00\x05\xc8\x01\x14\x00"
    reader = Compact(memoryview(data), 0)
    assert reader.struct() == {1: -2, 2: True, 3: False, 4: 2, 6: [1, 2], 7: {1: -1}, 100: 10}
    assert reader.at == len(data)
