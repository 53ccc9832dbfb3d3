"""Raw records: the fields of a spec one after another, in C order, little-endian.

A batch of records is joined once and seen as one structured array; each column is a copy of its
field. The one invariant: every record has the bytes that the spec adds up to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datarax.sources import Field


class BadRecordError(Exception):
    """A payload that is not what the spec says, by its row in the batch."""

    def __init__(self, row: int, what: str) -> None:
        super().__init__(row, what)
        self.row = row
        self.what = what


class RawLayout:
    """How the fields lie in a record.

    Args:
        fields: Array fields, in stored order.
    """

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self.fields = dict(fields)
        self._dtype = np.dtype(
            [(name, field.dtype, field.shape) for name, field in self.fields.items()]
        )

    @property
    def nbytes(self) -> int:
        """Bytes of one record."""
        return self._dtype.itemsize

    def __str__(self) -> str:
        return ";".join(
            f"{name}:{field.dtype}{list(field.shape or ())}".replace(" ", "")
            for name, field in self.fields.items()
        )

    def decode_into(self, payloads: Sequence[bytes], out: Mapping[str, NDArray[Any]]) -> None:
        """Fill each `out[name]`, of shape (len(payloads), *shape), from as many payloads.

        Raises:
            BadRecordError: If a payload has another length than the spec adds up to, or a boolean
                field holds a byte other than 0 and 1.
        """
        if set(map(len, payloads)) - {self.nbytes}:
            row = next(row for row, held in enumerate(payloads) if len(held) != self.nbytes)
            raise BadRecordError(
                row,
                f"has {len(payloads[row])} bytes, and the spec adds up to {self.nbytes} ({self})",
            )
        records = np.frombuffer(b"".join(payloads), self._dtype)
        for name, buffer in out.items():
            buffer[...] = records[name]
            if buffer.dtype == np.bool_:
                _check_booleans(name, buffer)


def _check_booleans(name: str, column: NDArray[Any]) -> None:
    odd = (column.view(np.uint8) > 1).reshape(len(column), -1).any(axis=1)
    if odd.any():
        raise BadRecordError(
            int(odd.argmax()), f"has bytes other than 0 and 1 in the bool field {name!r}"
        )
