"""The reader of `arrayrecord:`: shards, and a layout that makes columns of their payloads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datarax.errors import CorruptDataError
from datarax.sources import ColumnarReader, Field, Reader, SplitReader, choose_split
from datarax.sources.reader import Columns, Indices
from datarax_arrayrecord.config import ArrayRecordSourceConfig
from datarax_arrayrecord.files import find, lacking
from datarax_arrayrecord.raw import BadRecordError, RawLayout
from datarax_arrayrecord.shards import ShardReader

SPLIT = "train"

# Payloads held beside the columns they are copied to, at once.
_CHUNK_BYTES = 2**24


class ArrayRecordReader(ColumnarReader):
    """The records of ArrayRecord files, one file after another, as columns.

    Args:
        files: Paths of shards, in order.
        fields: What a record holds: array fields, in stored order.

    Raises:
        CorruptDataError: If a file is truncated, empty or not an ArrayRecord file; while reading,
            if it is damaged or a record has another length than the fields add up to.
    """

    def __init__(self, files: Iterable[Path], fields: Mapping[str, Field]) -> None:
        self._layout = RawLayout(fields)
        self._shards = ShardReader(files)
        self._files = _digest(self._shards)

    @property
    def fields(self) -> Mapping[str, Field]:
        return self._layout.fields

    @property
    def identity(self) -> Mapping[str, str]:
        return {"files": self._files, "layout": str(self._layout)}

    def __len__(self) -> int:
        return len(self._shards)

    def read(self, indices: Indices, names: Sequence[str], /) -> Columns:
        out = {
            name: np.empty((len(indices), *(field.shape or ())), field.dtype)
            for name, field in ((name, self.fields[name]) for name in names)
        }
        self.read_into(indices, out)
        return out

    def read_into(self, indices: Indices, out: Mapping[str, NDArray[Any]], /) -> None:
        """Fill `out[name]`, of shape (len(indices), *shape), as `BufferReader` says."""
        rows = max(1, _CHUNK_BYTES // self._layout.nbytes)
        for start in range(0, len(indices), rows):
            chunk = indices[start : start + rows]
            part = {name: buffer[start : start + rows] for name, buffer in out.items()}
            try:
                self._layout.decode_into(self._shards.payloads(chunk), part)
            except BadRecordError as error:
                raise self._bad_record(int(chunk[error.row]), error.what) from None

    def close(self) -> None:
        self._shards.close()

    def _bad_record(self, index: int, what: str) -> CorruptDataError:
        file, place = self._shards.locate(index)
        return CorruptDataError(
            f"{str(file)!r}: record {place} {what}; "
            "give the spec that these files were written with"
        )


def open_reader(config: ArrayRecordSourceConfig) -> Reader:
    """Return the reader of what `config` asks for.

    Raises:
        CacheMissError: If the files, or some shards of a set, are lacking.
        ValueError: If no spec was given, or the path names several sets.
        CorruptDataError: If a file is not a whole ArrayRecord file.
        UnknownSplitError: If the split is not `train` or a slice of it.
    """
    dataset = f"arrayrecord:{config.path}"
    fields = config.stored
    terms = choose_split(config.split, (SPLIT,), dataset=dataset)
    shards = find(config.path)
    if shards.lacking:
        raise lacking(config.path, shards)
    reader = ArrayRecordReader(shards.found, fields)
    ranges = [term.range(len(reader)) for term in terms]
    if ranges == [(0, len(reader))]:
        return reader
    name = "+".join(f"{SPLIT}[{start}:{stop}]" for start, stop in ranges)
    return SplitReader([(reader, part) for part in ranges], identity={"split": name})


def _digest(shards: ShardReader) -> str:
    """Return a short hash of the files' names, sizes and records, for a saved state's sake."""
    held = zip(shards.files, shards.counts, strict=True)
    listed = json.dumps([(file.name, file.stat().st_size, count) for file, count in held])
    return hashlib.sha256(listed.encode()).hexdigest()[:16]
