"""From files to shards, each by its format; formats other than parquet are imported when met."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

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
            are empty.
        NotSupportedError: If the card gives a parameter of a format that is not honoured.
    """
    if any(kind_of(name) == _FOLDER for name in names):
        return _image_folder(names, origin, settings)
    if names and not any((origin.folder / name).stat().st_size for name in names):
        raise origin.damaged(names[0], "is empty")
    if len(names) < 2 or all(kind_of(name) == "parquet" for name in names):
        return [_open(name, origin, settings) for name in names]
    from datarax_hf.formats.parsed import ParsedShard

    with ThreadPoolExecutor(min(len(names), os.cpu_count() or 1)) as pool:
        shards = list(pool.map(lambda name: _open(name, origin, settings), names))
    # What one file keeps as JSON text, all of them do.
    texts = frozenset().union(*(shard.texts for shard in shards if isinstance(shard, ParsedShard)))
    if texts > settings.texts:
        return open_shards(names, origin, replace(settings, texts=texts))
    return shards


def _open(name: str, origin: Origin, settings: Settings) -> Shard:
    kind = kind_of(name)
    if kind == "parquet":
        return ParquetShard(name, origin)
    from datarax_hf.formats.arrow import ArrowShard
    from datarax_hf.formats.parsed import FORMATS, ParsedShard

    if kind in FORMATS:
        return ParsedShard(name, origin, settings, kind)
    return ArrowShard(name, origin)


def _image_folder(names: Sequence[str], origin: Origin, settings: Settings) -> list[Shard]:
    from datarax_hf.formats.image_folder import DescribedShard, ImageShard

    known = {"drop_labels": None, "drop_metadata": None}
    settings.given(known, ("filters", "metadata_filenames"), f"hf:{origin.dataset}, images")
    images = [name for name in names if kind_of(name) == _FOLDER]
    if not settings.described:
        return [ImageShard(images, origin, settings)]
    described = [name for name in names if is_metadata(name)]
    if not described:
        raise origin.damaged(
            images[0], "and the images beside it are named by no metadata file, as others are"
        )
    return [DescribedShard(name, images, origin, settings) for name in described]
