"""Opening encoded images with Pillow: its limits, and what it raises as errors that say where."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from datarax.errors import CorruptDataError

if TYPE_CHECKING:
    from PIL.Image import Image

Where = Callable[[], str]

PILLOW_PIXELS = 2**30 // 4 // 3
"""Pillow's limit of pixels unless it is changed: a quarter of a GiB of three bytes each."""

_POSTSCRIPT = (b"%!PS", b"\xc5\xd0\xd3\xc6")
_ASK = "verify=True tells whether a file of the Hub was damaged on its way"


def most_pixels() -> int:
    """Return the most pixels that an image may have: what Pillow's limit was set to.

    Pillow is not imported for it: a limit of someone's own is of a process that has done so. While
    another thread imports it, it is there without its limit.
    """
    pillow: Any = sys.modules.get("PIL.Image")
    limit: int | None = getattr(pillow, "MAX_IMAGE_PIXELS", PILLOW_PIXELS)
    return 2**62 if limit is None else limit


def opened(encoded: bytes, where: Where) -> Image:
    """Return an image of which the header is read, and no pixel decoded; it is to be closed.

    Raises:
        CorruptDataError: If it claims more pixels than the limit, or is a program.
    """
    from PIL import Image

    if encoded.startswith(_POSTSCRIPT):
        raise CorruptDataError(
            f"{where()}: the image is PostScript, a program that would have to be run; it is not"
        )
    size = _webp_size(encoded)
    if size is not None:
        _check_size(size, where)
    image = Image.open(io.BytesIO(encoded))
    try:
        _check_size(image.size, where)
    except CorruptDataError:
        image.close()
        raise
    return image


def _check_size(size: tuple[int, int], where: Where) -> None:
    if size[0] * size[1] > most_pixels():
        raise CorruptDataError(
            f"{where()}: the image claims {size[0]} by {size[1]} pixels, above Pillow's limit of "
            f"{most_pixels()}; raise PIL.Image.MAX_IMAGE_PIXELS if it is genuine"
        )


def _webp_size(encoded: bytes) -> tuple[int, int] | None:
    """Return the (width, height) that a WebP file claims: opening one allocates its canvas.

    Source: the WebP container specification, and RFC 6386, section 9.1, for "VP8 ".
    """
    if not (encoded.startswith(b"RIFF") and encoded[8:12] == b"WEBP") or len(encoded) < 30:
        return None
    kind = encoded[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(encoded[24:27], "little"), 1 + int.from_bytes(
            encoded[27:30], "little"
        )
    if kind == b"VP8L":
        bits = int.from_bytes(encoded[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = (int.from_bytes(encoded[at : at + 2], "little") for at in (26, 28))
    return width & 0x3FFF, height & 0x3FFF


@contextmanager
def telling(where: Where) -> Iterator[None]:
    """Raise what Pillow raises on bytes it cannot read as an error that says where they are."""
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except CorruptDataError:
        raise
    except UnidentifiedImageError as error:  # whose text is that of an object of ours
        raise CorruptDataError(
            f"{where()}: the image cannot be decoded: it is of no format that Pillow reads; {_ASK}"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise CorruptDataError(
            f"{where()}: the image claims more pixels than Pillow's limit of "
            f"{Image.MAX_IMAGE_PIXELS}; raise PIL.Image.MAX_IMAGE_PIXELS if it is genuine"
        ) from error
    except MemoryError:
        raise
    except Exception as error:
        told = f"{where()}: the image cannot be decoded: {error}; {_ASK}"
        raise CorruptDataError(told) from error
