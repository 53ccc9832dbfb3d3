"""Bundles: small row groups of one file, which are read at once.

To open a file and to read a row group takes as long as some 100 kB of values do, and writers were
used to groups of 1,000 rows, which are a tenth of that where rows are a few numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from datarax.errors import CorruptDataError
from datarax_hf.columns import Column, Rows
from datarax_hf.images import Place
from datarax_hf.shards import Shards

BUNDLE_BYTES = 2**20
"""The bytes of a bundle once it is read: few, so that all cores have one to read."""

Made = TypeVar("Made")


@dataclass(frozen=True)
class Bundle:
    """Consecutive row groups of one file; a store as `RowGroups` is, of one piece.

    Attributes:
        shards: The row groups.
        columns: How their columns are read.
        groups: Those that are here.
    """

    stays: ClassVar[bool] = False
    shards: Shards
    columns: Mapping[str, Column]
    groups: range

    def pieces(self, indices: Rows) -> Iterator[tuple[int, Rows, Rows]]:
        """Yield (first row group, positions in `indices`, rows in the bundle) of those here."""
        begin, last = self.shards.begin(self.groups[0]), self.groups[-1]
        rows = indices - begin
        count = self.shards.begin(last) + self.shards.rows(last) - begin
        positions = ((rows >= 0) & (rows < count)).nonzero()[0]
        yield self.groups[0], positions, rows[positions]

    def loaded(self, number: int, names: Sequence[str], *, keep: bool) -> dict[str, Any]:  # noqa: ARG002  # a run goes on behind it
        """Return the columns of the bundle."""
        table, where = self.shards.joined(self.groups, names), self.shards.where(number)
        return {name: self.columns[name].load(table.column(name), where) for name in names}

    def place(self, number: int) -> Place:
        """Return what says where a row of the bundle lies."""
        begin = self.shards.begin(number)
        return lambda row: self.shards.place_of(begin + row)


def bundled(
    shards: Shards, groups: Sequence[int], bytes_of: Callable[[int], int]
) -> Iterator[range]:
    """Yield row groups, in the order given, small ones that follow each other in bundles.

    Args:
        shards: The row groups.
        groups: Those that are to be read.
        bytes_of: Returns about how many bytes one takes once it is read.
    """
    first, size = 0, 0
    for place, group in enumerate(groups):
        added = bytes_of(group)
        follows = place > first and group == groups[place - 1] + 1
        if place and not (
            follows and size + added <= BUNDLE_BYTES and shards.joins(groups[first], group)
        ):
            yield range(groups[first], groups[place - 1] + 1)
            first, size = place, 0
        size += added
    if groups:
        yield range(groups[first], groups[-1] + 1)


def whole_or_each(work: Callable[[range], Made], groups: range) -> Iterator[Made]:
    """Yield what `work` makes of a bundle, or of each of its row groups where one is damaged.

    Then whatever lies before the damage is read, and the error names the row group.

    Raises:
        CorruptDataError: What `work` raises for the first row group for which it raises.
    """
    if len(groups) > 1:
        try:
            made = work(groups)
        except CorruptDataError:
            pass
        else:
            yield made
            return
    for group in groups:
        yield work(range(group, group + 1))
