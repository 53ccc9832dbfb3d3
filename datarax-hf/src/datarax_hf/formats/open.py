"""From files to shards, each by its format; formats other than parquet are imported when met."""

from __future__ import annotations

import os
from collections.abc import Sequence

from datarax.errors import NotSupportedError
from datarax_hf.formats.declared import Declared, as_declared
from datarax_hf.formats.kinds import is_metadata, kind_of
from datarax_hf.formats.parquet import ParquetShard
from datarax_hf.formats.settings import Settings
from datarax_hf.formats.shard import Shard
from datarax_hf.remedy import Origin

_FOLDER = "image folder"


def open_shards(names: Sequence[str], origin: Origin, settings: Settings) -> list[Shard]:
    """Return the shards of files, in the order of the files.

    Raises:
        CorruptDataError: If a file is damaged or not of the format that its name says; or if all
            are empty; or if it stores what cannot be as the card declares it.
        NotSupportedError: If the card gives a parameter of a format that is not honoured, or if
            images of a folder are to be read with files of another format.
    """
    if any(kind_of(name) == _FOLDER for name in names):
        return _image_folder(names, origin, settings)
    if names and not any((origin.folder / name).stat().st_size for name in names):
        raise origin.damaged(names[0], "is empty")
    declared = Declared(settings.features, origin)
    if len(names) < 2 or all(kind_of(name) == "parquet" for name in names):
        return [_open(name, origin, settings, declared) for name in names]
    from datarax_hf.formats.alike import opened_alike

    threads = min(len(names), os.cpu_count() or 1)
    return opened_alike(
        names, settings, lambda name, own: _open(name, origin, own, declared), threads
    )


def check_parquet(settings: Settings, dataset: str) -> None:
    """Raise where the card gives a parameter that would leave out rows or columns of parquet."""
    settings.given({}, dict.fromkeys(("columns", "filters")), f"hf:{dataset}, parquet")


def _open(name: str, origin: Origin, settings: Settings, declared: Declared) -> Shard:
    kind = kind_of(name)
    if kind == "parquet":
        check_parquet(settings, origin.dataset)
        return as_declared(ParquetShard(name, origin), declared)
    from datarax_hf.formats.arrow import ArrowShard
    from datarax_hf.formats.parsed import FORMATS, ParsedShard

    if kind in FORMATS:
        return ParsedShard(name, origin, settings, kind)
    return as_declared(ArrowShard(name, origin), declared)


def _image_folder(names: Sequence[str], origin: Origin, settings: Settings) -> list[Shard]:
    from datarax_hf.formats.image_folder import DescribedShard, ImageShard, metadata_shards

    known = {"drop_labels": None, "drop_metadata": None}
    settings.given(
        known, dict.fromkeys(("filters", "metadata_filenames")), f"hf:{origin.dataset}, images"
    )
    images = [name for name in names if kind_of(name) == _FOLDER]
    other = next(
        (name for name in names if kind_of(name) != _FOLDER and not is_metadata(name)), None
    )
    if other is not None:
        raise NotSupportedError(
            f"hf:{origin.dataset}: the splits that are asked for hold images of a folder, such as "
            f"{images[0]!r}, and records of {other!r}, which are read in different ways; load each "
            "of these splits by itself"
        )
    if not settings.described:
        return [ImageShard(images, origin, settings)]
    described = [name for name in names if is_metadata(name)]
    if not described:
        raise origin.damaged(
            images[0], "and the images beside it are named by no metadata file, as others are"
        )
    first = described[0]
    others = [name for name in described if name.rpartition(".")[2] != first.rpartition(".")[2]]
    if others:
        raise origin.damaged(
            first,
            f"describes images and so does {others[0]!r}, in another format: keep one of them, "
            "since each of their rows is a record",
        )
    shards = metadata_shards(described, origin, settings)
    return [DescribedShard(shard, images, origin, settings) for shard in shards]
