"""Arrow IPC files and streams: record batches, mapped into memory while one is read.

A file's footer says where its batches lie; a stream is walked through once, which touches only
the heads of its messages. What others wrote is validated before it is handed out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from datarax_hf.features import MalformedFeaturesError, read_features
from datarax_hf.formats.shard import Shard, check_head, count_nulls, written, written_again
from datarax_hf.remedy import Origin

_FILE = b"ARROW1"
_STREAM = b"\xff\xff\xff\xff"


class ArrowShard(Shard):
    """An Arrow IPC file or stream.

    Raises:
        CorruptDataError: If it is neither, or ends too early.
    """

    unit = "record batch"

    def __init__(self, name: str, origin: Origin) -> None:
        self.name = name
        self.origin = origin
        self._size = check_head(name, origin)
        self._written: tuple[int, int] | None = written(name, origin)
        path = origin.folder / name
        with path.open("rb") as file:
            head = file.read(len(_FILE))
        if head != _FILE and head[: len(_STREAM)] != _STREAM:
            raise origin.damaged(name, f"is no Arrow file or stream: it begins with {head!r}")
        self._index = Batches(path, stream=head != _FILE)
        try:
            self._index.scan()
        except (pa.ArrowException, OSError, EOFError, MemoryError) as error:
            raise origin.damaged(name, f"is truncated or damaged: {error}") from error
        self.schema = self._index.schema
        try:
            self.features = read_features(self.schema, where=name)
        except MalformedFeaturesError as error:
            raise origin.damaged(name, error.what) from error.__cause__
        self.rows = tuple(self._index.rows)

    def table(self, group: int, columns: Sequence[str]) -> pa.Table:
        self.check_same()
        try:
            return self._index.table(group, columns, validate=True)
        finally:
            self.check_same()

    def check_same(self) -> None:
        now = written(self.name, self.origin)
        if self._written is None and now[0] == self._size:  # it came to this process
            self._written = now
        if now != self._written:
            raise written_again(self.name, self.origin, self._size, now[0])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_written": None}

    def nulls(self, column: str) -> int:
        return self._index.nulls(column)

    def stored_bytes(self, column: str, groups: Sequence[int]) -> int:
        return self._index.nbytes(column) * len(groups) // max(1, len(self.rows))


class Batches:
    """The record batches of an Arrow IPC file or stream, by number.

    Attributes:
        schema: The columns.
        rows: The rows of each batch.
    """

    schema: pa.Schema
    rows: list[int]

    def __init__(self, path: Path, *, stream: bool = False) -> None:
        self.path = path
        self._stream = stream
        self._places: list[int] = []
        self._nulls: dict[str, int] = {}
        self._nbytes: dict[str, int] = {}

    def scan(self) -> None:
        """Find the batches, their rows and their nulls.

        Raises:
            pa.ArrowException: If the file cannot be read; so may an OSError or an EOFError.
        """
        self.rows = []
        with pa.memory_map(str(self.path)) as mapped:
            if not self._stream:
                with pa.ipc.open_file(mapped) as file:
                    self.schema = file.schema
                    for number in range(file.num_record_batches):
                        self._take(file.get_batch(number))
                return
            with pa.ipc.open_stream(mapped) as stream:
                self.schema = stream.schema
                while True:
                    place = mapped.tell()
                    try:
                        batch = stream.read_next_batch()
                    except StopIteration:
                        return
                    self._places.append(place)
                    self._take(batch)

    def table(self, number: int, columns: Sequence[str], *, validate: bool = False) -> pa.Table:
        """Return columns of a batch, which keep the file mapped as long as they live."""
        mapped = pa.memory_map(str(self.path))
        batch = self._batch(mapped, number)
        names = self.schema.names
        arrays = [batch.column(names.index(name)) for name in columns]
        if validate:
            for array in arrays:
                array.validate(full=True)
        if not arrays:
            return pa.table({"": pa.nulls(batch.num_rows)}).select([])
        return pa.Table.from_arrays(arrays, names=list(columns))

    def nulls(self, column: str) -> int:
        """Return the nulls of a column, or of a part of a struct as "image.bytes"."""
        return self._nulls.get(column, 0)

    def nbytes(self, column: str) -> int:
        """Return the bytes of a column in all batches."""
        return self._nbytes.get(column, 0)

    def _batch(self, mapped: Any, number: int) -> Any:
        if not self._stream:
            return pa.ipc.open_file(mapped).get_batch(number)
        if not any("dictionary<" in str(column.type) for column in self.schema):
            mapped.seek(self._places[number])
            return pa.ipc.read_record_batch(pa.ipc.read_message(mapped), self.schema)
        # Its dictionaries stand between the batches.
        stream = pa.ipc.open_stream(mapped)
        for _ in range(number):
            stream.read_next_batch()
        return stream.read_next_batch()

    def _take(self, batch: pa.RecordBatch) -> None:
        batch.validate()
        self.rows.append(batch.num_rows)
        for name, values in zip(batch.schema.names, batch.columns, strict=True):
            self._count(name, count_nulls(values))
            self._nbytes[name] = self._nbytes.get(name, 0) + values.nbytes
            if pa.types.is_struct(values.type):
                for number, part in enumerate(values.type):
                    inner = count_nulls(values.field(number))
                    self._count(f"{name}.{part.name}", values.null_count + inner)

    def _count(self, name: str, nulls: int) -> None:
        self._nulls[name] = self._nulls.get(name, 0) + nulls
