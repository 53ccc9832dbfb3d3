"""The reader of a Hub dataset: host records by index, from parquet row groups. Free of JAX.

In storage order each row group is decoded once, several at a time, straight into what was asked
for. Rows in any other order come from columns that are laid out, flat or ragged, once reading them
out of row groups would cost more.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datarax.sources import ColumnarReader, Field, Reader, SplitReader
from datarax.sources.reader import Columns, Indices
from datarax_hf.class_names import with_class_names
from datarax_hf.column_choice import check_filled, column_of
from datarax_hf.columns import Column, ObjectColumn, count_nulls, is_run
from datarax_hf.config import HFSourceConfig
from datarax_hf.derived import Derived
from datarax_hf.features import Features, Kind, describe
from datarax_hf.flat import FlatColumn, row_bytes
from datarax_hf.image_columns import ImageColumn
from datarax_hf.image_fields import EncodedImages
from datarax_hf.images import ImageDecoder
from datarax_hf.laid_out import LaidOut
from datarax_hf.passes import Passes
from datarax_hf.placing import RowGroups, place, place_run
from datarax_hf.plan import Plan
from datarax_hf.recent import RecentColumns
from datarax_hf.shards import Shards
from datarax_hf.slices import Slices
from datarax_hf.structs import flat_features
from datarax_hf.threads import Threads

HELD_BYTES = 2**24
"""Bytes of decoded row groups that stay in memory."""

COPIED_BYTES = 2**21
"""Bytes of a long run that a thread copies at once."""

DESCRIBED_BYTES = 2**26
"""Bytes of encoded images up to which a description of the dataset tells the sizes of all."""

DESCRIBED_GROUPS, DESCRIBED_IMAGES = 8, 256
"""Row groups, and images of each, whose sizes it tells where there are more."""


def open_reader(plan: Plan, config: HFSourceConfig) -> Reader:
    """Return the reader of the split expression that `plan` was made for.

    Raises:
        CorruptDataError: If a file is damaged, or the files differ in columns.
    """
    files = open_files(plan, config)
    if len(plan.terms) == 1 and plan.terms[0].start is None and plan.terms[0].stop is None:
        return files
    return _Split(files, plan.expression)


def lay_out(reader: Any, names: Sequence[str]) -> None:
    """Lay out columns of what `open_reader` returned; see `HFReader.lay_out`."""
    files = reader.files if isinstance(reader, _Split) else reader
    files.lay_out(names)


def described_fields(reader: Any) -> Mapping[str, Field]:
    """Return the fields of what `open_reader` returned; see `HFReader.described_fields`."""
    files = reader.files if isinstance(reader, _Split) else reader
    described: Mapping[str, Field] = files.described_fields()
    return described


def says_features(reader: Any) -> bool:
    """Return whether files of what `open_reader` returned say themselves what columns hold."""
    files = reader.files if isinstance(reader, _Split) else reader
    return bool(files.says_features)


def records_of(reader: Any, names: Sequence[str]) -> int:
    """Return how many records some of the files hold of what `open_reader` returned."""
    files = reader.files if isinstance(reader, _Split) else reader
    return int(files.records_of(names))


def open_files(plan: Plan, config: HFSourceConfig) -> HFReader:
    """Return the reader of all files of all terms, so that one set of fields holds for them.

    Raises:
        CorruptDataError: If a file is damaged, or the files differ in columns.
    """
    snapshot = plan.snapshot
    names = [name for files in plan.files.values() for name in files]
    shards = Shards(names, plan.contents.origin, plan.settings)
    identity = {"config": plan.config, "split": plan.expression}
    if snapshot.commit:
        identity["revision"] = snapshot.commit
    spans = []
    for term in plan.terms:
        before = list(plan.files)[: list(plan.files).index(term.name)]
        offset = sum(shards.records_of(plan.files[split]) for split in before)
        start, stop = term.range(shards.records_of(plan.files[term.name]))
        spans.append((offset + start, offset + stop))
    return HFReader(
        shards,
        features=shards.features
        or flat_features(plan.contents.card.features(plan.config), flatten=config.flatten),
        decoder=ImageDecoder(config.image_mode, config.image_size),
        wanted=None if config.include_keys is None else set(config.include_keys),
        unwanted=config.exclude_keys or (),
        identity=identity,
        derived=plan.settings.derived or Derived.of(config),
        fill_nulls=config.fill_nulls,
        ranges=spans,
        in_any_order=config.mode == "lazy" and bool(config.shuffle),
        read_whole={"eager": sys.maxsize, "auto": config.eager_limit}.get(config.mode, 0),
    )


class HFReader(ColumnarReader):
    """Records of parquet files, in the order of the files.

    Safe to read from several threads; picklable: what is decoded is dropped, files are reopened.

    Args:
        shards: The files.
        features: What the columns mean; None leaves it to the Arrow types.
        decoder: How images become arrays.
        wanted: The columns that will be read; None is all. Others are not looked into.
        unwanted: Columns that will not be read.
        identity: What a saved state says of the records.
        derived: Where columns may be laid out; None is nowhere but in memory.
        fill_nulls: The numbers that stand for nulls, by column.
        ranges: The (start, stop) of the records that will be read; none is all of them.
        in_any_order: Whether they will be, so that columns will be laid out.
        read_whole: Bytes of arrays up to which all of them will be read at once.
    """

    def __init__(
        self,
        shards: Shards,
        *,
        features: Features | None = None,
        decoder: ImageDecoder | None = None,
        wanted: Collection[str] | None = None,
        unwanted: Collection[str] = (),
        identity: Mapping[str, str] | None = None,
        derived: Derived | None = None,
        fill_nulls: Mapping[str, Any] | None = None,
        ranges: Sequence[tuple[int, int]] = (),
        in_any_order: bool = False,
        read_whole: int = 0,
    ) -> None:
        self._shards = shards
        self._features = features
        self.says_features = bool(shards.features)
        self._identity = dict(identity or {})
        self._derived = Derived((), limit=0) if derived is None else derived
        self.ranges = tuple(ranges)
        self._recent = RecentColumns(HELD_BYTES)
        self._expected = (0, 0)
        self._threads = Threads()
        self._columns: dict[str, Column] = {}
        self._slices = Slices(shards, self._columns)
        self._laid_out = LaidOut(shards, self._columns, self._derived, self.ranges)
        self._in_any_order = in_any_order
        fills = dict(fill_nulls or {})
        check_filled(fills, shards.schema.names)
        for name, kind in describe(shards.schema, features).items():
            needed = name not in unwanted and (wanted is None or name in wanted)
            self._columns[name] = self._column(
                name, kind, decoder or ImageDecoder(), fills.get(name), needed=needed
            )
        self._fields = {name: column.field for name, column in self._columns.items()}
        arrays = (column for column in self._columns.values() if column.field.is_array)
        records = sum(part.records for part in self._laid_out.parts())
        self._whole = records * sum(map(row_bytes, arrays)) <= read_whole
        self._looked: set[str] = set()
        self._passes = Passes(records)

    @property
    def fields(self) -> Mapping[str, Field]:
        return self._fields

    @property
    def identity(self) -> Mapping[str, str]:
        """The commit as "revision", the "config" and the "split"."""
        return self._identity

    def __len__(self) -> int:
        return self._shards.records

    def __repr__(self) -> str:
        origin = self._shards.origin
        return f"HFReader({origin.dataset!r}, {self._identity}, records={len(self)})"

    def read(self, indices: Indices, names: Sequence[str], /) -> Columns:
        out = {name: self._empty(name, len(indices)) for name in names}
        self._fill(np.asarray(indices, np.int64), out)
        return out

    def read_into(self, indices: Indices, out: Mapping[str, NDArray[Any]], /) -> None:
        """Fill `out` as `BufferReader` says."""
        self._fill(np.asarray(indices, np.int64), out)

    def records_of(self, names: Sequence[str]) -> int:
        """Return how many records some of the files hold."""
        return self._shards.records_of(names)

    def described_fields(self) -> Mapping[str, Field]:
        """Return the fields, with the sizes that images have as stored, and all class names.

        Sizes are those of all images where they take little to read, else of some here and there.
        """
        fields = dict(self._fields)
        for name, column in self._columns.items():
            if isinstance(column, ImageColumn) and len(self):
                images = self._some_images(name, column)
                sizes = column.describe(images, self._shards.where(0))
                if sizes is not None:
                    few = len(images) < len(self)
                    which = f"{len(images)} of {len(self)} images" if few else "the images"
                    said = f"{which} are stored in {sizes}"
                    fields[name] = replace(fields[name], description=said)
        return with_class_names(fields, self._features)

    def _some_images(self, name: str, column: ImageColumn) -> pa.ChunkedArray:
        """Return all encoded images of a column, or the first ones of some row groups."""
        groups = list(range(len(self._shards)))
        whole = sum(self._shards.stored_bytes(name, [group]) for group in groups) <= DESCRIBED_BYTES
        if not whole:
            groups = sorted(
                {round(group) for group in np.linspace(0, len(groups) - 1, DESCRIBED_GROUPS)}
            )
        chunks: list[pa.Array] = []
        for group in groups:
            tables = self._shards.slices(group, [name], DESCRIBED_IMAGES)
            for table in tables if whole else itertools.islice(tables, 1):
                images = column.load(table.column(name), self._shards.where(group))
                chunks += images.cast(pa.large_binary()).chunks
        return pa.chunked_array(chunks, pa.large_binary())

    def lay_out(self, names: Sequence[str]) -> None:
        """Lay out those of the columns that can be, for reading in any order.

        Where the derived cache cannot take them they are read from row groups, with a warning.

        Raises:
            CorruptDataError: If a file is damaged.
        """
        self._laid_out.lay_out(names)

    def close(self) -> None:
        self._recent.clear()
        self._slices.clear()
        self._threads.close()
        self._laid_out.close()
        self._derived.close()
        for column in self._columns.values():
            column.close()

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        del state["_recent"], state["_slices"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._recent = RecentColumns(HELD_BYTES)
        self._slices = Slices(self._shards, self._columns)
        self._looked = set()

    def _fill(self, indices: Indices, out: Mapping[str, Any]) -> None:
        """Fill arrays and lists of the values at `indices`.

        Raises:
            IndexError: If one is not that of a record.
        """
        run = is_run(indices)
        self._check(indices, run=run)
        ordered = run and (len(indices) != 1 or indices[0] in self._expected)
        if len(indices):
            self._expected = (indices.item(-1), indices.item(-1) + 1)
        laid_out = self._laid_out
        if not ordered or laid_out.was_asked:
            laid_out.lay_out_if_it_pays(indices, tuple(out), self._recent, ordered=ordered)
        if ordered and len(indices) and not laid_out.holds(out):
            self._go_in_order(indices, tuple(out))
        fixed, varying, rest = laid_out.flat, laid_out.ragged, dict(out)
        for name in out:
            if name in fixed:
                self._gather(fixed[name], indices, rest.pop(name), run=run)
            elif name in varying:
                place(varying[name], self._columns, indices, {name: rest.pop(name)})
        if rest:
            groups = RowGroups(self._shards, self._columns, self._recent)
            if run:
                place_run(groups, self._slices, indices, rest, self._threads)
            else:
                place(groups, self._columns, indices, rest)

    def _go_in_order(self, run: Indices, names: Sequence[str]) -> None:
        """Take columns as they lie on the disk; lay out those that each pass would decode."""
        if not self._looked.issuperset(names):
            self._laid_out.take_what_lies(names, whole=self._whole)
            self._looked.update(names)
        decoded = [name for name in self._passes.again(run, names) if not self._is_held(name)]
        if decoded:
            self._laid_out.lay_out_for_passes(decoded)
            self._recent.clear()

    def _is_held(self, name: str) -> bool:
        """Return whether what a column becomes is in memory, all of it."""
        groups = RowGroups(self._shards, self._columns, self._recent)
        return not isinstance(self._columns[name], ImageColumn) and all(
            groups.holds(group, [name]) for group in range(len(self._shards))
        )

    def _check(self, indices: Indices, *, run: bool) -> None:
        if not len(indices):
            return
        ends = (indices.item(0), indices.item(-1)) if run else (indices.min(), indices.max())
        for end in ends:
            if not 0 <= end < len(self):
                raise IndexError(f"index {end} is out of range for {len(self):,} records")

    def _gather(self, column: FlatColumn, indices: Indices, out: Any, *, run: bool) -> None:
        """Fill an array; a long run is copied on all cores, which are slow to touch new memory."""
        if not run or out.nbytes < 2 * COPIED_BYTES:
            column.gather(indices, out)
            return
        rows = max(1, len(out) * COPIED_BYTES // out.nbytes)
        self._threads.each(
            lambda begin: column.gather(indices[begin : begin + rows], out[begin : begin + rows]),
            range(0, len(out), rows),
        )

    def _empty(self, name: str, size: int) -> Any:
        field = self._fields[name]
        if field.shape is None:
            return [None] * size
        return np.empty((size, *field.shape), field.dtype)

    def _column(
        self, name: str, kind: Kind, decoder: ImageDecoder, fill: Any, *, needed: bool
    ) -> Column:
        nulls = self._nulls(name, needed=needed) if kind.form == "array" else None
        column = column_of(name, kind, nulls=nulls, decoder=decoder, fill=fill)
        if not isinstance(column, ImageColumn):
            return column
        images = EncodedImages(
            self._shards,
            self._slices,
            self._recent,
            column,
            self._derived,
            partial(self._laid_out.in_place, column),
        )
        if kind.undeclared and not images.are_images():
            return ObjectColumn(name, Field.host_only("a struct has no fixed array form"))
        if not needed:
            unread = Field.host_only("it is not read, so sizes were not asked")
            return replace(column, field=unread)
        lay_out = partial(self._laid_out.lay_out_images, column) if self._in_any_order else None
        return replace(column, field=images.field(self._threads, lay_out))

    def _nulls(self, name: str, *, needed: bool) -> int | None:
        """Return how many values are null, counted where the files do not say."""
        told = self._shards.nulls(name)
        if told is not None or not needed:
            return told
        return sum(
            count_nulls(table.column(name))
            for group in range(len(self._shards))
            for table in self._slices.tables(group, name)
        )


class _Split(SplitReader):
    """What a split expression chooses of the records of its files."""

    def __init__(self, files: HFReader, expression: str) -> None:
        super().__init__([(files, span) for span in files.ranges], identity={"split": expression})
        self.files = files
