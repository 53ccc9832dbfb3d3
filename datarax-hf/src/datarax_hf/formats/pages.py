"""Where the values of a parquet column lie in the file, where they lie there as they are.

A page that is neither compressed nor encoded holds each value of variable width behind its length.
`datasets` writes images, audio and video so, because compressing them gains nothing.

Source: parquet's own format, `parquet.thrift` (PageHeader) and `Encodings.md` (PLAIN, RLE).
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datarax_hf.formats.compact import Compact, CompactError, Fields

_DATA, _INDEX, _, _DATA_2 = range(4)
_PLAIN = 0
_LENGTH = struct.Struct("<I")
HEAD_BYTES = 2**16
"""A page's header that is longer is not looked into."""

_LEVELS = {"PLAIN", "RLE", "BIT_PACKED"}
"""Encodings of a column chunk whose values are plain: levels have one of their own."""


class NotPlainError(Exception):
    """A page does not hold its values as they are, or not those that it says."""


@dataclass(frozen=True)
class Chunk:
    """The pages of a column in one row group.

    Attributes:
        begin: Where the first page begins in the file.
        end: Where the last one ends.
        values: How many values they hold, none of them null.
        level: The definition level of a value that is there; 0 where none could be null, so that
            pages hold no levels.
    """

    begin: int
    end: int
    values: int
    level: int


def plain_chunks(footer: Any, column: str) -> list[Chunk] | None:
    """Return the pages of a column of bytes or text in each row group.

    Args:
        footer: The file's metadata, of pyarrow.
        column: The path of the column, or of a struct whose part "bytes" is asked for.

    Returns:
        None where a value is null, or where values are compressed, encoded or lie in lists, as far
        as the footer says; where it says nothing of nulls, pages do.
    """
    paths = [footer.schema.column(number).path for number in range(footer.num_columns)]
    found = [number for number, path in enumerate(paths) if path in (column, f"{column}.bytes")]
    if len(found) != 1:
        return None
    leaf = footer.schema.column(found[0])
    if leaf.physical_type != "BYTE_ARRAY" or leaf.max_repetition_level:
        return None
    chunks = []
    for group in map(footer.row_group, range(footer.num_row_groups)):
        said = group.column(found[0])
        nulls = said.statistics.null_count if said.statistics is not None else 0
        if (
            said.compression != "UNCOMPRESSED"
            or said.has_dictionary_page
            or not set(said.encodings) <= _LEVELS
            or said.num_values != group.num_rows
            or nulls
        ):
            return None
        end = said.data_page_offset + said.total_compressed_size
        level = leaf.max_definition_level
        chunks.append(Chunk(said.data_page_offset, end, said.num_values, level))
    return chunks


def places(data: memoryview, chunk: Chunk) -> NDArray[np.int64]:
    """Return where the values of a chunk begin and end in `data`, of shape (values, 2).

    Args:
        data: The file.
        chunk: What is looked for.

    Raises:
        NotPlainError: If they do not lie there one behind the other, as plain pages have them.
    """
    found: list[NDArray[np.int64]] = []
    at, left = chunk.begin, chunk.values
    while left:
        begin, end, count = _page(data, at, chunk)
        if begin is not None:
            if count > left:
                raise NotPlainError
            found.append(_values(data, begin, end, count))
            left -= count
        at = end
    return np.concatenate(found) if found else np.zeros((0, 2), np.int64)


def _page(data: memoryview, at: int, chunk: Chunk) -> tuple[int | None, int, int]:
    """Return where the values of the page at a place begin and end, and how many there are.

    They begin nowhere where the page is none of data.
    """
    if not chunk.begin <= at < chunk.end <= len(data):
        raise NotPlainError
    reader = Compact(data[: at + HEAD_BYTES], at)
    try:
        head = reader.struct()
        kind, size = head[1], head[3]
        end = reader.at + size
        if size < 0 or size != head[2] or end > chunk.end:
            raise NotPlainError
        if kind == _INDEX:
            return None, end, 0
        begin, count = _data_page(data, reader.at, head, chunk)
    except (CompactError, LookupError, TypeError, struct.error) as error:
        raise NotPlainError from error
    return begin, end, count


def _data_page(data: memoryview, at: int, head: Fields, chunk: Chunk) -> tuple[int, int]:
    """Return where the values of a data page begin, behind its levels, and how many there are."""
    if head[1] == _DATA:
        said = head[5]
        count, encoding, size = said[1], said[2], 0
        if chunk.level:
            size = _LENGTH.unpack_from(data, at)[0]
            at += _LENGTH.size
    elif head[1] == _DATA_2:
        said = head[8]
        count, encoding, size = said[1], said[4], said[5]
        if said[2] or said[6] or size < 0:
            raise NotPlainError
    else:
        raise NotPlainError
    if not isinstance(count, int) or count < 1 or encoding != _PLAIN or at + size > chunk.end:
        raise NotPlainError
    if chunk.level and not _all_are(Compact(data[: at + size], at), chunk.level, count):
        raise NotPlainError
    return at + size, count


def _all_are(reader: Compact, level: int, count: int) -> bool:
    """Return whether the next levels, in runs and in packed groups of eight, are all the same."""
    width = level.bit_length()
    while count > 0:
        head = reader.varint()
        if head & 1:
            packed = np.frombuffer(reader.take((head >> 1) * width), np.uint8)
            bits = np.unpackbits(packed, bitorder="little").reshape(-1, width)
            levels = bits[:count] @ (1 << np.arange(width))
            if (levels != level).any():
                return False
            here = (head >> 1) * 8
        else:
            here = head >> 1
            if here and reader.take(-(-width // 8)) != level.to_bytes(-(-width // 8), "little"):
                return False
        if not here:
            return False
        count -= here
    return True


def _values(data: memoryview, at: int, end: int, count: int) -> NDArray[np.int64]:
    """Return where the values between two places begin and end."""
    unpack, width = _LENGTH.unpack_from, _LENGTH.size
    if count * width > end - at:
        raise NotPlainError
    begin, ends = at + width, array("q")
    for _ in range(count):
        if at + width > end:
            raise NotPlainError
        at += width + unpack(data, at)[0]
        ends.append(at)
    if at != end:
        raise NotPlainError
    found = np.empty((count, 2), np.int64)
    found[:, 1] = np.asarray(ends, np.int64)
    found[1:, 0] = found[:-1, 1] + width
    found[:1, 0] = begin
    return found


def in_order(places: NDArray[np.int64], size: int) -> bool:
    """Return whether places go up, and lie within so many bytes."""
    flat = places.reshape(-1)
    return not len(flat) or bool((np.diff(flat) >= 0).all() and flat[0] >= 0 and flat[-1] <= size)
