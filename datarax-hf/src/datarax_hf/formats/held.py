"""Metadata of an image folder, parsed into memory: for streams, which keep nothing on a disk."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from datarax_hf.formats.guess import (
    Guess,
    WiderTypesError,
    cast_to_features,
    texts_as_features,
)
from datarax_hf.formats.parsed import FORMATS
from datarax_hf.formats.settings import Settings
from datarax_hf.formats.shard import Shard, check_head, count_nulls
from datarax_hf.remedy import Origin


class HeldShard(Shard):
    """A file that is parsed at once and stays in memory, wherever it comes from.

    Args:
        name: The file.
        origin: Where it comes from.
        settings: What it is read with.
        kind: Its format.

    Raises:
        CorruptDataError: If it cannot be parsed.
    """

    unit = "block"
    ready = True

    def __init__(self, name: str, origin: Origin, settings: Settings, kind: str) -> None:
        self.name = name
        self.origin = origin
        self.inferred = kind != "parquet"
        self.sparse = kind == "json" or settings.described
        check_head(name, origin)
        guess = Guess(dict(settings.types), set(settings.texts))
        try:
            self._table = _parsed(name, origin, settings, kind, guess)
        except pa.ArrowInvalid as error:
            raise origin.unlike(name, str(error)) from error
        self.schema = self._table.schema.remove_metadata()
        self.rows = (len(self._table),)
        self.texts = frozenset(guess.texts)
        if not settings.features:
            self.features = texts_as_features(self.schema.names, guess.texts)

    def table(self, group: int, columns: Sequence[str]) -> pa.Table:  # noqa: ARG002  # there is one
        return self._table.select(list(columns))

    def nulls(self, column: str) -> int:
        head, _, part = column.partition(".")
        values = self._table.column(head)
        if part:
            values = values.flatten()[values.type.get_field_index(part)]
        return sum(count_nulls(chunk) for chunk in values.chunks)


def _parsed(name: str, origin: Origin, settings: Settings, kind: str, guess: Guess) -> pa.Table:
    while True:
        try:
            tables = [
                cast_to_features(table, settings.features)
                for table in FORMATS[kind](name, origin, settings, guess)
            ]
        except WiderTypesError:
            continue
        if not tables:
            return cast_to_features(guess.schema().empty_table(), settings.features)
        return pa.concat_tables(tables).combine_chunks()
