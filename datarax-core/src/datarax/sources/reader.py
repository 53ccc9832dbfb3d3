"""Readers: the objects of a plugin that hand out host records. They know nothing of JAX.

`Reader` is the whole demand: a length, records by index, the fields, and `close`. It is also the
map-style protocol of Grain and PyTorch, so `source.reader` goes into their loaders as it is.
`ColumnReader` and `BufferReader` are optional abilities, checked once when a source is built.

Readers are safe to read from several threads, deterministic (the same index gives the same
record) and picklable: handles are dropped and reopened, data in memory travels. NumPy comes with
the first record read, so that a plugin is described without it.
"""

from __future__ import annotations

import abc
import operator
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias, runtime_checkable

from datarax.sources.fields import Field

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Record = dict[str, Any]
Indices: TypeAlias = "NDArray[np.int64]"
Columns = Mapping[str, Any]


@runtime_checkable
class Reader(Protocol):
    """Host records by index.

    `len(reader)` is N. `reader[i]` is the record stored at `i`, 0 <= i < N, with a value for each
    of `fields`: a NumPy array or scalar of the field's shape and dtype, or for a host-only field
    whatever it stores. An index out of range is an IndexError; negative ones count from the end.
    `reader.__getitems__(indices)` is the list of those records (PyTorch's batched protocol).
    """

    @property
    def fields(self) -> Mapping[str, Field]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Record: ...

    def __getitems__(self, indices: Sequence[int], /) -> list[Record]: ...

    def close(self) -> None: ...


@runtime_checkable
class ColumnReader(Protocol):
    """A reader that reads many records at once, by column.

    `read(indices, names)` returns, for each of `names`, an array of shape (len(indices), *shape)
    and the field's dtype, or for a host-only field a list. `indices` is int64, within [0, N), in
    any order and possibly with repeats. Only the columns named are read.
    """

    def read(self, indices: Indices, names: Sequence[str], /) -> Columns: ...


@runtime_checkable
class BufferReader(Protocol):
    """A column reader that can read into buffers it is given, and saves a copy.

    `read_into(indices, out)` fills `out[name]`, C-contiguous, of shape (len(indices), *shape) and
    the field's dtype. Array fields only.
    """

    def read_into(self, indices: Indices, out: Mapping[str, NDArray[Any]], /) -> None: ...


@runtime_checkable
class StreamReader(Protocol):
    """A reader that goes forward only, shard by shard.

    `shards` has the number of records of each shard, None where it is not known. `stream(shard,
    offset, names)` yields the columns `names` of a shard's records from `offset` on, in pieces of
    one record or more, as `ColumnReader.read` returns them.
    """

    @property
    def fields(self) -> Mapping[str, Field]: ...

    @property
    def shards(self) -> Sequence[int | None]: ...

    def stream(self, shard: int, offset: int, names: Sequence[str], /) -> Iterator[Columns]: ...

    def close(self) -> None: ...


@runtime_checkable
class ChainReader(Protocol):
    """A stream reader that reads several shards as one, and so looks ahead from each to the next.

    `chain(shards, offset, names)` yields what `stream` yields for each of `shards` in turn, without
    the first `offset` records. They may be more than the first shard holds, where it does not say
    how many those are.
    """

    def chain(
        self, shards: Sequence[int], offset: int, names: Sequence[str], /
    ) -> Iterator[Columns]: ...


@runtime_checkable
class MarkingReader(Protocol):
    """A stream reader whose shards do not tell their records, but that notes where they lie.

    A source's saved state carries a mark, so that another process goes on there, without what lies
    before. `mark_at(shards, offset)` returns JSON values, of 512 bytes at most, that say what is
    known of the way to the record `offset` of several shards in turn; None where nothing is.
    `take_mark(mark)` notes what another reader of the same data returned, for `stream` and `chain`
    to use; it raises ValueError where that is damaged. A mark changes no record: one that is of
    other shards, or beyond what is asked for, is left unused.
    """

    def mark_at(self, shards: Sequence[int], offset: int, /) -> Mapping[str, Any] | None: ...

    def take_mark(self, mark: Mapping[str, Any], /) -> None: ...


@runtime_checkable
class Identified(Protocol):
    """A reader that says what it reads, for a saved state's fingerprint.

    `identity` maps words such as "revision" and "split" to short strings.
    """

    @property
    def identity(self) -> Mapping[str, str]: ...


class RecordReader(abc.ABC):
    """The rest of the protocol for a reader that can give one record.

    A subclass defines `fields`, `__len__` and `record(index)`, and `close` where it holds
    handles. Bounds and negative indices are checked here.
    """

    @property
    @abc.abstractmethod
    def fields(self) -> Mapping[str, Field]:
        """The fields of every record, by name, in order."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """The number of records."""

    @abc.abstractmethod
    def record(self, index: int) -> Record:
        """Return the record at `index`, 0 <= index < N."""

    def __getitem__(self, index: int, /) -> Record:
        return self.record(check_index(index, len(self)))

    def __getitems__(self, indices: Sequence[int], /) -> list[Record]:
        return [self[index] for index in indices]

    def close(self) -> None:  # noqa: B027  # most readers hold nothing, and need not define it
        """Release what the reader holds; a reader over memory holds nothing to release."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class ColumnarReader(RecordReader):
    """The rest of the protocol for a reader that reads by column.

    A subclass defines `fields`, `__len__` and `read(indices, names)` (see `ColumnReader`).
    """

    @abc.abstractmethod
    def read(self, indices: Indices, names: Sequence[str], /) -> Columns:
        """Return the columns `names` of the records at `indices`."""

    def record(self, index: int) -> Record:
        return self._records([index])[0]

    def __getitems__(self, indices: Sequence[int], /) -> list[Record]:
        size = len(self)
        checked = [check_index(index, size) for index in indices]
        return self._records(checked) if checked else []

    def _records(self, checked: Sequence[int]) -> list[Record]:
        import numpy as np

        indices = np.array(checked, np.int64)
        names = tuple(self.fields)
        columns = self.read(indices, names)
        return [{name: columns[name][row] for name in names} for row in range(len(indices))]


def check_index(index: Any, size: int) -> int:
    """Return `index` within [0, size), counting negative ones from the end.

    Raises:
        TypeError: If it is not an integer.
        IndexError: If it is out of range.
    """
    try:
        position = operator.index(index)
    except TypeError:
        raise TypeError(
            f"an index is an integer, got {type(index).__name__} {index!r}; "
            "for several records use get_batch_at(start, size) or reader.__getitems__(indices)"
        ) from None
    if not -size <= position < size:
        raise IndexError(f"index {position} is out of range for {size} records")
    return position + size if position < 0 else position
