"""The footers of parquet files, looked at before Arrow is asked for what they say of columns.

Where a column chunk is of another type than its column, asking for it ends the process, since
pyarrow expects no exception there. So the types of all chunks are compared first.

Source: parquet's own format, `parquet.thrift` (FileMetaData, ColumnChunk, ColumnMetaData, Type).
"""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datarax_hf.formats.compact import Compact, CompactError

END_BYTES = 8
"""What stands behind a footer: its length, in four bytes, and the magic word."""

_ROW_GROUPS, _COLUMNS, _CHUNK, _TYPE = 4, 1, 3, 1
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
_USUAL = re.compile(rb"\x1c\x15(.)\x19", re.DOTALL)
"""How a column chunk begins: its struct, its type and its list of encodings."""


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
        leaves = [metadata.schema.column(number) for number in range(metadata.num_columns)]
        numbers = [_NUMBERS.get(leaf.physical_type, -1) for leaf in leaves if leaf.path]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise FooterError(str(error)) from error
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        if group.num_rows < 0 or group.num_columns != len(leaves):
            raise FooterError(
                f"a row group has {group.num_rows:,} rows in {group.num_columns} columns, and the "
                f"file has {len(leaves)}"
            )
    _check_types(tail[-length_of(tail) : -END_BYTES], numbers, metadata.num_row_groups)
    return metadata


def _check_types(footer: bytes, numbers: list[int], groups: int) -> None:
    """Raise if a column chunk has not the type of its column."""
    expected = bytes(2 * number for number in numbers if number >= 0) * groups
    if b"".join(_USUAL.findall(footer)) == expected:
        return  # as nearly every writer has them, which takes no time to see
    try:
        told = Compact(memoryview(footer), 0).struct()
    except CompactError as error:
        raise FooterError(str(error)) from error
    for group in told.get(_ROW_GROUPS, ()):
        for number, chunk in zip(numbers, group.get(_COLUMNS, ()), strict=False):
            found = chunk.get(_CHUNK, {}).get(_TYPE)
            if found != number >= 0:
                raise FooterError(f"a column of the type {number} is stored as one of {found}")
