"""Parquet files as one sequence of row groups; damage is said with the file and the row group.

Footers are read once, when the files are opened; no handle is kept, so that reading is safe from
several threads and in worker processes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from datarax.errors import CorruptDataError, listing
from datarax_hf.features import Features, describe, plain_type, read_features
from datarax_hf.remedy import Origin

_MAGIC = b"PAR1"
_POINTER = b"version https://git-lfs"
_BUFFER_BYTES = 2**20


def count_records(names: Sequence[str], origin: Origin) -> int:
    """Return the number of records in parquet files, from their footers."""
    return sum(_footer(name, origin).num_rows for name in names)


class Shards:
    """The row groups of parquet files, one after another.

    Args:
        names: The files, relative to the origin's folder, in the order of their records.
        origin: Where they come from.

    Raises:
        CorruptDataError: If a file is no whole parquet file, or the files differ in columns.
    """

    def __init__(self, names: Sequence[str], origin: Origin) -> None:
        self.origin = origin
        self._names = tuple(names)
        self._footers: dict[int, Any] = {
            number: _footer(name, self.origin) for number, name in enumerate(self._names)
        }
        schemas = [footer.schema.to_arrow_schema() for footer in self._footers.values()]
        self.schema: pa.Schema = schemas[0]
        self.features: Features | None = read_features(self.schema, where=self._names[0])
        self._check_names(self.schema)
        for name, schema in zip(self._names[1:], schemas[1:], strict=True):
            self._check_same(name, schema)
        groups = [
            (number, group, footer.row_group(group).num_rows)
            for number, footer in self._footers.items()
            for group in range(footer.num_row_groups)
        ]
        self._nulls = self._count_nulls()
        self._groups = tuple((number, group) for number, group, _ in groups)
        self._ends = np.cumsum(np.array([rows for _, _, rows in groups], np.int64))
        self._begins = self._ends - np.array([rows for _, _, rows in groups], np.int64)

    def __len__(self) -> int:
        """Return the number of row groups."""
        return len(self._groups)

    @property
    def records(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def records_of(self, names: Collection[str]) -> int:
        """Return the number of records in some of the files."""
        return sum(
            footer.num_rows
            for number, footer in self._footers.items()
            if self._names[number] in names
        )

    def nulls(self, column: str) -> int | None:
        """Return how many values of a column are null, or None where the footers do not say.

        Args:
            column: A column, or a part of one as "image.bytes".
        """
        if column in self._nulls:
            return self._nulls[column]
        total = 0
        for leaf, count in self._nulls.items():
            if leaf.startswith(f"{column}."):
                if count is None:
                    return None
                total += count
        return total

    def pieces(
        self, indices: NDArray[np.int64]
    ) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
        """Yield (row group, positions in `indices`, rows in the group), each group once."""
        if not len(indices):
            return
        groups = np.searchsorted(self._ends, indices, side="right")
        order = np.argsort(groups, kind="stable")
        distinct, starts = np.unique(groups[order], return_index=True)
        for group, positions in zip(distinct.tolist(), np.split(order, starts[1:]), strict=True):
            yield group, positions, indices[positions] - self._begins[group]

    def table(self, group: int, columns: Sequence[str]) -> pa.Table:
        """Return columns of a row group.

        Raises:
            CorruptDataError: If it cannot be read; the text names the file and the row group.
        """
        number, within = self._groups[group]
        name = self._names[number]
        with (
            self._told(group),
            pq.ParquetFile(self.origin.folder / name, metadata=self._footers.get(number)) as file,
        ):
            table = file.read_row_group(within, columns=list(columns))
        self._check_rows(group, table.num_rows)
        return table

    def slices(self, group: int, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
        """Yield columns of a row group in pieces of up to `rows`, so that memory stays bounded.

        Raises:
            CorruptDataError: As `table` does.
        """
        if self.rows(group) <= rows:
            yield self.table(group, columns)
            return
        number, within = self._groups[group]
        name = self._names[number]
        found = 0
        with (
            self._told(group),
            pq.ParquetFile(
                self.origin.folder / name,
                metadata=self._footers.get(number),
                buffer_size=_BUFFER_BYTES,
            ) as file,
        ):
            for batch in file.iter_batches(
                rows, row_groups=[within], columns=list(columns), use_threads=False
            ):
                found += len(batch)
                yield pa.Table.from_batches([batch])
        self._check_rows(group, found)

    def rows(self, group: int) -> int:
        """Return the number of records in a row group."""
        return int(self._ends[group] - self._begins[group])

    def begin(self, group: int) -> int:
        """Return the index of the first record of a row group."""
        return int(self._begins[group])

    def groups_of(self, start: int, stop: int) -> list[tuple[Path, range]]:
        """Return each file that holds records of [start, stop), and which of its row groups do."""
        first = int(np.searchsorted(self._ends, start, side="right"))
        last = int(np.searchsorted(self._begins, stop, side="left"))
        files: dict[int, list[int]] = {}
        for group in range(first, last):
            files.setdefault(self._groups[group][0], []).append(group)
        return [
            (self.origin.folder / self._names[number], range(groups[0], groups[-1] + 1))
            for number, groups in files.items()
        ]

    def number_within(self, group: int) -> int:
        """Return the number of a row group within its file."""
        return self._groups[group][1]

    def where(self, group: int) -> str:
        """Return words for where a row group lies."""
        number, within = self._groups[group]
        return f"hf:{self.origin.dataset}: file {self._names[number]!r}, row group {within}"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_footers": {}}

    @contextmanager
    def _told(self, group: int) -> Iterator[None]:
        """Raise what Arrow raises on a damaged row group as an error that names it."""
        number, within = self._groups[group]
        try:
            yield
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError) as error:
            raise self.origin.damaged(
                self._names[number], f"cannot be read in its row group {within}: {error}"
            ) from error

    def _check_rows(self, group: int, found: int) -> None:
        number, within = self._groups[group]
        if found != self.rows(group):
            raise self.origin.damaged(
                self._names[number],
                f"has {found} rows in its row group {within}, not {self.rows(group)} as it says",
            )

    def _count_nulls(self) -> dict[str, int | None]:
        """Return the nulls of each leaf column in all row groups; None where one does not say."""
        counts: dict[str, int | None] = {}
        for footer in self._footers.values():
            for group in map(footer.row_group, range(footer.num_row_groups)):
                for chunk in map(group.column, range(group.num_columns)):
                    leaf, statistics = chunk.path_in_schema, chunk.statistics
                    before = counts.get(leaf, 0)
                    known = statistics is not None and statistics.has_null_count
                    counts[leaf] = (
                        before + statistics.null_count if known and before is not None else None
                    )
        return counts

    def _check_names(self, schema: pa.Schema) -> None:
        if len(set(schema.names)) < len(schema.names):
            twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
            raise self.origin.damaged(self._names[0], f"has columns twice: {listing(twice)}")

    def _check_same(self, name: str, schema: pa.Schema) -> None:
        """Raise unless a shard has the columns of the first one, in any order."""
        first = {column.name: str(plain_type(column.type)) for column in self.schema}
        other = {column.name: str(plain_type(column.type)) for column in schema}
        differ = [
            f"{column!r} is {first.get(column, 'lacking')} in {self._names[0]!r} "
            f"and {other.get(column, 'lacking')} in {name!r}"
            for column in dict.fromkeys((*first, *other))
            if first.get(column) != other.get(column)
        ]
        features = read_features(schema, where=name)
        if not differ and self.features is not None and features is not None:
            ours, theirs = describe(self.schema, self.features), describe(schema, features)
            differ = [
                f"{column!r} has the classes {listing(kind.field.class_names or ())} in "
                f"{self._names[0]!r} and {listing(theirs[column].field.class_names or ())} "
                f"in {name!r}"
                for column, kind in ours.items()
                if kind.field.class_names != theirs[column].field.class_names
            ]
        if differ:
            raise CorruptDataError(
                f"hf:{self.origin.dataset}: its files do not have the same columns: "
                f"{'; '.join(differ)}; read them as different splits or configs"
            )


def _footer(name: str, origin: Origin) -> Any:
    """Return the parquet metadata of a file, or say what is wrong with it."""
    path = origin.folder / name
    with path.open("rb") as file:
        head = file.read(len(_POINTER))
        size = file.seek(0, 2)
        file.seek(max(size - len(_MAGIC), 0))
        tail = file.read()
    if size == 0:
        raise origin.damaged(name, "is empty")
    if head == _POINTER:
        raise origin.damaged(
            name, "is a git-lfs pointer, not the data: the repository was cloned without LFS"
        )
    if head[: len(_MAGIC)] != _MAGIC:
        raise origin.damaged(name, f"is no parquet file: it begins with {head[:4]!r}")
    if tail != _MAGIC or size < 2 * len(_MAGIC) + 4:
        raise origin.damaged(name, f"is truncated: its {size} bytes have no footer")
    try:
        return pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise origin.damaged(name, f"has a damaged footer: {error}") from error
