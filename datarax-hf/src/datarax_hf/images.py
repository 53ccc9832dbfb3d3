"""Encoded images: what their headers say, and their pixels, through Pillow.

The header of every image is read before a column is promised one shape; nothing is decoded for
that. A header that asks for more pixels than Pillow's limit is an error, not an allocation.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datarax.errors import CorruptDataError

if TYPE_CHECKING:
    from PIL.Image import Image

_ORIENTATION = 0x0112
_CHANNELS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "L": (np.uint8, ()),
    "LA": (np.uint8, (2,)),
    "RGB": (np.uint8, (3,)),
    "RGBA": (np.uint8, (4,)),
    "CMYK": (np.uint8, (4,)),
    "I;16": (np.uint16, ()),
    "I": (np.int32, ()),
    "F": (np.float32, ()),
}
_PNG_MODES = {(8, 0): "L", (8, 2): "RGB", (8, 4): "LA", (8, 6): "RGBA", (16, 0): "I;16"}
_PLAIN_HEADERS = {"BMP", "GIF", "JPEG", "PNG", "WEBP"}
_TURNING = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")
_TURNING_PNG = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")
_PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


@dataclass(frozen=True)
class ImageForm:
    """The mode and size in which an image is handed out."""

    mode: str
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(height, width), and the channels where there are several."""
        return (self.height, self.width, *_CHANNELS[self.mode][1])

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(_CHANNELS[self.mode][0])
        return dtype


@dataclass(frozen=True)
class ImageDecoder:
    """How encoded images become arrays.

    Attributes:
        mode: The mode to convert to; None keeps each image's own, palettes becoming RGB or RGBA.
        size: The (height, width) to resize to; None keeps each image's own.
    """

    mode: str | None = None
    size: tuple[int, int] | None = None

    def form(self, encoded: bytes, where: Callable[[], str]) -> ImageForm:
        """Return the form that decoding would give, from the header alone.

        Raises:
            CorruptDataError: If it is no image, or asks for more pixels than Pillow's limit.
        """
        quick = _png_form(encoded)
        if quick is None:
            with _told(where), _open(encoded, where) as image:
                width, height = image.size[::-1] if _turn(image) >= 5 else image.size
                quick = ImageForm(_plain_mode(image), height, width)
        height, width = self.size or (quick.height, quick.width)
        return ImageForm(self.mode or quick.mode, height, width)

    def decode(self, encoded: bytes, where: Callable[[], str]) -> NDArray[Any]:
        """Return the pixels, upright, as an array of shape (height, width[, channels]).

        Raises:
            CorruptDataError: If it cannot be decoded.
        """
        from PIL import Image, ImageOps

        with _told(where), _open(encoded, where) as image:
            upright: Image.Image = image
            if _turn(image) != 1:
                upright = ImageOps.exif_transpose(image)
            mode = self.mode or _plain_mode(upright)
            if upright.mode != mode:
                upright = upright.convert(mode)
            if self.size is not None and upright.size != self.size[::-1]:
                upright = upright.resize(self.size[::-1], Image.Resampling.BILINEAR)
            return np.asarray(upright, _CHANNELS[mode][0])


def is_image(encoded: bytes) -> bool:
    """Return whether these bytes begin as an image that Pillow knows."""
    try:
        ImageDecoder().form(encoded, lambda: "")
    except CorruptDataError:
        return False
    return True


def _png_form(encoded: bytes) -> ImageForm | None:
    """Return the form of a common kind of PNG from its first bytes; None leaves it to Pillow.

    Palettes, and what may carry an orientation, are left to it too.
    """
    if not encoded.startswith(_PNG):
        return None
    head = encoded[: encoded.find(b"IDAT")]
    if len(head) < 33 or any(mark in head for mark in _TURNING_PNG):
        return None
    mode = _PNG_MODES.get((encoded[24], encoded[25]))
    width, height = int.from_bytes(encoded[16:20]), int.from_bytes(encoded[20:24])
    if mode is None or width * height > 2**20 or width * height == 0:
        return None
    return ImageForm(mode, height, width)


def _turn(image: Image) -> int:
    """Return the orientation that the header states, from 1 to 8; 1 is upright."""
    if image.format in _PLAIN_HEADERS and not any(key in image.info for key in _TURNING):
        return 1
    return int(image.getexif().get(_ORIENTATION, 1))


def _plain_mode(image: Image) -> str:
    if image.mode in _CHANNELS:
        return image.mode
    if image.mode == "1":
        return "L"
    if image.mode.startswith("I;16"):
        return "I;16"
    if image.mode in {"PA", "RGBa"} or (image.mode == "P" and "transparency" in image.info):
        return "RGBA"
    return "LA" if image.mode == "La" else "RGB"


def _open(encoded: bytes, where: Callable[[], str]) -> Image:
    from PIL import Image

    image = Image.open(io.BytesIO(encoded))
    limit = Image.MAX_IMAGE_PIXELS
    width, height = image.size
    if limit is not None and width * height > limit:
        image.close()
        raise CorruptDataError(
            f"{where()}: the image claims {width} by {height} pixels, above Pillow's limit of "
            f"{limit}; raise PIL.Image.MAX_IMAGE_PIXELS if it is genuine"
        )
    return image


@contextmanager
def _told(where: Callable[[], str]) -> Iterator[None]:
    """Raise what Pillow raises on bytes it cannot read as an error that says where they are."""
    from PIL import Image

    try:
        yield
    except CorruptDataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise CorruptDataError(
            f"{where()}: the image claims more pixels than Pillow's limit of "
            f"{Image.MAX_IMAGE_PIXELS}; raise PIL.Image.MAX_IMAGE_PIXELS if it is genuine"
        ) from error
    except MemoryError:
        raise
    except Exception as error:
        raise CorruptDataError(f"{where()}: the image cannot be decoded: {error}") from error
