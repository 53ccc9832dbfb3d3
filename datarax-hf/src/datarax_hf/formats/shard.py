"""What every format gives of its files: groups of rows that are read one at a time.

A shard keeps no handle: it opens its file for each group, so that it may be read from several
threads and sent to other processes.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datarax.errors import CorruptDataError
from datarax_hf.derived import source_key
from datarax_hf.features import Features
from datarax_hf.formats.pages import NotPlainError
from datarax_hf.remedy import Origin

POINTER = b"version https://git-lfs"


class Shard(abc.ABC):
    """A file as groups of rows.

    Attributes:
        name: The file, relative to the origin's folder.
        origin: Where it comes from.
        schema: Its columns.
        features: What its own metadata says of them, or None.
        rows: The number of rows of each group.
        unit: What a group is called in messages.
        inferred: Whether the types are what the values look like, and may give way to wider ones.
        sparse: Whether a column that it lacks means nulls.
        texts: The columns that are kept as JSON text.
        ready: Whether rows lie so that they are read in any order without decoding others.
        counts_parts: Whether `nulls` knows those of the parts of structs, however deep.
        joins: Whether `joined` is sooner than `table` for each group.
    """

    name: str
    origin: Origin
    schema: pa.Schema
    features: Features | None = None
    rows: tuple[int, ...]
    unit: str = "row group"
    inferred: bool = False
    sparse: bool = False
    texts: frozenset[str] = frozenset()
    ready: bool = False
    counts_parts: bool = False
    joins: bool = False

    @abc.abstractmethod
    def table(self, group: int, columns: Sequence[str]) -> pa.Table:
        """Return columns of a group.

        Raises:
            pa.ArrowException: If it cannot be read; so may an OSError or a CorruptDataError.
        """

    def joined(self, groups: range, columns: Sequence[str]) -> pa.Table:
        """Return columns of consecutive groups, as `table` does those of one."""
        return pa.concat_tables([self.table(group, columns) for group in groups])

    def slices(self, group: int, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
        """Yield columns of a group in pieces of up to `rows`."""
        table = self.table(group, columns)
        for start in range(0, self.rows[group], rows):
            yield table.slice(start, rows)

    def check_same(self) -> None:  # noqa: B027  # of most, what was read is a copy
        """Raise unless what is mapped of the file is still what was opened.

        Raises:
            CorruptDataError: If it was written again.
        """

    def source(self) -> str:
        """Return a name for the file's contents and for how it is read, for what is made of it."""
        return source_key(self.origin.folder / self.name)

    @abc.abstractmethod
    def nulls(self, column: str) -> int | None:
        """Return how many values of a column, or of a part of one, are null; None if unknown."""

    def stored_bytes(self, column: str, groups: Sequence[int]) -> int:  # noqa: ARG002  # of some
        """Return about how many bytes a column of some groups takes, not compressed."""
        return (self.origin.folder / self.name).stat().st_size

    def files(self, group: int, columns: Sequence[str]) -> Sequence[str]:  # noqa: ARG002  # of some
        """Return the files beside this one from which columns of a group are read."""
        return ()

    def place(self, group: int, row: int) -> str:
        """Return words for where a row of a group lies."""
        return f"file {self.name!r}, {self.unit} {group}, row {row}"

    def lies_plain(self, column: str) -> bool:  # noqa: ARG002  # of most formats none does
        """Return whether the bytes of a column's values lie in the file as they are."""
        return False

    def places(
        self,
        group: int,  # noqa: ARG002  # as above
        column: str,  # noqa: ARG002
        data: memoryview,  # noqa: ARG002
    ) -> NDArray[np.int64]:
        """Return where the values of a column that lies plain begin and end in the file.

        Args:
            group: The group.
            column: The column; of a struct it is the part "bytes".
            data: The file.

        Returns:
            An array of shape (rows, 2).

        Raises:
            NotPlainError: If they lie otherwise than the file says.
        """
        raise NotPlainError

    def records(self) -> Mapping[str, int]:
        """Return the number of records by file."""
        return {self.name: sum(self.rows)}


def written(name: str, origin: Origin) -> tuple[int, int]:
    """Return the bytes of a file and when it was written, by which one that changed is told."""
    state = (origin.folder / name).stat()
    return state.st_size, state.st_mtime_ns


def written_again(name: str, origin: Origin, before: int, now: int) -> CorruptDataError:
    """Return the error of a file that changed; `before` and `now` are its bytes."""
    return origin.damaged(
        name, f"was written again while it was open ({before:,} bytes became {now:,})"
    )


def check_head(name: str, origin: Origin, *, empty: bool = False) -> int:
    """Return the bytes of a file that is neither empty nor a pointer to its contents.

    Args:
        name: The file.
        origin: Where it comes from.
        empty: Whether it may be empty.

    Raises:
        CorruptDataError: If it is.
    """
    with origin.open(name) as file:
        head = file.read(len(POINTER))
        size: int = file.seek(0, 2)
    if size == 0 and not empty:
        raise origin.damaged(name, "is empty")
    if head == POINTER:
        raise origin.damaged(
            name, "is a git-lfs pointer, not the data: the repository was cloned without LFS"
        )
    return size


def count_nulls(values: Any) -> int:
    """Return the nulls of an array and of everything within it, as its own numbers say.

    Looks at no value, so that data that was not validated is safe.
    """
    total: int = values.null_count
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        return count_nulls(values.storage)
    if pa.types.is_dictionary(kind):
        return total + count_nulls(values.dictionary)
    if pa.types.is_struct(kind):
        return total + sum(count_nulls(values.field(part)) for part in range(kind.num_fields))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return total + count_nulls(values.values)
    return total
