"""Headers of encoded images, many at once: what PNG and JPEG files say, found with NumPy alone.

All files of an Arrow array are walked in step, from chunk to chunk or segment to segment, so that
the sizes of 60,000 images take no Python object each. A header that is not of the plainest kind,
or that may turn the image, is left to Pillow: `UNKNOWN` is always a right answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

MODES = ("L", "LA", "RGB", "RGBA", "I;16")
UNKNOWN, PNG, PLAIN_PNG, JPEG = range(4)
"""Kinds: left to Pillow; PNG; PNG of one run of data, not interlaced, of 8 bits; JPEG."""

LONGEST_WALK = 1024
_PNG_MODES = {(8, 0): "L", (8, 2): "RGB", (8, 4): "LA", (8, 6): "RGBA", (16, 0): "I;16"}
_PNG_START = (0x89504E47, 0x0D0A1A0A, 13, int.from_bytes(b"IHDR"))
_IDAT, _IEND = int.from_bytes(b"IDAT"), int.from_bytes(b"IEND")
_TEXTS = [int.from_bytes(kind) for kind in (b"tEXt", b"zTXt", b"iTXt")]
_TURNING_TEXTS = [int.from_bytes(key) for key in (b"Raw ", b"XML:")]
_KNOWN_CHUNKS = [_IDAT, _IEND, *(int.from_bytes(kind) for kind in (b"PLTE", b"tRNS"))]
_LEFT_TO_PILLOW = [int.from_bytes(kind) for kind in (b"eXIf", b"acTL", b"fdAT", b"fcTL")]
_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive, with Huffman codes
_TABLES = (0xC4, 0xDB, 0xDD)  # Huffman codes, quantisation, restarts
_SCAN, _APP0, _APP1, _COMMENT = 0xDA, 0xE0, 0xE1, 0xFE
_PASSED_OVER = np.zeros(256, np.bool_)
_PASSED_OVER[[*_FRAMES, *_TABLES, _SCAN, *range(_APP0, _APP0 + 16), _COMMENT]] = True


@dataclass(frozen=True)
class Encoded:
    """The bytes of binary values, none of them null, without a copy.

    Attributes:
        data: All bytes, whatever lies between those of two values.
        begins: Where each value begins.
        ends: Where each value ends.
    """

    data: NDArray[np.uint8]
    begins: Ints
    ends: Ints

    @classmethod
    def of(cls, values: pa.Array) -> Encoded:
        """Return the bytes of a binary, large binary or string array."""
        wide = pa.types.is_large_binary(values.type) or pa.types.is_large_string(values.type)
        _, ends, data = values.buffers()
        if not len(values):
            return cls(np.zeros(1, np.uint8), *np.zeros((2, 0), np.int64))
        offsets = np.frombuffer(ends, np.int64 if wide else np.int32)
        kept = offsets[values.offset : values.offset + len(values) + 1].astype(np.int64)
        flat = np.frombuffer(data, np.uint8) if data is not None and data.size else None
        return cls(np.zeros(1, np.uint8) if flat is None else flat, kept[:-1], kept[1:])

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: int) -> memoryview:
        return self.data.data[self.begins[row] : self.ends[row]]

    def byte(self, at: Ints) -> Ints:
        """Return the bytes at places, which may lie beyond the end."""
        return self.data.take(at, mode="clip").astype(np.int64)

    def word(self, at: Ints, size: int = 4) -> Ints:
        """Return the big-endian integers of `size` bytes at places, as `byte` does."""
        value = self.byte(at)
        for step in range(1, size):
            value = value << 8 | self.byte(at + step)
        return value


@dataclass(frozen=True)
class Headers:
    """What the headers of some images say; one entry for each image.

    Attributes:
        kind: `UNKNOWN`, `PNG`, `PLAIN_PNG` or `JPEG`.
        mode: The place of the mode in `MODES`; 0 where the kind is unknown.
        height: In pixels; 0 where the kind is unknown.
        width: In pixels; 0 where the kind is unknown.
        begin: Where the compressed pixels of a plain PNG begin in the data.
        size: How many bytes they take.
    """

    kind: NDArray[np.uint8]
    mode: NDArray[np.int64]
    height: Ints
    width: Ints
    begin: Ints
    size: Ints


def read_headers(encoded: Encoded, *, most_pixels: int) -> Headers:
    """Return what headers say; those of more than `most_pixels` pixels are left unknown."""
    count = len(encoded)
    kind = np.zeros(count, np.uint8)
    mode, height, width, begin, size = np.zeros((5, count), np.int64)
    found = Headers(kind, mode, height, width, begin, size)
    begins, ends = encoded.begins, encoded.ends
    first = encoded.word(begins)
    is_png = (first == _PNG_START[0]) & (ends - begins >= 57)
    is_jpeg = (first >> 8 == 0xFFD8FF) & (ends - begins >= 12)
    if is_png.any():
        _read_png(encoded, np.flatnonzero(is_png), found)
    if is_jpeg.any():
        _read_jpeg(encoded, np.flatnonzero(is_jpeg), found)
    pixels = found.height * found.width
    kind[(pixels == 0) | (pixels > most_pixels)] = UNKNOWN
    unknown = kind == UNKNOWN
    for numbers in (mode, height, width):
        numbers[unknown] = 0
    return found


def _read_png(encoded: Encoded, rows: Ints, found: Headers) -> None:
    begin, end = encoded.begins[rows], encoded.ends[rows]
    good = np.ones(len(rows), np.bool_)
    for place, word in enumerate(_PNG_START):
        good &= encoded.word(begin + 4 * place) == word
    depth, colour = encoded.byte(begin + 24), encoded.byte(begin + 25)
    mode = np.full(len(rows), -1)
    for (bits, kind), name in _PNG_MODES.items():
        mode[(depth == bits) & (colour == kind)] = MODES.index(name)
    good &= mode >= 0
    whole = encoded.word(begin + 26, 3) == 0  # deflate, the five filters, not interlaced
    at, runs = begin + 33, np.zeros(len(rows), np.int64)
    pixels, size = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    walking = np.flatnonzero(good)
    for _ in range(LONGEST_WALK):
        if not len(walking):
            break
        here = at[walking]
        length, chunk = encoded.word(here), encoded.word(here + 4)
        after = here + 12 + length
        ok = (after <= end[walking]) & ~_turns(encoded, here, chunk)
        last = chunk == _IEND
        data = chunk == _IDAT
        runs[walking] += data
        pixels[walking[data]], size[walking[data]] = here[data] + 8, length[data]
        good[walking[~ok]] = False
        at[walking] = after
        walking = walking[ok & ~last]
    good[walking] = False
    good &= (runs > 0) & (at == end)
    plain = good & whole & (depth == 8) & (runs == 1)
    _keep(
        found,
        rows[good],
        mode[good],
        encoded.word(begin + 20)[good],
        encoded.word(begin + 16)[good],
    )
    found.kind[rows[good]] = PNG
    found.kind[rows[plain]] = PLAIN_PNG
    found.begin[rows[plain]], found.size[rows[plain]] = pixels[plain], size[plain]


def _turns(encoded: Encoded, here: Ints, chunk: Ints) -> Flags:
    """Return which chunks may hold an orientation or frames, or cannot be passed over."""
    turns: Flags = (chunk >> 24 & 0x20 == 0) & ~_is_one_of(chunk, _KNOWN_CHUNKS)
    text = _is_one_of(chunk, _TEXTS)
    if text.any():
        turns |= text & _is_one_of(encoded.word(here + 8), _TURNING_TEXTS)
    turns |= _is_one_of(chunk, _LEFT_TO_PILLOW)
    return turns


def _is_one_of(words: Ints, few: list[int]) -> Flags:
    found: Flags = words == few[0]
    for word in few[1:]:
        found |= words == word
    return found


def _read_jpeg(encoded: Encoded, rows: Ints, found: Headers) -> None:
    begin, end = encoded.begins[rows], encoded.ends[rows]
    good = np.ones(len(rows), np.bool_)
    at = begin + 2
    numbers = np.zeros((3, len(rows)), np.int64)  # mode, height, width
    walking = np.arange(len(rows))
    for _ in range(LONGEST_WALK):
        if not len(walking):
            break
        here = at[walking]
        marker, length = encoded.byte(here + 1), encoded.word(here + 2, 2)
        after = here + 2 + length
        ok = (encoded.byte(here) == 0xFF) & (after <= end[walking]) & (length >= 2)
        ok &= _PASSED_OVER[marker]
        turned = ok & (marker == _APP1)
        for place in np.flatnonzero(turned):
            ok[place] = _is_upright(encoded.data.data[here[place] + 4 : after[place]])
        frame = ok & (marker >= _FRAMES[0]) & (marker <= _FRAMES[-1])
        ok &= ~(frame & (numbers[1, walking] > 0))
        parts = encoded.byte(here + 9)
        frame &= (encoded.byte(here + 4) == 8) & ((parts == 1) | (parts == 3))
        numbers[0, walking[frame]] = np.where(parts[frame] == 1, 0, MODES.index("RGB"))
        numbers[1, walking[frame]] = encoded.word(here + 5, 2)[frame]
        numbers[2, walking[frame]] = encoded.word(here + 7, 2)[frame]
        good[walking[~ok]] = False
        at[walking] = after
        walking = walking[ok & (marker != _SCAN)]
    good[walking] = False
    good &= numbers[1] > 0
    _keep(found, rows[good], *numbers[:, good])
    found.kind[rows[good]] = JPEG


def _is_upright(segment: Any) -> bool:
    """Return whether an APP1 segment surely says of no orientation but the usual one."""
    data = bytes(segment)
    if b"Orientation" in data:
        return False
    if not data.startswith(b"Exif\0\0"):
        return True
    from PIL import Image

    exif = Image.Exif()
    try:
        exif.load(data)
    except Exception:  # noqa: BLE001  # what Pillow makes of a damaged one is Pillow's to say
        return False
    return bool(exif.get(0x0112, 1) == 1)


def _keep(found: Headers, rows: Ints, mode: Ints, height: Ints, width: Ints) -> None:
    found.mode[rows], found.height[rows], found.width[rows] = mode, height, width
