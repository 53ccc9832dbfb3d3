"""Parquet files: row groups. Footers are read once, when the files are opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from datarax_hf.features import MalformedFeaturesError, read_features
from datarax_hf.formats.pages import Chunk, NotPlainError, places, plain_chunks
from datarax_hf.formats.shard import Shard, check_head
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

    def __init__(self, name: str, origin: Origin) -> None:
        self.name = name
        self.origin = origin
        self._footer: Any = _footer(name, origin)
        self.schema = self._footer.schema.to_arrow_schema()
        try:
            self.features = read_features(self.schema, where=name)
        except MalformedFeaturesError as error:
            raise origin.damaged(name, error.what) from error.__cause__
        self.rows = tuple(
            self._footer.row_group(group).num_rows for group in range(self._footer.num_row_groups)
        )
        self._nulls = self._count_nulls()
        self._sizes = self._sum_sizes()
        self._chunks: dict[str, list[Chunk] | None] = {}

    def table(self, group: int, columns: Sequence[str]) -> pa.Table:
        # Arrow's threads only where ours are not at work: both at once are in each other's way.
        with pq.ParquetFile(
            self.origin.folder / self.name, metadata=self._footer, pre_buffer=False
        ) as file:
            return file.read_row_group(group, columns=list(columns), use_threads=not in_pool())

    def slices(self, group: int, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
        path = self.origin.folder / self.name
        # Without pre_buffer=False the whole row group is read first.
        with pq.ParquetFile(
            path, metadata=self._footer, buffer_size=_BUFFER_BYTES, pre_buffer=False
        ) as file:
            for batch in file.iter_batches(
                rows, row_groups=[group], columns=list(columns), use_threads=False
            ):
                yield pa.Table.from_batches([batch])

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
        return self._sizes.get(column, 0) * rows // max(1, sum(self.rows))

    def lies_plain(self, column: str) -> bool:
        return self._plain(column) is not None

    def places(self, group: int, column: str, data: memoryview) -> NDArray[np.int64]:
        chunks = self._plain(column)
        if chunks is None:
            raise NotPlainError
        return places(data, chunks[group])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_footer": None, "_chunks": {}}

    def _plain(self, column: str) -> list[Chunk] | None:
        """Return where the pages of a column lie, whose values are as they are."""
        if column not in self._chunks:
            footer = self._footer or _footer(self.name, self.origin)  # none came to this process
            self._chunks[column] = plain_chunks(footer, column)
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


def _footer(name: str, origin: Origin) -> Any:
    """Return the parquet metadata of a file, or say what is wrong with it."""
    size = check_head(name, origin)
    path = origin.folder / name
    with path.open("rb") as file:
        head = file.read(len(_MAGIC))
        file.seek(max(size - len(_MAGIC), 0))
        tail = file.read()
    if head != _MAGIC:
        raise origin.damaged(name, f"is no parquet file: it begins with {head!r}")
    if tail != _MAGIC or size < 2 * len(_MAGIC) + 4:
        raise origin.damaged(name, f"is truncated: its {size} bytes have no footer")
    try:
        return pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise origin.damaged(name, f"has a damaged footer: {error}") from error
