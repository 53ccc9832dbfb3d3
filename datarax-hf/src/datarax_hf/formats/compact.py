"""Thrift's compact protocol, as far as the headers of parquet pages need it.

Source: the specification of the compact protocol, as parquet's own format names it for everything
that a file says of itself.
"""

from __future__ import annotations

from typing import Any

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _, _STRUCT = range(1, 13)
_DEEPEST = 16
_LONGEST_NUMBER = 10

Fields = dict[int, Any]
"""What a struct says, by the number of each field."""


class CompactError(ValueError):
    """These bytes are no struct."""


class Compact:
    """Reads structs from bytes.

    Args:
        data: The bytes.
        at: Where the next struct begins; where the last one ended, after `struct`.
    """

    def __init__(self, data: memoryview, at: int) -> None:
        self._data = data
        self.at = at

    def struct(self) -> Fields:
        """Return the next struct; binary fields are passed over, and are the bytes they take.

        Raises:
            CompactError: If there is none.
        """
        try:
            return self._struct(0)
        except IndexError as error:
            raise CompactError("the bytes end within a struct") from error

    def take(self, size: int) -> bytes:
        """Return the next bytes, and raise as indexing does where they are fewer."""
        taken = bytes(self._data[self.at : self.at + size])
        if len(taken) < size:
            raise IndexError(self.at)
        self.at += size
        return taken

    def _struct(self, depth: int) -> Fields:
        fields: Fields = {}
        number = 0
        while True:
            head = self._byte()
            if head == 0:
                return fields
            number = number + (head >> 4) if head >> 4 else self._number()
            kind = head & 15
            fields[number] = kind == _TRUE if kind <= _FALSE else self._value(kind, depth)

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _DEEPEST:
            raise CompactError("values lie too deep in each other")
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._byte()
        if kind in (_I16, _I32, _I64):
            return self._number()
        if kind == _STRUCT:
            return self._struct(depth + 1)
        if kind in (_LIST, _SET):
            head = self._byte()
            size = head >> 4 if head >> 4 < 15 else self.varint()
            return [self._value(head & 15, depth + 1) for _ in range(size)]
        if kind not in (_DOUBLE, _BINARY):
            raise CompactError(f"there is no field of the kind {kind}")
        size = 8 if kind == _DOUBLE else self.varint()
        self.at += size
        if self.at > len(self._data):
            raise IndexError(self.at)
        return size

    def _byte(self) -> int:
        byte = self._data[self.at]
        self.at += 1
        return byte

    def varint(self) -> int:
        """Return the next number without a sign; raises as indexing does where bytes end."""
        value = 0
        for step in range(_LONGEST_NUMBER):
            byte = self._byte()
            value |= (byte & 127) << 7 * step
            if byte < 128:
                return value
        raise CompactError("a number has too many bytes")

    def _number(self) -> int:
        value = self.varint()
        return value >> 1 ^ -(value & 1)
