"""Placing: values from where they lie into the arrays and lists that were asked for.

Values lie in stores, which differ in where a piece of them comes from: row groups are decoded, and
chunks of a laid-out column are mapped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, ClassVar, Protocol

import numpy as np

from datarax_hf.bundles import Bundle, bundled, whole_or_each
from datarax_hf.columns import Column, Rows, is_run
from datarax_hf.image_columns import ImageColumn, Picked
from datarax_hf.images import Place
from datarax_hf.recent import RecentColumns
from datarax_hf.shards import Shards
from datarax_hf.slices import Slices
from datarax_hf.threads import Threads


class Store(Protocol):
    """Numbered pieces of columns, each of consecutive records.

    Attributes:
        stays: Whether what is loaded takes no memory that letting go of it would free.
    """

    stays: ClassVar[bool]

    def pieces(self, indices: Rows, /) -> Iterator[tuple[int, Rows, Rows]]:
        """Yield (number, positions in `indices`, rows in the piece), each piece once."""
        ...

    def loaded(self, number: int, names: Sequence[str], *, keep: bool) -> dict[str, Any]:
        """Return columns of a piece, as their `load` gives them; `keep` holds what was decoded."""
        ...

    def place(self, number: int, /) -> Place:
        """Return what says where a row of a piece lies."""
        ...


@dataclass(frozen=True)
class RowGroups:
    """The store of all columns: each row group is decoded as it is asked for.

    Attributes:
        shards: The row groups.
        columns: How their columns are read.
        recent: What was decoded last.
    """

    stays: ClassVar[bool] = False
    shards: Shards
    columns: Mapping[str, Column]
    recent: RecentColumns

    def pieces(self, indices: Rows) -> Iterator[tuple[int, Rows, Rows]]:
        """Yield (row group, positions in `indices`, rows in the group)."""
        return self.shards.pieces(indices)

    def holds(self, number: int, names: Sequence[str]) -> bool:
        """Return whether columns of a row group need not be read."""
        return all(self.recent.get((number, name)) is not None for name in names)

    def loaded(self, number: int, names: Sequence[str], *, keep: bool) -> dict[str, Any]:
        """Return the columns of a row group, reading those that are not held."""
        self.shards.check_same(number)
        loaded = {name: self.recent.get((number, name)) for name in names}
        lacking = [name for name, held in loaded.items() if held is None]
        if lacking:
            table = self.shards.table(number, lacking)
            where = self.shards.where(number)
            for name in lacking:
                loaded[name] = self.columns[name].load(table.column(name), where)
                if keep:
                    self.recent.put((number, name), loaded[name])
        return loaded

    def place(self, number: int) -> Place:
        """Return what says where a row of a row group lies."""
        return self.shards.place(number)


def place(
    store: Store, columns: Mapping[str, Column], indices: Rows, out: Mapping[str, Any]
) -> None:
    """Fill arrays and lists of the values at `indices`, in any order.

    Images of all pieces are decoded together: a piece may hold one or two of them.
    """
    pieces = list(store.pieces(indices))
    picked = _no_images(columns, out) if len(pieces) > 1 else {}
    for piece in pieces:
        _place_piece(store, columns, piece, out, keep=True, picked=picked)
    _decode(columns, picked, out)


def place_run(
    groups: RowGroups, slices: Slices, indices: Rows, out: Mapping[str, Any], threads: Threads
) -> None:
    """Fill arrays and lists of the values of a run of records, decoding row groups on all cores.

    A run goes on where it ends: only its last row group is read from again. Large row groups are
    read a slice at a time. Images of all pieces are decoded together, as in `place`.
    """
    names = tuple(out)
    single = groups.shards.group_of_run(indices)
    if single is not None and not slices.are_due(single, names):
        _fill_from(groups, single, indices.item(0), out)
        return
    pieces = list(groups.shards.run_pieces(indices))
    due = [slices.are_due(group, names) for group, _, _ in pieces]
    large = list(compress(pieces, due))
    whole = [piece for piece, sliced in zip(pieces, due, strict=True) if not sliced]
    for group, positions, rows in large:
        for part in slices.read(group, rows, names):
            for number, here, within in part.pieces(indices[positions]):
                piece = (number, positions[here], within)
                _place_piece(part, groups.columns, piece, out, keep=False, picked={})
    # What is picked is decoded for all positions, of which slices have filled some.
    picked = _no_images(groups.columns, out) if len(whole) > 1 and not large else {}
    if sum(not groups.holds(group, names) for group, _, _ in whole) < 2:
        for piece in whole:
            _place_piece(groups, groups.columns, piece, out, keep=True, picked=picked)
        _decode(groups.columns, picked, out)
        return
    groups.recent.keep({group for group, _, _ in whole})
    last = pieces[-1][0]
    by_group = {piece[0]: piece for piece in whole}

    def work(bundle: range) -> None:
        if len(bundle) == 1:
            piece = by_group[bundle[0]]
            keep = bundle[0] == last
            _place_piece(groups, groups.columns, piece, out, keep=keep, picked=picked)
            return
        store = Bundle(groups.shards, groups.columns, bundle)
        begin, end = by_group[bundle[0]][1][0], by_group[bundle[-1]][1][-1] + 1
        for number, positions, rows in store.pieces(indices[begin:end]):
            piece = (number, positions + begin, rows)
            _place_piece(store, groups.columns, piece, out, keep=False, picked=picked)

    def work_through(bundle: range) -> None:
        for _ in whole_or_each(work, bundle):
            continue

    small = bundled(
        groups.shards,
        [piece[0] for piece in whole[:-1]],
        lambda group: slices.bytes_of(group, names),
    )
    threads.each(work_through, [*small, range(whole[-1][0], whole[-1][0] + 1)])
    _decode(groups.columns, picked, out)


def _fill_from(groups: RowGroups, group: int, first: int, out: Mapping[str, Any]) -> None:
    """Fill arrays and lists of the records from `first` on, which are all of one row group.

    What most runs are: there is as little as can be between the caller and the values.
    """
    loaded = groups.loaded(group, tuple(out), keep=True)
    begin, told = first - groups.shards.begin(group), groups.place(group)
    for name, buffer in out.items():
        groups.columns[name].fill_out(loaded[name], begin, buffer, told)


def _no_images(columns: Mapping[str, Column], names: Iterable[str]) -> dict[str, list[Picked]]:
    """Return a list for each column of images, to be filled with what is decoded together."""
    return {name: [] for name in names if isinstance(columns[name], ImageColumn)}


def _decode(
    columns: Mapping[str, Column], picked: Mapping[str, list[Picked]], out: Mapping[str, Any]
) -> None:
    for name, parts in picked.items():
        column = columns[name]
        assert isinstance(column, ImageColumn)
        column.decode_picked(parts, out[name])


def _place_piece(
    store: Store,
    columns: Mapping[str, Column],
    piece: tuple[int, Rows, Rows],
    out: Mapping[str, Any],
    *,
    keep: bool,
    picked: Mapping[str, list[Picked]],
) -> None:
    """Place the values of one piece; images that are to be decoded together go to `picked`."""
    number, positions, rows = piece
    loaded = store.loaded(number, tuple(out), keep=keep)
    told = store.place(number)
    begin, end = int(positions[0]), int(positions[-1]) + 1
    dense = end - begin == len(positions)
    for name, buffer in out.items():
        column, held = columns[name], loaded[name]
        if dense and isinstance(held, np.ndarray) and is_run(rows):
            buffer[begin:end] = held[rows[0] : rows[-1] + 1]
            continue
        if name in picked:
            picked[name].append(Picked.of(held, rows, positions, told, stays=store.stays))
            continue
        if dense and isinstance(column, ImageColumn) and isinstance(buffer, np.ndarray):
            column.gather_into(held, rows, told, buffer[begin:end])
            continue
        values = column.gather(held, rows, told)
        if isinstance(buffer, np.ndarray):
            buffer[positions] = values
        elif dense:
            buffer[begin:end] = values
        else:
            for position, value in zip(positions.tolist(), values, strict=True):
                buffer[position] = value
