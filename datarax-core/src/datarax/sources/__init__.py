"""Readers, the source over a reader, and the in-memory source.

The reader protocols, fields, configs and splits are free of JAX; `ReaderSource` and
`MemorySource` bring it in on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datarax._lazy import attach
from datarax.sources.config import SourceConfig
from datarax.sources.fields import Field
from datarax.sources.reader import (
    BufferReader,
    ColumnarReader,
    ColumnReader,
    Columns,
    Identified,
    Indices,
    Reader,
    Record,
    RecordReader,
    StreamReader,
)
from datarax.sources.splits import SplitReader, SplitTerm, choose_split, parse_split

if TYPE_CHECKING:
    from datarax.sources.memory import MemorySource as MemorySource
    from datarax.sources.memory_reader import MemoryReader as MemoryReader
    from datarax.sources.memory_reader import MemorySourceConfig as MemorySourceConfig
    from datarax.sources.source import ReaderSource as ReaderSource

__getattr__, __dir__ = attach(
    __name__,
    {
        "MemoryReader": "datarax.sources.memory_reader",
        "MemorySource": "datarax.sources.memory",
        "MemorySourceConfig": "datarax.sources.memory_reader",
        "ReaderSource": "datarax.sources.source",
    },
)

__all__ = [
    "BufferReader",
    "ColumnReader",
    "ColumnarReader",
    "Columns",
    "Field",
    "Identified",
    "Indices",
    "MemoryReader",
    "MemorySource",
    "MemorySourceConfig",
    "Reader",
    "ReaderSource",
    "Record",
    "RecordReader",
    "SourceConfig",
    "SplitReader",
    "SplitTerm",
    "StreamReader",
    "choose_split",
    "parse_split",
]
