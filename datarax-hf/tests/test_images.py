"""Image columns: fixed shapes where every header agrees, host values where they differ."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

import datarax
from datarax.errors import CorruptDataError


@pytest.fixture
def read(cache, make, offline):
    """Write one train file with an image column and open it."""

    def read_(images, feature=None, columns=None, features=True, row_group_size=2, **options):
        feature = make.IMAGE_FEATURE if feature is None else feature
        data = make.parquet(
            {"image": images, **(columns or {})},
            {"image": feature} if features else None,
            row_group_size=row_group_size,
            types={"image": make.IMAGE},
        )
        make.snapshot(cache, "a/b", {"train.parquet": data})
        return offline("a/b", **options)

    return read_


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def encoded(array, kind, **options):
    out = io.BytesIO()
    Image.fromarray(array).save(out, format=kind, **options)
    return {"bytes": out.getvalue(), "path": "x"}


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 2), (5, 4, 3), (5, 4, 4)])
def test_images_of_one_form_are_an_array_field(read, make, shape):
    """Grey, grey with alpha, RGB and RGBA images of one size have a shape."""
    images = [pixels(*shape, seed=seed) for seed in range(5)]
    reader = read([make.png(image) for image in images])
    assert reader.fields["image"].shape == shape
    assert reader.fields["image"].dtype == np.uint8
    got = reader.read(np.array([4, 0, 3]), ["image"])["image"]
    np.testing.assert_array_equal(got, np.stack([images[4], images[0], images[3]]))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("same", [True, False])
def test_images_of_many_row_groups_come_in_the_order_asked_for(read, kind, same):
    """They are decoded together, whatever row group each lies in; the one that is broken is named."""
    images = [
        encoded(pixels(70, 80 + (seed % 2) * (not same), seed=seed), kind) for seed in range(9)
    ]
    order = np.array([8, 0, 3, 3, 7, 1, 4])
    reader = read(images)
    got = reader.read(order, ["image"])["image"]
    assert isinstance(got, np.ndarray) == same
    for value, index in zip(got, order, strict=True):
        expected = np.asarray(Image.open(io.BytesIO(images[index]["bytes"])))
        np.testing.assert_array_equal(value, expected)
    images[7]["bytes"] = images[7]["bytes"][:900]
    with pytest.raises(
        CorruptDataError, match="row group 3, row 1, column 'image': the image cann"
    ):
        read(images).read(order, ["image"])


def test_images_of_differing_sizes_stay_on_the_host_and_say_why(read, make):
    """No shape is promised from the first row."""
    images = [pixels(5, 4), pixels(5, 4, seed=1), pixels(6, 4)]
    reader = read([make.png(image) for image in images])
    assert not reader.fields["image"].is_array
    assert "differ in size (5x4 and 6x4)" in reader.fields["image"].reason
    for index, image in enumerate(images):
        np.testing.assert_array_equal(reader[index]["image"], image)


def test_images_of_differing_modes_stay_on_the_host_and_say_why(read, make):
    """A mode option makes them one array field."""
    images = [make.png(pixels(5, 4)), make.png(pixels(5, 4, 3))]
    assert "differ in mode (L and RGB); image_mode='RGB'" in read(images).fields["image"].reason
    assert read(images, image_mode="RGB").fields["image"].shape == (5, 4, 3)


def test_image_mode_and_image_size_make_one_form(read, make):
    """Converted and resized images are arrays of the form asked for."""
    images = [make.png(np.full((4, 6), 7, np.uint8)), make.png(np.full((9, 3, 3), 7, np.uint8))]
    reader = read(images, image_mode="RGB", image_size=(2, 5))
    assert reader.fields["image"].shape == (2, 5, 3)
    np.testing.assert_array_equal(
        reader.read(np.arange(2), ["image"])["image"], np.full((2, 2, 5, 3), 7)
    )


def test_no_header_is_read_where_mode_and_size_are_asked_for(read, make):
    """All images then have one form; what is no image is found when it is decoded."""
    reader = read([{"bytes": b"junk", "path": None}], image_mode="L", image_size=(2, 5))
    assert reader.fields["image"].shape == (2, 5)
    with pytest.raises(CorruptDataError, match="row 0"):
        reader[0]
    nulls = read([make.png(pixels(5, 4)), None], image_mode="L", image_size=(2, 5))
    assert nulls.fields["image"].reason == "some of its images are null"


def test_the_mode_of_the_feature_is_honoured(read, make):
    """Image(mode="RGB") converts, unless an option says otherwise."""
    feature = {"mode": "RGB", "_type": "Image"}
    assert read([make.png(pixels(5, 4))], feature).fields["image"].shape == (5, 4, 3)
    assert read([make.png(pixels(5, 4))], feature, image_mode="L").fields["image"].shape == (5, 4)


def test_palettes_become_colours(read, make):
    """A palette image is read as the colours it shows, not as its indices."""
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 0] = (200, 10, 30)
    reader = read([make.png(image, "P")])
    assert reader.fields["image"].shape == (2, 2, 3)
    shown = Image.fromarray(image).convert("P").convert("RGB")
    np.testing.assert_array_equal(reader[0]["image"], np.asarray(shown))


def test_one_bit_and_sixteen_bit_images_have_a_dtype_that_holds_them(read, make):
    """Black and white is uint8, 16 bits are uint16."""
    deep = np.array([[0, 65535]], np.uint16)
    reader = read([make.png(deep)])
    assert reader.fields["image"].dtype == np.uint16
    np.testing.assert_array_equal(reader[0]["image"], deep)
    flat = read([make.png(np.array([[0, 255]], np.uint8), "1")])
    np.testing.assert_array_equal(flat[0]["image"], [[0, 255]])


def test_jpeg_orientation_is_applied(read):
    """An image that its camera turned is handed out upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    reader = read([encoded(pixels(8, 16, 3), "JPEG", exif=exif)])
    assert reader.fields["image"].shape == (16, 8, 3)
    assert reader[0]["image"].shape == (16, 8, 3)


def test_null_images_stay_on_the_host(read, make):
    """A null among images is None in its record."""
    reader = read([make.png(pixels(5, 4)), None])
    assert reader.fields["image"].reason == "some of its images are null"
    assert reader[1]["image"] is None


@pytest.mark.parametrize("path", ["a.png", "../a.png", "{folder}/a.png"])
def test_a_path_without_bytes_is_null_and_no_file_is_opened(
    read, make, tmp_path, monkeypatch, path
):
    """Even where there is such a file in the working directory."""
    image = make.png(np.zeros((2, 3), np.uint8))
    (tmp_path / "here").mkdir()
    for folder in (tmp_path, tmp_path / "here"):
        (folder / "a.png").write_bytes(image["bytes"])
    monkeypatch.chdir(tmp_path / "here")
    reader = read([image, {"bytes": None, "path": path.format(folder=tmp_path)}])
    first, other = (reader[row]["image"] for row in range(2))
    assert first.shape == (2, 3)
    assert other is None


def test_images_are_known_without_features(read, make):
    """Bytes and a path that begin as an image are one, though no metadata says so."""
    reader = read([make.png(pixels(5, 4))], features=False)
    assert reader.fields["image"].shape == (5, 4)
    other = read([{"bytes": b"sound", "path": None}], features=False)
    assert other[0]["image"] == {"bytes": b"sound", "path": None}


def test_images_that_are_not_read_are_not_looked_into(read, make):
    """exclude_keys and include_keys spare the headers, so that damage there does not matter."""
    images = [{"bytes": b"junk", "path": None}]
    for options in ({"exclude_keys": ("image",)}, {"include_keys": ("x",)}):
        reader = read(images, columns={"x": [1]}, **options)
        assert reader.read(np.arange(1), ["x"])["x"].tolist() == [1]


def test_bytes_that_are_no_image_are_corrupt(read, make):
    """The file, the row group, the row and the column are named."""
    with pytest.raises(CorruptDataError, match=r"train.parquet', row group 1, row 0.*'image'"):
        read([make.png(pixels(5, 4)), make.png(pixels(5, 4)), {"bytes": b"junk", "path": None}])


def test_a_truncated_image_is_corrupt_when_it_is_decoded(read, make):
    """Its header is whole, its pixels are not."""
    cut = make.png(pixels(64, 64))
    cut["bytes"] = cut["bytes"][:1000]
    reader = read([cut])
    assert reader.fields["image"].shape == (64, 64)
    with pytest.raises(CorruptDataError, match="row 0, column 'image': the image cannot be"):
        reader[0]


@pytest.mark.parametrize("side", [300, 100])
def test_a_decompression_bomb_is_an_error_not_an_allocation(read, make, monkeypatch, side):
    """Beyond Pillow's limit nothing is decoded, below the double of it too."""
    bomb = make.png(np.zeros((side, side), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 6000)
    with pytest.raises(CorruptDataError, match="limit of 6000"):
        read([bomb])[0]


def test_inspect_tells_the_sizes_that_images_are_stored_in(cache, make):
    """Whatever they are converted to; a column that is not read is looked into all the same."""
    images = [make.png(pixels(5, 4)), None, make.png(pixels(6, 3, 3))]
    data = make.parquet(
        {"image": images}, {"image": make.IMAGE_FEATURE}, types={"image": make.IMAGE}
    )
    make.snapshot(cache, "a/b", {"train.parquet": data})
    for options in ({}, {"image_mode": "L", "image_size": (2, 2)}):
        info = datarax.inspect("hf:a/b", local_files_only=True, **options)
        said = "the images are stored in 5x3 to 6x4 pixels, L or RGB"
        assert info.fields["image"].description == said
