"""Image folders: a record for each image, or for each row of the metadata files beside them.

Images are read from their files when their group is; nothing is copied. Where there are metadata
files, their columns `file_name`, `*_file_name`, `file_names` and `*_file_names` become images.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa

from datarax.errors import listing
from datarax_hf.derived import source_key
from datarax_hf.features import Features
from datarax_hf.formats.held import HeldShard
from datarax_hf.formats.kinds import kind_of
from datarax_hf.formats.parsed import ParsedShard
from datarax_hf.formats.settings import Settings
from datarax_hf.formats.shard import POINTER, Shard
from datarax_hf.remedy import Origin

GROUP = 16
"""Images that are read at a time."""

STORED = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_ONE, _MANY = "file_name", "file_names"


class ImageShard(Shard):
    """Images, each a record, with the class that its folder names where `labels` are given."""

    unit = "group of images"

    def __init__(self, names: Sequence[str], origin: Origin, settings: Settings) -> None:
        self.name = names[0]
        self.origin = origin
        self._names = tuple(names)
        self._labels = settings.labels
        columns: dict[str, pa.DataType] = {"image": STORED}
        features: dict[str, Any] = {"image": {"_type": "Image"}}
        if self._labels is not None:
            columns["label"] = pa.int64()
            features["label"] = {"_type": "ClassLabel", "names": list(self._labels)}
        self.schema = pa.schema(list(columns.items()))
        self.features = features
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
        return pa.array([labels.index(name.split("/")[-2]) for name in names], pa.int64())


class DescribedShard(Shard):
    """The rows of one metadata file, with the images that it names.

    Args:
        name: The metadata file.
        images: The images that it may name.
        origin: Where they come from.
        settings: What they are read with.

    Raises:
        CorruptDataError: If it names no images, an image that is not there, or one elsewhere.
    """

    unit = "group of images"

    def __init__(
        self, name: str, images: Collection[str], origin: Origin, settings: Settings
    ) -> None:
        self.name = name
        self.origin = origin
        parsed = HeldShard if settings.held else ParsedShard
        self._inner: Shard = parsed(name, origin, _of_metadata(settings), kind_of(name) or "")
        self._images = _image_columns(self._inner.schema)
        if not self._images:
            raise origin.damaged(
                name,
                f"has no column {_ONE!r} that names images; its columns are "
                f"{listing(self._inner.schema.names)}",
            )
        schema = self._inner.schema
        self._stored = {self._images.get(column, column): column for column in schema.names}
        self.schema = pa.schema(
            [(shown, self._shown(schema.field(column))) for shown, column in self._stored.items()]
        )
        self.features = self._described(settings.features)
        self._pieces = [
            (group, start)
            for group, rows in enumerate(self._inner.rows)
            for start in range(0, rows, GROUP)
        ]
        self.rows = tuple(
            min(GROUP, self._inner.rows[group] - start) for group, start in self._pieces
        )
        self._all = tuple(images)
        self._check(set(images))

    def table(self, group: int, columns: Sequence[str]) -> pa.Table:
        inner, start = self._pieces[group]
        stored = [self._stored[name] for name in columns]
        table = self._inner.table(inner, stored).slice(start, GROUP)
        return pa.table(
            {
                name: self._loaded(column) if own in self._images else column
                for name, own, column in zip(columns, stored, table.columns, strict=True)
            }
        )

    def nulls(self, column: str) -> int | None:
        head, _, part = column.partition(".")
        if self._stored.get(head) in self._images and part != "path":
            return self._inner.nulls(self._stored[head])
        return self._inner.nulls(self._stored.get(column, column))

    def stored_bytes(self, column: str, groups: Sequence[int]) -> int:
        own = super().stored_bytes(column, groups)
        if self._stored[column] not in self._images:
            return own
        return own + sum((self.origin.folder / name).stat().st_size for name in self._all)

    def files(self, group: int, columns: Sequence[str]) -> Sequence[str]:
        inner, start = self._pieces[group]
        folder = posixpath.dirname(self.name)
        stored = [name for name in map(self._stored.__getitem__, columns) if name in self._images]
        table = self._inner.table(inner, stored).slice(start, GROUP)
        named = [path for column in table.columns for path in _flat(column.combine_chunks())]
        return list(dict.fromkeys(path for path in _within(folder, named) if path is not None))

    def source(self) -> str:
        return _source(self.origin, [self.name, *self._all])

    def _shown(self, column: pa.Field) -> pa.DataType:
        if column.name not in self._images:
            return column.type
        return pa.list_(STORED) if _is_list(column.type) else STORED

    def _loaded(self, paths: pa.ChunkedArray) -> pa.Array:
        """Return the images at paths, or the lists of images at lists of paths."""
        folder = posixpath.dirname(self.name)
        paths = paths.combine_chunks()
        if not _is_list(paths.type):
            return _images(_within(folder, paths.to_pylist()), self.origin)
        lists = [
            None if names is None else _images(_within(folder, names), self.origin).to_pylist()
            for names in paths.to_pylist()
        ]
        return pa.array(lists, pa.list_(STORED))

    def _described(self, declared: Features | None) -> Features:
        """Return the features of all columns: of images their own, else what the card says."""
        said = declared or self._inner.features or {}
        features: dict[str, Any] = {}
        for shown, stored in self._stored.items():
            image: Any = {"_type": "Image"}
            if stored in self._images:
                listed = _is_list(self._inner.schema.field(stored).type)
                features[shown] = {"feature": image, "_type": "List"} if listed else image
            else:
                features[shown] = said.get(shown)
        return features

    def _check(self, images: set[str]) -> None:
        """Raise if an image that is named is none of those that are there."""
        folder = posixpath.dirname(self.name)
        for group in range(len(self._inner.rows)):
            for column in self._images:
                values = self._inner.table(group, [column]).column(0).combine_chunks()
                named = _flat(values)
                lacking = [
                    name
                    for name, path in zip(named, _within(folder, named), strict=True)
                    if path not in images
                ]
                if lacking:
                    raise self.origin.damaged(
                        self.name,
                        f"names {len(lacking)} images that are not among the files of the split, "
                        f"such as {listing(lacking[:3])}",
                    )


def _image_columns(schema: pa.Schema) -> dict[str, str]:
    """Return the columns that name images, and what they are called when they hold them."""
    shown = {}
    for column in schema:
        name, kind = column.name, column.type
        for ending, plural in ((_ONE, False), (_MANY, True)):
            if name != ending and not name.endswith(f"_{ending}"):
                continue
            values = kind.value_type if plural and _is_list(kind) else kind
            if plural == _is_list(kind) and pa.types.is_string(values):
                own = name[: -len(ending)].rstrip("_")
                shown[name] = own or ("images" if plural else "image")
    return shown


def _images(names: Sequence[str | None], origin: Origin) -> pa.Array:
    """Return images as structs of their bytes and their file's name."""
    contents = [None if name is None else _contents(name, origin) for name in names]
    return pa.StructArray.from_arrays(
        [pa.array(contents, pa.binary()), pa.array(list(names), pa.string())],
        fields=list(STORED),
        mask=pa.array([name is None for name in names], pa.bool_()),
    )


def _source(origin: Origin, names: Sequence[str]) -> str:
    """Return a name for the contents of several files; what is no file is told as it is."""
    told = [
        source_key(path) if (path := origin.folder / name).is_file() else name for name in names
    ]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:40]


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

    One that leaves the folder stays as it is, and so names no file of the repository.
    """
    within: list[str | None] = []
    for name in names:
        path = None if name is None else posixpath.normpath(name.replace("\\", "/"))
        inside = path is not None and not path.startswith(("/", "../")) and path != ".."
        within.append(posixpath.join(folder, path) if inside and path else name)
    return within


def _of_metadata(settings: Settings) -> Settings:
    return Settings(features=settings.features, derived=settings.derived, described=True)


def _flat(paths: Any) -> list[str]:
    """Return the paths of a column of paths or of lists of them, the nulls left out."""
    values = paths.flatten() if _is_list(paths.type) else paths
    named: list[str] = values.drop_null().to_pylist()
    return named


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))
