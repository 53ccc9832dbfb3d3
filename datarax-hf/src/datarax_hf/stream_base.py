"""What the streams of all formats have in common."""

from __future__ import annotations

import abc
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing

from datarax.sources import Columns, Field
from datarax_hf.columns import Column
from datarax_hf.stream_columns import PerhapsImageColumn
from datarax_hf.stream_files import StreamFiles
from datarax_hf.stream_parts import Part

LOOKED_AT = 10_000
"""Records among which bytes are looked for that say whether a column holds images."""


class HubStream(abc.ABC):
    """Records of a dataset's files, forward only; reads any selection of them, and looks ahead.

    Args:
        files: Where the files are read.
        identity: What a saved state says of the records.
    """

    _columns: Mapping[str, Column]
    """How the columns are read, by name; settled as a stream is opened."""

    def __init__(self, files: StreamFiles, identity: Mapping[str, str]) -> None:
        self._files = files
        self._identity = dict(identity)

    @property
    def dataset(self) -> str:
        """The dataset, for messages."""
        return f"hf:{self._files.origin.dataset}"

    @property
    def fields(self) -> Mapping[str, Field]:
        return {name: column.field for name, column in self._columns.items()}

    @property
    def identity(self) -> Mapping[str, str]:
        """The commit as "revision", the "config" and the "split"."""
        return self._identity

    @property
    @abc.abstractmethod
    def shards(self) -> Sequence[int | None]:
        """The records of each shard, None where that is not known."""

    @abc.abstractmethod
    def select(
        self, parts: Sequence[Part], offset: int, names: Sequence[str], /
    ) -> Generator[Columns]:
        """Yield the columns `names` of the records that `parts` select, one part after another.

        The first `offset` of all these records are left out.
        """

    def look(self, names: Collection[str]) -> None:
        """Settle columns of bytes and paths that nothing declares, by the first bytes of each.

        Args:
            names: The columns that will be read; others are not looked at.

        Raises:
            CorruptDataError: If a file is damaged where they lie.
        """
        settled = {
            name: column.settled(self._first_bytes(name))
            for name, column in self._columns.items()
            if isinstance(column, PerhapsImageColumn) and name in names
        }
        self._columns = {**self._columns, **settled}

    def records_of(self, names: Sequence[str], /) -> int | None:  # noqa: ARG002  # as those that know
        """Return how many records some of the files hold; None where that is not known yet."""
        return None

    def stream(self, shard: int, offset: int, names: Sequence[str], /) -> Iterator[Columns]:
        """Yield the columns `names` of a shard's records from `offset` on."""
        return self.chain([shard], offset, names)

    def chain(
        self, shards: Sequence[int], offset: int, names: Sequence[str], /
    ) -> Iterator[Columns]:
        """Yield those of several shards, one after another, without the first `offset`."""
        return self.select([Part(tuple(shards))], offset, names)

    def close(self) -> None:
        """End what is still on its way, and the threads that decode."""
        self._files.close()
        for column in self._columns.values():
            column.close()

    def _first_bytes(self, name: str) -> bytes | None:
        first = Part(tuple(range(len(self.shards))), 0, LOOKED_AT)
        with closing(self.select([first], 0, [name])) as pieces:
            values = (value for piece in pieces for value in piece[name])
            found = (value["bytes"] for value in values if value is not None)
            return next((encoded for encoded in found if encoded is not None), None)
