"""Images: the declared size, channels and depth, or an error."""

import io

import numpy as np
import pytest
from PIL import Image

from datarax_tfds.images import decodable, decode

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (4, 6), np.uint8)
RGB = RNG.integers(0, 256, (4, 6, 3), np.uint8)
UINT8 = np.dtype(np.uint8)


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def test_a_lossless_image_is_exact():
    """Gray and colour, of known and unknown size."""
    gray = decode(encoded(Image.fromarray(GRAY)), (4, 6, 1), UINT8)
    np.testing.assert_array_equal(gray, GRAY[..., None])
    colour = decode(encoded(Image.fromarray(RGB)), (None, None, 3), UINT8)
    np.testing.assert_array_equal(colour, RGB)


def test_a_jpeg_is_what_pillow_makes_of_it():
    """Lossy formats are decoded by Pillow."""
    data = encoded(Image.fromarray(RGB), "JPEG", quality=95)
    np.testing.assert_array_equal(
        decode(data, (4, 6, 3), UINT8), np.asarray(Image.open(io.BytesIO(data)))
    )


def test_other_channels_than_declared_are_converted():
    """A palette gives its colours, not its indices; gray becomes colour."""
    palette = Image.fromarray(RGB).quantize(256)
    found = decode(encoded(palette), (4, 6, 3), UINT8)
    np.testing.assert_array_equal(found, np.asarray(palette.convert("RGB")))
    found = decode(encoded(Image.fromarray(GRAY)), (4, 6, 3), UINT8)
    np.testing.assert_array_equal(found, np.repeat(GRAY[..., None], 3, axis=2))


def test_sixteen_bits_are_kept():
    """Depth images are uint16 of one channel."""
    deep = RNG.integers(0, 2**16, (4, 6), np.uint16)
    found = decode(encoded(Image.fromarray(deep)), (4, 6, 1), np.dtype(np.uint16))
    np.testing.assert_array_equal(found, deep[..., None])
    assert found.dtype == np.uint16


def test_floats_are_the_bytes_of_rgba():
    """TFDS stores float images so."""
    floats = RNG.normal(size=(4, 6)).astype(np.float32)
    data = encoded(Image.fromarray(floats[..., None].view(np.uint8), "RGBA"))
    found = decode(data, (None, None, 1), np.dtype(np.float32))
    np.testing.assert_array_equal(found, floats[..., None])


@pytest.mark.parametrize(
    ("data", "shape", "dtype", "what"),
    [
        (b"", (4, 6, 1), np.uint8, "not an image"),
        (encoded(Image.fromarray(GRAY))[:-30], (4, 6, 1), np.uint8, "damaged"),
        (
            encoded(Image.fromarray(GRAY)),
            (6, 4, 1),
            np.uint8,
            "of 4x6, and the dataset declares 6x4",
        ),
        (encoded(Image.fromarray(GRAY)), (4, 6, 1), np.uint16, "not of 16 bits"),
        (encoded(Image.fromarray(RGB)), (4, 6, 1), np.float32, "not the RGBA of floats"),
        (
            encoded(Image.fromarray(GRAY.astype(np.uint16) * 256)),
            (4, 6, 1),
            np.uint8,
            "declares uint8",
        ),
    ],
)
def test_what_is_not_as_declared_is_an_error(data, shape, dtype, what):
    """Nothing is cut, scaled or guessed."""
    with pytest.raises(ValueError, match=what):
        decode(data, shape, np.dtype(dtype))


def test_a_header_that_lies_allocates_nothing():
    """The size is checked before a pixel is decoded."""
    data = bytearray(encoded(Image.fromarray(GRAY)))
    data[16:24] = (2**15).to_bytes(4, "big") + (2**14).to_bytes(4, "big")
    import zlib

    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with pytest.raises(ValueError, match="image"):
        decode(bytes(data), (None, None, 1), UINT8)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((4, 6, 3), np.uint16), ((None, 4, 6, 3), np.uint8), ((4, 6, 3), np.float32)],
)
def test_what_pillow_cannot_say_exactly_is_not_decoded(shape, dtype):
    """Colour of 16 bits and animations stay encoded bytes."""
    assert not decodable(shape, np.dtype(dtype))
