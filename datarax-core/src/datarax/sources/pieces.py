"""What a reader of a stream hands out is checked piece by piece, before pieces are put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from datarax.errors import CorruptDataError, listing
from datarax.sources.fields import Field
from datarax.sources.reader import Columns


class PieceCheck:
    """Raises where a piece is not as the fields say.

    Args:
        fields: Those that the reader declares.
        names: The columns that were asked for.
    """

    def __init__(self, fields: Mapping[str, Field], names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._arrays = {
            name: (fields[name].dtype, fields[name].shape)
            for name in names
            if fields[name].dtype is not None and fields[name].shape is not None
        }

    def __call__(self, piece: Columns) -> None:
        """Check one piece.

        Raises:
            CorruptDataError: If a column is missing, is longer or shorter than the others, or is an
                array of another shape or dtype than the reader declares.
        """
        lacking = [name for name in self._names if name not in piece]
        if lacking:
            raise CorruptDataError(f"the reader returned no column {listing(lacking)}")
        sizes = {name: len(piece[name]) for name in self._names}
        if len(set(sizes.values())) > 1:
            raise CorruptDataError(f"the reader returned columns of different lengths: {sizes}")
        for name, (dtype, shape) in self._arrays.items():
            column = piece[name]
            if not isinstance(column, np.ndarray):
                continue
            if column.dtype != dtype or column.shape[1:] != shape:
                raise CorruptDataError(
                    f"the reader returned {column.dtype}{list(column.shape)} for {name!r}, and "
                    f"declares {dtype}{[len(column), *(shape or ())]}"
                )
