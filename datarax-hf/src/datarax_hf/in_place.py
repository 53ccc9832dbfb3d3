"""Columns in place: encoded images as they lie in parquet files, mapped and picked by their places.

Where a file does not compress its images, as those that `datasets` writes do not, laying them out
would only copy them. What is kept instead is where each begins and ends: 16 bytes an image, in a
file of the derived cache that shows by itself whether it is whole.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datarax_hf.columns import Rows
from datarax_hf.derived import Derived
from datarax_hf.flat import Part, parts_of, progress_of
from datarax_hf.formats.pages import NotPlainError, in_order
from datarax_hf.headers import Encoded
from datarax_hf.image_columns import ImageColumn
from datarax_hf.leases import Hold
from datarax_hf.mapping import mapped
from datarax_hf.ragged import RaggedColumn
from datarax_hf.shards import Shards
from datarax_hf.whole import NotKeptError

LEAST_BYTES = 2**20
"""Of a file that stores fewer bytes of images the places are found anew: it takes no time."""

AT_ONCE = 2**13
"""Images that are shown at once."""

VERSION = 1
_IMAGE_BYTES = 16
_SUM_BYTES = 4


@dataclass(frozen=True)
class _Mapped:
    """A file and the places of its images.

    Attributes:
        path: The file.
        part: All its row groups.
        data: The file, mapped.
        places: Where images begin and end, of shape (images, 2).
        identity: Which file it was, so that one that was changed is told from it.
    """

    path: Path
    part: Part
    data: pa.Buffer
    places: NDArray[np.int64]
    identity: tuple[int, int, int]


class InPlaceColumn(RaggedColumn):
    """Encoded images in parquet files: a store of which every second value is one of them.

    The values of a chunk are those of a whole file, and what lies between them.

    Args:
        shards: What the images are of.
        name: The column.
        files: The files.
        hold: What keeps the files of places from being pruned.
        held_bytes: The memory that places take that no file holds.
    """

    def __init__(
        self, shards: Shards, name: str, files: Sequence[_Mapped], hold: Hold, held_bytes: int
    ) -> None:
        begins = [file.part.begin for file in files]
        super().__init__(shards, name, begins, [_values(file) for file in files], hold)
        self._files = tuple(files)
        self.held_bytes = held_bytes

    def pieces(self, indices: Rows) -> Iterator[tuple[int, Rows, Rows]]:
        for number, positions, rows in super().pieces(indices):
            yield number, positions, rows * 2

    def loaded(self, number: int, names: Sequence[str], *, keep: bool) -> dict[str, Any]:
        """Return the values of a file.

        Raises:
            CorruptDataError: If it was written again since it was opened.
        """
        self._check(self._files[number])
        return super().loaded(number, names, keep=keep)

    def place(self, number: int) -> Callable[[int], str]:
        place = super().place(number)
        return lambda row: place(row // 2)

    def encoded(self, groups: range) -> Iterator[tuple[int, Encoded]]:
        """Yield the images of row groups of one file, and the index of the first, some at once."""
        begin, end = self._shards.begin(groups.start), self._shards.begin(groups[-1])
        end += self._shards.rows(groups[-1])
        file = self._files[int(np.searchsorted(self._begins, begin, side="right")) - 1]
        data = np.frombuffer(file.data, np.uint8)
        for first in range(begin, end, AT_ONCE):
            last = min(first + AT_ONCE, end)
            places = file.places[first - file.part.begin : last - file.part.begin]
            yield first, Encoded(data, places[:, 0], places[:, 1])

    def _check(self, file: _Mapped) -> None:
        """Raise if a file was written since: its places are not those of what it holds now."""
        try:
            now = _identity(file.path)
        except OSError:  # it was deleted, and stays whole as long as it is mapped
            return
        if now != file.identity and now[0] == file.identity[0]:
            raise self._shards.origin.damaged(
                self._shards.file_of(file.part.groups.start),
                f"was written again while it was open ({file.identity[1]:,} bytes became "
                f"{now[1]:,})",
            )


def in_place(
    shards: Shards, column: ImageColumn, derived: Derived, most: int
) -> InPlaceColumn | None:
    """Return the images of a column in the files that hold them.

    Args:
        shards: The files that the column is of.
        column: The column.
        derived: The derived cache, which keeps their places.
        most: Bytes that places may take in memory where it cannot.

    Returns:
        None where a file compresses or encodes them, or one is null, or places are kept nowhere.
    """
    parts = parts_of(shards, [(0, shards.records)])
    if not shards.lies_plain(column.name) or not parts:
        return None
    files, kept, held = [], [], 0
    with progress_of(shards, shards.records) as progress:
        for part in parts:
            try:
                identity = _identity(part.path)
                data = mapped(part.path)
                if data.size != identity[1]:
                    return None
                places, path = _places(shards, column, part, derived, data, most - held)
                if _identity(part.path) != identity:
                    return None
            except (NotPlainError, NotKeptError, OSError, pa.ArrowException):
                return None
            kept += [] if path is None else [path]
            held += places.nbytes if path is None else 0
            files.append(_Mapped(part.path, part, data, places, identity))
            progress.advance(part.records)
    return InPlaceColumn(shards, column.name, files, derived.hold(kept), held)


def _places(
    shards: Shards, column: ImageColumn, part: Part, derived: Derived, data: pa.Buffer, most: int
) -> tuple[NDArray[np.int64], Path | None]:
    """Return the places of the images of a file, and the file that they are mapped from if any.

    Raises:
        NotPlainError: If they do not lie there as they are.
        NotKeptError: If places are more than fit in memory, and cannot be kept on the disk.
    """
    view = memoryview(data).cast("B")

    def found() -> Iterator[NDArray[np.int64]]:
        for group in part.groups:
            places = shards.places(group, column.name, view)
            if len(places) != shards.rows(group):
                raise NotPlainError
            yield places

    size = part.records * _IMAGE_BYTES
    if shards.stored_bytes(column.name, part.groups) >= LEAST_BYTES:
        key = shards.source_of(part.groups.start), _file_name(column)
        try:
            for _ in range(2):
                path = derived.file(
                    *key, partial(_write, found()), size=size + _SUM_BYTES, flush=False
                )
                places = _read(path, part.records, data.size)
                if places is not None:
                    return places, path
                path.unlink(missing_ok=True)  # it was not whole, and is made again
        except (NotKeptError, OSError):
            if size > most:
                raise
    if size > most:
        raise NotKeptError(f"places of {part.records:,} images take {size:,} bytes of memory")
    places = np.concatenate([*found(), np.zeros((0, 2), np.int64)])
    if not in_order(places, data.size):
        raise NotPlainError
    return places, None


def _write(found: Iterator[NDArray[np.int64]], path: Path) -> None:
    """Write places, and behind them their sum."""
    total = 0
    with path.open("wb") as file:
        for places in found:
            data = places.astype("<i8", copy=False).tobytes()
            total = zlib.crc32(data, total)
            file.write(data)
        file.write(total.to_bytes(_SUM_BYTES, "little"))


def _read(path: Path, records: int, size: int) -> NDArray[np.int64] | None:
    """Return the places that a file holds of a file of so many bytes; None if it is not whole."""
    if path.stat().st_size != records * _IMAGE_BYTES + _SUM_BYTES:
        return None
    kept = np.frombuffer(mapped(path), np.uint8)
    flat, total = kept[:-_SUM_BYTES], kept[-_SUM_BYTES:].tobytes()
    if zlib.crc32(flat.data) != int.from_bytes(total, "little"):
        return None
    places: NDArray[np.int64] = np.asarray(flat.view("<i8")).reshape(-1, 2)
    return places if in_order(places, size) else None


def _identity(path: Path) -> tuple[int, int, int]:
    """Return which file a path leads to: its node, its bytes, and when it was written."""
    state = path.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns


def _values(file: _Mapped) -> pa.Array:
    """Return the images of a file, and between each two what lies between them."""
    count = max(0, 2 * len(file.places) - 1)
    offsets = pa.py_buffer(np.ascontiguousarray(file.places))
    return pa.Array.from_buffers(pa.large_binary(), count, [None, offsets, file.data])


def _file_name(column: ImageColumn) -> str:
    told = json.dumps([column.name, VERSION])
    return f"places-{hashlib.sha256(told.encode()).hexdigest()[:20]}.bin"
