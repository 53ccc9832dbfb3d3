"""Ragged columns: a column of values of any length as chunks from which rows are picked.

What `Column.load` gives of row groups is kept, once decoded, in the derived cache as an Arrow IPC
file that is not compressed and is mapped into memory: a row is then read by its place, and not with
all that lie around it. Row groups are decoded in parallel and in bounded memory. A small column
stays in memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from datarax.errors import CorruptDataError
from datarax.progress import Progress
from datarax_hf.bundles import bundled, whole_or_each
from datarax_hf.columns import Column, Rows
from datarax_hf.derived import Derived
from datarax_hf.flat import Part, Write, all_lie, built, file_name, progress_of
from datarax_hf.leases import Hold
from datarax_hf.shards import Shards, grouped
from datarax_hf.threads import Threads, cores

CHUNK_BYTES = 2**21
"""A chunk is written once it has so many bytes, and has at most twice as many; what was read in one
piece of half as many is a chunk as it is, without a copy."""

WINDOW_BYTES = 5 * 2**23
"""Row groups of so many bytes together are held at once; a larger one goes slice by slice."""

VERSION = 1
_GROUPS_PER_CORE = 8
_LEAST_BYTES = 16
"""A value is taken to need so many bytes: a dictionary may hold a text of many rows but once."""

Look = Callable[[int, int, pa.Array], None]
"""Looks at values that were read: their row group, the first's row in it, and they themselves."""


class RaggedColumn:
    """A column's values in chunks; a store of rows as `RowGroups` is, of this column alone.

    Args:
        shards: What the values are of, for saying where they lie.
        name: The column.
        begins: The index of the first value of each chunk, going up.
        chunks: The chunks.
        hold: What keeps mapped files from being pruned; None where they are in memory.
    """

    stays: ClassVar[bool] = True

    def __init__(
        self,
        shards: Shards,
        name: str,
        begins: Sequence[int],
        chunks: Sequence[pa.Array],
        hold: Hold | None = None,
    ) -> None:
        self._shards = shards
        self._name = name
        self._begins = np.array(begins, np.int64)
        self._chunks = [pa.chunked_array([chunk]) for chunk in chunks]
        self._hold = hold
        self.held_bytes = 0 if hold is not None else sum(chunk.nbytes for chunk in chunks)

    def pieces(self, indices: Rows) -> Iterator[tuple[int, Rows, Rows]]:
        """Yield (chunk, positions in `indices`, rows in the chunk), each chunk once."""
        for chunk, positions in grouped(np.searchsorted(self._begins, indices, side="right") - 1):
            yield chunk, positions, indices[positions] - self._begins[chunk]

    def loaded(self, number: int, names: Sequence[str], *, keep: bool) -> dict[str, Any]:  # noqa: ARG002  # it is kept
        """Return the column's values in a chunk."""
        return dict.fromkeys(names, self._chunks[number])

    def place(self, number: int) -> Callable[[int], str]:
        """Return what says where a row of a chunk lies: in which file and row group."""
        return lambda row: self._shards.place_of(int(self._begins[number]) + row)

    def close(self) -> None:
        """Let the files be pruned."""
        if self._hold is not None:
            self._hold.close()


def can_be_laid_out(shards: Shards, name: str) -> bool:
    """Return whether laying out a column gains anything, and its type fits an Arrow file."""
    if shards.lies_ready():
        return False
    kind = shards.schema.field(name).type
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    # Within structs and lists each batch would have a dictionary of its own.
    return not pa.types.is_nested(kind) or "dictionary<" not in str(kind)


def lies_on_disk(shards: Shards, column: Column, parts: Sequence[Part], derived: Derived) -> bool:
    """Return whether the derived cache has the ragged form of a column."""
    return all_lie(shards, column, parts, derived, _file_name)


def in_memory(
    shards: Shards, columns: Sequence[Column], parts: Sequence[Part], most: int
) -> dict[str, RaggedColumn]:
    """Return those of the columns in memory that take `most` bytes together, the smallest first.

    Raises:
        CorruptDataError: If a file is damaged.
    """
    held: dict[str, RaggedColumn] = {}
    sizes = {column.name: bytes_of(shards, column, parts) for column in columns}
    for column in sorted(columns, key=lambda column: sizes[column.name]):
        if sizes[column.name] > most:
            break
        found = _held(shards, column, parts, most)
        if found is not None:  # files tell what is stored, where a text may stand for many
            most -= found.held_bytes
            held[column.name] = found
    return held


def on_disk(
    shards: Shards,
    columns: Sequence[Column],
    parts: Sequence[Part],
    derived: Derived,
    look: Look | None = None,
) -> dict[str, RaggedColumn]:
    """Return columns mapped from derived files, building those not there.

    Args:
        shards: The files that the columns are of.
        columns: The columns.
        parts: What is laid out of them.
        derived: The derived cache.
        look: Called with what is read where a file is built, on all cores. What it raises is
            passed on, and no file is left.

    Raises:
        NotKeptError: If the derived cache cannot take them.
        CorruptDataError: If a file is damaged.
    """

    def size_of(column: Column, part: Part) -> int:
        return bytes_of(shards, column, [part])

    def writing(progress: Progress) -> Write:
        return partial(_write, _Loader(shards, progress, look), derived)

    ragged = {}
    files = built(shards, columns, parts, derived, _file_name, size_of, writing)
    for name, (paths, hold) in files.items():
        begins, chunks = [], []
        for part, path in zip(parts, paths, strict=True):
            mapped = _mapped(path, part.records)
            begins += _begins(part, mapped)
            chunks += mapped
        ragged[name] = RaggedColumn(shards, name, begins, chunks, hold)
    return ragged


class _Loader:
    """Loads the row groups of a part, several at once, as chunks in their order."""

    def __init__(self, shards: Shards, progress: Progress, look: Look | None = None) -> None:
        self.shards = shards
        self._threads = Threads()
        self._progress = progress
        self._look = look

    def chunks(self, column: Column, part: Part) -> Iterator[pa.Array]:
        """Yield the values of a part, about `CHUNK_BYTES` at a time."""
        pending: list[pa.Array] = []
        size = 0
        kind: pa.DataType | None = None
        for array in self._arrays(column, part):
            kind = kind or array.type
            rows = max(1, len(array) * CHUNK_BYTES // max(1, array.nbytes))
            for begin in range(0, len(array), rows):
                piece = array.slice(begin, rows)
                pending.append(piece if piece.type == kind else piece.cast(kind))
                size += piece.nbytes
                if size >= (CHUNK_BYTES if len(pending) > 1 else CHUNK_BYTES // 2):
                    yield _joined(pending)
                    pending, size = [], 0
        if pending:
            yield _joined(pending)

    def _arrays(self, column: Column, part: Part) -> Iterator[pa.Array]:
        """Yield values in order, those of the next row groups being loaded meanwhile."""
        row = bytes_of(self.shards, column, [part]) / max(1, part.records)
        for large, groups in itertools.groupby(part.groups, lambda g: self._is_large(g, row)):
            if large:
                for group in groups:
                    yield from self._slices(column, group, row)
            else:
                yield from self._together(column, list(groups), row)

    def _is_large(self, group: int, row: float) -> bool:
        return row * self.shards.rows(group) > WINDOW_BYTES

    def _together(self, column: Column, groups: Sequence[int], row: float) -> Iterator[pa.Array]:
        def size_of(group: int) -> int:
            return int(self.shards.rows(group) * max(_LEAST_BYTES, row))

        def arrays_of(bundle: range) -> list[pa.Array]:
            if len(bundle) == 1:
                return list(self._slices(column, bundle[0], row))
            table = self.shards.joined(bundle, [column.name])
            values = column.load(table.column(column.name), self.shards.where(bundle[0]))
            self._progress.advance(len(table))
            return list(values.chunks)

        def load(bundle: range) -> list[pa.Array]:
            return list(itertools.chain.from_iterable(whole_or_each(arrays_of, bundle)))

        # Who looks at values is told their row group.
        due = bundled(self.shards, groups, size_of) if self._look is None else _singly(groups)
        bundles = list(due)
        largest = max(1, *(sum(map(size_of, bundle)) for bundle in bundles))
        most = min(WINDOW_BYTES // largest, _GROUPS_PER_CORE * cores())
        with closing(self._threads.in_order(load, bundles, most=most)) as loaded:
            for arrays in loaded:
                yield from arrays
                arrays.clear()

    def _slices(self, column: Column, group: int, row: float) -> Iterator[pa.Array]:
        rows = max(1, int(CHUNK_BYTES / max(1.0, row)))
        where, first = self.shards.where(group), 0
        for table in self.shards.slices(group, [column.name], rows):
            for values in column.load(table.column(column.name), where).chunks:
                if self._look is not None:
                    self._look(group, first, values)
                first += len(values)
                yield values
            self._progress.advance(len(table))


def _singly(groups: Sequence[int]) -> Iterator[range]:
    return (range(group, group + 1) for group in groups)


def bytes_of(shards: Shards, column: Column, parts: Sequence[Part]) -> int:
    """Return about how many bytes a column takes."""
    return sum(_sizes(shards, column, parts))


def _sizes(shards: Shards, column: Column, parts: Sequence[Part]) -> list[int]:
    """Return about how many bytes a column takes in each part."""
    return [shards.stored_bytes(column.name, part.groups) for part in parts]


def _joined(pieces: Sequence[pa.Array]) -> pa.Array:
    return pieces[0] if len(pieces) == 1 else pa.concat_arrays(pieces)


def _held(shards: Shards, column: Column, parts: Sequence[Part], most: int) -> RaggedColumn | None:
    """Return a column in memory; None once it takes more than `most` bytes."""
    begins: list[int] = []
    chunks: list[pa.Array] = []
    with progress_of(shards, sum(part.records for part in parts)) as progress:
        loader = _Loader(shards, progress)
        for part in parts:
            before = len(chunks)
            for chunk in loader.chunks(column, part):
                most -= chunk.nbytes
                if most < 0:
                    return None
                chunks.append(chunk)
            begins += _begins(part, chunks[before:])
    return RaggedColumn(shards, column.name, begins, chunks)


def _begins(part: Part, chunks: Sequence[pa.Array]) -> list[int]:
    ends = np.cumsum([len(chunk) for chunk in chunks], dtype=np.int64)
    return [part.begin, *(part.begin + ends[:-1]).tolist()] if chunks else []


def _write(loader: _Loader, derived: Derived, column: Column, part: Part, path: Path) -> None:
    """Write the values of a part as an Arrow file, a batch for each chunk."""
    room = 2 * bytes_of(loader.shards, column, [part]) + CHUNK_BYTES
    with path.open("wb") as file:
        writer = None
        for chunk in loader.chunks(column, part):
            batch = pa.record_batch([chunk], names=["values"])
            if writer is None:
                writer = pa.ipc.new_file(file, batch.schema)
            writer.write_batch(batch)
            if file.tell() > room:  # dictionaries hold a text once that stands in many rows
                room *= 2
                derived.make_room(room)
        if writer is None:
            writer = pa.ipc.new_file(file, pa.schema([("values", pa.null())]))
        writer.close()


def _mapped(path: Path, records: int) -> list[pa.Array]:
    """Return the chunks of a derived file, which stay mapped as long as they live."""
    try:
        with pa.memory_map(str(path)) as mapped, pa.ipc.open_file(mapped) as file:
            batches = [file.get_batch(number) for number in range(file.num_record_batches)]
        for batch in batches:
            batch.validate()
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise _damaged(path, str(error)) from error
    found = sum(batch.num_rows for batch in batches)
    if found != records:
        raise _damaged(path, f"it has {found} values, not {records}")
    return [batch.column(0) for batch in batches]


def _damaged(path: Path, why: str) -> CorruptDataError:
    return CorruptDataError(
        f"the derived file {path} is damaged ({why}); delete it, and it is made again"
    )


def _file_name(shards: Shards, column: Column, part: Part) -> str:
    return file_name(shards, column, part, [column.stored_as, VERSION], ".arrow")
