"""Structs as columns of their own: with `flatten=True` a part `b` of a struct `a` is `a.b`.

Names are joined as `datasets` joins them. What a struct is only stored as, an image for instance,
stays whole. Without the option each column is the one of its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datarax.errors import NotSupportedError
from datarax_hf.features import Features, is_bytes_and_path, modern, type_of
from datarax_hf.formats.parquet import ParquetShard
from datarax_hf.formats.shard import Shard

Path = tuple[str, ...]
Paths = Mapping[str, Path]

_TRANSLATIONS = ("Translation", "TranslationVariableLanguages")
_TEXT = {"dtype": "string", "_type": "Value"}


def column_paths(schema: pa.Schema, features: Features | None, *, flatten: bool) -> Paths:
    """Return where each column lies: its own name, or the names of structs and of a part.

    Raises:
        NotSupportedError: If two columns would have one name.
    """
    if not flatten:
        return {name: (name,) for name in schema.names}
    declared = modern(features or {})
    paths: dict[str, Path] = {}
    for column in schema:
        for path in _leaves(column, declared.get(column.name), known=features is not None):
            name = ".".join(path)
            if name in paths:
                raise NotSupportedError(_clash(name, paths[name], path))
            paths[name] = path
    return paths


def flat_schema(schema: pa.Schema, paths: Paths) -> pa.Schema:
    """Return the schema of the columns at some paths, each nullable where one on its path is."""
    return pa.schema(
        [_field(schema, path).with_name(name) for name, path in paths.items()],
        metadata=schema.metadata,
    )


def flat_features(features: Features | None, *, flatten: bool) -> Features | None:
    """Return features as they are, or with those of each struct's parts in the place of its own."""
    if features is None or not flatten:
        return features
    flat: dict[str, Any] = {}
    for name, feature in modern(features).items():
        parts = _parts(feature)
        if parts is None:
            flat[name] = feature
            continue
        inner = flat_features(parts, flatten=True) or {}
        flat.update({f"{name}.{part}": meaning for part, meaning in inner.items()})
    return flat


def column_at(table: pa.Table, path: Path) -> pa.ChunkedArray:
    """Return the column at a path; a part of a null is null."""
    data = table.column(path[0])
    for part in path[1:]:
        data = data.flatten()[data.type.get_field_index(part)]
    return data


def has_column(table: pa.Table, path: Path) -> bool:
    """Return whether a table has a column at a path."""
    if path[0] not in table.column_names:
        return False
    kind = table.schema.field(path[0]).type
    for part in path[1:]:
        if not pa.types.is_struct(kind) or kind.get_field_index(part) < 0:
            return False
        kind = kind.field(part).type
    return True


class FlatShard(Shard):
    """A file whose structs are columns of their own.

    Args:
        whole: The file.
        paths: Where each column lies.
    """

    def __init__(self, whole: Shard, paths: Paths) -> None:
        self._whole = whole
        self._paths = paths
        self.name, self.origin, self.rows = whole.name, whole.origin, whole.rows
        self.unit, self.inferred, self.sparse = whole.unit, whole.inferred, whole.sparse
        self.ready, self.joins = whole.ready, whole.joins
        self.schema = flat_schema(whole.schema, paths)

    def table(self, group: int, columns: Sequence[str]) -> pa.Table:
        return self._flat(self._whole.table(group, self._read(columns)), columns)

    def joined(self, groups: range, columns: Sequence[str]) -> pa.Table:
        return self._flat(self._whole.joined(groups, self._read(columns)), columns)

    def slices(self, group: int, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
        for table in self._whole.slices(group, self._read(columns), rows):
            yield self._flat(table, columns)

    def stored_bytes(self, column: str, groups: Sequence[int]) -> int:
        if isinstance(self._whole, ParquetShard):
            return self._whole.stored_bytes(column, groups)
        return self._whole.stored_bytes(self._paths[column][0], groups)

    def check_same(self) -> None:
        self._whole.check_same()

    def source(self) -> str:
        return self._whole.source()

    def files(self, group: int, columns: Sequence[str]) -> Sequence[str]:
        return self._whole.files(group, self._read(columns))

    def place(self, group: int, row: int) -> str:
        return self._whole.place(group, row)

    def nulls(self, column: str) -> int | None:
        if self._whole.counts_parts or column in self._whole.schema.names:
            return self._whole.nulls(column)
        if column in self._paths:
            return None  # who needs it counts while reading
        name, _, part = column.rpartition(".")
        if self._paths[name] == (name,):
            return self._whole.nulls(column)
        images = pa.chunked_array(
            [
                chunk
                for group in range(len(self.rows))
                for chunk in self.table(group, [name]).column(0).chunks
            ],
            self.schema.field(name).type,
        )
        return int(column_at(pa.table({name: images}), (name, part)).null_count)

    def lies_plain(self, column: str) -> bool:
        return self._whole.lies_plain(column)

    def places(self, group: int, column: str, data: memoryview) -> NDArray[np.int64]:
        return self._whole.places(group, column, data)

    def records(self) -> Mapping[str, int]:
        return self._whole.records()

    def _read(self, columns: Sequence[str]) -> list[str]:
        """Return what is read for some columns: of parquet files no more than the parts."""
        if isinstance(self._whole, ParquetShard):
            return list(columns)
        return list(dict.fromkeys(self._paths[name][0] for name in columns))

    def _flat(self, table: pa.Table, columns: Sequence[str]) -> pa.Table:
        return pa.table({name: column_at(table, self._paths[name]) for name in columns})


def _leaves(column: pa.Field, feature: Any, *, known: bool) -> Iterator[Path]:
    stored = column.type
    meant = type_of(feature)
    whole = meant is not None and meant not in _TRANSLATIONS
    if not pa.types.is_struct(stored) or whole or (not known and is_bytes_and_path(stored)):
        yield (column.name,)
        return
    parts = _parts(feature) or {}
    for part in stored:
        for path in _leaves(part, parts.get(part.name), known=known):
            yield (column.name, *path)


def _parts(feature: Any) -> Features | None:
    """Return what the parts of a struct mean; None for what is no struct."""
    kind = type_of(feature)
    if kind == "Translation":
        return dict.fromkeys(sorted(feature["languages"]), _TEXT)
    if kind == "TranslationVariableLanguages":
        texts = {"feature": _TEXT, "length": -1, "_type": "List"}
        return {"language": texts, "translation": texts}
    return feature if isinstance(feature, Mapping) and kind is None else None


def _clash(name: str, *paths: Path) -> str:
    lying = [
        f"the part {'.'.join(path[1:])!r} of {path[0]!r}" if path[1:] else f"the column {path[0]!r}"
        for path in paths
    ]
    return (
        f"flatten=True would name two fields {name!r}: {' and '.join(lying)}; load it without "
        "flatten, which keeps both under names of their own"
    )


def _field(schema: pa.Schema, path: Path) -> pa.Field:
    field = schema.field(path[0])
    for part in path[1:]:
        field = field.type.field(field.type.get_field_index(part))
    return field
