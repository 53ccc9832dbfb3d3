"""Payloads by index from a list of shards, by the native reader's batched calls.

One call a shard, never one a record: single reads are some twenty times slower. Handles are
bounded: one that is pushed out is only let go of, so that a thread still reading from it is safe,
and its file closes with the last reference. Handles do not travel with a pickle.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datarax.errors import CorruptDataError, SourceClosedError
from datarax.sources.reader import Indices

# Random access: no read-ahead and no thread pool for each handle.
_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"
_OPEN_HANDLES = 64


class ShardReader:
    """The records of files, one file after another, as bytes.

    Args:
        files: Paths, in order.
        counts: Records in each, as the dataset's metadata says.

    Raises:
        CorruptDataError: On first use, if a file is truncated, empty, not an ArrayRecord file, or
            does not hold the records it was said to.
    """

    def __init__(self, files: Iterable[Path], counts: Sequence[int]) -> None:
        self.files = tuple(files)
        self._start()
        self.counts = tuple(counts)
        self._ends = np.cumsum(np.array(self.counts, np.int64))

    def __len__(self) -> int:
        return int(self._ends[-1]) if self.files else 0

    def payloads(self, indices: Indices) -> list[bytes]:
        """Return the bytes of the records at `indices`, each within [0, N), in their order."""
        shards = np.searchsorted(self._ends, indices, side="right")
        order = np.argsort(shards, kind="stable")
        counts = np.bincount(shards, minlength=len(self.files))
        payloads: list[bytes] = []
        for shard in np.flatnonzero(counts).tolist():
            rows = order[len(payloads) : len(payloads) + counts[shard]]
            begin = int(self._ends[shard]) - self.counts[shard]
            payloads += self._read(shard, indices[rows] - begin)
        if (order[1:] > order[:-1]).all():
            return payloads
        placed = list(payloads)
        for row, payload in zip(order.tolist(), payloads, strict=True):
            placed[row] = payload
        return placed

    def locate(self, index: int) -> tuple[Path, int]:
        """Return the file that holds the record at `index`, and its place there."""
        shard = int(np.searchsorted(self._ends, index, side="right"))
        return self.files[shard], index - int(self._ends[shard]) + self.counts[shard]

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._handles.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: value
            for name, value in vars(self).items()
            if name not in ("_lock", "_handles", "_closed")
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._handles: OrderedDict[int, Any] = OrderedDict()
        self._closed = False

    def _read(self, shard: int, positions: Indices) -> list[bytes]:
        handle = self._handle(shard)
        first, last = int(positions[0]), int(positions[-1])
        try:
            if last - first + 1 == len(positions) and (np.diff(positions) == 1).all():
                payloads: list[bytes] = handle.read(first, last + 1)
            else:
                payloads = handle.read(positions.tolist())
        except (RuntimeError, IndexError) as error:
            with self._lock:
                self._handles.pop(shard, None)
            raise CorruptDataError(f"{str(self.files[shard])!r} is damaged: {error}") from error
        return payloads

    def _handle(self, shard: int) -> Any:
        with self._lock:
            if self._closed:
                raise SourceClosedError(f"the reader of {str(self.files[0])!r} is closed")
            handle = self._handles.get(shard)
            if handle is None:
                handle = self._handles[shard] = self._open(shard)
                if len(self._handles) > _OPEN_HANDLES:
                    self._handles.popitem(last=False)
            self._handles.move_to_end(shard)
            return handle

    def _open(self, shard: int) -> Any:
        from array_record.python.array_record_module import ArrayRecordReader

        file = self.files[shard]
        file.stat()  # a missing file is a FileNotFoundError; the native reader only says not ok
        handle = ArrayRecordReader(str(file), _OPTIONS)
        if not handle.ok():
            raise CorruptDataError(
                f"{str(file)!r} of {file.stat().st_size} bytes is truncated, was not closed by "
                f"its writer, or is not an ArrayRecord file: {_reason(handle)}"
            )
        if handle.num_records() != self.counts[shard]:
            raise CorruptDataError(
                f"{str(file)!r} holds {handle.num_records()} records, and dataset_info.json says "
                f"{self.counts[shard]}"
            )
        return handle


def _reason(handle: Any) -> str:
    """Return what the native reader found: it says so when it is closed."""
    try:
        handle.close()
    except RuntimeError as error:
        return str(error) or "no index is found at its end"
    return "it could not be opened"
