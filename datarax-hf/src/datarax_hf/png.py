"""Small PNG files of one form, many at once: inflated in one call, unfiltered in step.

For a 28 by 28 image a decoder spends its time on being called. Here the compressed pixels of some
hundred images go through one decompressor, which takes streams that follow each other, and the
filters of all are undone together. Along an anti-diagonal no pixel depends on another, so that an
image of height h and width w takes h + w - 1 steps, each over all images. Neither part holds the
interpreter's lock.
"""

from __future__ import annotations

import zlib

import numpy as np
import pyarrow as pa
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from datarax_hf.headers import Encoded, Headers, Ints

FEWEST = 48
"""Images; fewer are faster one by one."""
LARGEST = 2**14
"""Bytes of pixels; larger images are faster one by one."""
_STEP_BYTES = 2**16


def images_at_once(height: int, channels: int) -> int:
    """Return how many images to decode together: a step's operands stay in the cache.

    And they are large, since threads that decode meet between steps, at the interpreter's lock.
    """
    return max(64, min(4096, _STEP_BYTES // (height * channels)))


def decode_together(encoded: Encoded, headers: Headers, rows: Ints, out: NDArray[np.uint8]) -> bool:
    """Fill `out`, of shape (rows, height, width, channels), from plain PNG files of that form.

    Returns:
        Whether all are sound. If not, what is in `out` means nothing, and each must be decoded by
        itself to find which is not.
    """
    count, height, width, channels = out.shape
    line = 1 + width * channels
    data = encoded.data.data
    begins, ends = headers.begin[rows].tolist(), (headers.begin + headers.size)[rows].tolist()
    heads = {
        data[a + 8 : b - 8].tobytes() for a, b in zip(encoded.begins[rows], begins, strict=True)
    }
    if not all(map(_is_sound, heads)):
        return False
    streams = pa.BufferReader(b"".join([data[a:b] for a, b in zip(begins, ends, strict=True)]))
    try:
        # Arrow's gzip reads zlib streams too, and goes on after one ends with the next.
        inflated = pa.CompressedInputStream(streams, "gzip").read(count * height * line + 1)
    except OSError:
        return False
    if len(inflated) != count * height * line:
        return False
    sums = encoded.word(headers.begin[rows] + headers.size[rows] - 4).tolist()
    size = height * line
    view = memoryview(inflated)
    for number, expected in enumerate(sums):
        if zlib.adler32(view[number * size : (number + 1) * size]) != expected:
            return False  # two lengths that are wrong and make up for each other
    lines = np.frombuffer(inflated, np.uint8).reshape(count, height, line)
    if lines[:, :, 0].max(initial=0) > 4:
        return False
    _unfilter(lines, out)
    return True


def _is_sound(chunks: bytes) -> bool:
    """Return whether chunks have the checksums that they state, as Pillow asks of those."""
    at = 0
    while at < len(chunks):
        end = at + 8 + int.from_bytes(chunks[at : at + 4])
        if zlib.crc32(chunks[at + 4 : end]) != int.from_bytes(chunks[end : end + 4]):
            return False
        at = end + 4
    return True


def _unfilter(lines: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Undo the filters (PNG specification, section 9) of `lines` into `out`.

    Pixels are held skewed: `skew[x + y + 2, y + 1]` is the pixel (x, y) of all images, so that the
    left, upper and upper left neighbours of an anti-diagonal are slices. The borders stay zero.
    """
    count, height, width, channels = out.shape
    skew = np.zeros((height + width + 1, height + 1, channels, count), np.uint8)
    diagonal, row, *rest = skew.strides
    pixels = as_strided(
        skew[2:, 1:], (width, height, channels, count), (diagonal, diagonal + row, *rest)
    )
    pixels[...] = lines[:, :, 1:].reshape(count, height, width, channels).transpose(2, 1, 3, 0)
    uses = [_mask(lines[:, :, 0], kind, channels) for kind in range(5)]
    scratch = np.empty((4, height, channels, count), np.uint8)
    for step in range(height + width - 1):
        low, high = max(0, step - width + 1), min(height, step + 1)
        here = skew[step + 2, low + 1 : high + 1]
        left, up = skew[step + 1, low + 1 : high + 1], skew[step + 1, low:high]
        a, b, c, d = (part[: high - low] for part in scratch)
        masks = [None if use is None else use[low:high] for use in uses]
        if masks[1] is not None:
            here += np.bitwise_and(left, masks[1], out=a)
        if masks[2] is not None:
            here += np.bitwise_and(up, masks[2], out=a)
        if masks[3] is not None:
            np.bitwise_xor(left, up, out=a)
            a >>= 1
            a += np.bitwise_and(left, up, out=b)  # the mean, in 8 bits
            a &= masks[3]
            here += a
        if masks[4] is not None:
            corner = skew[step, low:high]
            here += np.bitwise_and(_paeth(left, up, corner, a, b, c, d), masks[4], out=a)
    out[...] = pixels.transpose(3, 1, 0, 2)


def _paeth(
    left: NDArray[np.uint8],
    up: NDArray[np.uint8],
    corner: NDArray[np.uint8],
    a: NDArray[np.uint8],
    b: NDArray[np.uint8],
    c: NDArray[np.uint8],
    d: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """Return the Paeth predictor, in 8 bits; `a` to `d` are written over.

    Of the lower and the higher neighbour, the predictor is the lower where the corner lies so near
    the higher one that their distance is at most half of the corner's distance to the lower one,
    and the other way round; else the corner. A corner beyond both counts as the nearer of them.
    """
    np.minimum(left, up, out=a)
    np.maximum(left, up, out=b)
    np.maximum(corner, a, out=c)
    np.minimum(c, b, out=c)
    np.subtract(c, a, out=d)
    np.subtract(b, c, out=c)
    to_low = np.negative(np.less_equal(c, d >> 1).view(np.uint8))
    to_high = np.negative(np.less_equal(d, c >> 1).view(np.uint8))
    a ^= corner
    a &= to_low
    a ^= corner
    b ^= a
    b &= to_high
    a ^= b
    return a


def _mask(filters: NDArray[np.uint8], kind: int, channels: int) -> NDArray[np.uint8] | None:
    """Return 255 where a line has a filter, of shape (height, channels, images); None if none."""
    where = (filters == kind).T
    if kind == 0 or not where.any():
        return None
    full = np.broadcast_to(where[:, None, :], (where.shape[0], channels, where.shape[1]))
    return np.negative(np.ascontiguousarray(full).view(np.uint8))
