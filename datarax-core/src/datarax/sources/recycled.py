"""Host memory of large batches, written again once nothing holds what it was.

New memory costs a page fault for every page, which for a batch of images is a good part of reading
it. On the CPU backend the arrays of a batch are that memory itself, so that it is free only when
they are gone, and every view of them.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict, deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datarax.sources.layout import ALIGNMENT, Layout, aligned_empty

LEAST_BYTES = 2**20
"""An array of fewer bytes is new each time."""

MOST_SPARE = 4
"""Blocks of a size that lie ready: what a pass has under way at once comes back one by one."""

MOST_SIZES = 2
"""Sizes of batches whose blocks are kept: that of most, and that of an epoch's last one."""

_Blocks = deque[NDArray[np.uint8]]


class Recycled:
    """The memory of one source's batches; spare blocks go with it, and with batches of others."""

    def __init__(self) -> None:
        self._spare: OrderedDict[int, dict[int, _Blocks]] = OrderedDict()
        self._lock = threading.Lock()

    def blank(self, layout: Layout, rows: int) -> dict[str, NDArray[Any]]:
        """Return buffers of shape (rows, *shape), uninitialised and aligned, as `Layout.blank`."""
        with self._lock:
            sizes = self._spare.setdefault(rows, {})
            self._spare.move_to_end(rows)
            if len(self._spare) > MOST_SIZES:
                self._spare.popitem(last=False)
        return {leaf.name: _empty(sizes, (rows, *leaf.shape), leaf.dtype) for leaf in layout.leaves}


def _empty(sizes: dict[int, _Blocks], shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if size < LEAST_BYTES:
        return aligned_empty(shape, dtype)
    spare = sizes.setdefault(size, deque(maxlen=MOST_SPARE))
    try:
        block = spare.pop()
    except IndexError:
        block = np.empty(size + ALIGNMENT, np.uint8)
    # A view's base is the last array behind it. What is behind this one is no array, so that it
    # lives as long as any view of the memory does.
    begin = -block.ctypes.data % ALIGNMENT
    owner = np.frombuffer(block.data, np.uint8, size, begin)
    made = owner.view(dtype).reshape(shape)
    if made.base is owner and made[:1].base is owner:
        weakref.finalize(owner, _give_back, weakref.ref(spare), block).atexit = False
    return made


def _give_back(spare: weakref.ref[_Blocks], block: NDArray[np.uint8]) -> None:
    held = spare()
    if held is not None:
        held.append(block)
