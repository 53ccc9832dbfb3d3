"""The footers of parquet files, looked at before Arrow is asked for what they say of columns.

Where a column chunk is of another type than its column, or counts values by other levels than its
column has, asking for it ends the process, since pyarrow expects no exception there. So these are
compared first.

Source: parquet's own format, `parquet.thrift` (FileMetaData, ColumnChunk, ColumnMetaData, Type,
SizeStatistics).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datarax_hf.formats.compact import Compact, CompactError, Fields

END_BYTES = 8
"""What stands behind a footer: its length, in four bytes, and the magic word."""

_ROW_GROUPS, _COLUMNS, _CHUNK, _TYPE, _SIZES = 4, 1, 3, 1, 16
_HISTOGRAMS = {"repetition": 2, "definition": 3}
_NUMBERS = {
    "BOOLEAN": 0,
    "INT32": 1,
    "INT64": 2,
    "INT96": 3,
    "FLOAT": 4,
    "DOUBLE": 5,
    "BYTE_ARRAY": 6,
    "FIXED_LEN_BYTE_ARRAY": 7,
}
_USUAL_TYPE = re.compile(rb"\x1c\x15(.)\x19", re.DOTALL)
"""How a column chunk begins: its struct, its type and its list of encodings."""

_NUMBER = rb"[\x80-\xff]*[\x00-\x7f]"
_COUNTS = rb"(\x06|%s)" % b"|".join(
    rb"%s(?:%s){%d}" % (re.escape(bytes([size << 4 | 6])), _NUMBER, size) for size in range(1, 15)
)
_USUAL_SIZES = re.compile(
    rb"[\x1c\x2c\x3c\x4c](?:\x16%s\x19|\x29)%s\x19%s\x00" % (_NUMBER, _COUNTS, _COUNTS), re.DOTALL
)
"""Size statistics as Arrow writes them: bytes of text, and how often each level occurs."""

_FEW = 200
"""So many column chunks are parsed in some 10 ms."""


class FooterError(ValueError):
    """A footer is damaged; the text says how."""


def length_of(end: bytes) -> int:
    """Return the bytes of the footer before the last `END_BYTES` of a file, these included."""
    return int.from_bytes(end[-END_BYTES:-4], "little") + END_BYTES


def read_footer(tail: bytes) -> Any:
    """Return the metadata in the last bytes of a file, which hold all of its footer.

    Raises:
        FooterError: If it is damaged.
    """
    try:
        metadata = pq.read_metadata(pa.BufferReader(tail))
        metadata.schema.to_arrow_schema()
        leaves = [_leaf(metadata.schema.column(n)) for n in range(metadata.num_columns)]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise FooterError(str(error)) from error
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        if group.num_rows < 0 or group.num_columns != len(leaves):
            raise FooterError(
                f"a row group has {group.num_rows:,} rows in {group.num_columns} columns, and the "
                f"file has {len(leaves)}"
            )
    footer = tail[-length_of(tail) : -END_BYTES]
    if not _is_usual(footer, leaves, metadata.num_row_groups):
        _check_chunks(footer, leaves)
    return metadata


@dataclass(frozen=True)
class _Leaf:
    """A column.

    Attributes:
        type: The number of its type.
        levels: Its highest levels.
    """

    type: int
    levels: dict[str, int]

    def usual_sizes(self) -> tuple[int, int]:
        """Return how the lists begin that count the values of each level."""
        repeated, defined = self.levels["repetition"], self.levels["definition"]
        return (repeated + 1 << 4 | 6 if repeated else 6), (defined + 1 << 4 | 6 if defined else 6)


def _leaf(column: Any) -> _Leaf:
    """Return what is compared of a column; its path is decoded, which no text may stand in."""
    if not isinstance(column.path, str):
        raise FooterError(f"a column is called {column.path!r}")
    levels = {
        "repetition": column.max_repetition_level,
        "definition": column.max_definition_level,
    }
    return _Leaf(_NUMBERS.get(column.physical_type, -1), levels)


def _is_usual(footer: bytes, leaves: Sequence[_Leaf], groups: int) -> bool:
    """Return whether chunks are as nearly every writer has them, which takes no time to see."""
    if any(leaf.type < 0 for leaf in leaves):
        return False
    if b"".join(_USUAL_TYPE.findall(footer)) != bytes(2 * leaf.type for leaf in leaves) * groups:
        return False
    found = [(by[0], but[0]) for by, but in _USUAL_SIZES.findall(footer)]
    if not found:  # older writers have none
        return len(leaves) * groups > _FEW
    return found == [leaf.usual_sizes() for leaf in leaves] * groups


def _check_chunks(footer: bytes, leaves: Sequence[_Leaf]) -> None:
    """Raise unless each column chunk is as its column says."""
    try:
        told = Compact(memoryview(footer), 0).struct()
    except CompactError as error:
        raise FooterError(str(error)) from error
    for group in _lists(told, _ROW_GROUPS):
        for leaf, chunk in zip(leaves, _lists(group, _COLUMNS), strict=False):
            said = _struct(chunk, _CHUNK)
            found = said.get(_TYPE)
            if found != leaf.type >= 0:
                raise FooterError(f"a column of the type {leaf.type} is stored as one of {found}")
            sizes = _struct(said, _SIZES)
            for kind, highest in leaf.levels.items():
                counts = _lists(sizes, _HISTOGRAMS[kind])
                if counts and len(counts) != highest + 1:
                    raise FooterError(
                        f"a column with {kind} levels up to {highest} counts {len(counts)} of them"
                    )


def _struct(said: Any, number: int) -> Fields:
    """Return a struct within one; empty where there is none, as Arrow passes over other things."""
    found = said.get(number) if isinstance(said, dict) else None
    return found if isinstance(found, dict) else {}


def _lists(said: Any, number: int) -> list[Any]:
    """Return a list within a struct; empty where there is none."""
    found = said.get(number) if isinstance(said, dict) else None
    return found if isinstance(found, list) else []
