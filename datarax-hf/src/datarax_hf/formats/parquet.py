"""Parquet files: row groups. Footers are read once, when the files are opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from datarax_hf.features import MalformedFeaturesError, read_features
from datarax_hf.formats.footer import END_BYTES, FooterError, length_of, read_footer
from datarax_hf.formats.pages import Chunk, NotPlainError, places, plain_chunks
from datarax_hf.formats.shard import Shard, check_head, written, written_again
from datarax_hf.remedy import Origin
from datarax_hf.threads import in_pool

_MAGIC = b"PAR1"
_BUFFER_BYTES = 2**20


class ParquetShard(Shard):
    """A parquet file.

    Raises:
        CorruptDataError: If it is no whole parquet file.
    """

    counts_parts = True
    joins = True

    def __init__(self, name: str, origin: Origin) -> None:
        self.name = name
        self.origin = origin
        self._written, self._footer = _footer(name, origin)
        try:
            self.schema = self._footer.schema.to_arrow_schema()
            self.features = read_features(self.schema, where=name)
            self.rows = _rows(self._footer)
            self._rows = sum(self.rows)
            self._nulls = self._count_nulls()
            self._sizes = self._sum_sizes()
        except MalformedFeaturesError as error:
            raise origin.damaged(name, error.what) from error.__cause__
        except UnicodeDecodeError as error:
            raise origin.damaged(name, f"has a damaged footer: {error}") from error
        self._chunks: dict[str, list[Chunk] | None] = {}

    def table(self, group: int, columns: Sequence[str]) -> pa.Table:
        return self.joined(range(group, group + 1), columns)

    def joined(self, groups: range, columns: Sequence[str]) -> pa.Table:
        footer = self._opened()
        # Arrow's threads only where ours are not at work: both at once are in each other's way.
        with pq.ParquetFile(
            self.origin.folder / self.name, metadata=footer, pre_buffer=False
        ) as file:
            found = file.read_row_groups(
                list(groups), columns=list(columns), use_threads=not in_pool()
            )
        self._check_same()
        return found

    def slices(self, group: int, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
        path, footer = self.origin.folder / self.name, self._opened()
        # Without pre_buffer=False the whole row group is read first.
        with pq.ParquetFile(
            path, metadata=footer, buffer_size=_BUFFER_BYTES, pre_buffer=False
        ) as file:
            for batch in file.iter_batches(
                rows, row_groups=[group], columns=list(columns), use_threads=False
            ):
                self._check_same()
                yield pa.Table.from_batches([batch])

    def source(self) -> str:
        key = super().source()
        self._opened()  # what is made by this footer is not to be found for another file
        return key

    def nulls(self, column: str) -> int | None:
        if column in self._nulls:
            return self._nulls[column]
        total = 0
        for leaf, count in self._nulls.items():
            if leaf.startswith(f"{column}."):
                if count is None:
                    return None
                total += count
        return total

    def stored_bytes(self, column: str, groups: Sequence[int]) -> int:
        rows = sum(self.rows[group] for group in groups)
        return self._sizes.get(column, 0) * rows // max(1, self._rows)

    def lies_plain(self, column: str) -> bool:
        return self._plain(column) is not None

    def places(self, group: int, column: str, data: memoryview) -> NDArray[np.int64]:
        chunks = self._plain(column)
        self._check_same()
        if chunks is None:
            raise NotPlainError
        return places(data, chunks[group])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_footer": None, "_chunks": {}}

    def _opened(self) -> Any:
        """Return the footer of the file, which is the one that was opened; it is read but once.

        Raises:
            CorruptDataError: If it was written again since.
        """
        if self._footer is None:  # none came to this process
            state, footer = _footer(self.name, self.origin)
            if (
                state[0] != self._written[0]
                or _rows(footer) != self.rows
                or footer.schema.to_arrow_schema() != self.schema
            ):
                raise self.origin.damaged(self.name, "was written again since it was opened")
            self._written, self._footer = state, footer
        self._check_same()
        return self._footer

    def _check_same(self) -> None:
        now = written(self.name, self.origin)
        if now != self._written:
            raise written_again(self.name, self.origin, self._written[0], now[0])

    def _plain(self, column: str) -> list[Chunk] | None:
        """Return where the pages of a column lie, whose values are as they are."""
        if column not in self._chunks:
            self._chunks[column] = plain_chunks(self._opened(), column)
        return self._chunks[column]

    def _count_nulls(self) -> dict[str, int | None]:
        """Return the nulls of each leaf column in all row groups; None where one does not say."""
        counts: dict[str, int | None] = {}
        for group in map(self._footer.row_group, range(self._footer.num_row_groups)):
            for chunk in map(group.column, range(group.num_columns)):
                leaf, statistics = chunk.path_in_schema, chunk.statistics
                before = counts.get(leaf, 0)
                known = statistics is not None and statistics.has_null_count
                counts[leaf] = (
                    before + statistics.null_count if known and before is not None else None
                )
        return counts

    def _sum_sizes(self) -> dict[str, int]:
        """Return the bytes before compression of each column, and of each of its parts."""
        sizes: dict[str, int] = {}
        for group in map(self._footer.row_group, range(self._footer.num_row_groups)):
            for chunk in map(group.column, range(group.num_columns)):
                path = chunk.path_in_schema.split(".")
                for depth in range(len(path)):
                    part = ".".join(path[: depth + 1])
                    sizes[part] = sizes.get(part, 0) + chunk.total_uncompressed_size
        return sizes


def _rows(footer: Any) -> tuple[int, ...]:
    return tuple(footer.row_group(group).num_rows for group in range(footer.num_row_groups))


def _footer(name: str, origin: Origin) -> tuple[tuple[int, int], Any]:
    """Return when a file was written and its parquet metadata, or say what is wrong with it."""
    size = check_head(name, origin)
    path, state = origin.folder / name, written(name, origin)
    with path.open("rb") as file:
        head = file.read(len(_MAGIC))
        file.seek(max(size - END_BYTES, 0))
        end = file.read()
        if head != _MAGIC:
            raise origin.damaged(name, f"is no parquet file: it begins with {head!r}")
        if not end.endswith(_MAGIC) or size < len(_MAGIC) + END_BYTES:
            raise origin.damaged(name, f"is truncated: its {size} bytes have no footer")
        length = length_of(end)
        if length > size:
            raise origin.damaged(
                name, f"has a damaged footer: it claims {length:,} bytes of {size:,}"
            )
        file.seek(size - length)
        tail = file.read(length)
    try:
        return state, read_footer(tail)
    except FooterError as error:
        raise origin.damaged(name, f"has a damaged footer: {error}") from error
