"""A file that is read in a schema other than its own, column by column."""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datarax_hf.features import plain_type
from datarax_hf.formats.shard import Shard


class RecastShard(Shard):
    """A file that is read in another schema; a column that it lacks is null.

    Args:
        whole: The file.
        schema: The schema.
    """

    def __init__(self, whole: Shard, schema: pa.Schema) -> None:
        self._whole = whole
        self.name, self.origin, self.rows = whole.name, whole.origin, whole.rows
        self.unit, self.inferred, self.sparse = whole.unit, whole.inferred, whole.sparse
        self.ready, self.joins = whole.ready, whole.joins
        self.counts_parts = whole.counts_parts
        self.schema, self.features = schema, whole.features

    @abc.abstractmethod
    def column(self, name: str, data: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return a column of the file in the type that the schema has for it."""

    @abc.abstractmethod
    def told(self) -> str:
        """Return all that the values depend on beside the file, in words."""

    def table(self, group: int, columns: Sequence[str]) -> pa.Table:
        held = self._held(columns)
        if not held:
            return self._nulls(columns, self.rows[group])
        return self._cast(self._whole.table(group, held), columns)

    def joined(self, groups: range, columns: Sequence[str]) -> pa.Table:
        held = self._held(columns)
        if not held:
            return self._nulls(columns, sum(self.rows[group] for group in groups))
        return self._cast(self._whole.joined(groups, held), columns)

    def slices(self, group: int, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
        held, due = self._held(columns), self.rows[group]
        if not held:
            for start in range(0, due, rows):
                yield self._nulls(columns, min(rows, due - start))
            return
        for table in self._whole.slices(group, held, rows):
            yield self._cast(table, columns)

    def check_same(self) -> None:
        self._whole.check_same()

    def source(self) -> str:
        digest = hashlib.sha256(self.told().encode()).hexdigest()[:16]
        return f"{self._whole.source()}-{digest}"

    def nulls(self, column: str) -> int | None:
        counted = null_column(self._whole.schema, column)
        return sum(self.rows) if counted is None else self._whole.nulls(counted)

    def stored_bytes(self, column: str, groups: Sequence[int]) -> int:
        return self._whole.stored_bytes(column, groups) if self._held([column]) else 0

    def files(self, group: int, columns: Sequence[str]) -> Sequence[str]:
        return self._whole.files(group, self._held(columns))

    def place(self, group: int, row: int) -> str:
        return self._whole.place(group, row)

    def lies_plain(self, column: str) -> bool:
        schema = self._whole.schema
        return (
            column in schema.names
            and schema.field(column).type == self.schema.field(column).type
            and self._whole.lies_plain(column)
        )

    def places(self, group: int, column: str, data: memoryview) -> NDArray[np.int64]:
        return self._whole.places(group, column, data)

    def records(self) -> Mapping[str, int]:
        return self._whole.records()

    def _held(self, columns: Sequence[str]) -> list[str]:
        return [name for name in columns if name in self._whole.schema.names]

    def _nulls(self, columns: Sequence[str], rows: int) -> pa.Table:
        return pa.table({name: pa.nulls(rows, self.schema.field(name).type) for name in columns})

    def _cast(self, table: pa.Table, columns: Sequence[str]) -> pa.Table:
        cast = {}
        for name in columns:
            if name in table.column_names:
                cast[name] = self.column(name, table.column(name))
            else:
                nulls = pa.nulls(table.num_rows, self.schema.field(name).type)
                cast[name] = pa.chunked_array([nulls])
        return pa.table(cast)


def null_column(fields: Iterable[pa.Field], column: str, within: str = "") -> str | None:
    """Return the column or part whose nulls are those of `column`; None if all of it is null.

    Args:
        fields: What a file stores: a schema, or the parts of a struct.
        column: A column, or a part of one as "image.bytes", which the file may lack.
        within: The struct of the parts, and a dot.
    """
    for part in fields:
        name, kind = f"{within}{part.name}", plain_type(part.type)
        if column != name and not column.startswith(f"{name}."):
            continue
        if pa.types.is_null(kind):
            return None
        if column == name or not pa.types.is_struct(kind):
            return name
        return null_column(kind, column, f"{name}.")
    return None
