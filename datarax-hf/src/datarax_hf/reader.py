"""The reader of a Hub dataset: host records by index, from parquet row groups. Free of JAX.

Each row group that a call touches is read once for it, and the last ones stay decoded, so that
reading in storage order decodes each row group once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datarax.sources import ColumnarReader, Field, Reader, SplitReader
from datarax.sources.reader import Columns, Indices
from datarax_hf.columns import ArrayColumn, Column, ImageColumn, ObjectColumn, SequenceColumn
from datarax_hf.config import HFSourceConfig
from datarax_hf.features import Features, Kind, describe
from datarax_hf.images import ImageDecoder, ImageForm, is_image
from datarax_hf.plan import Plan
from datarax_hf.recent import RecentColumns
from datarax_hf.shards import Shards

HELD_BYTES = 256 * 2**20
HEADERS_AT_ONCE = 256
_NULL_IMAGES = "some of its images are null"
_PLAIN = {"sequence": SequenceColumn, "object": ObjectColumn}


def open_reader(plan: Plan, config: HFSourceConfig) -> Reader:
    """Return the reader of the split expression that `plan` was made for.

    All files of all its terms are opened as one, so that one set of fields holds for them.

    Raises:
        CorruptDataError: If a file is damaged, or the files differ in columns.
    """
    snapshot = plan.snapshot
    names = [name for files in plan.files.values() for name in files]
    shards = Shards(names, plan.contents.origin, plan.settings)
    identity = {"config": plan.config, "split": plan.expression}
    if snapshot.commit:
        identity["revision"] = snapshot.commit
    reader = HFReader(
        shards,
        features=shards.features or plan.contents.card.features(plan.config),
        decoder=ImageDecoder(config.image_mode, config.image_size),
        wanted=None if config.include_keys is None else set(config.include_keys),
        unwanted=config.exclude_keys or (),
        identity=identity,
    )
    if len(plan.terms) == 1 and plan.terms[0].start is None and plan.terms[0].stop is None:
        return reader
    parts = []
    for term in plan.terms:
        before = list(plan.files)[: list(plan.files).index(term.name)]
        offset = sum(shards.records_of(plan.files[split]) for split in before)
        start, stop = term.range(shards.records_of(plan.files[term.name]))
        parts.append((reader, (offset + start, offset + stop)))
    return SplitReader(parts, identity={"split": plan.expression})


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
    ) -> None:
        self._shards = shards
        self._identity = dict(identity or {})
        self._recent = RecentColumns(HELD_BYTES)
        self._columns: dict[str, Column] = {}
        for name, kind in describe(shards.schema, features).items():
            needed = name not in unwanted and (wanted is None or name in wanted)
            self._columns[name] = self._column(name, kind, decoder or ImageDecoder(), needed=needed)
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
        pieces = list(self._shards.pieces(indices))
        if len(pieces) == 1:
            group, _, rows = pieces[0]
            loaded = self._loaded(group, names)
            where = self._shards.where(group)
            return {name: self._columns[name].gather(loaded[name], rows, where) for name in names}
        out = {name: self._empty(name, len(indices)) for name in names}
        for group, positions, rows in pieces:
            self._place(group, positions, rows, out)
        return out

    def read_into(self, indices: Indices, out: Mapping[str, NDArray[Any]], /) -> None:
        """Fill `out` as `BufferReader` says."""
        for group, positions, rows in self._shards.pieces(np.asarray(indices, np.int64)):
            self._place(group, positions, rows, out)

    def close(self) -> None:
        self._recent.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_recent": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._recent = RecentColumns(HELD_BYTES)

    def _place(
        self,
        group: int,
        positions: NDArray[np.int64],
        rows: NDArray[np.int64],
        out: Mapping[str, Any],
    ) -> None:
        loaded = self._loaded(group, tuple(out))
        where = self._shards.where(group)
        for name, buffer in out.items():
            values = self._columns[name].gather(loaded[name], rows, where)
            if isinstance(buffer, np.ndarray):
                buffer[positions] = values
            else:
                for position, value in zip(positions.tolist(), values, strict=True):
                    buffer[position] = value

    def _empty(self, name: str, size: int) -> Any:
        field = self._fields[name]
        if field.shape is None:
            return [None] * size
        return np.empty((size, *field.shape), field.dtype)

    def _loaded(self, group: int, names: Sequence[str]) -> dict[str, Any]:
        """Return the columns of a row group, reading those that are not held."""
        loaded = {name: self._recent.get((group, name)) for name in names}
        lacking = [name for name, held in loaded.items() if held is None]
        if lacking:
            table = self._shards.table(group, lacking)
            where = self._shards.where(group)
            for name in lacking:
                loaded[name] = self._columns[name].load(table.column(name), where)
                self._recent.put((group, name), loaded[name])
        return loaded

    def _column(self, name: str, kind: Kind, decoder: ImageDecoder, *, needed: bool) -> Column:
        if kind.form == "array":
            nulls = self._shards.nulls(name)
            if not nulls:
                return ArrayColumn(name, kind.field)
            reason = f"{nulls} of its values are null"
            return ObjectColumn(name, Field.host_only(reason))
        if kind.form != "image":
            return _PLAIN[kind.form](name, kind.field)
        own = ImageDecoder(decoder.mode or kind.image_mode, decoder.size)
        column = ImageColumn(name, kind.field, own)
        if kind.undeclared and not self._holds_images(column):
            return ObjectColumn(name, Field.host_only("a struct has no fixed array form"))
        if not needed:
            return ImageColumn(
                name, Field.host_only("it is not read, so sizes were not asked"), own
            )
        return ImageColumn(name, self._settled(column), own)

    def _holds_images(self, column: ImageColumn) -> bool:
        """Return whether the first value that is not null is an image."""
        for group in range(len(self._shards)):
            for encoded in self._encoded(group, column, keep=False):
                if encoded is not None:
                    return is_image(encoded)
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
            where = self._shards.where(group)
            for row, encoded in enumerate(self._encoded(group, column)):
                if encoded is None:
                    return Field.host_only(_NULL_IMAGES)
                found = column.decoder.form(
                    encoded,
                    lambda: f"{where}, row {row}, column {column.name!r}",  # noqa: B023
                )
                if form is None:
                    form = found
                elif found != form:
                    return Field.host_only(_difference(form, found))
        if form is None:
            return column.field
        return Field.array(form.dtype, form.shape)

    def _encoded(
        self, group: int, column: ImageColumn, *, keep: bool = True
    ) -> Iterator[bytes | None]:
        table = self._shards.table(group, [column.name])
        loaded = column.load(table.column(column.name), self._shards.where(group))
        if keep:
            self._recent.put((group, column.name), loaded)
        for start in range(0, len(loaded), HEADERS_AT_ONCE):
            yield from loaded.slice(start, HEADERS_AT_ONCE).to_pylist()


def _difference(form: ImageForm, other: ImageForm) -> str:
    if form.mode != other.mode:
        return (
            f"images differ in mode ({form.mode} and {other.mode}); image_mode='RGB' gives them one"
        )
    return (
        f"images differ in size ({form.height}x{form.width} and {other.height}x{other.width}); "
        "image_size=(height, width) gives them one"
    )
