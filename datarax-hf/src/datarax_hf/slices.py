"""Slices: row groups too large to be decoded whole, read a slice at a time.

A run of records goes on where it ended: the slices of a row group that are still to come, and what
is left of the last one, wait for who asks next.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from datarax_hf.columns import Column, Rows
from datarax_hf.flat import row_bytes
from datarax_hf.image_columns import ImageColumn
from datarax_hf.images import Place
from datarax_hf.shards import Shards

LARGE_BYTES = 2**25
"""Row groups of more bytes, in the columns that are read, are read in slices."""

SLICE_BYTES = 2**22


class Slices:
    """The slices of large row groups that are being read.

    Args:
        shards: The row groups.
        columns: How their columns are read.
    """

    def __init__(self, shards: Shards, columns: Mapping[str, Column]) -> None:
        self._shards = shards
        self._columns = columns
        self._lock = threading.Lock()
        self._waiting: _Waiting | None = None
        self._due: dict[tuple[int, tuple[str, ...]], bool] = {}

    def are_due(self, group: int, names: Sequence[str]) -> bool:
        """Return whether columns of a row group are to be read in slices."""
        key = group, tuple(names)
        due = self._due.get(key)
        if due is None:
            rows = self._shards.rows(group)
            few = rows < 2 or self._shards.lies_ready()
            due = not few and self.bytes_of(group, names) > LARGE_BYTES
            self._due[key] = due
        return due

    def bytes_of(self, group: int, names: Sequence[str]) -> int:
        """Return about how many bytes columns of a row group take once read, images encoded."""
        return self._shards.rows(group) * self._row_bytes(group, names)

    def read(self, group: int, rows: Rows, names: Sequence[str]) -> Iterator[Slice]:
        """Yield slices that hold a run of rows of a row group, in their order.

        Raises:
            CorruptDataError: If the row group is damaged.
        """
        begin, end = int(rows[0]), int(rows[-1]) + 1
        waiting = self._resumed(group, begin, tuple(names)) or self._begun(group, tuple(names))
        while waiting.place < end:
            if waiting.table is None or not len(waiting.table):
                waiting.table = next(waiting.tables)
            table = waiting.table
            skipped = min(max(0, begin - waiting.place), len(table))
            count = min(end - waiting.place, len(table))
            if count > skipped:
                yield Slice(
                    self._shards,
                    self._columns,
                    group,
                    waiting.place + skipped,
                    table.slice(skipped, count - skipped),
                )
            waiting.place += count
            waiting.table = table.slice(count)
        with self._lock:
            self._waiting = waiting if waiting.place < self._shards.rows(group) else None

    def tables(self, group: int, name: str) -> Iterator[pa.Table]:
        """Yield a column of a row group, whole or, where it is large, in slices.

        Raises:
            CorruptDataError: If the row group is damaged.
        """
        if not self.are_due(group, [name]):
            yield self._shards.table(group, [name])
            return
        yield from self._begun(group, (name,)).tables

    def clear(self) -> None:
        """Let go of what waits."""
        with self._lock:
            self._waiting = None

    def _resumed(self, group: int, begin: int, names: tuple[str, ...]) -> _Waiting | None:
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting is None or (waiting.group, waiting.place, waiting.names) != (
            group,
            begin,
            names,
        ):
            return None
        return waiting

    def _begun(self, group: int, names: tuple[str, ...]) -> _Waiting:
        rows = max(1, SLICE_BYTES // max(1, self._row_bytes(group, names)))
        return _Waiting(group, names, self._shards.slices(group, names, rows))

    def _row_bytes(self, group: int, names: Sequence[str]) -> int:
        """Return about how many bytes a row takes."""
        rows = max(1, self._shards.rows(group))
        total = 0
        for name in names:
            column = self._columns.get(name)
            stored = self._shards.stored_bytes(name, [group]) // rows
            if column is None or isinstance(column, ImageColumn) or not column.field.is_array:
                total += stored
            else:
                total += max(stored, row_bytes(column))
        return total


@dataclass(frozen=True)
class Slice:
    """Consecutive rows of a row group; a store of rows as `RowGroups` is, of one piece.

    Attributes:
        shards: The row groups.
        columns: How their columns are read.
        group: The row group.
        begin: The first of its rows that is here.
        table: The rows.
    """

    stays: ClassVar[bool] = False
    shards: Shards
    columns: Mapping[str, Column]
    group: int
    begin: int
    table: pa.Table

    def pieces(self, indices: Rows) -> Iterator[tuple[int, Rows, Rows]]:
        """Yield (row group, positions in `indices`, rows in the slice) of those that are here."""
        rows = indices - self.shards.begin(self.group) - self.begin
        positions = np.flatnonzero((rows >= 0) & (rows < len(self.table)))
        yield self.group, positions, rows[positions]

    def loaded(self, number: int, names: Sequence[str], *, keep: bool) -> dict[str, Any]:  # noqa: ARG002  # a run goes on behind it
        """Return the columns of the slice."""
        where = self.shards.where(number)
        return {name: self.columns[name].load(self.table.column(name), where) for name in names}

    def place(self, number: int) -> Place:
        """Return what says where a row of the slice lies."""
        return self.shards.place(number, self.begin)


@dataclass
class _Waiting:
    """Slices that are still to come, from `place` on; `table` is what is left of the last one."""

    group: int
    names: tuple[str, ...]
    tables: Iterator[pa.Table]
    place: int = 0
    table: pa.Table | None = None
