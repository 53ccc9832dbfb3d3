"""Columns of encoded images, which are decoded when they are gathered, all of a batch together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datarax.errors import CorruptDataError
from datarax_hf.arrow_numbers import numbers_of
from datarax_hf.columns import Column, Rows, is_run, plain, taken
from datarax_hf.headers import Encoded
from datarax_hf.images import ImageDecoder, Place
from datarax_hf.threads import Threads


@dataclass(frozen=True)
class Picked:
    """Encoded images of one row group or chunk, not decoded yet.

    Attributes:
        images: Encoded images, those that were picked among them.
        within: The rows of these in `images`.
        rows: Their rows in the row group or chunk.
        positions: Where each belongs in what was asked for.
        place: Says where a row lies.
    """

    images: pa.ChunkedArray
    within: Rows
    rows: Rows
    positions: Rows
    place: Place

    @classmethod
    def of(
        cls, loaded: pa.ChunkedArray, rows: Rows, positions: Rows, place: Place, *, stays: bool
    ) -> Picked:
        """Return the images at `rows`; a copy of them unless what is loaded stays in any case."""
        if stays:
            return cls(loaded, rows, rows, positions, place)
        chunks = [images for images, _ in taken(loaded, rows)]
        copied = pa.chunked_array(chunks, loaded.type)
        return cls(copied, np.arange(len(rows)), rows, positions, place)


@dataclass(frozen=True)
class ImageColumn(Column):
    """A column of encoded images, decoded when they are gathered."""

    decoder: ImageDecoder
    threads: Threads = field(default_factory=Threads, compare=False, repr=False)

    def load(self, data: pa.ChunkedArray, where: str) -> pa.ChunkedArray:  # noqa: ARG002
        stored = plain(data)
        if not pa.types.is_struct(stored.type):
            return stored
        place = stored.type.get_field_index("bytes")
        if place < 0:
            return pa.chunked_array([pa.nulls(len(stored), pa.binary())])
        chunks = [chunk.flatten()[place] for chunk in stored.chunks]
        return plain(pa.chunked_array(chunks, type=stored.type.field(place).type))

    def gather(self, loaded: pa.ChunkedArray, rows: Rows, place: Place) -> Any:
        if self.field.is_array:
            out = np.empty((len(rows), *(self.field.shape or ())), self.field.dtype)
            self.gather_into(loaded, rows, place, out)
            return out
        values: list[Any] = []
        for images, some in taken(loaded, rows):
            values += self.decoder.decode_all(images, self._place(place, some), self.threads)
        return values

    def fill_out(self, loaded: pa.ChunkedArray, begin: int, out: Any, place: Place) -> None:
        if isinstance(out, np.ndarray):
            self.gather_into(loaded, np.arange(begin, begin + len(out)), place, out)
        else:
            super().fill_out(loaded, begin, out, place)

    def gather_into(
        self, loaded: pa.ChunkedArray, rows: Rows, place: Place, out: NDArray[Any]
    ) -> None:
        """Fill `out`, C-contiguous and of shape (rows, *shape), with the pixels at `rows`."""
        begin = 0
        for images, some in taken(loaded, rows):
            self._decode_into(images, out[begin : begin + len(some)], self._place(place, some))
            begin += len(some)

    def describe(self, data: pa.ChunkedArray, where: str) -> str | None:
        """Return the sizes and modes of images as they are stored, in words.

        None where there is no image, or one that is damaged: reading it says so.
        """
        loaded = self.load(data, where).drop_null()
        if not len(loaded):
            return None
        images = loaded.combine_chunks()
        joined = pa.concat_arrays(images.chunks) if isinstance(images, pa.ChunkedArray) else images
        try:
            return ImageDecoder().sizes(joined, lambda _: where)
        except CorruptDataError:
            return None

    def decode_picked(self, picked: Sequence[Picked], out: Any) -> None:
        """Fill `out`, an array or a list, with what was picked for all its positions."""
        images = _joined(picked, len(out))

        def place(position: int) -> str:
            for part in picked:
                for number in np.flatnonzero(part.positions == position):
                    return self._place(part.place, part.rows)(int(number))
            raise IndexError(position)

        if isinstance(out, list):
            out[:] = self.decoder.decode_all(images, place, self.threads)
        else:
            self._decode_into(images, out, place)

    def close(self) -> None:
        self.threads.close()

    def _decode_into(
        self, images: pa.Array, out: NDArray[Any], place: Callable[[int], str]
    ) -> None:
        if images.null_count:
            row = int(np.argmin(numbers_of(images.is_valid())))
            raise CorruptDataError(f"{place(row)}: the image has no bytes")
        self.decoder.decode_into(images, out, place, self.threads)

    def _place(self, place: Place, rows: Rows) -> Place:
        return lambda row: f"{place(int(rows[row]))}, column {self.name!r}"


def _joined(picked: Sequence[Picked], size: int) -> pa.Array:
    """Return encoded images, each at its position; their bytes are copied once."""
    sizes = np.zeros(size, np.int64)
    valid = np.ones(size, np.bool_)
    pieces: list[tuple[Rows, Encoded, Rows]] = []
    for part in picked:
        begin = 0
        for chunk in part.images.chunks:
            here = (part.within >= begin) & (part.within < begin + len(chunk))
            rows, positions = part.within[here] - begin, part.positions[here]
            begin += len(chunk)
            if not len(rows):
                continue
            encoded = Encoded.of(chunk)
            sizes[positions] = encoded.ends[rows] - encoded.begins[rows]
            if chunk.null_count:
                valid[positions] = numbers_of(chunk.is_valid())[rows]
            pieces.append((positions, encoded, rows))
    ends = np.concatenate([[0], np.cumsum(sizes)])
    there = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    buffers = [there, pa.py_buffer(ends), pa.py_buffer(b"".join(_views(pieces, size)))]
    return pa.Array.from_buffers(pa.large_binary(), size, buffers)


def _views(pieces: Sequence[tuple[Rows, Encoded, Rows]], size: int) -> list[Any]:
    """Return the bytes of images in the order of their positions, those of a run in one view."""
    if all(is_run(positions) and is_run(rows) for positions, _, rows in pieces):
        ordered = sorted(pieces, key=lambda piece: int(piece[0][0]))
        return [
            encoded.data.data[encoded.begins[rows[0]] : encoded.ends[rows[-1]]]
            for _, encoded, rows in ordered
        ]
    views: list[Any] = [b""] * size
    for positions, encoded, rows in pieces:
        data = encoded.data.data
        begins, ends = encoded.begins[rows].tolist(), encoded.ends[rows].tolist()
        for position, begin, end in zip(positions.tolist(), begins, ends, strict=True):
            views[position] = data[begin:end]
    return views
