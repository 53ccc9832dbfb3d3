"""Image folders: a record for each image, or for each row of the metadata files beside them.

Images are read from their files when their group is; nothing is copied. Where there are metadata
files, the names of images in them become images, as `image_names` says.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa

from datarax.errors import listing
from datarax_hf.derived import source_key
from datarax_hf.features import modern
from datarax_hf.formats.alike import in_one_schema, opened_alike
from datarax_hf.formats.held import HeldShard
from datarax_hf.formats.image_names import STORED, count_nulls_of, names_in, shown, with_images
from datarax_hf.formats.kinds import kind_of
from datarax_hf.formats.labels import image_features
from datarax_hf.formats.parsed import ParsedShard
from datarax_hf.formats.settings import Settings
from datarax_hf.formats.shard import POINTER, Shard
from datarax_hf.names import stays_inside
from datarax_hf.remedy import Origin

GROUP = 16
"""Images that are read at a time."""


class ImageShard(Shard):
    """Images, each a record, with the class that its folder names where `labels` are given."""

    unit = "group of images"

    def __init__(self, names: Sequence[str], origin: Origin, settings: Settings) -> None:
        self.name = names[0]
        self.origin = origin
        self._names = tuple(names)
        self._labels = settings.labels
        columns: dict[str, pa.DataType] = {"image": STORED}
        if self._labels is not None:
            columns["label"] = pa.int64()
        self.schema = pa.schema(list(columns.items()))
        self.features = image_features(self._labels)
        self.rows = tuple(min(GROUP, len(names) - start) for start in range(0, len(names), GROUP))

    def table(self, group: int, columns: Sequence[str]) -> pa.Table:
        names = self._names[group * GROUP : (group + 1) * GROUP]
        return pa.table(
            {
                name: _images(names, self.origin) if name == "image" else self._classes(names)
                for name in columns
            }
        )

    def files(self, group: int, columns: Sequence[str]) -> Sequence[str]:
        return self._names[group * GROUP : (group + 1) * GROUP] if "image" in columns else ()

    def place(self, group: int, row: int) -> str:
        return f"file {self._names[group * GROUP + row]!r}"

    def source(self) -> str:
        return _source(self.origin, [*self._names, *(self._labels or ())])

    def stored_bytes(self, column: str, groups: Sequence[int]) -> int:
        names = self._names[groups[0] * GROUP : (groups[-1] + 1) * GROUP]
        if column != "image":
            return 8 * len(names)
        return sum((self.origin.folder / name).stat().st_size for name in names)

    def nulls(self, column: str) -> int:  # noqa: ARG002  # none of them has any
        return 0

    def records(self) -> Mapping[str, int]:
        return dict.fromkeys(self._names, 1)

    def _classes(self, names: Sequence[str]) -> pa.Array:
        labels = self._labels or ()
        return pa.array([labels.index(f"/{name}".split("/")[-2]) for name in names], pa.int64())


class DescribedShard(Shard):
    """The rows of one metadata file, with the images that it names.

    Args:
        inner: The metadata file.
        images: The images of its split, which it may name.
        origin: Where they come from.
        settings: What they are read with.

    Raises:
        CorruptDataError: If it names no images, an image that is not there, or one elsewhere.
    """

    unit = "group of images"
    inferred = True  # so that what any of the files says of a column holds
    counts_parts = True

    def __init__(
        self, inner: Shard, images: Collection[str], origin: Origin, settings: Settings
    ) -> None:
        self.name = inner.name
        self.origin = origin
        self._inner = inner
        said = settings.features or self._inner.features or {}
        columns = [shown(column.name, column.type) for column in self._inner.schema]
        if not any(column.images for column in columns):
            raise origin.damaged(
                self.name,
                f"has no column 'file_name' of texts that names images; its columns are "
                f"{listing(f'{column.name} ({column.type})' for column in self._inner.schema)}",
            )
        columns = [
            shown(column.name, column.type, modern(said.get(own.name)))
            for column, own in zip(self._inner.schema, columns, strict=True)
        ]
        self._stored = {
            own.name: column for own, column in zip(columns, self._inner.schema.names, strict=True)
        }
        self._shown = {own.name: own for own in columns}
        self.schema = pa.schema([(name, own.kind) for name, own in self._shown.items()])
        self.features = {name: own.feature for name, own in self._shown.items()}
        self._pieces = [
            (group, start)
            for group, rows in enumerate(self._inner.rows)
            for start in range(0, rows, GROUP)
        ]
        self.rows = tuple(
            min(GROUP, self._inner.rows[group] - start) for group, start in self._pieces
        )
        self._all = (*images, *self._others(set(images)))

    def table(self, group: int, columns: Sequence[str]) -> pa.Table:
        inner, start = self._pieces[group]
        stored = [self._stored[name] for name in columns]
        table = self._inner.table(inner, stored).slice(start, GROUP)
        return pa.table(
            {
                name: with_images(own, column.combine_chunks(), self._load)
                if self._shown[name].images
                else column
                for name, own, column in zip(columns, stored, table.columns, strict=True)
            }
        )

    def nulls(self, column: str) -> int:
        for name, stored in self._stored.items():
            if column != name and not column.startswith(f"{name}."):
                continue
            return sum(
                count_nulls_of(stored, chunk, column[len(name) + 1 :])
                for group in range(len(self._inner.rows))
                for chunk in self._inner.table(group, [stored]).column(0).chunks
            )
        return sum(self.rows)

    def stored_bytes(self, column: str, groups: Sequence[int]) -> int:
        own = super().stored_bytes(column, groups)
        if not self._shown[column].images:
            return own
        return own + sum((self.origin.folder / name).stat().st_size for name in self._all)

    def files(self, group: int, columns: Sequence[str]) -> Sequence[str]:
        inner, start = self._pieces[group]
        return self._named(inner, slice(start, start + GROUP), columns)

    def place(self, group: int, row: int) -> str:
        inner, start = self._pieces[group]
        named = self._named(inner, slice(start + row, start + row + 1), list(self._shown))
        told = f"row {sum(self._inner.rows[:inner]) + start + row} of file {self.name!r}"
        return f"{told}, which names {listing(named)}" if named else told

    def source(self) -> str:
        return _source(self.origin, [self.name, *self._all], str(self._inner.schema))

    def _named(self, group: int, rows: slice, columns: Sequence[str]) -> list[str]:
        """Return the images that some rows of a group of the metadata name in some columns."""
        stored = [self._stored[name] for name in columns if self._shown[name].images]
        table = self._inner.table(group, stored)[rows]
        named = [
            path for name in stored for path in names_in(name, table.column(name).combine_chunks())
        ]
        return list(dict.fromkeys(path for path in self._within(named) if path is not None))

    def _within(self, names: Sequence[str | None]) -> list[str | None]:
        return _within(posixpath.dirname(self.name), names)

    def _load(self, names: Sequence[str | None]) -> pa.Array:
        return _images(self._within(names), self.origin)

    def _others(self, images: set[str]) -> list[str]:
        """Return the images that are named and are none of the split's, but lie in the folder.

        Raises:
            CorruptDataError: If an image that is named is not there.
        """
        others: dict[str, None] = {}
        columns = [self._stored[name] for name, own in self._shown.items() if own.images]
        for group in range(len(self._inner.rows)):
            for column in columns:
                values = self._inner.table(group, [column]).column(0).combine_chunks()
                named = names_in(column, values)
                lacking = {
                    str(name): path
                    for name, path in zip(named, self._within(named), strict=True)
                    if path is not None and path not in images
                }
                others |= dict.fromkeys(path for path in lacking.values() if self._lies_here(path))
                lacking = {name: path for name, path in lacking.items() if path not in others}
                if lacking:
                    raise self.origin.lacks(self.name, lacking)
        return list(others)

    def _lies_here(self, path: str) -> bool:
        """Return whether a file lies in a folder of this machine; of the Hub its listing tells."""
        local = self.origin.commit is None and stays_inside(path)
        return local and (self.origin.folder / path).is_file()


def metadata_shards(names: Sequence[str], origin: Origin, settings: Settings) -> list[Shard]:
    """Return the metadata files of a split, all of them in one schema, wide enough for each.

    Raises:
        CorruptDataError: If one cannot be parsed, or they do not have the same columns.
    """
    parsed, threads = (HeldShard, 1) if settings.held else (ParsedShard, os.cpu_count() or 1)

    def open_(name: str, own: Settings) -> Shard:
        return parsed(name, origin, own, kind_of(name) or "")

    own = Settings(features=settings.features, derived=settings.derived, described=True)
    shards = opened_alike(names, own, open_, min(len(names), threads))
    return in_one_schema(shards, settings.features)[1]


def _images(names: Sequence[str | None], origin: Origin) -> pa.Array:
    """Return images as structs of their bytes and their file's name."""
    contents = [None if name is None else _contents(name, origin) for name in names]
    return pa.StructArray.from_arrays(
        [pa.array(contents, pa.binary()), pa.array(list(names), pa.string())],
        fields=list(STORED),
        mask=pa.array([name is None for name in names], pa.bool_()),
    )


def _source(origin: Origin, names: Sequence[str], how: str = "") -> str:
    """Return a name for the contents of several files; what is no file is told as it is.

    Args:
        origin: Where they come from.
        names: The files.
        how: How they are read.
    """
    told = [
        source_key(path) if (path := origin.folder / name).is_file() else name for name in names
    ]
    return hashlib.sha256("\n".join([*told, how]).encode()).hexdigest()[:40]


def _contents(name: str, origin: Origin) -> bytes:
    with origin.open(name) as file:
        contents: bytes = file.read()
    if not contents:
        raise origin.damaged(name, "is empty")
    if contents.startswith(POINTER):
        raise origin.damaged(
            name, "is a git-lfs pointer, not the data: the repository was cloned without LFS"
        )
    return contents


def _within(folder: str, names: Sequence[str | None]) -> list[str | None]:
    """Return names that are relative to a folder as names relative to the repository.

    One that leaves the folder stays as it is, and so names no file of the repository; an empty one
    names none.
    """
    within: list[str | None] = []
    for name in names:
        path = posixpath.normpath(name.replace("\\", "/")) if name else None
        inside = path is not None and not path.startswith(("/", "../")) and path != ".."
        within.append(posixpath.join(folder, path) if inside and path else name or None)
    return within
