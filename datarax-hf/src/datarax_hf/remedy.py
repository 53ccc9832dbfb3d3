"""What to do about files that are missing or damaged, in words that can be pasted."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datarax.errors import CacheMissError, CorruptDataError, DataraxError, listing
from datarax_hf.cache import MAIN, Snapshot, StrPath, hub_cache
from datarax_hf.config import HFSourceConfig

_POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class Origin:
    """Where files come from, for what is said of them.

    Attributes:
        dataset: What the Hub calls the dataset.
        commit: Its commit, or None for a folder of this machine.
        folder: The folder that file names are relative to.
    """

    dataset: str
    commit: str | None
    folder: Path

    def open(self, name: str) -> Any:
        """Return a file to read, with `read`, `seek`, `tell` and `close`."""
        return (self.folder / name).open("rb")

    def damaged(self, name: str, what: str) -> CorruptDataError:
        """Return the error for a damaged file."""
        return CorruptDataError(
            f"hf:{self.dataset}: the file {name!r} {what} ({self.folder / name}); "
            f"{self._again(name)}"
        )

    def lacks(self, name: str, images: Mapping[str, str]) -> DataraxError:
        """Return the error for images that are not there: as a file names them, and their paths."""
        return self.damaged(
            name,
            f"names {len(images)} images that are not among the files of the split, such as "
            f"{listing(list(images)[:3])}",
        )

    def _again(self, name: str) -> str:
        """Return a clause that says how to replace a damaged file where it lies."""
        if self.commit is None:
            return "correct it, or replace it by a good copy"
        command = fetch_into(self.folder, self.commit, names=(name,))
        return f"fetch it again: {command} --force-download"

    def unlike(self, name: str, what: str) -> CorruptDataError:
        """Return the error for a file that is not what the features of the card say."""
        return CorruptDataError(
            f"hf:{self.dataset}: the file {name!r} does not hold what the card's features say: "
            f"{what}; the card's type does not fit: correct it, or leave the features out, in the "
            "README.md of a copy of the dataset"
        )


class PartialOrigin(Origin):
    """Where the files on this machine come from, which may be a part of a dataset's."""

    def lacks(self, name: str, images: Mapping[str, str]) -> DataraxError:
        lines = "\n".join(f"  {self.folder / path}" for path in images.values())
        command = fetch_into(self.folder, self.commit or MAIN)
        return CacheMissError(
            f"hf:{self.dataset}: the file {name!r} names {len(images)} images that are not on this "
            f"machine, which has a part of the dataset. Missing:\n{lines}\n"
            f"With a network, fetch the rest: {command}"
        )


def what_is_wrong(path: Path, listed: int) -> str:
    """Return words for a file of which the Hub lists `listed` bytes and which has others."""
    with path.open("rb") as file:
        head = file.read(len(_POINTER))
    size = path.stat().st_size
    if size == 0:
        return "is empty"
    if head == _POINTER:
        return "is a git-lfs pointer, not the data"
    return "is truncated" if size < listed else "is another file than the Hub's"


def fetch_command(
    dataset: str, revision: str, *, names: Sequence[str] = (), cache_dir: StrPath | None = None
) -> str:
    """Return the shell command that puts files of a dataset into the cache."""
    words = ["hf", "download", dataset, "--repo-type", "dataset", "--revision", revision]
    for name in names:
        words += ["--include", re.sub(r"([*?[])", r"[\1]", name)]  # no glob is meant
    if cache_dir is not None:
        words += ["--cache-dir", str(cache_dir)]
    return shlex.join(words)


def fetch_into(folder: Path, revision: str, *, names: Sequence[str] = ()) -> str:
    """Return the shell command that puts files into the copy of a dataset that has a snapshot.

    Args:
        folder: The snapshot, in a cache, under the name that its dataset was cached as.
        revision: The revision.
        names: The files; all of them unless given.
    """
    repo = folder.parents[1]
    dataset = repo.name.partition("--")[2].replace("--", "/")
    cache = None if repo.parent == hub_cache(None) else repo.parent
    return fetch_command(dataset, revision, names=names, cache_dir=cache)


def how_to_fetch(snapshot: Snapshot, config: HFSourceConfig) -> str:
    """Return a clause that says how to fetch a snapshot where there is a network."""
    return _how(snapshot.dataset, snapshot.revision, config)


def cache_miss(
    dataset: str, revision: str, paths: Sequence[Path], config: HFSourceConfig, *, found: str = ""
) -> CacheMissError:
    """Return the error for files that are not on this machine while no socket may be opened.

    Args:
        dataset: What the Hub calls the dataset.
        revision: The revision that was asked for.
        paths: Each path that is missing.
        config: What was asked.
        found: What was found instead, as a sentence.
    """
    lines = "\n".join(f"  {path}" for path in paths)
    return CacheMissError(
        f"hf:{config.name} (dataset {dataset!r}, revision {revision!r}) is not complete on this "
        f"machine, and with {config.offline_by} no socket is opened. Missing:\n{lines}\n"
        f"{found + ' ' if found else ''}"
        f"{_capital(_how(dataset, revision, config))}. The cache folder is chosen by cache_dir=, "
        "HF_HUB_CACHE or HF_HOME."
    )


def _how(dataset: str, revision: str, config: HFSourceConfig) -> str:
    command = fetch_command(dataset, revision, cache_dir=config.cache_dir)
    target = config.name if revision == MAIN else f"{config.name}@{revision}"
    options = [f"{option}={getattr(config, option)!r}" for option in ("config", "split")]
    given = "".join(f", {option}" for option in options if not option.endswith("=None"))
    if config.cache_dir is not None:
        given += f", cache_dir={str(config.cache_dir)!r}"
    words = ["datarax", "fetch", f"hf:{target}"]
    if config.split is not None:
        words += ["--split", config.split]
    for option in ("config", "cache_dir"):
        if getattr(config, option) is not None:
            words += ["-o", f"{option}={getattr(config, option)}"]
    return (
        "with a network, fill the cache by one of\n"
        f"  {shlex.join(words)}\n"
        f"  {command}\n"
        f'  datarax.load("hf:{target}", local_files_only=False{given})\n'
        "and copy the dataset's folder here"
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
