"""Readers, the source over a reader, and the in-memory source.

Configs and fields are free of NumPy, the reader protocols and splits of JAX too; `ReaderSource`
and `MemorySource` bring it in on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datarax._lazy import attach
from datarax.sources.config import SourceConfig
from datarax.sources.fields import Field

if TYPE_CHECKING:
    from datarax.sources.memory import MemorySource as MemorySource
    from datarax.sources.memory_reader import MemoryReader as MemoryReader
    from datarax.sources.memory_reader import MemorySourceConfig as MemorySourceConfig
    from datarax.sources.reader import BufferReader as BufferReader
    from datarax.sources.reader import ChainReader as ChainReader
    from datarax.sources.reader import ColumnarReader as ColumnarReader
    from datarax.sources.reader import ColumnReader as ColumnReader
    from datarax.sources.reader import Columns as Columns
    from datarax.sources.reader import Identified as Identified
    from datarax.sources.reader import Indices as Indices
    from datarax.sources.reader import MarkingReader as MarkingReader
    from datarax.sources.reader import Reader as Reader
    from datarax.sources.reader import Record as Record
    from datarax.sources.reader import RecordReader as RecordReader
    from datarax.sources.reader import StreamReader as StreamReader
    from datarax.sources.source import ReaderSource as ReaderSource
    from datarax.sources.splits import SplitReader as SplitReader
    from datarax.sources.splits import SplitTerm as SplitTerm
    from datarax.sources.splits import choose_split as choose_split
    from datarax.sources.splits import parse_split as parse_split
    from datarax.sources.stopping import pass_closed as pass_closed
    from datarax.sources.streaming import IndexedStream as IndexedStream

__getattr__, __dir__ = attach(
    __name__,
    {
        "BufferReader": "datarax.sources.reader",
        "ChainReader": "datarax.sources.reader",
        "MarkingReader": "datarax.sources.reader",
        "ColumnReader": "datarax.sources.reader",
        "ColumnarReader": "datarax.sources.reader",
        "Columns": "datarax.sources.reader",
        "Identified": "datarax.sources.reader",
        "IndexedStream": "datarax.sources.streaming",
        "Indices": "datarax.sources.reader",
        "MemoryReader": "datarax.sources.memory_reader",
        "MemorySource": "datarax.sources.memory",
        "MemorySourceConfig": "datarax.sources.memory_reader",
        "Reader": "datarax.sources.reader",
        "ReaderSource": "datarax.sources.source",
        "Record": "datarax.sources.reader",
        "RecordReader": "datarax.sources.reader",
        "SplitReader": "datarax.sources.splits",
        "SplitTerm": "datarax.sources.splits",
        "StreamReader": "datarax.sources.reader",
        "choose_split": "datarax.sources.splits",
        "parse_split": "datarax.sources.splits",
        "pass_closed": "datarax.sources.stopping",
    },
)

__all__ = [
    "BufferReader",
    "ChainReader",
    "ColumnReader",
    "ColumnarReader",
    "Columns",
    "Field",
    "Identified",
    "IndexedStream",
    "Indices",
    "MarkingReader",
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
    "pass_closed",
]
