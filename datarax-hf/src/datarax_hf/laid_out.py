"""The columns of a reader that are laid out, and when it pays to lay out more of them.

Once rows are read in no order, a row group is decoded again and again for one of its rows; once
they are passed again and again, for all of them. From then on columns lie flat or ragged, and their
rows are gathered.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa

from datarax.sources.reader import Indices
from datarax_hf import flat, ragged
from datarax_hf.columns import Column
from datarax_hf.derived import Derived
from datarax_hf.flat import FlatColumn, Part, parts_of, row_bytes, small_columns
from datarax_hf.image_columns import ImageColumn
from datarax_hf.images import ImageForm
from datarax_hf.in_place import InPlaceColumn, in_place
from datarax_hf.ragged import Look, RaggedColumn, bytes_of
from datarax_hf.recent import RecentColumns
from datarax_hf.shards import Shards
from datarax_hf.whole import NotKeptError

FLAT_IMAGE_BYTES = 4096
"""Images up to so many bytes, decoded, are laid out flat; larger ones stay encoded."""

PAYS = 4
"""Random reads lay columns out once they would have decoded one in so many row groups."""


class LaidOut:
    """What is laid out of some columns. Safe to use from several threads.

    Picklable: what is laid out is dropped, and what was asked for is laid out again.

    Args:
        shards: The files.
        columns: The columns, by name; more may be added as long as nothing is laid out.
        derived: Where they may be laid out.
        ranges: The (start, stop) of the records that will be read.

    Attributes:
        flat: The columns that lie flat.
        ragged: Those that lie ragged.
    """

    def __init__(
        self,
        shards: Shards,
        columns: Mapping[str, Column],
        derived: Derived,
        ranges: Sequence[tuple[int, int]],
    ) -> None:
        self.flat: dict[str, FlatColumn] = {}
        self.ragged: dict[str, RaggedColumn] = {}
        self._shards = shards
        self._columns = columns
        self._derived = derived
        self._ranges = ranges
        self._lying: dict[str, InPlaceColumn | None] = {}
        self._asked: set[str] = set()
        self._refused: set[str] = set()
        self._touched = 0
        self._lock = threading.Lock()

    @property
    def was_asked(self) -> bool:
        """Whether columns were asked for, be it before this was pickled."""
        return bool(self._asked)

    def holds(self, names: Iterable[str]) -> bool:
        """Return whether all of some columns are laid out."""
        return all(name in self.flat or name in self.ragged for name in names)

    def lay_out(self, names: Sequence[str]) -> None:
        """Lay out those of the columns that can be.

        Where the derived cache cannot take them they are left, with a warning.

        Raises:
            CorruptDataError: If a file is damaged.
        """
        with self._lock:
            self._asked.update(names)
            due = [name for name in dict.fromkeys(names) if self._can_be(name)]
            try:
                self._lay_out(due)
            except NotKeptError as error:
                self._refused.update({*due} - {*self.flat, *self.ragged})
                if not self._derived.refused:
                    warnings.warn(
                        f"hf:{self._shards.origin.dataset}: random access decodes whole row groups "
                        f"again and again, because its columns cannot be laid out: {error}; "
                        "derived_dir= names another folder, derived_limit=0 keeps silent",
                        stacklevel=3,
                    )

    def lay_out_for_passes(self, names: Sequence[str]) -> None:
        """Lay out columns that are decoded anew in each pass in order, if they can be kept.

        Images that stay encoded are not: what takes time is to decode them.

        Raises:
            CorruptDataError: If a file is damaged.
        """
        with self._lock:
            due = [name for name in names if self._can_be(name) and not self._stays_encoded(name)]
            with suppress(NotKeptError):  # as before, they are decoded
                self._lay_out(due)
                self._asked.update(due)

    def lay_out_if_it_pays(
        self, indices: Indices, names: Sequence[str], recent: RecentColumns, *, ordered: bool
    ) -> None:
        """Lay columns out once random reads have cost as much as a part of that does.

        Args:
            indices: The records that are about to be read.
            names: The columns.
            recent: The row groups that need not be decoded for them.
            ordered: Whether they go on where those before ended.
        """
        due = [name for name in names if self._can_be(name)]
        if not due:
            return
        if self._asked.issuperset(due):  # laid out before this was pickled
            self.lay_out(due)
            return
        if ordered:
            return
        touched = [group for group, _, _ in self._shards.pieces(indices)]
        single = len(indices) == 1
        if single and all(recent.get((touched[0], name)) is not None for name in due):
            return
        # One row is no reason, for who takes a look; the next one is.
        reason = self._touched + (0 if single else len(touched))
        self._touched += len(touched)
        if reason * PAYS >= len(self._shards):
            self.lay_out(due)

    def take_what_lies(self, names: Sequence[str], *, whole: bool) -> None:
        """Take columns that are read in order as they lie on the disk, decoded or mapped.

        Args:
            names: The columns.
            whole: Whether they are read whole, and once. Small images, which take longer to decode
                than to write, are then laid out where they are not.
        """
        with self._lock:
            parts = self.parts()
            fresh = [
                self._columns[name]
                for name in names
                if self._can_be(name) and not self._stays_encoded(name)
            ]
            lying = [
                column
                for column in fresh
                if self._lies_on_disk(column, parts)
                or (whole and self._is_worth_keeping(column, parts))
            ]
            with suppress(NotKeptError):  # it is read from row groups
                self._take(lying, parts)

    def lay_out_images(self, column: ImageColumn, form: ImageForm, look: Look) -> None:
        """Lay out images that will lie encoded on the disk, while they are looked at."""
        parts = self.parts()
        small = bytes_of(self._shards, column, parts) <= self._memory_left()
        if small or form.nbytes <= FLAT_IMAGE_BYTES:
            return
        if ragged.can_be_laid_out(self._shards, column.name):
            with suppress(NotKeptError):  # `lay_out` says so
                held = ragged.on_disk(self._shards, [column], parts, self._derived, look)
                self.ragged.update(held)

    def in_place(self, column: Column) -> InPlaceColumn | None:
        """Return encoded images where they lie in the files, if they lie there as they are."""
        if not isinstance(column, ImageColumn) or self._shards.lies_ready():
            return None
        if column.name not in self._lying:
            left = self._memory_left()
            self._lying[column.name] = in_place(self._shards, column, self._derived, left)
        return self._lying[column.name]

    def parts(self) -> list[Part]:
        """Return the row groups that hold the records, file by file."""
        return parts_of(self._shards, self._ranges or [(0, self._shards.records)])

    def close(self) -> None:
        """Drop what is laid out, and let its files be pruned."""
        held = self._all()
        self.flat, self.ragged, self._lying = {}, {}, {}
        for column in held:
            column.close()

    def __getstate__(self) -> dict[str, Any]:
        state = {**self.__dict__, "flat": {}, "ragged": {}, "_lying": {}, "_refused": set()}
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def _lay_out(self, names: Sequence[str]) -> None:
        if not names:
            return
        parts = self.parts()
        self._lay_out_flat([name for name in names if self._lies_flat(name)], parts)
        self._lay_out_ragged([name for name in names if not self._lies_flat(name)], parts)
        pa.default_memory_pool().release_unused()

    def _take(self, columns: Sequence[Column], parts: Sequence[Part]) -> None:
        flat_ones = [column for column in columns if self._lies_flat(column.name)]
        others = [column for column in columns if not self._lies_flat(column.name)]
        self.flat.update(flat.on_disk(self._shards, flat_ones, parts, self._derived))
        self.ragged.update(ragged.on_disk(self._shards, others, parts, self._derived))

    def _lies_on_disk(self, column: Column, parts: Sequence[Part]) -> bool:
        lies = flat.lies_on_disk if self._lies_flat(column.name) else ragged.lies_on_disk
        return lies(self._shards, column, parts, self._derived)

    def _stays_encoded(self, name: str) -> bool:
        return isinstance(self._columns[name], ImageColumn) and not self._lies_flat(name)

    def _lay_out_flat(self, names: Sequence[str], parts: Sequence[Part]) -> None:
        columns = [self._columns[name] for name in names]
        small = small_columns(columns, parts, self._memory_left())
        self.flat.update(flat.in_memory(self._shards, small, parts))
        large = [column for column in columns if column not in small]
        self.flat.update(flat.on_disk(self._shards, large, parts, self._derived))

    def _lay_out_ragged(self, names: Sequence[str], parts: Sequence[Part]) -> None:
        for name in names:
            lying = self.in_place(self._columns[name])
            if lying is not None:
                self.ragged[name] = lying
        columns = [self._columns[name] for name in names if name not in self.ragged]
        self.ragged.update(ragged.in_memory(self._shards, columns, parts, self._memory_left()))
        large = [column for column in columns if column.name not in self.ragged]
        self.ragged.update(ragged.on_disk(self._shards, large, parts, self._derived))

    def _can_be(self, name: str) -> bool:
        if name in self.flat or name in self.ragged or name in self._refused:
            return False
        return self._lies_flat(name) or ragged.can_be_laid_out(self._shards, name)

    def _lies_flat(self, name: str) -> bool:
        column = self._columns[name]
        return column.field.is_array and (
            not isinstance(column, ImageColumn) or row_bytes(column) <= FLAT_IMAGE_BYTES
        )

    def _is_worth_keeping(self, column: Column, parts: Sequence[Part]) -> bool:
        if not isinstance(column, ImageColumn) or self._derived.refused:
            return False
        return sum(part.records for part in parts) * row_bytes(column) > flat.SMALL_BYTES

    def _memory_left(self) -> int:
        return flat.SMALL_BYTES - sum(held.held_bytes for held in self._all())

    def _all(self) -> list[FlatColumn | RaggedColumn]:
        lying = [column for column in self._lying.values() if column is not None]
        laid_out = [column for column in self.ragged.values() if column not in lying]
        return [*self.flat.values(), *laid_out, *lying]
