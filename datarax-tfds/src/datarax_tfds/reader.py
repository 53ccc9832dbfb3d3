"""The reader of `tfds:`: the shards of a split, and the leaves that make columns of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datarax.errors import CacheMissError, CorruptDataError
from datarax.sources import ColumnarReader, Field, Reader, SplitReader, choose_split
from datarax.sources.reader import Columns, Indices
from datarax_tfds.config import TFDSSourceConfig
from datarax_tfds.features import BadValueError, Column, Features, Rows
from datarax_tfds.prepared import Prepared, PreparedSplit, find
from datarax_tfds.shards import ShardReader

# Examples that are held parsed, at once.
_CHUNK_RECORDS = 1024


class TFDSReader(ColumnarReader):
    """The records of one split of a prepared dataset, in stored order, as columns.

    Args:
        prepared: The dataset.
        split: One of its splits.

    Raises:
        CacheMissError: If shards of the split are not there; the text names each.
        CorruptDataError: While reading, if a shard is not whole or a value is not what the
            dataset's features declare.
    """

    def __init__(self, prepared: Prepared, split: PreparedSplit) -> None:
        if split.lacking:
            names = "".join(f"\n  {file}" for file in split.lacking)
            raise CacheMissError(
                f"tfds:{prepared.title}: {len(split.lacking)} of the {len(split.files)} shards of "
                f"split {split.name!r} are lacking:{names}\n"
                "Copy them there, or prepare the dataset anew."
            )
        self._title = prepared.title
        self._split = split.name
        self._features = Features(prepared.folder)
        self._shards = ShardReader(split.files, split.counts)

    @property
    def fields(self) -> Mapping[str, Field]:
        return self._features.fields

    @property
    def identity(self) -> Mapping[str, str]:
        held = [
            (file.name, count)
            for file, count in zip(self._shards.files, self._shards.counts, strict=True)
        ]
        digest = hashlib.sha256(json.dumps(held).encode()).hexdigest()[:16]
        return {"dataset": self._title, "files": digest, "split": self._split}

    def __len__(self) -> int:
        return len(self._shards)

    def read(self, indices: Indices, names: Sequence[str], /) -> Columns:
        fields = self.fields
        arrays = {
            name: np.empty((len(indices), *(fields[name].shape or ())), fields[name].dtype)
            for name in names
            if fields[name].is_array
        }
        lists: dict[str, list[Any]] = {name: [] for name in names if name not in arrays}
        for start, columns in self._chunks(indices, names):
            for name, column in columns:
                if name in lists:
                    lists[name] += column
                else:
                    _fill(arrays[name], start, column)
        return {name: arrays[name] if name in arrays else lists[name] for name in names}

    def read_into(self, indices: Indices, out: Mapping[str, NDArray[Any]], /) -> None:
        """Fill `out[name]`, of shape (len(indices), *shape), as `BufferReader` says."""
        for start, columns in self._chunks(indices, tuple(out)):
            for name, column in columns:
                _fill(out[name], start, column)

    def close(self) -> None:
        self._shards.close()

    def _chunks(
        self, indices: Indices, names: Sequence[str]
    ) -> Iterator[tuple[int, Iterator[tuple[str, Column]]]]:
        """Yield where a chunk of rows begins, and its columns one by one."""
        from google.protobuf.message import (  # type: ignore[import-untyped]  # ships no types
            DecodeError,
        )
        from tensorflow_datasets.proto import tf_example_pb2

        parse = tf_example_pb2.Example.FromString
        for start in range(0, len(indices), _CHUNK_RECORDS):
            chunk = indices[start : start + _CHUNK_RECORDS]
            payloads = self._shards.payloads(chunk)
            examples = []
            for row, payload in enumerate(payloads):
                try:
                    examples.append(parse(payload))
                except DecodeError as error:
                    raise self._bad_value(int(chunk[row]), "is no tf.train.Example") from error
            yield start, self._columns(chunk, names, Rows(payloads, examples))

    def _columns(
        self, chunk: Indices, names: Sequence[str], rows: Rows
    ) -> Iterator[tuple[str, Column]]:
        for name in names:
            try:
                yield name, self._features.leaves[name].values(rows)
            except BadValueError as error:
                what = f"field {name!r} {error.what}"
                raise self._bad_value(int(chunk[error.row]), what) from error

    def _bad_value(self, index: int, what: str) -> CorruptDataError:
        file, place = self._shards.locate(index)
        return CorruptDataError(f"tfds:{self._title}, {str(file)!r}, record {place}: {what}")


def open_reader(config: TFDSSourceConfig, prepared: Prepared | None = None) -> Reader:
    """Return the reader of what `config` asks for.

    Raises:
        CacheMissError: If the dataset, or shards of a split that is read, are not there.
        UnknownConfigError: If a choice among several configurations was not made.
        UnknownSplitError: If a split does not exist.
        CorruptDataError: If the dataset's metadata cannot be read.
        ValueError: If it was prepared in another file format than array_record.
    """
    prepared = prepared or find(config)
    splits = prepared.splits
    terms = choose_split(config.split, tuple(splits), dataset=f"tfds:{prepared.title}")
    readers = {name: TFDSReader(prepared, splits[name]) for name in {t.name for t in terms}}
    parts = [(readers[term.name], term.range(splits[term.name].records)) for term in terms]
    if len(parts) == 1 and parts[0][1] == (0, len(parts[0][0])):
        return parts[0][0]
    name = "+".join(
        f"{term.name}[{start}:{stop}]"
        for term, (_, (start, stop)) in zip(terms, parts, strict=True)
    )
    return SplitReader(parts, identity={"split": name})


def _fill(buffer: NDArray[Any], start: int, column: Column) -> None:
    if isinstance(column, np.ndarray):
        buffer[start : start + len(column)] = column
        return
    for row, value in enumerate(column):
        buffer[start + row] = value
