"""`MemorySource`: a source over data in memory, and the reference implementation of a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flax import nnx

from datarax.sources.memory_reader import MemoryReader, MemorySourceConfig, as_memory_reader
from datarax.sources.reader import Reader
from datarax.sources.source import ReaderSource
from datarax.sources.splits import SplitReader, choose_split
from datarax.sources.streaming import IndexedStream

SPLIT = "train"


class MemorySource(ReaderSource):
    """A source over arrays or records in memory.

    Args:
        config: A `MemorySourceConfig`.
        data: A dict of columns or a list of records; see `MemoryReader`.
        rngs: Supplies the seed, once, where a shuffled source was given none.
        name: A name for messages and `repr`.

    Example:
        >>> import numpy as np
        >>> source = MemorySource(MemorySourceConfig(), {"x": np.arange(6)})
        >>> source.get_batch_at(4, 4)["x"].tolist()
        [4, 5, 0, 1]
    """

    config: MemorySourceConfig

    def __init__(
        self,
        config: MemorySourceConfig,
        data: Mapping[str, Any] | Sequence[Mapping[str, Any]] | MemoryReader,
        *,
        rngs: nnx.Rngs | None = None,
        name: str | None = None,
    ) -> None:
        stored = as_memory_reader(data)
        parts = [
            (stored, term.range(len(stored)))
            for term in choose_split(config.split, (SPLIT,), dataset="memory:")
        ]
        whole = parts == [(stored, (0, len(stored)))]
        reader: Reader = stored
        if not whole:
            reader = SplitReader(parts, identity={"split": str(config.split)})
        super().__init__(
            config,
            IndexedStream(reader) if config.mode == "streaming" else reader,
            uri="memory:",
            rngs=rngs,
            name=name,
        )
        self._host.stored = stored

    @property
    def data(self) -> MemoryReader:
        """The data it was given, as a reader, from which `copy` builds the next source."""
        stored: MemoryReader = self._host.stored
        return stored
