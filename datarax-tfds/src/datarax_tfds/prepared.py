"""Prepared datasets on disk: which there are, and the one that was asked for.

The layout is `root/name[/config]/version/`, with `dataset_info.json`, `features.json` and the
shards of each split. Nothing here imports tensorflow_datasets or reads a shard.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datarax.errors import (
    CacheMissError,
    CorruptDataError,
    UnknownConfigError,
    listing,
    nearest,
)
from datarax_tfds.config import TFDSSourceConfig

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
_INFO = "dataset_info.json"
_FEATURES = "features.json"


@dataclass(frozen=True)
class PreparedSplit:
    """One split: the files of its shards, in order, and the records in each."""

    name: str
    files: tuple[Path, ...]
    counts: tuple[int, ...]

    @property
    def records(self) -> int:
        return sum(self.counts)

    @property
    def lacking(self) -> tuple[Path, ...]:
        """The files that are not there."""
        return tuple(file for file in self.files if not file.is_file())


@dataclass(frozen=True)
class Prepared:
    """One prepared dataset.

    Attributes:
        folder: Where its files lie: `root/name[/config]/version`.
        title: `name[/config]:version`, complete.
        splits: Its splits, by name, in stored order.
        info: What `dataset_info.json` holds.
        configs: The configurations of this dataset that lie beside it.
    """

    folder: Path
    title: str
    splits: Mapping[str, PreparedSplit]
    info: Mapping[str, Any]
    configs: tuple[str, ...] = ()


def find(config: TFDSSourceConfig) -> Prepared:
    """Return the prepared dataset that `config` names.

    Raises:
        CacheMissError: If it is not there, naming each path that was looked for.
        UnknownConfigError: If a choice among several configurations was not made, or the dataset
            has none.
        CorruptDataError: If its `dataset_info.json` cannot be read.
        ValueError: If it was prepared in another file format than array_record.
    """
    home = config.folder / config.dataset
    configs = tuple(_configs(home))
    chosen = config.builder_config
    if chosen is None and configs and not _versions(home):
        if len(configs) > 1:
            raise UnknownConfigError(
                f"tfds:{config.name}: {str(home)!r} holds the configs {listing(configs)}; say "
                f"which, as in 'tfds:{config.dataset}/{configs[0]}'"
            )
        chosen = configs[0]
    if chosen is not None and chosen not in configs and _versions(home) and not configs:
        raise UnknownConfigError(
            f"tfds:{config.name}: {config.dataset!r} has no configs; it is asked for as "
            f"'tfds:{config.dataset}'"
        )
    place = home if chosen is None else home / chosen
    version = _latest(config.version, _versions(place))
    if version is None:
        raise _miss(config, place)
    folder = place / version
    name = config.dataset if chosen is None else f"{config.dataset}/{chosen}"
    return _read(folder, f"{name}:{version}", configs)


def datasets(root: Path) -> Iterator[str]:
    """Yield `name[/config]:version` of each dataset prepared in `root`."""
    for home in _folders(root):
        for version in _versions(home):
            yield f"{home.name}:{version}"
        for chosen in _configs(home):
            for version in _versions(home / chosen):
                yield f"{home.name}/{chosen}:{version}"


def _read(folder: Path, title: str, configs: tuple[str, ...]) -> Prepared:
    gone = [str(folder / name) for name in (_INFO, _FEATURES) if not (folder / name).is_file()]
    if gone:
        raise CacheMissError(f"tfds:{title} is not complete: {listing(gone)} does not exist")
    info = read_json(folder / _INFO)
    stored = info.get("fileFormat") or "tfrecord"
    if stored != "array_record":
        raise ValueError(
            f"tfds:{title} in {str(folder)!r} was prepared as {stored}, and without TensorFlow "
            f"array_record is needed: {_remedy(title.partition(':')[0], folder)}"
        )
    try:
        splits = {split["name"]: _split(folder, info, split) for split in info.get("splits", ())}
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise CorruptDataError(
            f"{str(folder / _INFO)!r} does not describe its splits: {error!r}"
        ) from error
    return Prepared(folder, title, splits, info, configs)


def read_json(file: Path) -> dict[str, Any]:
    """Return the object in `file`.

    Raises:
        CorruptDataError: If it is not JSON, or not an object.
    """
    try:
        content = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise CorruptDataError(f"{str(file)!r} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise CorruptDataError(f"{str(file)!r} holds {type(content).__name__}, not an object")
    return content


def _split(folder: Path, info: Mapping[str, Any], split: Mapping[str, Any]) -> PreparedSplit:
    counts = tuple(int(count) for count in split.get("shardLengths", ()))
    if any(count < 0 for count in counts):
        raise ValueError(f"a shard of {min(counts)} records")
    width = max(5, len(str(len(counts))))
    names = [
        (split.get("filepathTemplate") or _TEMPLATE).format(
            DATASET=info["name"],
            SPLIT=split["name"],
            FILEFORMAT="array_record",
            SHARD_INDEX=f"{shard:0{width}}",
            NUM_SHARDS=f"{len(counts):0{width}}",
            SHARD_X_OF_Y=f"{shard:0{width}}-of-{len(counts):0{width}}",
        )
        for shard in range(len(counts))
    ]
    for name in names:
        if Path(name).name != name:
            raise ValueError(f"the file name {name!r} leads out of the folder")
    return PreparedSplit(split["name"], tuple(folder / name for name in names), counts)


def _folders(place: Path) -> list[Path]:
    if not place.is_dir():
        return []
    return sorted(entry for entry in place.iterdir() if entry.is_dir())


def _versions(place: Path) -> list[str]:
    """Return the versions that lie in `place`, the oldest first."""
    return sorted(
        (entry.name for entry in _folders(place) if _VERSION.fullmatch(entry.name)), key=_key
    )


def _configs(home: Path) -> list[str]:
    return [
        entry.name
        for entry in _folders(home)
        if not _VERSION.fullmatch(entry.name) and _versions(entry)
    ]


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _latest(asked: str | None, versions: Sequence[str]) -> str | None:
    if asked is None:
        return versions[-1] if versions else None
    pattern = re.compile(re.escape(asked).replace(r"\*", r"\d+"))
    return next((held for held in reversed(versions) if pattern.fullmatch(held)), None)


def _miss(config: TFDSSourceConfig, place: Path) -> CacheMissError:
    expected = place / (config.version or "<version>")
    wanted = "".join(f"\n  {expected / name}" for name in (_INFO, _FEATURES))
    return CacheMissError(
        f"tfds:{config.name} is not prepared on this machine; looked for{wanted}\n"
        f"{_found(config, place)} {_remedy(config.name, config.folder)}"
    )


def _found(config: TFDSSourceConfig, place: Path) -> str:
    """Say what lies nearest to what was looked for."""
    versions = _versions(place)
    if versions:
        return f"The versions there are {listing(versions)}."
    home = config.folder / config.dataset
    configs = _configs(home)
    if configs:
        hint = nearest(config.builder_config or "", configs)
        return f"The configs in {str(home)!r} are {listing(configs)}.{hint}"
    if not config.folder.is_dir():
        return f"The folder {str(config.folder)!r} does not exist; data_dir= gives another."
    names = sorted({name.partition(":")[0].partition("/")[0] for name in datasets(config.folder)})
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return (
        f"The datasets in {str(config.folder)!r} are {listing(names[:20])}{more}."
        f"{nearest(config.dataset, names)}"
    )


def _remedy(name: str, folder: Path) -> str:
    dataset = name.partition(":")[0]
    root = folder
    if _VERSION.fullmatch(folder.name):
        root = folder.parents[1 + dataset.count("/")]
    return (
        "To prepare it, where TFDS has what it needs for that: "
        f"tfds build {dataset} --file_format=array_record --data_dir={root}"
    )
