"""Flat columns: a fixed-width column as arrays from which rows are gathered, one array for a file.

Row groups are decoded once, in parallel and in bounded memory. A large column goes into the derived
cache as ordinary `.npy` files, which are memory-mapped; a small one stays in memory.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datarax.errors import CorruptDataError
from datarax.progress import Progress
from datarax_hf.bundles import Bundle, bundled, whole_or_each
from datarax_hf.columns import Column, is_run
from datarax_hf.derived import Derived
from datarax_hf.image_columns import ImageColumn
from datarax_hf.leases import Hold
from datarax_hf.mapping import mapped_array
from datarax_hf.shards import Shards, grouped
from datarax_hf.threads import Threads

SMALL_BYTES = 2**23
"""Columns that take up to so many bytes together stay in memory instead of on the disk."""

SLICE_BYTES = 2**22
ALONE_BYTES = 2**20
"""A column of fewer bytes is decoded by the thread that asks: others take longer to wake."""

VERSION = 2
_SLUG = re.compile(r"[^A-Za-z0-9_]+")
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """Consecutive row groups of one file: what one array is made of.

    Attributes:
        path: The file.
        groups: The numbers of its row groups among all.
        begin: The index of its first record.
        records: How many it holds.
    """

    path: Path
    groups: range
    begin: int
    records: int


Write = Callable[[Column, Part, Path], None]
"""Writes the file of a column and a part."""


class FlatColumn:
    """A column's values, gathered from the arrays of its parts.

    Args:
        parts: The parts, in the order of their records.
        arrays: Their values, each of shape (records, *shape).
        hold: What keeps mapped files from being pruned.
    """

    def __init__(
        self, parts: Sequence[Part], arrays: Sequence[NDArray[Any]], hold: Hold | None = None
    ) -> None:
        self._arrays = tuple(np.asarray(array) for array in arrays)
        self._begins = np.array([part.begin for part in parts], np.int64)
        self._hold = hold
        self.held_bytes = 0 if hold is not None else sum(array.nbytes for array in self._arrays)

    def gather(self, indices: Rows, out: NDArray[Any]) -> None:
        """Fill `out` with the values at `indices`, which its parts hold."""
        if is_run(indices):
            self._copy(indices, out)
            return
        if len(self._arrays) == 1:
            # "clip" because "raise" gathers into a buffer of its own first; indices are within.
            np.take(self._arrays[0], indices - self._begins[0], axis=0, out=out, mode="clip")
            return
        for part, positions in grouped(np.searchsorted(self._begins, indices, side="right") - 1):
            out[positions] = self._arrays[part][indices[positions] - self._begins[part]]

    def close(self) -> None:
        """Let the files be pruned."""
        if self._hold is not None:
            self._hold.close()

    def _copy(self, indices: Rows, out: NDArray[Any]) -> None:
        """Fill `out` with the values of a run of indices."""
        index, done = int(indices[0]) if len(indices) else 0, 0
        first = int(np.searchsorted(self._begins, index, side="right")) - 1
        for begin, array in zip(self._begins[first:].tolist(), self._arrays[first:], strict=True):
            piece = array[index + done - begin :][: len(indices) - done]
            out[done : done + len(piece)] = piece
            done += len(piece)
            if done == len(indices):
                return
        raise IndexError(f"the values from {index + done} on are not in these arrays")


def parts_of(shards: Shards, ranges: Sequence[tuple[int, int]]) -> list[Part]:
    """Return the parts that hold the records of `ranges`, at most one each time a file is read."""
    groups: dict[int, range] = {}
    for start, stop in ranges:
        for number, held in shards.groups_of(start, stop):
            before = groups.get(number, held)
            groups[number] = range(min(before.start, held.start), max(before.stop, held.stop))
    return [
        Part(shards.path_of(number), held, shards.begin(held.start), sum(map(shards.rows, held)))
        for number, held in sorted(groups.items())
    ]


def small_columns(columns: Sequence[Column], parts: Sequence[Part], left: int) -> list[Column]:
    """Return the columns that are to stay in memory: the smallest, within `left` bytes in all."""
    records = sum(part.records for part in parts)
    small = []
    for column in sorted(columns, key=row_bytes):
        left -= records * row_bytes(column)
        if left < 0:
            break
        small.append(column)
    return small


def in_memory(
    shards: Shards, columns: Sequence[Column], parts: Sequence[Part]
) -> dict[str, FlatColumn]:
    """Return the flat form of columns, whose fields are arrays, in memory."""
    records = sum(part.records for part in parts)
    with progress_of(shards, len(columns) * records) as progress:
        decoder = _Decoder(shards, progress)
        return {column.name: _held(decoder, column, parts, records) for column in columns}


def on_disk(
    shards: Shards, columns: Sequence[Column], parts: Sequence[Part], derived: Derived
) -> dict[str, FlatColumn]:
    """Return the flat form of columns, whose fields are arrays, building the files not there.

    Raises:
        NotKeptError: If the derived cache cannot take them.
        CorruptDataError: If a file is damaged.
    """

    def bytes_of(column: Column, part: Part) -> int:
        return part.records * row_bytes(column)

    def writing(progress: Progress) -> Write:
        return partial(_write, _Decoder(shards, progress))

    return {
        name: FlatColumn(parts, [_mapped(path) for path in paths], hold)
        for name, (paths, hold) in built(
            shards, columns, parts, derived, _file_name, bytes_of, writing
        ).items()
    }


def lies_on_disk(shards: Shards, column: Column, parts: Sequence[Part], derived: Derived) -> bool:
    """Return whether the derived cache has the flat form of a column."""
    return all_lie(shards, column, parts, derived, _file_name)


def all_lie(
    shards: Shards,
    column: Column,
    parts: Sequence[Part],
    derived: Derived,
    name_of: Callable[[Shards, Column, Part], str],
) -> bool:
    """Return whether the derived cache has the files that `built` returns for a column."""
    return all(
        derived.find(shards.source_of(part.groups.start), name_of(shards, column, part))
        for part in parts
    )


def built(
    shards: Shards,
    columns: Sequence[Column],
    parts: Sequence[Part],
    derived: Derived,
    name_of: Callable[[Shards, Column, Part], str],
    bytes_of: Callable[[Column, Part], int],
    writing: Callable[[Progress], Write],
) -> dict[str, tuple[list[Path], Hold]]:
    """Return the derived files of each column, one for each part, building those not there.

    Args:
        shards: The files that the columns are of.
        columns: The columns.
        parts: The parts.
        derived: The derived cache.
        name_of: The name of the file of a column and a part.
        bytes_of: About how many bytes it takes.
        writing: Returns what writes it, telling a bar of the records it is done with.

    Raises:
        NotKeptError: If the derived cache cannot take them.
        CorruptDataError: If a file is damaged.
    """
    places = {
        (column.name, part): (shards.source_of(part.groups.start), name_of(shards, column, part))
        for column in columns
        for part in parts
    }
    lacking = [
        (column, part)
        for column in columns
        for part in parts
        if derived.find(*places[column.name, part]) is None
    ]
    if lacking:
        derived.make_room(sum(bytes_of(column, part) for column, part in lacking))
    with progress_of(shards, sum(part.records for _, part in lacking)) as progress:
        write = writing(progress)
        for column, part in lacking:
            derived.file(*places[column.name, part], partial(write, column, part))
    files = {}
    for column in columns:
        paths = [derived.found(*places[column.name, part]) for part in parts]
        files[column.name] = (paths, derived.hold(paths))
    return files


def row_bytes(column: Column) -> int:
    """Return the bytes of one value of a column whose field is an array."""
    dtype, shape = column.field.dtype, column.field.shape
    assert dtype is not None
    assert shape is not None
    return dtype.itemsize * math.prod(shape)


class _Decoder:
    """Decodes the row groups of a part, several at once, a slice of each at a time."""

    def __init__(self, shards: Shards, progress: Progress) -> None:
        self.shards = shards
        self._threads = Threads()
        self._progress = progress

    def run(self, column: Column, part: Part, put: Callable[[int, NDArray[Any]], None]) -> None:
        """Call `put` with (place in the part, values) for all its values, in any order.

        It is called by several threads at once.
        """
        lock = threading.Lock()

        def decode_bundle(groups: range) -> None:
            if len(groups) == 1:
                decode(groups[0])
                return
            bundle = Bundle(self.shards, {column.name: column}, groups)
            values = bundle.loaded(groups[0], [column.name], keep=False)[column.name]
            if not isinstance(values, np.ndarray):
                values = column.gather(values, np.arange(len(values)), bundle.place(groups[0]))
            put(self.shards.begin(groups[0]) - part.begin, values)
            with lock:
                self._progress.advance(len(values))

        def decode(group: int) -> None:
            begin, done = self.shards.begin(group) - part.begin, 0
            where = self.shards.where(group)
            for table in self.shards.slices(group, [column.name], _slice_rows(column)):
                values = column.load(table.column(column.name), where)
                if not isinstance(values, np.ndarray):
                    rows = np.arange(len(table))
                    values = column.gather(values, rows, self.shards.place(group, done))
                put(begin + done, values)
                done += len(table)
                with lock:
                    self._progress.advance(len(table))

        def decode_all(bundle: range) -> None:
            for _ in whole_or_each(decode_bundle, bundle):
                continue

        bundles = list(
            bundled(
                self.shards, part.groups, lambda group: self.shards.rows(group) * row_bytes(column)
            )
        )
        if part.records * row_bytes(column) < ALONE_BYTES and not isinstance(column, ImageColumn):
            for bundle in bundles:
                decode_all(bundle)
            return
        self._threads.each(decode_all, bundles)


def progress_of(shards: Shards, records: int) -> Progress:
    """Return a bar for laying out values of `records`."""
    return Progress(f"laying out hf:{shards.origin.dataset}", records)


def _held(decoder: _Decoder, column: Column, parts: Sequence[Part], records: int) -> FlatColumn:
    whole = np.empty((records, *(column.field.shape or ())), column.field.dtype)
    arrays = np.split(whole, np.cumsum([part.records for part in parts[:-1]]))
    for part, array in zip(parts, arrays, strict=True):

        def put(place: int, values: NDArray[Any], array: NDArray[Any] = array) -> None:
            array[place : place + len(values)] = values

        decoder.run(column, part, put)
    ends = [part.begin + part.records for part in parts]
    if ends[:-1] == [part.begin for part in parts[1:]]:
        return FlatColumn(parts[:1], [whole])
    return FlatColumn(parts, arrays)


def _write(decoder: _Decoder, column: Column, part: Part, path: Path) -> None:
    """Write the values of a part as a `.npy` file, each slice at its place."""
    dtype, size = column.field.dtype, row_bytes(column)
    assert dtype is not None
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": (part.records, *(column.field.shape or ())),
    }
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        start = file.tell()
        file.flush()

        def put(place: int, values: NDArray[Any]) -> None:
            view = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
            at = start + place * size
            while len(view):
                written = os.pwrite(file.fileno(), view, at)
                view, at = view[written:], at + written

        decoder.run(column, part, put)


def _mapped(path: Path) -> NDArray[Any]:
    try:
        array = mapped_array(path)
    except ValueError as error:
        raise CorruptDataError(
            f"the derived file {path} is damaged ({error}); delete it, and it is made again"
        ) from error
    return array


def _slice_rows(column: Column) -> int:
    return max(1, SLICE_BYTES // max(1, row_bytes(column)))


def file_name(shards: Shards, column: Column, part: Part, form: Sequence[Any], ending: str) -> str:
    """Return a name for a column of a part: a readable piece of it, and a hash of the rest.

    Args:
        shards: The files.
        column: The column.
        part: The part.
        form: What the bytes depend on beside these.
        ending: The ending of the name.
    """
    groups = [shards.number_within(part.groups.start), len(part.groups)]
    told = json.dumps([column.name, groups, part.records, *form])
    digest = hashlib.sha256(told.encode()).hexdigest()[:20]
    return f"{_SLUG.sub('-', column.name)[:40]}-{digest}{ending}"


def _file_name(shards: Shards, column: Column, part: Part) -> str:
    form = [
        type(column).__name__,
        str(column.field.dtype),
        column.field.shape,
        [repr(getattr(column, option.name)) for option in fields(column) if _matters(option)],
        VERSION,
    ]
    return file_name(shards, column, part, form, ".npy")


def _matters(option: Field[Any]) -> bool:
    """Return whether the values of a column depend on one of its attributes."""
    return option.compare and option.name != "field"
