"""Pixels: every fast way gives what Pillow gives to the bit, and what it cannot read is Pillow's."""

from __future__ import annotations

import gc
import io
import pickle
import struct
import subprocess
import sys
import threading
import zlib
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageOps

from datarax.errors import CorruptDataError
from datarax_hf.headers import JPEG, PLAIN_PNG, PNG, UNKNOWN, Encoded, read_headers
from datarax_hf.images import ImageDecoder
from datarax_hf.threads import Threads

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    b'syntax-ns#"><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="3"'
    b"/></rdf:RDF></x:xmpmeta>"
)


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def smooth(height, width, channels, seed=0):
    small = Image.fromarray(pixels(5, 4, channels, seed=seed).squeeze())
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def encode(image, kind, mode=None, **options):
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    out = io.BytesIO()
    (image if mode is None else image.convert(mode)).save(out, kind, **options)
    return out.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def filtered(image, filters, before=(), runs=1, after=()):
    """Return the PNG of an array, its lines filtered as told."""
    image = image if image.ndim == 3 else image[..., None]
    height, width, channels = image.shape
    padded = np.zeros((height + 1, width + 1, channels), np.int32)
    padded[1:, 1:] = image
    left, up, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    near = np.abs(np.stack([up - corner, left - corner, left + up - 2 * corner]))
    paeth = np.choose(np.argmin(near, 0), [left, up, corner])
    predicted = [np.zeros_like(left), left, up, (left + up) // 2, paeth]
    lines = b"".join(
        bytes([kind]) + ((image[y] - predicted[kind][y]) % 256).astype(np.uint8).tobytes()
        for y, kind in enumerate(filters)
    )
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    packed = zlib.compress(lines)
    ends = np.linspace(0, len(packed), runs + 1).astype(int)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)),
            *before,
            *(chunk(b"IDAT", packed[a:b]) for a, b in pairwise(ends)),
            *after,
            chunk(b"IEND", b""),
        ]
    )


def pillow(data):
    """Return the image as `datasets` reads it, palettes and bits as they look."""
    image = Image.open(io.BytesIO(data))
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode == "1":
        return image.convert("L")
    if image.mode == "P":
        return image.convert("RGBA" if "transparency" in image.info else "RGB")
    return image


def kinds(items):
    return read_headers(Encoded.of(pa.array(items, pa.binary())), most_pixels=10**8).kind.tolist()


def decoded(items, shape, dtype=np.uint8, decoder=None):
    images = items if isinstance(items, pa.Array) else pa.array(items, pa.binary())
    out = np.empty((len(images), *shape), dtype)
    threads = Threads()
    (decoder or ImageDecoder()).decode_into(images, out, lambda row: f"row {row}", threads)
    threads.close()
    return out


def one_of_each():
    image = pixels(7, 5, 4)
    for kind in ("PNG", "GIF", "TIFF", "WEBP", "BMP", "JPEG"):
        for mode in ("L", "LA", "RGB", "RGBA", "P", "1", "CMYK"):
            try:
                yield f"{kind}-{mode}", encode(image, kind, mode)
            except (OSError, ValueError):  # there is no such file
                continue
    for turn in (1, 3, 6, 99):
        exif = Image.Exif()
        exif[0x0112], exif[0x010E] = turn, "described"
        for kind in ("PNG", "TIFF", "WEBP", "JPEG"):
            yield f"{kind}-turn-{turn}", encode(image, kind, "RGB", exif=exif)
    yield "JPEG-xmp", encode(image, "JPEG", "RGB", xmp=XMP)
    yield "JPEG2000", encode(image, "JPEG2000", "RGB")
    for mode in ("L", "LA", "RGB", "RGBA"):
        yield f"ICNS-{mode}", encode(pixels(16, 16, 4), "ICNS", mode)
    yield "PPM", encode(image, "PPM", "RGB")
    yield "16 bits", encode(pixels(7, 10).view(np.uint16), "PNG")
    yield "floats", encode(np.linspace(-1, 1, 35, dtype=np.float32).reshape(7, 5), "TIFF")
    yield "int32", encode(np.arange(35, dtype=np.int32).reshape(7, 5) - 9, "TIFF")
    frame = Image.fromarray(image[..., :3])
    for kind in ("PNG", "GIF", "WEBP"):
        yield (
            f"{kind}-frames",
            encode(frame, kind, save_all=True, append_images=[Image.fromarray(pixels(7, 5, 3))]),
        )


EACH = dict(one_of_each())


@pytest.mark.parametrize("name", EACH)
def test_every_image_is_what_pillow_makes_of_it(name):
    """Modes, sizes, orientations and conversions agree, and the header says the form beforehand."""
    data = EACH[name]
    expected = pillow(data)
    form = ImageDecoder().form(data, str)
    got = ImageDecoder().decode(data, str)
    np.testing.assert_array_equal(got, np.asarray(expected))
    assert (got.shape, got.dtype) == (form.shape, form.dtype)
    for mode in ("L", "RGB") if expected.mode in {"L", "RGB", "RGBA", "CMYK"} else ():
        for size in (None, (3, 4)):
            shown = expected.convert(mode)
            if size:
                shown = shown.resize(size[::-1], Image.Resampling.BILINEAR)
            got = ImageDecoder(mode, size).decode(data, str)
            np.testing.assert_array_equal(got, np.asarray(shown))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_small_pngs_decoded_together_are_exact_with_every_filter(channels):
    """All five filters, in any order, on any line, in images of any contents."""
    random = np.random.default_rng(channels)
    images = [
        pixels(9, 6, channels, seed=seed) if seed % 2 else smooth(9, 6, channels, seed=seed)
        for seed in range(130)
    ]
    items = [filtered(image, random.integers(0, 5, 9)) for image in images]
    items += [filtered(image, np.full(9, kind)) for kind, image in enumerate(images[:5])]
    assert set(kinds(items)) == {PLAIN_PNG}
    shape = (9, 6) if channels == 1 else (9, 6, channels)
    got = decoded(items, shape)
    for item, value in zip(items, got, strict=True):
        np.testing.assert_array_equal(value, np.asarray(Image.open(io.BytesIO(item))))
    np.testing.assert_array_equal(decoded(items[:3], shape), got[:3])


def test_other_pngs_among_small_ones_are_decoded_by_themselves():
    """Texts are passed over; several runs of data, orientation and 16 bits are not for the batch."""
    image = smooth(6, 6, 1)
    lines = [4] * 6
    exif = Image.Exif()
    exif[0x0112] = 3
    turn = exif.tobytes().removeprefix(b"Exif\0\0")
    plain = [
        filtered(image, lines),
        filtered(
            image, lines, before=[chunk(b"tEXt", b"Software\0x"), chunk(b"gAMA", b"\0\0\0\1")]
        ),
        filtered(image, lines, before=[chunk(b"tRNS", b"\0\0")]),
    ]
    sole = [filtered(image, lines, runs=3), filtered(image, lines, after=[chunk(b"tEXt", b"a\0b")])]
    unknown = [
        filtered(image, lines, before=[chunk(b"eXIf", turn)]),
        filtered(image, lines, after=[chunk(b"eXIf", turn)]),
        filtered(image, lines, before=[chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)]),
        filtered(image, lines) + b"behind the end",
    ]
    assert kinds(plain) == [PLAIN_PNG] * 3
    assert kinds(sole) == [PNG, PLAIN_PNG]
    assert kinds(unknown) == [UNKNOWN] * 4
    items = [*unknown, *plain * 20, *sole, *plain]
    for item, value in zip(items, decoded(items, (6, 6)), strict=True):
        np.testing.assert_array_equal(value, np.asarray(pillow(item)))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:],
        lambda data: data[: len(data) // 2],
        lambda data: data[:16] + struct.pack(">II", 5, 9) + data[24:],
        lambda data: b"junk" + data[4:],
        lambda data: b"",
    ],
    ids=["a flipped bit", "a cut file", "another size", "no signature", "no bytes"],
)
def test_one_damaged_png_among_many_is_named(damage):
    """The batch fails as a whole, and then each is looked at."""
    items = [filtered(smooth(9, 6, 1, seed=seed), [4] * 9) for seed in range(60)]
    items[41] = damage(items[41])
    with pytest.raises(CorruptDataError, match="^row 41: the image"):
        decoded(items, (9, 6))


@pytest.mark.parametrize("count", [1, 60])
@pytest.mark.parametrize("name", [b"IHDR", b"tEXt", b"gAMA"])
def test_a_wrong_checksum_before_the_pixels_is_damage_however_many_are_decoded(name, count):
    """As for Pillow, which does not look at that of the pixels, nor at what comes behind them."""
    image, lines = smooth(9, 6, 3), [4] * 9
    before = [chunk(b"tEXt", b"Software\0x"), chunk(b"gAMA", b"\0\0\0\1")]
    items = [filtered(image, lines, before=before, after=[chunk(b"tIME", b"1234567")])] * count
    for kind in (b"IDAT", b"tIME", b"IEND"):
        spoiled = [*items[1:], wrong_checksum(items[0], kind)]
        for value in decoded(spoiled, (9, 6, 3)):
            np.testing.assert_array_equal(value, image)
    spoiled = [*items[1:], wrong_checksum(items[0], name)]
    assert pillow(items[0]).mode == "RGB"
    with pytest.raises(OSError, match="cannot identify"):
        pillow(spoiled[-1])
    with pytest.raises(
        CorruptDataError, match=f"^row {count - 1}: the image cannot be decoded.*; verify=True"
    ):
        decoded(spoiled, (9, 6, 3))


def wrong_checksum(data, name):
    """Return a PNG of which a chunk states another checksum than it has."""
    at = data.index(name)
    end = at + 4 + int.from_bytes(data[at - 4 : at])
    return data[:end] + bytes([data[end] ^ 1]) + data[end + 1 :]


def test_lengths_that_are_wrong_and_make_up_for_each_other_are_found():
    """Streams that follow each other are told apart by their own checksums."""

    def with_lines(count):
        lines = b"".join(bytes([0, y, 2 * y, 3 * y]) for y in range(1, count + 1))
        head = filtered(pixels(4, 3), [0] * 4)[:33]
        return head + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")

    items = [with_lines(4)] * 60
    items[10], items[11] = with_lines(3), with_lines(5)
    got = decoded(items, (4, 3))
    np.testing.assert_array_equal(got[11:], [got[0]] * 49)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("sampling", [None, "4:4:4", "4:2:2", "4:2:0", "rgb"])
def test_jpegs_are_exact_with_every_sampling(sampling, progressive):
    """libjpeg-turbo without Pillow gives the pixels that it gives with it."""
    options = {"subsampling": sampling} if sampling and sampling != "rgb" else {}
    if sampling == "rgb":
        options = {"keep_rgb": True}
    for height, width in ((1, 1), (8, 8), (17, 31), (40, 33)):
        image = smooth(height, width, 3 if sampling else 1)
        data = encode(image, "JPEG", quality=80, progressive=progressive, **options)
        assert kinds([data]) == [JPEG]
        expected = np.asarray(Image.open(io.BytesIO(data)))
        np.testing.assert_array_equal(decoded([data] * 3, expected.shape), [expected] * 3)


def test_jpegs_that_only_pillow_reads_are_left_to_it():
    """What warns libjpeg-turbo may be an image for Pillow; CMYK is inverted by it."""
    data = encode(smooth(16, 16, 3), "JPEG")
    scan = data.index(b"\xff\xda")
    stuffed = data[: scan + 60] + b"\xff\xd0" + data[scan + 60 :]
    for item in (encode(pixels(16, 16, 4), "JPEG", "CMYK"), data + b"junk", stuffed):
        try:
            expected = np.asarray(Image.open(io.BytesIO(item)))
        except OSError:
            with pytest.raises(CorruptDataError):
                ImageDecoder().decode(item, str)
        else:
            np.testing.assert_array_equal(ImageDecoder().decode(item, str), expected)


@pytest.mark.parametrize("cut", [3, 20, 200, -30, -2])
def test_a_truncated_jpeg_is_corrupt_and_named(cut):
    """Wherever it ends."""
    items = [encode(smooth(64, 64, 3), "JPEG", quality=95)] * 4
    items[2] = items[2][:cut]
    with pytest.raises(CorruptDataError, match="^row 2: the image"):
        decoded(items, (64, 64, 3))


def test_the_first_of_several_damaged_images_is_named():
    """Whichever thread comes to one first."""
    good = encode(pixels(64, 64, 3), "JPEG", quality=95)
    items = [good] * 40
    for row in (7, 21, 39):
        items[row] = good[:-9]
    with pytest.raises(CorruptDataError, match="^row 7: the image"):
        decoded(items, (64, 64, 3))


def test_slices_and_wide_offsets_are_read_where_they_lie():
    """Arrow arrays that begin within their buffers, and those with 64-bit offsets."""
    images = [smooth(9, 6, 1, seed=seed) for seed in range(70)]
    items = [filtered(image, [4] * 9) for image in images]
    for kind in (pa.binary(), pa.large_binary()):
        got = decoded(pa.array(items, kind).slice(7, 55), (9, 6))
        np.testing.assert_array_equal(got, images[7:62])
    assert decoded(pa.array([], pa.binary()), (9, 6)).shape == (0, 9, 6)


def webp(kind, rest):
    body = b"WEBP" + kind + struct.pack("<I", len(rest)) + rest
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif(width, height):
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b",\0\0\0\0" + bytes(20)


def tiff(width, height):
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (279, 9)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


def bombs():
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    yield "PNG", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") * 9
    data = encode(pixels(8, 8), "JPEG")
    frame = data.index(b"\xff\xc0")
    yield "JPEG", data[: frame + 5] + b"\xff\xff\xff\xff" + data[frame + 9 :]
    yield "GIF", gif(65535, 65535)
    yield "TIFF", tiff(60000, 60000)
    side = struct.pack("<I", 16382)[:3]
    yield "WEBP-extended", webp(b"VP8X", bytes(4) + side + side + bytes(20))
    yield (
        "WEBP-lossless",
        webp(b"VP8L", b"\x2f" + struct.pack("<I", 16382 | 16382 << 14) + bytes(20)),
    )
    yield (
        "WEBP",
        webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 16383, 16383) + bytes(20)),
    )


BOMBS = dict(bombs())


@pytest.mark.parametrize("kind", BOMBS)
def test_a_header_beyond_the_limit_is_an_error_in_every_format(kind):
    """Before anything is allocated: a WebP allocates its canvas when Pillow opens it."""
    for ask in (ImageDecoder().form, ImageDecoder().decode):
        with pytest.raises(CorruptDataError, match="row 5: the image claims .* pixels"):
            ask(BOMBS[kind], lambda: "row 5")


def test_postscript_is_not_run():
    """Pillow would hand it to Ghostscript."""
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 5\n%%EndComments\n"
    with pytest.raises(CorruptDataError, match="PostScript, a program"):
        ImageDecoder().decode(program, str)


def test_no_bytes_at_all_make_the_headers_fail():
    """Random bytes behind a true beginning are an image or an error that says where."""
    random = np.random.default_rng(0)
    starts = [encode(smooth(9, 9, 3), kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF")]
    for trial in range(150):
        data = bytearray(starts[trial % 5])
        for at in random.integers(0, len(data), 3):
            data[at] = random.integers(0, 256)
        try:
            form = ImageDecoder("RGB").form(bytes(data), lambda: "row 3")
            if form.height * form.width < 10**6:
                assert ImageDecoder("RGB").decode(bytes(data), lambda: "row 3").ndim == 3
        except CorruptDataError as error:
            assert "row 3: the image" in str(error)


def test_threads_end_with_their_last_user_and_come_back():
    """A pool is made on first use, shared, not pickled, and gone when nobody holds it."""

    def decoding():
        return [one for one in threading.enumerate() if one.name.startswith("datarax-decode")]

    def run(threads):
        done = []
        threads.each(done.append, [1, 2, 3])
        assert sorted(done) == [1, 2, 3]

    gc.collect()
    first, second = Threads(), Threads()
    for _ in range(2):
        run(first)
        run(second)
        assert first._pool() is second._pool()
        copy = pickle.loads(pickle.dumps(first))
        assert copy._held is None
        first.close()
        run(second)
        second.close()
        gc.collect()
        for thread in decoding():
            thread.join(5)
        assert not decoding()


FORKED = """
import os
from datarax_hf.threads import Threads

def run(threads):
    done = []
    threads.each(done.append, list(range(8)))
    return sorted(done) == list(range(8))

threads = Threads()
assert run(threads)
child = os.fork()
if child == 0:
    os._exit(0 if run(threads) and run(Threads()) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert run(threads)
print("done")
"""


def test_a_forked_child_makes_threads_of_its_own_and_a_process_ends_without_closing():
    """The parent's stayed with the parent; nothing waits for threads that idle."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED], capture_output=True, text=True, timeout=60
    )
    assert (run.returncode, run.stdout) == (0, "done\n"), run.stderr
