"""The reader of a Hub dataset: host records by index, from parquet row groups. Free of JAX.

In storage order each row group is decoded once, several at a time, straight into what was asked
for. Rows in any other order come from flat columns, which are laid out once reading them out of row
groups would cost more.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datarax.sources import ColumnarReader, Field, Reader, SplitReader
from datarax.sources.reader import Columns, Indices
from datarax_hf.columns import (
    Column,
    ImageColumn,
    ObjectColumn,
    Picked,
    check_filled,
    column_of,
    count_nulls,
)
from datarax_hf.config import HFSourceConfig
from datarax_hf.derived import Derived, NotKeptError
from datarax_hf.features import Features, Kind, describe
from datarax_hf.flat import (
    FlatColumn,
    in_memory,
    on_disk,
    parts_of,
    row_bytes,
    small_columns,
)
from datarax_hf.images import ImageDecoder, ImageForm, is_image
from datarax_hf.plan import Plan
from datarax_hf.recent import RecentColumns
from datarax_hf.shards import Shards
from datarax_hf.structs import flat_features
from datarax_hf.threads import Threads

HELD_BYTES = 2**24
"""Bytes of decoded row groups that stay in memory."""

FLAT_IMAGE_BYTES = 4096
"""Images up to so many bytes, decoded, are laid out flat; larger ones stay encoded."""

PAYS = 4
"""Random reads lay columns out once they would have decoded one in so many row groups."""

FIRST_IMAGES = 256
"""Images whose sizes a description of the dataset tells."""

_NULL_IMAGES = "some of its images are null"


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
        derived=Derived.of(config),
        fill_nulls=config.fill_nulls,
        ranges=spans,
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
    ) -> None:
        self._shards = shards
        self._identity = dict(identity or {})
        self._derived = Derived((), limit=0) if derived is None else derived
        self.ranges = tuple(ranges)
        self._recent = RecentColumns(HELD_BYTES)
        self._flat: dict[str, FlatColumn] = {}
        self._asked: set[str] = set()
        self._refused: set[str] = set()
        self._touched = 0
        self._threads = Threads()
        self._laying = threading.Lock()
        self._columns: dict[str, Column] = {}
        fills = dict(fill_nulls or {})
        check_filled(fills, shards.schema.names)
        for name, kind in describe(shards.schema, features).items():
            needed = name not in unwanted and (wanted is None or name in wanted)
            self._columns[name] = self._column(
                name, kind, decoder or ImageDecoder(), fills.get(name), needed=needed
            )
        self._fields = {name: column.field for name, column in self._columns.items()}

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
        indices = np.asarray(indices, np.int64)
        out = {name: self._empty(name, len(indices)) for name in names}
        self._fill(indices, out)
        return out

    def read_into(self, indices: Indices, out: Mapping[str, NDArray[Any]], /) -> None:
        """Fill `out` as `BufferReader` says."""
        self._fill(np.asarray(indices, np.int64), out)

    def records_of(self, names: Sequence[str]) -> int:
        """Return how many records some of the files hold."""
        return self._shards.records_of(names)

    def described_fields(self) -> Mapping[str, Field]:
        """Return the fields, those of images with the sizes that the first of them have."""
        fields = dict(self._fields)
        for name, column in self._columns.items():
            if isinstance(column, ImageColumn) and len(self):
                table = next(iter(self._shards.slices(0, [name], FIRST_IMAGES)))
                where = self._shards.where(0)
                sizes = column.describe(table.column(name), where)
                if sizes is not None:
                    said = f"the first {min(len(table), FIRST_IMAGES)} images are of {sizes}"
                    fields[name] = replace(fields[name], description=said)
        return fields

    def lay_out(self, names: Sequence[str]) -> None:
        """Lay out those of the columns that can be, for reading in any order.

        Where the derived cache cannot take them they are read from row groups, with a warning.

        Raises:
            CorruptDataError: If a file is damaged.
        """
        with self._laying:
            self._asked.update(names)
            columns = [self._columns[name] for name in names if self._can_lie_flat(name)]
            parts = parts_of(self._shards, self.ranges or [(0, len(self))])
            small = small_columns(columns, parts)
            self._flat.update(in_memory(self._shards, small, parts))
            large = [column for column in columns if column not in small]
            try:
                self._flat.update(on_disk(self._shards, large, parts, self._derived))
                pa.default_memory_pool().release_unused()
            except NotKeptError as error:
                self._refused.update(column.name for column in large)
                if not self._derived.refused:
                    warnings.warn(
                        f"hf:{self._shards.origin.dataset}: random access decodes whole row groups "
                        f"again and again, because its columns cannot be laid out flat: {error}; "
                        "derived_dir= names another folder, derived_limit=0 keeps silent",
                        stacklevel=2,
                    )

    def close(self) -> None:
        self._recent.clear()
        self._threads.close()
        flat, self._flat = self._flat, {}
        for held in flat.values():
            held.close()
        for column in self._columns.values():
            column.close()

    def __getstate__(self) -> dict[str, Any]:
        state = {**self.__dict__, "_flat": {}, "_refused": set()}
        del state["_recent"], state["_laying"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._recent = RecentColumns(HELD_BYTES)
        self._laying = threading.Lock()

    def _fill(self, indices: Indices, out: Mapping[str, Any]) -> None:
        """Fill arrays and lists of the values at `indices`."""
        run = _is_run(indices)
        if not run or self._asked:
            self._lay_out_if_it_pays(indices, tuple(out), run=run)
        flat, rest = self._flat, dict(out)
        for name in out:
            if name in flat:
                flat[name].gather(indices, rest.pop(name))
        if rest:
            self._fill_from_groups(indices, rest, run=run)

    def _fill_from_groups(self, indices: Indices, out: Mapping[str, Any], *, run: bool) -> None:
        pieces = list(self._shards.pieces(indices))
        if len(pieces) < 2 or not run:
            # Images of all row groups are decoded together: a group may hold one or two of them.
            picked: dict[str, list[Picked]] = {
                name: []
                for name in out
                if len(pieces) > 1 and isinstance(self._columns[name], ImageColumn)
            }
            for piece in pieces:
                self._place(*piece, out, keep=True, picked=picked)
            for name, images in picked.items():
                column = self._columns[name]
                assert isinstance(column, ImageColumn)
                column.decode_picked(images, out[name])
            return
        # A run goes on where it ends: only its last row group is read from again.
        self._recent.keep({group for group, _, _ in pieces})
        last = len(pieces) - 1
        self._threads.each(
            lambda number: self._place(*pieces[number], out, keep=number == last),
            range(len(pieces)),
        )

    def _place(
        self,
        group: int,
        positions: NDArray[np.int64],
        rows: NDArray[np.int64],
        out: Mapping[str, Any],
        *,
        keep: bool,
        picked: Mapping[str, list[Picked]] | None = None,
    ) -> None:
        loaded = self._loaded(group, tuple(out), keep=keep)
        where = self._shards.where(group)
        begin, end, run = int(positions[0]), int(positions[-1]) + 1, _is_run(rows)
        dense = end - begin == len(positions)
        for name, buffer in out.items():
            column = loaded[name]
            if run and dense and isinstance(column, np.ndarray):
                buffer[begin:end] = column[rows[0] : rows[-1] + 1]
                continue
            kind = self._columns[name]
            if picked is not None and name in picked and isinstance(kind, ImageColumn):
                picked[name].extend(kind.pick(column, rows, positions, where))
                continue
            if dense and isinstance(kind, ImageColumn) and isinstance(buffer, np.ndarray):
                kind.gather_into(column, rows, where, buffer[begin:end])
                continue
            values = kind.gather(column, rows, where)
            if isinstance(buffer, np.ndarray):
                buffer[positions] = values
            elif dense:
                buffer[begin:end] = values
            else:
                for position, value in zip(positions.tolist(), values, strict=True):
                    buffer[position] = value

    def _empty(self, name: str, size: int) -> Any:
        field = self._fields[name]
        if field.shape is None:
            return [None] * size
        return np.empty((size, *field.shape), field.dtype)

    def _loaded(self, group: int, names: Sequence[str], *, keep: bool) -> dict[str, Any]:
        """Return the columns of a row group, reading those that are not held."""
        loaded = {name: self._recent.get((group, name)) for name in names}
        lacking = [name for name, held in loaded.items() if held is None]
        if lacking:
            table = self._shards.table(group, lacking)
            where = self._shards.where(group)
            for name in lacking:
                loaded[name] = self._columns[name].load(table.column(name), where)
                if keep:
                    self._recent.put((group, name), loaded[name])
        return loaded

    def _lay_out_if_it_pays(self, indices: Indices, names: Sequence[str], *, run: bool) -> None:
        """Lay columns out once random reads have cost as much as a part of that does."""
        due = [name for name in names if name not in self._flat and self._can_lie_flat(name)]
        if not due:
            return
        if self._asked.issuperset(due):  # laid out before this reader was pickled
            self.lay_out(due)
            return
        if run:
            return
        self._touched += sum(1 for _ in self._shards.pieces(indices))
        if self._touched * PAYS >= len(self._shards):
            self.lay_out(due)

    def _can_lie_flat(self, name: str) -> bool:
        column = self._columns[name]
        return (
            column.field.is_array
            and name not in self._flat
            and name not in self._refused
            and (not isinstance(column, ImageColumn) or row_bytes(column) <= FLAT_IMAGE_BYTES)
        )

    def _column(
        self, name: str, kind: Kind, decoder: ImageDecoder, fill: Any, *, needed: bool
    ) -> Column:
        nulls = self._nulls(name, needed=needed) if kind.form == "array" else None
        column = column_of(name, kind, nulls=nulls, decoder=decoder, fill=fill)
        if not isinstance(column, ImageColumn):
            return column
        if kind.undeclared and not self._holds_images(column):
            return ObjectColumn(name, Field.host_only("a struct has no fixed array form"))
        if not needed:
            unread = Field.host_only("it is not read, so sizes were not asked")
            return replace(column, field=unread)
        return replace(column, field=self._settled(column))

    def _nulls(self, name: str, *, needed: bool) -> int | None:
        """Return how many values are null, counted where the files do not say."""
        told = self._shards.nulls(name)
        if told is not None or not needed:
            return told
        tables = (self._shards.table(group, [name]) for group in range(len(self._shards)))
        return sum(count_nulls(table.column(name)) for table in tables)

    def _holds_images(self, column: ImageColumn) -> bool:
        """Return whether the first value that is not null is an image."""
        for group in range(len(self._shards)):
            for images in self._encoded(group, column, keep=False).chunks:
                if images.null_count < len(images):
                    return is_image(images.drop_null()[0].as_py())
        return False

    def _settled(self, column: ImageColumn) -> Field:
        """Return the field of an image column: an array only where every header agrees.

        Where both mode and size were asked for, all images have one form and no header is read.
        """
        mode, size = column.decoder.mode, column.decoder.size
        if mode is not None and size is not None and self._shards.records:
            if self._shards.nulls(f"{column.name}.bytes"):
                return Field.host_only(_NULL_IMAGES)
            asked = ImageForm(mode, *size)
            return Field.array(asked.dtype, asked.shape)
        form: ImageForm | None = None
        for group in range(len(self._shards)):
            begin, where = 0, self._shards.where(group)
            for images in self._encoded(group, column, keep=True).chunks:
                if images.null_count:
                    return Field.host_only(_NULL_IMAGES)
                form, other = column.decoder.agree(
                    images,
                    form,
                    lambda row: f"{where}, row {begin + row}, column {column.name!r}",  # noqa: B023
                )
                if form is not None and other is not None:
                    return Field.host_only(_difference(form, other))
                begin += len(images)
        if form is None:
            return column.field
        return Field.array(form.dtype, form.shape)

    def _encoded(self, group: int, column: ImageColumn, *, keep: bool) -> pa.ChunkedArray:
        """Return the encoded images of a row group."""
        table = self._shards.table(group, [column.name])
        loaded = column.load(table.column(column.name), self._shards.where(group))
        if keep:
            self._recent.put((group, column.name), loaded)
        return loaded


class _Split(SplitReader):
    """What a split expression chooses of the records of its files."""

    def __init__(self, files: HFReader, expression: str) -> None:
        super().__init__([(files, span) for span in files.ranges], identity={"split": expression})
        self.files = files


def _is_run(indices: NDArray[np.int64]) -> bool:
    """Return whether indices go up one by one."""
    size = len(indices)
    return size < 2 or (
        int(indices[-1]) - int(indices[0]) == size - 1 and bool((np.diff(indices) == 1).all())
    )


def _difference(form: ImageForm, other: ImageForm) -> str:
    if form.mode != other.mode:
        return (
            f"images differ in mode ({form.mode} and {other.mode}); image_mode='RGB' gives them one"
        )
    return (
        f"images differ in size ({form.height}x{form.width} and {other.height}x{other.width}); "
        "image_size=(height, width) gives them one"
    )
