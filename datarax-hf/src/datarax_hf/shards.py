"""The files of a split, of whatever format, as one sequence of groups of rows.

Damage is said with the file and the group. No handle is kept, so that reading is safe from several
threads and in worker processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datarax.errors import DataraxError
from datarax_hf.features import Features, describe
from datarax_hf.formats.alike import in_one_schema
from datarax_hf.formats.fitted import check_names
from datarax_hf.formats.open import open_shards
from datarax_hf.formats.settings import Settings
from datarax_hf.formats.shard import Shard
from datarax_hf.remedy import Origin
from datarax_hf.structs import FlatShard, column_paths, flat_features, flat_schema


def count_records(names: Sequence[str], origin: Origin, settings: Settings | None = None) -> int:
    """Return the number of records in files; those that are parsed are parsed for it."""
    shards = open_shards(names, origin, settings or Settings())
    return sum(sum(shard.rows) for shard in shards)


def grouped(numbers: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield each distinct number once, going up, with its positions."""
    if not len(numbers):
        return
    order = np.argsort(numbers, kind="stable")
    distinct, starts = np.unique(numbers[order], return_index=True)
    yield from zip(distinct.tolist(), np.split(order, starts[1:]), strict=True)


class Shards:
    """The groups of rows of files, one after another.

    Args:
        names: The files, relative to the origin's folder, in the order of their records.
        origin: Where they come from.
        settings: What they are read with.

    Raises:
        CorruptDataError: If a file is damaged, or the files differ in columns.
    """

    def __init__(
        self, names: Sequence[str], origin: Origin, settings: Settings | None = None
    ) -> None:
        self.origin = origin
        settings = settings or Settings()
        shards = open_shards(names, origin, settings)
        for shard in shards:
            check_names(shard.name, shard.schema, origin)
        self.features: Features | None = _features(shards)
        self.schema: pa.Schema
        self.schema, shards = in_one_schema(shards, settings.features)
        if settings.flatten:
            paths = column_paths(self.schema, self.features or settings.features, flatten=True)
            shards = [FlatShard(shard, paths) for shard in shards]
            self.schema = flat_schema(self.schema, paths)
            self.features = flat_features(self.features, flatten=True)
        self._shards = tuple(shards)
        self._hollow = _hollow(self.schema, self.features, settings)
        groups = [
            (number, group, rows)
            for number, shard in enumerate(self._shards)
            for group, rows in enumerate(shard.rows)
        ]
        self._records = {
            name: count for shard in self._shards for name, count in shard.records().items()
        }
        self._groups = tuple((number, group) for number, group, _ in groups)
        self._ends = np.cumsum(np.array([rows for _, _, rows in groups], np.int64))
        self._begins = self._ends - np.array([rows for _, _, rows in groups], np.int64)

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self._groups)

    @property
    def records(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def records_of(self, names: Sequence[str]) -> int:
        """Return the number of records in some of the files."""
        return sum(self._records.get(name, 0) for name in names)

    def nulls(self, column: str) -> int | None:
        """Return how many values of a column are null, or None where the files do not say.

        Args:
            column: A column, or a part of one as "image.bytes".
        """
        if column in self._hollow:
            return None
        total = 0
        for shard in self._shards:
            count = shard.nulls(column)
            if count is None:
                return None
            total += count
        return total

    def groups(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the group that each index falls in."""
        return np.searchsorted(self._ends, indices, side="right")

    def group_of_run(self, indices: NDArray[np.int64]) -> int | None:
        """Return the group that all of a run of indices falls in; None if it takes several."""
        if not len(indices):
            return None
        group = int(self._ends.searchsorted(indices.item(0), side="right"))
        return group if indices.item(-1) < self._ends.item(group) else None

    def pieces(
        self, indices: NDArray[np.int64]
    ) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
        """Yield (group, positions in `indices`, rows in the group), each group once."""
        for group, positions in grouped(self.groups(indices)):
            yield group, positions, indices[positions] - self._begins[group]

    def run_pieces(
        self, indices: NDArray[np.int64]
    ) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
        """Yield the same as `pieces` of indices that go up one by one, and sooner."""
        if not len(indices):
            return
        first, count = int(indices[0]), len(indices)
        group, done = int(self._ends.searchsorted(first, side="right")), 0
        while done < count:
            end = min(count, int(self._ends[group]) - first)
            if end > done:
                rows = indices[done:end] - self._begins[group]
                yield group, np.arange(done, end), rows
                done = end
            group += 1

    def table(self, group: int, columns: Sequence[str]) -> pa.Table:
        """Return columns of a group.

        Raises:
            CorruptDataError: If it cannot be read; the text names the file and the group.
        """
        number, within = self._groups[group]
        with self._told(group):
            table = self._shards[number].table(within, columns)
        self._check_rows(group, table.num_rows)
        return table

    def check_same(self, group: int) -> None:
        """Raise unless what is mapped of the file of a group is still what was opened.

        Raises:
            CorruptDataError: If it was written again.
        """
        self._shards[self._groups[group][0]].check_same()

    def joins(self, first: int, last: int) -> bool:
        """Return whether consecutive groups are of one file, which reads them sooner at once."""
        number = self._groups[first][0]
        return number == self._groups[last][0] and self._shards[number].joins

    def joined(self, groups: range, columns: Sequence[str]) -> pa.Table:
        """Return columns of consecutive groups of one file.

        Raises:
            CorruptDataError: If one cannot be read; the text names the first. Who wants to know
                which it is reads each.
        """
        number, first = self._groups[groups[0]]
        with self._told(groups[0]):
            table = self._shards[number].joined(range(first, first + len(groups)), columns)
        due = sum(map(self.rows, groups))
        if table.num_rows != due:
            shard = self._shards[number]
            raise self.origin.damaged(
                shard.name, f"has {table.num_rows} rows in some groups, not {due} as it says"
            )
        return table

    def slices(self, group: int, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
        """Yield columns of a group in pieces of up to `rows`, so that memory stays bounded.

        Raises:
            CorruptDataError: As `table` does.
        """
        if self.rows(group) <= rows:
            yield self.table(group, columns)
            return
        number, within = self._groups[group]
        found = 0
        with self._told(group):
            for piece in self._shards[number].slices(within, columns, rows):
                found += piece.num_rows
                yield piece
        self._check_rows(group, found)

    def files(self, group: int, columns: Sequence[str]) -> list[str]:
        """Return the files, beside its own, from which columns of a group are read."""
        number, within = self._groups[group]
        return list(self._shards[number].files(within, columns))

    def rows(self, group: int) -> int:
        """Return the number of records in a group."""
        return int(self._ends[group] - self._begins[group])

    def begin(self, group: int) -> int:
        """Return the index of the first record of a group."""
        return int(self._begins[group])

    def path_of(self, number: int) -> Path:
        """Return where a file lies, by its number: one that is read twice has two."""
        return self.origin.folder / self._shards[number].name

    def groups_of(self, start: int, stop: int) -> list[tuple[int, range]]:
        """Return the number of each file that holds records of [start, stop), and its groups."""
        first = int(np.searchsorted(self._ends, start, side="right"))
        last = int(np.searchsorted(self._begins, stop, side="left"))
        files: dict[int, list[int]] = {}
        for group in range(first, last):
            files.setdefault(self._groups[group][0], []).append(group)
        return [(number, range(groups[0], groups[-1] + 1)) for number, groups in files.items()]

    def number_within(self, group: int) -> int:
        """Return the number of a group within its file."""
        return self._groups[group][1]

    def source_of(self, group: int) -> str:
        """Return a name for the contents of the file of a group, and for how it is read."""
        return self._shards[self._groups[group][0]].source()

    def where(self, group: int) -> str:
        """Return words for where a group lies."""
        number, within = self._groups[group]
        shard = self._shards[number]
        return f"hf:{self.origin.dataset}: file {shard.name!r}, {shard.unit} {within}"

    def place(self, group: int, first: int = 0) -> Callable[[int], str]:
        """Return what says where a row of a group lies, rows being counted from `first`."""
        number, within = self._groups[group]
        shard, dataset = self._shards[number], self.origin.dataset
        return lambda row: f"hf:{dataset}: {shard.place(within, first + row)}"

    def place_of(self, index: int) -> str:
        """Return words for where a record lies."""
        group = int(self.groups(np.array([index]))[0])
        return self.place(group)(index - self.begin(group))

    def lies_ready(self) -> bool:
        """Return whether rows are read in any order as they lie, so that no layout is better."""
        return all(shard.ready for shard in self._shards)

    def lies_plain(self, column: str) -> bool:
        """Return whether the bytes of a column's values lie in the files as they are."""
        return all(shard.lies_plain(column) for shard in self._shards)

    def places(self, group: int, column: str, data: memoryview) -> NDArray[np.int64]:
        """Return where the values of a group begin and end in its file; see `Shard.places`."""
        number, within = self._groups[group]
        return self._shards[number].places(within, column, data)

    def file_of(self, group: int) -> str:
        """Return the file of a group, relative to the origin's folder."""
        return self._shards[self._groups[group][0]].name

    def stored_bytes(self, column: str, groups: Sequence[int]) -> int:
        """Return about how many bytes a column of consecutive groups of one file takes."""
        number, first = self._groups[groups[0]]
        shard = self._shards[number]
        if column not in shard.schema.names:
            return 0
        return shard.stored_bytes(column, range(first, first + len(groups)))

    @contextmanager
    def _told(self, group: int) -> Iterator[None]:
        """Raise what Arrow raises on a damaged group as an error that names it."""
        number, within = self._groups[group]
        shard = self._shards[number]
        try:
            yield
        except (FileNotFoundError, DataraxError):
            raise
        except (pa.ArrowException, OSError) as error:
            raise self.origin.damaged(
                shard.name, f"cannot be read in its {shard.unit} {within}: {error}"
            ) from error

    def _check_rows(self, group: int, found: int) -> None:
        number, within = self._groups[group]
        shard = self._shards[number]
        if found != self.rows(group):
            raise self.origin.damaged(
                shard.name,
                f"has {found} rows in its {shard.unit} {within}, not {self.rows(group)} as it says",
            )


def _features(shards: Sequence[Shard]) -> Features | None:
    """Return what the files say of their columns; of parsed ones, what any of them says."""
    first = next((shard.features for shard in shards if shard.features), None)
    if first is None or not shards[0].inferred:
        return shards[0].features
    joined: dict[str, object] = {}
    for shard in shards:
        for name in shard.schema.names:
            joined[name] = joined.get(name) or (shard.features or {}).get(name)
    return joined


def _hollow(schema: pa.Schema, features: Features | None, settings: Settings) -> set[str]:
    """Return the columns of a shape without numbers: parquet counts an empty list as a null."""
    meant = features or flat_features(settings.features, flatten=settings.flatten)
    kinds = describe(schema, meant)
    return {name for name, kind in kinds.items() if 0 in (kind.field.shape or ())}
