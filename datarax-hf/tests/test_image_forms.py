"""What images become is found out once, and small ones are decoded once, whatever the mode."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import types

import numpy as np
import pytest
from PIL import Image

import datarax
from datarax_hf import flat, image_forms, image_opening, images
from datarax_hf.flushing import Flushing

SIZE = (40, 48)


@pytest.fixture
def derived(cache):
    """Where derived files lie: beside the hub cache."""
    return cache.parent / "datarax"


@pytest.fixture(autouse=True)
def every_form(monkeypatch):
    """Keep the forms of small files too."""
    monkeypatch.setattr(image_forms, "LEAST_BYTES", 0)


@pytest.fixture
def on_disk(monkeypatch):
    """Lay every column out on the disk."""
    monkeypatch.setattr(flat, "SMALL_BYTES", 0)


@pytest.fixture
def photos(cache, make):
    """Write two train files of photos, in row groups of two; return what stores them."""

    def write(shapes, files=2):
        stored = [photo(shape, seed) for seed, shape in enumerate(shapes)]
        each = len(stored) // files
        data = {
            f"train-{i:05d}-of-{files:05d}.parquet": make.parquet(
                {"image": stored[i * each : (i + 1) * each]},
                {"image": make.IMAGE_FEATURE},
                row_group_size=2,
                types={"image": make.IMAGE},
            )
            for i in range(files)
        }
        make.snapshot(cache, "a/b", data)
        return stored

    return write


def photo(shape, seed=0):
    if shape is None:
        return None
    pixels = np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="JPEG")
    return {"bytes": out.getvalue(), "path": None}


def damaged(cache):
    """Spoil every image of every file, whose name, size and time stay."""
    paths = {path.resolve() for path in cache.rglob("*.parquet")}
    for path in paths:
        state = path.stat()
        path.write_bytes(path.read_bytes().replace(b"\xff\xd8\xff", b"\0\0\0"))
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    return len(paths)


def files_of(derived, ending):
    return [path for path in derived.rglob("*") if path.suffix == ending]


@pytest.mark.parametrize(
    "shapes",
    [[SIZE] * 8, [*[SIZE] * 7, (40, 47)], [SIZE, SIZE, None, *[SIZE] * 5], [(40, 47), *[SIZE] * 7]],
)
def test_what_images_become_is_kept(cache, derived, photos, offline, shapes):
    """A second opening reads none of them: were it to, it would find them damaged."""
    photos(shapes)
    first = offline("a/b").fields["image"]
    assert first.is_array == (shapes == [SIZE] * 8)
    assert damaged(cache) == 2
    assert offline("a/b").fields["image"] == first
    with pytest.raises(datarax.errors.CorruptDataError, match="file 'train-0000"):
        offline("a/b", image_mode="L")  # another form, which is not kept


def test_options_have_forms_of_their_own(photos, offline):
    """Mode and size each change what images become."""
    photos([SIZE] * 8)
    assert offline("a/b").fields["image"].shape == (*SIZE, 3)
    assert offline("a/b", image_mode="L").fields["image"].shape == SIZE
    assert offline("a/b", image_size=(8, 9)).fields["image"].shape == (8, 9, 3)
    assert offline("a/b").fields["image"].shape == (*SIZE, 3)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda told: b"",
        lambda told: told[:20],
        lambda told: b"[]",
        lambda told: b"[" * 100_000,
        lambda told: told.replace(b"RGB", b"RGX"),
        lambda told: told.replace(b"false", b"true"),
        lambda told: told.replace(str(SIZE[0]).encode(), b"1e400"),
        lambda told: told.replace(str(SIZE[0]).encode(), b"39"),
    ],
)
def test_a_kept_form_that_is_not_whole_is_not_believed(derived, photos, offline, spoil):
    """It is found out anew, and kept again."""
    photos([SIZE] * 8)
    first = offline("a/b").fields["image"]
    kept = {path: path.read_bytes() for path in files_of(derived, ".json")}
    assert len(kept) == 2
    for path, told in kept.items():
        assert spoil(told) != told
        path.write_bytes(spoil(told))
    assert offline("a/b").fields["image"] == first
    assert {path: path.read_bytes() for path in files_of(derived, ".json")} == kept


def test_a_small_file_is_looked_at_again(derived, photos, offline, monkeypatch):
    """That takes no time, and leaves no file."""
    monkeypatch.setattr(image_forms, "LEAST_BYTES", 2**20)
    photos([SIZE] * 8)
    assert offline("a/b").fields["image"].is_array
    assert not derived.exists()


def test_nothing_is_kept_where_that_is_refused(derived, photos, offline):
    """`derived_limit=0` writes no file at all."""
    photos([SIZE] * 8)
    assert offline("a/b", derived_limit=0).fields["image"].is_array
    assert not derived.exists()


def test_images_are_looked_at_as_they_are_laid_out(derived, photos, on_disk):
    """One reading serves both: rows and values are right, in any order and in the next process."""
    stored = photos([SIZE] * 8)
    pixels = [np.asarray(Image.open(io.BytesIO(entry["bytes"]))) for entry in stored]
    for _ in range(2):
        with datarax.load("hf:a/b", local_files_only=True, mode="lazy", shuffle=True) as source:
            assert len(files_of(derived, ".arrow")) == 2
            assert len(files_of(derived, ".json")) == 2
            for i, expected in enumerate(pixels):
                np.testing.assert_array_equal(source[i]["image"], expected)


@pytest.mark.parametrize("shapes", [[*[SIZE] * 7, (40, 47)], [*[SIZE] * 5, None, SIZE, SIZE]])
def test_images_that_make_no_array_leave_no_half_layout(derived, photos, on_disk, shapes):
    """They stay on the host; the layout of the file in which that was found is taken away."""
    photos(shapes)
    with datarax.load("hf:a/b", local_files_only=True, mode="lazy", shuffle=True) as source:
        assert "image" in source.host_only
        assert len(files_of(derived, ".arrow")) == 1
    assert files_of(derived, ".partial") == []


def test_a_damaged_image_is_named_as_it_is_laid_out(cache, derived, photos, on_disk):
    """And no layout is left of its file."""
    photos([SIZE] * 8)
    assert damaged(cache) == 2
    with pytest.raises(
        datarax.errors.CorruptDataError, match=r"row group 0, row 0, column 'image'"
    ):
        datarax.load("hf:a/b", local_files_only=True, mode="lazy", shuffle=True)
    assert files_of(derived, ".arrow") == files_of(derived, ".partial") == []


def test_the_limit_of_pixels_is_that_of_pillow(monkeypatch):
    """Its own where it was never imported, and what it was set to where it was."""
    assert image_opening.PILLOW_PIXELS == Image.MAX_IMAGE_PIXELS
    encoded = photo(SIZE)["bytes"]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(datarax.errors.CorruptDataError, match="Pillow's limit of 100"):
        images.ImageDecoder().decode(encoded, lambda: "here")


def test_plain_images_do_not_import_pillow(cache, photos):
    """A cold process has its first batch the sooner."""
    photos([SIZE] * 8)
    code = (
        "import sys, datarax; "
        "b = next(datarax.load('hf:a/b', local_files_only=True, mode='lazy').batches(4)); "
        f"assert b['image'].shape == (4, {SIZE[0]}, {SIZE[1]}, 3); "
        "assert 'PIL' not in sys.modules"
    )
    environment = {**os.environ, "HF_HUB_CACHE": str(cache)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_what_the_disk_refuses_while_a_file_is_flushed_is_raised_at_the_end(tmp_path):
    """It would not be told a second time."""
    descriptor = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR)
    flushing = Flushing(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"), flushing:
        os.close(descriptor)
        flushing._thread.join(10)


@pytest.fixture
def digits(cache, make):
    """Write a train file of 30 small images and their labels; return the pixels."""
    pixels, labels, _ = make.digits(30)
    columns = {"image": [make.png(image) for image in pixels], "label": labels.tolist()}
    data = make.parquet(
        columns, {"image": make.IMAGE_FEATURE}, row_group_size=7, types={"image": make.IMAGE}
    )
    make.snapshot(cache, "a/b", {"train.parquet": data})
    return pixels


def eager(split="train", **options):
    with datarax.load(
        "hf:a/b", local_files_only=True, split=split, **{"mode": "eager", **options}
    ) as source:
        return np.asarray(source.get_batch_at(0, len(source))["image"])


@pytest.mark.parametrize("mode", ["eager", "auto"])
def test_small_images_are_decoded_once_for_all_processes(cache, derived, digits, on_disk, mode):
    """An eager load keeps their pixels; the next one reads no image, and a lazy source neither."""
    np.testing.assert_array_equal(eager(mode=mode), digits)
    assert len(files_of(derived, ".npy")) == 1  # labels are decoded as fast as they are read
    blank(cache)
    np.testing.assert_array_equal(eager(mode=mode), digits)
    with datarax.load("hf:a/b", local_files_only=True, mode="lazy", shuffle=True) as source:
        np.testing.assert_array_equal(source[29]["image"], digits[29])


def test_a_part_of_a_split_keeps_its_own(derived, digits, on_disk):
    """Only the row groups that it lies in."""
    np.testing.assert_array_equal(eager("train[20:24]"), digits[20:24])
    (kept,) = files_of(derived, ".npy")
    assert np.load(kept).shape[0] == 14


@pytest.mark.parametrize("options", [{"derived_limit": 0}, {"derived_limit": 10}])
def test_an_eager_load_does_without_where_nothing_is_kept(derived, digits, on_disk, options):
    """It decodes, and says nothing: all of it is in memory afterwards."""
    np.testing.assert_array_equal(eager(**options), digits)
    assert files_of(derived, ".npy") == []


def test_few_pixels_are_not_kept(derived, digits):
    """They are decoded sooner than a file is flushed."""
    np.testing.assert_array_equal(eager(), digits)
    assert files_of(derived, ".npy") == []


def blank(cache):
    """Spoil every PNG file within the data, whose name, size and time stay."""
    for path in {path.resolve() for path in cache.rglob("*.parquet")}:
        state = path.stat()
        path.write_bytes(path.read_bytes().replace(b"IHDR", b"XXXX"))
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_images_are_decoded_while_another_thread_imports_pillow(cache, make, offline, monkeypatch):
    """A module that is being imported is there already, without what it will define."""
    pixels, _, _ = make.digits(4)
    table = {"image": [make.png(image) for image in pixels]}
    features = {"image": make.IMAGE_FEATURE}
    make.snapshot(
        cache, "a/b", {"train.parquet": make.parquet(table, features, types={"image": make.IMAGE})}
    )
    read = offline("a/b")
    monkeypatch.setitem(sys.modules, "PIL.Image", types.ModuleType("PIL.Image"))
    found = read.read(np.arange(4), ["image"])["image"]
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize("mode", ["eager", "lazy", "streaming"])
@pytest.mark.parametrize("declared", ["1", "P"])
@pytest.mark.parametrize("size", [(8, 8), (70, 64)])
def test_a_declared_mode_that_no_array_holds_is_converted_to_and_shown(
    tmp_path, make, mode, declared, size
):
    """As `datasets` converts it: grey becomes black and white, colours those of a palette."""
    random = np.random.default_rng(0)
    shape = (*size, 3) if declared == "P" else size
    pixels = random.integers(0, 256, (40, *shape), np.uint8)
    feature = {"mode": declared, "decode": True, "_type": "Image"}
    table = make.parquet(
        {"image": [make.png(image) for image in pixels]},
        {"image": feature},
        types={"image": make.IMAGE},
    )
    (tmp_path / "train.parquet").write_bytes(table)
    shown = "L" if declared == "1" else "RGB"
    expected = [np.asarray(Image.fromarray(x).convert(declared).convert(shown)) for x in pixels]
    with datarax.load(f"hf:{tmp_path}", mode=mode) as source:
        found = [element["image"] for element in source]
    np.testing.assert_array_equal(np.stack(found), np.stack(expected))


def test_an_image_folder_that_is_here_in_part_names_each_image_that_is_missing(cache, make):
    """Without a listing only what is on the disk is known, and no file is damaged."""
    named = "".join(f'{{"file_name": "{name}.png"}}\n' for name in "abcdef")
    picture = make.png(np.zeros((2, 2), np.uint8))
    files = {"train/metadata.jsonl": named.encode(), "train/a.png": picture["bytes"]}
    make.snapshot(cache, "a/b", files)
    with pytest.raises(datarax.errors.CacheMissError, match="part of the dataset") as caught:
        datarax.load("hf:a/b", local_files_only=True)
    for name in "bcdef":
        assert f"train/{name}.png" in str(caught.value)
    assert "hf download a/b --repo-type dataset" in str(caught.value)
