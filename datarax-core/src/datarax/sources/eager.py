"""Loading a split eagerly: decoded once, in pieces, into arrays on the device.

Each piece is read straight into the buffer that becomes the device array; on the CPU backend that
buffer is the array. So the peak is the decoded size and one piece.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from datarax.progress import Progress
from datarax.sources.layout import Layout, aligned_empty
from datarax.sources.plan import readable_bytes
from datarax.sources.reader import Reader
from datarax.transfer import Placement, place_columns

PIECE_BYTES = 2**26
SMALL_PIECE_BYTES = 2**20
PIECES = 10  # where they are no smaller: what a piece takes beside the arrays stays a small part


def load_columns(
    layout: Layout, reader: Reader, size: int, placement: Placement, who: str
) -> dict[str, jax.Array]:
    """Return every record's arrays, each of shape (size, *shape), placed as asked.

    Raises:
        DataraxError: Whatever the reader finds wrong with its files.
        MemoryError: If the decoded split does not fit; the text names its bytes.
    """
    total = layout.element_bytes * size
    try:
        out: dict[str, Any] = {
            leaf.name: aligned_empty((size, *leaf.shape), leaf.dtype) for leaf in layout.leaves
        }
    except MemoryError as error:
        raise MemoryError(
            f"{who}: {readable_bytes(total)} of decoded records do not fit the memory; "
            "mode='lazy' holds only the rows asked for"
        ) from error
    piece = min(PIECE_BYTES, max(SMALL_PIECE_BYTES, total // PIECES))
    rows = max(1, piece // max(1, layout.element_bytes))
    with Progress(f"loading {who}", size) as progress:
        for begin in range(0, size, rows):
            end = min(size, begin + rows)
            layout.read_into(
                reader,
                np.arange(begin, end, dtype=np.int64),
                {name: buffer[begin:end] for name, buffer in out.items()},
            )
            progress.advance(end - begin)
    return place_columns(out, placement)
