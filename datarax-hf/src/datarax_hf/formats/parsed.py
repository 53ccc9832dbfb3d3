"""Files that are parsed once: CSV, JSON and text, kept as Arrow files in the derived cache.

Where nothing can be kept there, or it is refused, the Arrow files lie in a temporary folder that
goes with the process.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datarax.errors import CorruptDataError
from datarax.progress import Progress
from datarax_hf.derived import Derived, source_key
from datarax_hf.formats import comma, json_lines, text
from datarax_hf.formats.arrow import Batches
from datarax_hf.formats.guess import (
    Guess,
    WiderTypesError,
    cast_to_features,
    texts_as_features,
)
from datarax_hf.formats.kinds import is_tabbed
from datarax_hf.formats.settings import Settings
from datarax_hf.formats.shard import Shard, check_head
from datarax_hf.remedy import Origin
from datarax_hf.whole import NotKeptError

VERSION = 5
"""Of what is kept: raised where a file would be parsed into something else than before."""

_TEXTS = b"datarax.json"
Tables = Callable[[str, Origin, Settings, Guess], Iterator[pa.Table]]


def _row_groups(name: str, origin: Origin, settings: Settings, guess: Guess) -> Iterator[pa.Table]:  # noqa: ARG001  # as all formats
    """Yield the row groups of a parquet file of metadata."""
    try:
        with origin.open(name) as stored, pq.ParquetFile(stored) as file:
            guess.columns.update(zip(file.schema_arrow.names, file.schema_arrow.types, strict=True))
            for group in range(file.num_row_groups):
                yield file.read_row_group(group)
    except (pa.ArrowException, OSError) as error:
        raise origin.damaged(name, f"cannot be read: {error}") from error


FORMATS: dict[str, Tables] = {
    "csv": comma.tables,
    "json": json_lines.tables,
    "text": text.tables,
    "parquet": _row_groups,
}

TRIES = 3
"""How often a file is parsed that others delete before it is held; then it lies elsewhere."""

EMPTY = ("json", "text")
"""Formats of which a file may be empty, where another is not."""


class ParsedShard(Shard):
    """A file that Arrow keeps no index of, by way of an Arrow file made from it.

    Args:
        name: The file.
        origin: Where it comes from.
        settings: What it is read with.
        kind: Its format.

    Raises:
        CorruptDataError: If it cannot be parsed.
        NotSupportedError: If the card gives a parameter that is not honoured.
    """

    unit = "block"
    ready = True

    def __init__(self, name: str, origin: Origin, settings: Settings, kind: str) -> None:
        self.name = name
        self.origin = origin
        self.inferred = kind != "parquet"
        self.sparse = kind == "json" or settings.described
        self._settings = settings
        self._kind = kind
        self._hold: Any = None
        check_head(name, origin, empty=kind in EMPTY and not settings.described)
        self._open()

    def table(self, group: int, columns: Sequence[str]) -> pa.Table:
        try:
            return self._batches.table(group, columns)
        except FileNotFoundError:
            # What is derived may be deleted at any time.
            self._open()
            return self._batches.table(group, columns)

    def nulls(self, column: str) -> int:
        return self._batches.nulls(column)

    def source(self) -> str:
        return f"{super().source()}-{self._digest()}"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_hold": None}

    def _open(self) -> None:
        self._batches = self._opened()
        schema = self._batches.schema
        self.texts = frozenset(json.loads((schema.metadata or {}).get(_TEXTS, b"[]")))
        if not self._settings.features:
            self.features = texts_as_features(schema.names, self.texts)
        self.schema = schema.remove_metadata()
        self.rows = tuple(self._batches.rows)

    def _opened(self) -> Batches:
        """Return the batches of the Arrow file, which is made again where it is damaged."""
        for _ in range(TRIES):
            path = self._kept()
            with suppress(FileNotFoundError):  # it gave way before it was held
                return self._whole(path)
        return self._whole(self._kept(_temporary()))

    def _whole(self, path: Path) -> Batches:
        try:
            return _scanned(path)
        except pa.ArrowException as error:
            try:
                path.unlink()
            except OSError:
                raise CorruptDataError(
                    f"the derived file {path} is damaged ({error}); delete it, and it is made again"
                ) from error
        return _scanned(self._kept())

    def _kept(self, asked: Derived | None = None) -> Path:
        """Return the Arrow file, made now where there is none."""
        source = source_key(self.origin.folder / self.name)
        name = f"{self._kind}-{self._digest()}.arrow"
        derived = asked or self._settings.derived or _temporary()
        try:
            path = derived.file(source, name, partial(self._build, derived))
        except NotKeptError:
            derived = _temporary()
            path = derived.file(source, name, partial(self._build, derived))
        self._hold = derived.hold([path])
        return path

    def _digest(self) -> str:
        settings = self._settings
        asked = [
            settings.options,
            settings.features,
            sorted(settings.texts),
            list(settings.types.items()),
            settings.described,
        ]
        told = [VERSION, self._kind, asked, is_tabbed(self.name)]
        return hashlib.sha256(json.dumps(told, default=repr).encode()).hexdigest()[:16]

    def _build(self, derived: Derived, path: Path) -> None:
        size = (self.origin.folder / self.name).stat().st_size
        guess = Guess(dict(self._settings.types), set(self._settings.texts))
        while True:
            with Progress(f"parsing {self.name}", size) as progress:
                guess.advance = progress.advance
                try:
                    self._write(path, guess, _Room(derived))
                except WiderTypesError:
                    continue
            return

    def _write(self, path: Path, guess: Guess, room: _Room) -> None:
        writer: Any = None
        tables = FORMATS[self._kind](self.name, self.origin, self._settings, guess)
        try:
            bare = 0  # records, the first ones, of which none has a key
            for table in tables:
                piece = self._cast(table)
                if not piece.num_columns:
                    bare += len(piece)
                    continue
                if writer is None:
                    writer = _writer(path, piece.schema, guess)
                    if bare:
                        writer.write_table(_nulls(bare, piece.schema, guess))
                kept = piece.combine_chunks().replace_schema_metadata(_metadata(guess))
                writer.write_table(kept)
                room.check(path)
            if writer is None:
                schema = self._cast(guess.schema().empty_table()).schema
                writer = _writer(path, schema, guess)
                if bare:
                    writer.write_batch(_bare(bare, guess))
        finally:
            if writer is not None:
                writer.close()

    def _cast(self, table: pa.Table) -> pa.Table:
        try:
            return cast_to_features(table, self._settings.features)
        except pa.ArrowInvalid as error:
            raise self.origin.unlike(self.name, str(error)) from error


def _scanned(path: Path) -> Batches:
    batches = Batches(path)
    batches.scan()
    return batches


class _Room:
    """What a derived cache has for a file that grows; it is looked at each time that it doubled."""

    def __init__(self, derived: Derived) -> None:
        self._derived = derived
        self._next = 2**20

    def check(self, path: Path) -> None:
        """Make room for what is written.

        Raises:
            NotKeptError: If it cannot be kept, which is better known now than when it is whole.
        """
        size = path.stat().st_size
        if size > self._next:
            self._next = 2 * size
            self._derived.make_room(size, written=True)


def _writer(path: Path, schema: pa.Schema, guess: Guess) -> Any:
    return pa.ipc.new_file(str(path), schema.with_metadata(_metadata(guess)))


def _nulls(rows: int, schema: pa.Schema, guess: Guess) -> pa.Table:
    nulls = [pa.nulls(rows, field.type) for field in schema]
    return pa.Table.from_arrays(nulls, schema=schema.with_metadata(_metadata(guess)))


def _bare(rows: int, guess: Guess) -> pa.RecordBatch:
    """Return records without columns, which tables cannot be written of."""
    records = pa.array([{}] * rows, pa.struct([]))
    return pa.RecordBatch.from_struct_array(records).replace_schema_metadata(_metadata(guess))


def _metadata(guess: Guess) -> dict[bytes, bytes]:
    return {_TEXTS: json.dumps(sorted(guess.texts)).encode()}


@cache
def _temporary() -> Derived:
    """Return a derived cache that goes with the process."""
    folder = tempfile.TemporaryDirectory(prefix="datarax-", ignore_cleanup_errors=True)
    _FOLDERS.append(folder)
    return Derived([Path(folder.name)], limit=sys.maxsize)


_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []
"""Temporary folders, which are deleted when the process ends."""
