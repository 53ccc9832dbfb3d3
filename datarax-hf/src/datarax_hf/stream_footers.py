"""Parquet footers of a stream's files: what columns there are, and where row groups lie.

The footers of few files are read at once, before anything is streamed, so that the stream knows
its length. Of many files only the first one's is, and each other when its turn comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import pyarrow as pa

from datarax_hf.formats.footer import FooterError, length_of, read_footer
from datarax_hf.formats.recast import null_column
from datarax_hf.stream_files import StreamFiles

AT_ONCE = 256
"""The most files whose footers are read before anything is streamed."""

TAIL_BYTES = 64 * 2**10
_MAGIC = b"PAR1"
_POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class Footer:
    """What a parquet file says of itself.

    Attributes:
        metadata: Its footer.
        size: The bytes of the file.
    """

    metadata: Any
    size: int

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns."""
        return self.metadata.schema.to_arrow_schema()

    @property
    def rows(self) -> list[int]:
        """The records of each row group."""
        groups = range(self.metadata.num_row_groups)
        return [self.metadata.row_group(group).num_rows for group in groups]

    def ranges(self, group: int, names: Sequence[str]) -> list[tuple[int, int]]:
        """Return where the columns `names` of a row group lie in the file."""
        ranges = []
        row_group = self.metadata.row_group(group)
        for number in range(row_group.num_columns):
            path = self.metadata.schema.column(number).path
            if not any(path == name or path.startswith(f"{name}.") for name in names):
                continue
            chunk = row_group.column(number)
            begin = chunk.data_page_offset
            if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < begin:
                begin = chunk.dictionary_page_offset
            ranges.append((begin, min(begin + chunk.total_compressed_size, self.size)))
        return ranges

    def nulls(self) -> Iterator[tuple[str, int | None]]:
        """Yield the path of each column chunk and its nulls, None where it does not say."""
        schema = self.metadata.schema
        paths = [schema.column(number).path for number in range(self.metadata.num_columns)]
        for group in range(self.metadata.num_row_groups):
            row_group = self.metadata.row_group(group)
            for number, path in enumerate(paths):
                told = row_group.column(number).statistics
                yield path, told.null_count if told is not None and told.has_null_count else None


class Footers(Sequence["int | None"]):
    """The footers of files, and as a sequence the records of each.

    Iterating tells what is known so far, None for the rest; an index finds out.

    Args:
        names: The files, one or more.
        files: Where they are read.

    Raises:
        CorruptDataError: If a file is no whole parquet file.
    """

    def __init__(self, names: Sequence[str], files: StreamFiles) -> None:
        self._names = tuple(names)
        self._files = files
        self._held: dict[int, Footer] = {}
        self._read(range(len(names)) if len(names) <= AT_ONCE else [0])

    def is_known(self, number: int) -> bool:
        """Return whether the footer of a file was read."""
        return number in self._held

    def footer(self, number: int) -> Footer:
        """Return the footer of a file, reading it unless it was read."""
        if number not in self._held:
            self._read([number])
        return self._held[number]

    def nulls(self, column: str) -> int | None:
        """Return the nulls of a column or a part of one in the files whose footers were read.

        None where one of them does not say.
        """
        total = 0
        for footer in list(self._held.values()):
            counted = null_column(footer.schema, column)
            if counted is None:
                total += footer.metadata.num_rows
                continue
            for path, count in footer.nulls():
                if path == counted or path.startswith(f"{counted}."):
                    if count is None:
                        return None
                    total += count
        return total

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[int | None]:
        for number in range(len(self)):
            footer = self._held.get(number)
            yield None if footer is None else footer.metadata.num_rows

    @overload
    def __getitem__(self, index: int) -> int | None: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[int | None]: ...

    def __getitem__(self, index: int | slice) -> int | Sequence[int | None] | None:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        rows: int = self.footer(range(len(self))[index]).metadata.num_rows
        return rows

    def _read(self, numbers: Sequence[int]) -> None:
        names = [self._names[number] for number in numbers]
        for name in names:
            self._files.check_same(name)
        tails = self._files.tails(names, TAIL_BYTES)
        for number, name, (tail, size) in zip(numbers, names, tails, strict=True):
            self._held[number] = _footer(name, tail, size, self._files)


def _footer(name: str, tail: bytes, size: int, files: StreamFiles) -> Footer:
    """Return the footer in the last bytes of a file, or say what is wrong with it."""
    if size == 0:
        raise files.damaged(name, "is empty")
    if tail.startswith(_POINTER):
        raise files.damaged(name, "is a git-lfs pointer, not the data")
    if not tail.endswith(_MAGIC):
        raise files.damaged(name, f"is no whole parquet file: its {size} bytes have no footer")
    length = length_of(tail)
    if length > size:
        raise files.damaged(name, f"has a damaged footer: it claims {length} bytes of {size}")
    if length > len(tail):
        [(tail, _)] = files.tails([name], length)
    try:
        return Footer(read_footer(tail), size)
    except FooterError as error:
        raise files.damaged(name, f"has a damaged footer: {error}") from error
