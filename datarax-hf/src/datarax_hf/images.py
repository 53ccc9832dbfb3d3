"""Encoded images: what their headers say, and their pixels.

The header of every image is read before a column is promised one shape; nothing is decoded for
that. A header that asks for more pixels than Pillow's limit is an error, not an allocation.

Pillow says what an image is. JPEG files whose headers are plain go through libjpeg-turbo without
it, and small PNG files of one form are decoded together; both give the same pixels to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datarax.errors import CorruptDataError
from datarax_hf import png
from datarax_hf.arrow_numbers import numbers_of
from datarax_hf.headers import JPEG, MODES, PLAIN_PNG, UNKNOWN, Encoded, Headers, Ints, read_headers
from datarax_hf.image_opening import Where, most_pixels, opened, telling
from datarax_hf.threads import Threads, cores

if TYPE_CHECKING:
    from PIL.Image import Image

Place = Callable[[int], str]

THREADED_BYTES = 2**11
"""Encoded bytes of an image; below, threads take longer than they save."""
_ORIENTATION = 0x0112
_CHANNELS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "L": (np.uint8, ()),
    "LA": (np.uint8, (2,)),
    "RGB": (np.uint8, (3,)),
    "RGBA": (np.uint8, (4,)),
    "RGBX": (np.uint8, (4,)),
    "CMYK": (np.uint8, (4,)),
    "YCbCr": (np.uint8, (3,)),
    "LAB": (np.uint8, (3,)),
    "HSV": (np.uint8, (3,)),
    "I;16": (np.uint16, ()),
    "I": (np.int32, ()),
    "F": (np.float32, ()),
}
_PLAIN_HEADERS = {"BMP", "GIF", "JPEG", "PNG", "WEBP"}
_TURNING = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")


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

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels."""
        return int(np.prod(self.shape)) * self.dtype.itemsize


@dataclass(frozen=True)
class ImageDecoder:
    """How encoded images become arrays.

    Attributes:
        mode: The mode to convert to; None keeps each image's own, palettes becoming RGB or RGBA,
            and black and white L.
        size: The (height, width) to resize to; None keeps each image's own.
        through: A mode that no array holds, black and white or a palette, to which an image is
            converted before that in which it shows; set where `mode` is such a one.
    """

    mode: str | None = None
    size: tuple[int, int] | None = None
    through: str | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.mode is not None and self.mode not in _CHANNELS:
            if self.mode in ("1", "P"):
                object.__setattr__(self, "through", self.mode)
            object.__setattr__(self, "mode", _shown(self.mode, transparent=False))

    def form(self, encoded: bytes, where: Where) -> ImageForm:
        """Return the form that decoding would give, from the header alone.

        Raises:
            CorruptDataError: If it is no image, or asks for more pixels than Pillow's limit.
        """
        form, _ = self.agree(pa.array([encoded], pa.binary()), None, lambda _: where())
        assert form is not None
        return form

    def agree(
        self, images: pa.Array | Encoded, form: ImageForm | None, place: Place
    ) -> tuple[ImageForm | None, ImageForm | None]:
        """Compare the forms that decoding images would give with `form`, or with the first one's.

        Args:
            images: Encoded images, none of them null.
            form: The form of those before; None if there are none.
            place: Says where an image of `images` lies.

        Returns:
            The form of the first image, and of the first that differs from it, if any does.

        Raises:
            CorruptDataError: If one is no image, or asks for more pixels than Pillow's limit.
        """
        if not len(images):
            return form, None
        encoded = images if isinstance(images, Encoded) else Encoded.of(images)
        headers = read_headers(encoded, most_pixels=most_pixels())
        first = int(np.argmin(headers.kind == UNKNOWN))  # the first known one, if one is
        differs = headers.kind == UNKNOWN
        if self.mode is None:
            differs |= headers.mode != headers.mode[first]
        if self.size is None:
            differs |= headers.height != headers.height[first]
            differs |= headers.width != headers.width[first]
        differs[[0, first]] = True  # ours are only some to be compared with each other
        for row in np.flatnonzero(differs).tolist():
            found = self._form(encoded, headers, row, place)
            if form is None:
                form = found
            elif found != form:
                return form, found
        return form, None

    def sizes(self, images: pa.Array, place: Place) -> str:
        """Return the sizes and modes that decoding images would give, in words.

        Args:
            images: Encoded images, none of them null.
            place: Says where an image of `images` lies.

        Raises:
            CorruptDataError: If one is no image, or asks for more pixels than Pillow's limit.
        """
        encoded = Encoded.of(images)
        headers = read_headers(encoded, most_pixels=most_pixels())
        forms = {self._form(encoded, headers, row, place) for row in range(len(encoded))}
        heights, widths = {form.height for form in forms}, {form.width for form in forms}
        smallest, largest = f"{min(heights)}x{min(widths)}", f"{max(heights)}x{max(widths)}"
        sizes = smallest if smallest == largest else f"{smallest} to {largest}"
        return f"{sizes} pixels, {' or '.join(sorted({form.mode for form in forms}))}"

    def decode(self, encoded: bytes, where: Where) -> NDArray[Any]:
        """Return the pixels, upright, as an array of shape (height, width[, channels]).

        Raises:
            CorruptDataError: If it cannot be decoded.
        """
        images = Encoded.of(pa.array([encoded], pa.binary()))
        headers = read_headers(images, most_pixels=most_pixels())
        return self._decode(images, headers, 0, lambda _: where())

    def of_pixels(self, pixels: list[Any], where: Where) -> NDArray[Any]:
        """Return pixels that are stored as nested lists as those of an image.

        As `datasets` encodes them: several channels are bytes, and one of integers has 32 bits.

        Raises:
            CorruptDataError: If they make no image.
        """
        from PIL import Image

        with telling(where):
            values = np.array(pixels)
            if values.dtype.kind in "iu":
                values = values.astype(np.uint8 if values.ndim > 2 else np.int32)
            return self._converted(Image.fromarray(values))

    def decode_into(
        self, images: pa.Array, out: NDArray[Any], place: Place, threads: Threads
    ) -> None:
        """Fill `out`, of shape (images, *shape), on all cores.

        Args:
            images: Encoded images, none of them null.
            out: C-contiguous, of the shape and dtype that all were found to have.
            place: Says where an image of `images` lies.
            threads: The threads to use.

        Raises:
            CorruptDataError: If one cannot be decoded, or is of another form.
        """
        encoded = Encoded.of(images)
        headers = read_headers(encoded, most_pixels=most_pixels())
        together = self._decode_together(encoded, headers, out, threads)
        shape, dtype = out.shape[1:], out.dtype

        def put(row: int) -> None:
            pixels = self._decode(encoded, headers, row, place, out[row])
            if pixels.shape != shape or pixels.dtype != dtype:
                raise CorruptDataError(
                    f"{place(row)}: the image is {pixels.dtype}{list(pixels.shape)} when decoded, "
                    f"where its header promised {dtype}{list(shape)}"
                )
            if not np.may_share_memory(pixels, out):
                out[row] = pixels

        _each(put, np.flatnonzero(~together), encoded, threads)

    def decode_all(self, images: pa.Array, place: Place, threads: Threads) -> list[Any]:
        """Return the pixels of each image, whatever its form; None for a null.

        Raises:
            CorruptDataError: If one cannot be decoded.
        """
        rows = np.flatnonzero(numbers_of(images.is_valid()))
        encoded = Encoded.of(images)
        headers = read_headers(encoded, most_pixels=most_pixels())
        out: list[Any] = [None] * len(images)

        def put(row: int) -> None:
            out[row] = self._decode(encoded, headers, row, place)

        _each(put, rows, encoded, threads)
        return out

    def _form(self, encoded: Encoded, headers: Headers, row: int, place: Place) -> ImageForm:
        if headers.kind[row] != UNKNOWN:
            mode = MODES[headers.mode[row]]
            height, width = int(headers.height[row]), int(headers.width[row])
        else:
            data = bytes(encoded[row])
            with telling(lambda: place(row)), opened(data, lambda: place(row)) as image:
                late = image.format == "PNG" and b"eXIf" in data
                turned = image.format == "TIFF" and _turn(image) != 1
                if late or turned or image.format == "ICNS":
                    # which finds what stands after the pixels, turns a TIFF, and opens the image
                    # that an ICNS file holds
                    image.load()
                width, height = image.size[::-1] if 5 <= _turn(image) <= 8 else image.size
                mode = _plain_mode(image)
        height, width = self.size or (height, width)
        return ImageForm(self.mode or mode, height, width)

    def _decode(
        self,
        encoded: Encoded,
        headers: Headers,
        row: int,
        place: Place,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Return the pixels of one image, in `out` where that saves a copy."""
        if headers.kind[row] == JPEG:
            pixels = self._decode_jpeg(encoded, headers, row, out)
            if pixels is not None:
                return pixels
        from PIL import ImageOps

        with (
            telling(lambda: place(row)),
            opened(bytes(encoded[row]), lambda: place(row)) as image,
        ):
            image.load()
            upright: Image = image
            if _turn(image) != 1:
                upright = ImageOps.exif_transpose(image)
            return self._converted(upright)

    def _decode_jpeg(
        self, encoded: Encoded, headers: Headers, row: int, out: NDArray[Any] | None
    ) -> NDArray[Any] | None:
        """Return the pixels of a JPEG with a plain header; None leaves it to Pillow."""
        import simplejpeg

        grey = headers.mode[row] == 0
        shape = (int(headers.height[row]), int(headers.width[row]), *(() if grey else (3,)))
        as_it_is = (
            self.through is None
            and (self.mode is None or self.mode == MODES[headers.mode[row]])
            and (self.size is None or self.size == shape[:2])
        )
        fits = as_it_is and out is not None and out.shape == shape and out.dtype == np.uint8
        pixels = out if fits and out is not None else np.empty(shape, np.uint8)
        try:
            simplejpeg.decode_jpeg(encoded[row], "GRAY" if grey else "RGB", buffer=pixels)
        except ValueError:
            return None
        if as_it_is:
            return pixels
        from PIL import Image

        return self._converted(Image.fromarray(pixels))

    def _converted(self, upright: Image) -> NDArray[Any]:
        """Return the pixels in the mode and size asked for."""
        from PIL import Image

        mode = self.mode or _plain_mode(upright)
        if self.through is not None and upright.mode != self.through:
            upright = upright.convert(self.through)
        if upright.mode == "P" and mode != "RGBA" and "transparency" in upright.info:
            upright = upright.convert("RGBA")  # without this detour Pillow warns
        if upright.mode != mode:
            upright = upright.convert(mode)
        if self.size is not None and upright.size != self.size[::-1]:
            upright = upright.resize(self.size[::-1], Image.Resampling.BILINEAR)
        return np.asarray(upright, _CHANNELS[mode][0])

    def _decode_together(
        self, encoded: Encoded, headers: Headers, out: NDArray[Any], threads: Threads
    ) -> NDArray[np.bool_]:
        """Decode the small PNG files that have the form of `out`; return which they were."""
        shape = out.shape[1:]
        done = np.zeros(len(encoded), np.bool_)
        if out.dtype != np.uint8 or out[:1].nbytes > png.LARGEST or len(encoded) < png.FEWEST:
            return done
        if self.through is not None:
            return done
        mode = self.mode or {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[(*shape, 1)[2]]
        fit = headers.kind == PLAIN_PNG
        fit &= headers.mode == (MODES.index(mode) if mode in MODES else -1)
        fit &= (headers.height == shape[0]) & (headers.width == shape[1])
        rows = np.flatnonzero(fit)
        if len(rows) < png.FEWEST:
            return done
        flat = out.reshape(len(out), *shape[:2], -1)

        def put(some: Ints) -> None:
            consecutive = some[-1] - some[0] + 1 == len(some)
            pixels = (
                flat[some[0] : some[-1] + 1]
                if consecutive
                else np.empty((len(some), *flat.shape[1:]), np.uint8)
            )
            done[some] = png.decode_together(encoded, headers, some, pixels)
            if not consecutive:
                flat[some] = pixels

        pieces = -(-len(rows) // png.images_at_once(shape[0], flat.shape[3]))
        if len(rows) >= png.FEWEST * cores():
            pieces = -(-pieces // cores()) * cores()  # as many for each core
        threads.each(put, np.array_split(rows, pieces))
        return done


def is_image(encoded: bytes) -> bool:
    """Return whether these bytes begin as an image that Pillow knows."""
    try:
        ImageDecoder().form(encoded, lambda: "")
    except CorruptDataError:
        return False
    return True


def _each(work: Callable[[int], None], rows: Ints, encoded: Encoded, threads: Threads) -> None:
    """Call `work` for each row, on all cores where the images are large enough for that."""
    sizes = encoded.ends[rows] - encoded.begins[rows]
    if len(rows) < 2 or sizes.mean() < THREADED_BYTES:
        for row in rows.tolist():
            work(row)
        return

    threads.each(work, rows.tolist())


def _turn(image: Image) -> int:
    """Return the orientation that the header states, from 1 to 8; 1 is upright."""
    if image.format in _PLAIN_HEADERS and not any(key in image.info for key in _TURNING):
        return 1
    return int(image.getexif().get(_ORIENTATION, 1))


def _plain_mode(image: Image) -> str:
    """Return the mode in which an image of any mode is handed out."""
    if image.mode in _CHANNELS:
        return image.mode
    return _shown(image.mode, transparent="transparency" in image.info)


def _shown(mode: str, *, transparent: bool) -> str:
    """Return the mode that shows the same as one that no array holds."""
    if mode == "1":
        return "L"
    if mode.startswith("I;16"):
        return "I;16"
    if mode in {"PA", "RGBa"} or (mode == "P" and transparent):
        return "RGBA"
    return "LA" if mode == "La" else "RGB"
