"""From a path to shards: a file, a folder or a glob, and which of a set's shards are lacking.

A set is the files that share a prefix and a count: `digits-train.array_record-00000-of-00004`
names its three siblings. Nothing here opens a file.
"""

from __future__ import annotations

import fnmatch
import glob
import itertools
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from datarax.errors import CacheMissError, CorruptDataError, listing, nearest

_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SHARD = re.compile(r"(?P<prefix>.*)-(?P<index>\d+)-of-(?P<count>\d+)(?P<suffix>.*)", re.DOTALL)
_NAMED = re.compile(r"\.(?:array_?record)(?![A-Za-z])", re.IGNORECASE)
_LISTED = 1000
_WALKED = 100_000


@dataclass(frozen=True)
class Shards:
    """The files that a path names: those that lie there, and those that a set lacks.

    `lacking` lists a thousand at most.
    """

    found: tuple[Path, ...]
    lacking: tuple[Path, ...] = ()


def check_local(path: str) -> str:
    """Return `path` if it is one of this machine.

    Raises:
        ValueError: If it is empty, or a URL such as `gs://bucket/data`.
    """
    if not path:
        raise ValueError("path is empty; give a file, a folder or a glob of shards")
    if _REMOTE.match(path):
        raise ValueError(
            f"path={path!r} is remote, and arrayrecord: reads files of this machine only; "
            "copy the shards to a local folder and give its path"
        )
    return path


def find(path: str) -> Shards:
    """Return the shards that `path` names, sorted by name.

    Raises:
        CacheMissError: If there are none; it is a FileNotFoundError.
        ValueError: If a folder holds files of several sets.
        CorruptDataError: If a file's shard number lies beyond its set.
    """
    place = Path(os.path.expanduser(check_local(path)))  # noqa: PTH111  # `~nobody` stays
    if place.is_file():
        return Shards((place,))
    if place.is_dir():
        found = sorted(file for file in place.iterdir() if _is_shard(file))
        if not found:
            raise CacheMissError(_empty_folder(place))
        _check_one_set(place, found)
        return _with_lacking(found, "*")
    if glob.has_magic(path):
        matches = glob.iglob(str(place), recursive=True)  # noqa: PTH207 - takes absolute patterns
        found = sorted(file for file in map(Path, matches) if file.is_file())
        if found:
            return _with_lacking(found, place.name)
    raise CacheMissError(_miss(place))


def lacking(path: str, shards: Shards) -> CacheMissError:
    """Return the error for a set of which shards are lacking, naming each."""
    bound = "at least " if len(shards.lacking) == _LISTED else ""
    names = "\n".join(f"  {file}" for file in shards.lacking)
    return CacheMissError(
        f"arrayrecord:{path}: {len(shards.found)} of its shards were found, and "
        f"{bound}{len(shards.lacking)} are lacking:\n{names}\n"
        "Copy them there, or give a glob of the shards to read without them."
    )


def _is_shard(file: Path) -> bool:
    return not file.name.startswith(".") and bool(_NAMED.search(file.name)) and file.is_file()


def _check_one_set(folder: Path, files: Iterable[Path]) -> None:
    patterns = sorted({_pattern(file.name) for file in files})
    if len(patterns) > 1:
        raise ValueError(
            f"{str(folder)!r} holds shards of several sets: {listing(patterns)}; "
            f"choose one with a glob, such as {str(folder / patterns[0])!r}"
        )


def _pattern(name: str) -> str:
    """Return a glob for the set of `name`: of a file outside one, any digits may differ."""
    shard = _SHARD.fullmatch(name)
    if shard is None:
        return re.sub(r"\d+", "*", glob.escape(name))
    return f"{glob.escape(shard['prefix'])}-*-of-{shard['count']}{glob.escape(shard['suffix'])}"


def _with_lacking(found: Sequence[Path], asked: str) -> Shards:
    """Return `found` and the files of the same sets that match `asked` and do not exist."""
    sets: dict[tuple[Path, str, str, str, int], set[int]] = {}
    for file in found:
        shard = _SHARD.fullmatch(file.name)
        if shard is None:
            continue
        index, count = int(shard["index"]), int(shard["count"])
        if index >= count:
            raise CorruptDataError(f"{str(file)!r} is numbered {index} in a set of {count} shards")
        key = (file.parent, shard["prefix"], shard["suffix"], shard["count"], len(shard["index"]))
        sets.setdefault(key, set()).add(index)
    names: list[Path] = []
    for (folder, prefix, suffix, count_text, width), present in sets.items():
        # A name may claim any count: neither a list of it nor a walk over it is made.
        numbers = range(min(int(count_text), len(present) + _WALKED))
        gone = (
            f"{prefix}-{index:0{width}}-of-{count_text}{suffix}"
            for index in numbers
            if index not in present
        )
        wanted = (folder / name for name in gone if fnmatch.fnmatch(name, asked))
        names.extend(itertools.islice(wanted, _LISTED - len(names)))
    return Shards(tuple(found), tuple(names))


def _empty_folder(folder: Path) -> str:
    held = sorted(file.name for file in folder.iterdir())
    more = f" and {len(held) - 8} more" if len(held) > 8 else ""
    return (
        f"{str(folder)!r} holds no file with '.array_record' in its name; "
        f"it holds {listing(held[:8])}{more}. To read files of other names, give a glob of them"
    )


def _miss(place: Path) -> str:
    folder = next(parent for parent in place.parents if not glob.has_magic(str(parent)))
    if not folder.is_dir():
        return f"{str(place)!r} does not exist, nor does the folder {str(folder)!r}"
    held = sorted(file.name for file in folder.iterdir() if _is_shard(file))
    siblings = sorted({_pattern(name) for name in held})
    hint = nearest(place.name, held) or nearest(place.name, siblings)
    what = "matches no file" if glob.has_magic(place.name) else "does not exist"
    return (
        f"{str(place)!r} {what}; the shards in {str(folder)!r} are {listing(siblings[:8])}.{hint}"
    )
