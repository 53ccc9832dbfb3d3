"""Encoded images as arrays, through Pillow, with the channels that the dataset declares."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int | None, ...]

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_EIGHT_BITS = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}
_DEEP = {"I;16", "I;16L", "I;16B", "I"}
_MAX_PIXELS = 2**28


def decodable(shape: Shape, dtype: np.dtype[Any]) -> bool:
    """Return whether images of this declared shape and dtype can be decoded here."""
    if len(shape) != 3 or shape[2] not in _MODES:
        return False
    return dtype == np.uint8 or (dtype in (np.uint16, np.float32) and shape[2] == 1)


def decode(encoded: bytes, shape: Shape, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an image as an array of the declared dtype, of shape (height, width, channels).

    Floats are stored by TFDS as the four bytes of an RGBA image.

    Raises:
        ValueError: If the bytes are no image, or one of another size or depth than declared; the
            size is checked before any pixel is decoded.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(encoded)) as image:
            _check_size(image.size, shape)
            pixels = _pixels(image, shape, dtype)
    except UnidentifiedImageError as error:
        raise ValueError("is not an image that Pillow knows") from error
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(f"is a damaged image: {error}") from error
    return np.ascontiguousarray(pixels).reshape(*pixels.shape[:2], shape[2] or 1)


def _check_size(size: tuple[int, int], shape: Shape) -> None:
    width, height = size
    if (shape[0] or height, shape[1] or width) != (height, width):
        raise ValueError(
            f"is an image of {height}x{width}, and the dataset declares {shape[0]}x{shape[1]}"
        )
    if width * height > _MAX_PIXELS:
        raise ValueError(f"is an image that claims {height}x{width} pixels")


def _pixels(image: Any, shape: Shape, dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype == np.uint16:
        if image.mode not in _DEEP:
            raise ValueError(f"is an image of mode {image.mode!r}, not of 16 bits")
        return np.asarray(image).astype(np.uint16)
    if dtype == np.float32:
        if image.mode != "RGBA":
            raise ValueError(f"is an image of mode {image.mode!r}, not the RGBA of floats")
        return np.asarray(image).view(np.float32)
    if image.mode not in _EIGHT_BITS:
        raise ValueError(f"is an image of mode {image.mode!r}, and the dataset declares uint8")
    mode = _MODES[shape[2] or 1]
    return np.asarray(image if image.mode == mode else image.convert(mode))
