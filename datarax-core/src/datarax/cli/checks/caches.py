"""The folders that core and its plugins keep things in: size, room, and whether one may write.

A plugin tells of its own by the optional hook `caches`; core knows none of them by name.
Sizes are those of the files themselves: links are not followed, so that a cache of links into a
store is not counted twice. A walk ends after so many entries, and its size is then a lower bound.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datarax.cli.checks.problem import Problem
from datarax.errors import DataraxError
from datarax.registry import failures
from datarax.registry.catalogue import CATALOGUE

ENTRIES = 100_000
"""Entries of a folder that are looked at."""


def check_caches() -> tuple[list[dict[str, Any]], list[Problem]]:
    """Return each folder, and what is wrong with any."""
    shown, problems = [_cache("datarax-core", "what broke when last tried", _own())], []
    for scheme, caches in _of_plugins():
        try:
            held = {str(what): Path(folder) for what, folder in dict(caches()).items()}
        except Exception as error:  # noqa: BLE001  # a plugin may raise anything
            text = f"its hook 'caches' failed with {type(error).__name__}: {error}"
            problems.append(Problem(scheme, text, "tell its authors, or upgrade it"))
            continue
        shown += [_cache(scheme, what, folder) for what, folder in held.items()]
    problems += [
        Problem(
            cache["owner"],
            f"{cache['folder']} is to hold {cache['holds']}, and is a file",
            "move the file away, or name another folder",
        )
        for cache in shown
        if Path(cache["folder"]).is_file()
    ]
    return shown, problems


def _own() -> Path:
    return failures.file().parent


def _of_plugins() -> Iterator[tuple[str, Any]]:
    """Yield the hook of every plugin that works and tells where it keeps things."""
    for info in CATALOGUE.known():
        if info.status != "ok" or info.distribution == "datarax-core":
            continue
        try:
            plugin = CATALOGUE.find(info.scheme, strict=False)
        except DataraxError:  # told of among the sources
            continue
        if plugin.implements("caches"):
            yield info.scheme, plugin.hooks.caches


def _cache(owner: str, holds: str, folder: Path) -> dict[str, Any]:
    size, complete = _size(folder)
    there = _nearest_that_is_there(folder)
    return {
        "owner": owner,
        "holds": holds,
        "folder": str(folder),
        "exists": folder.is_dir(),
        "bytes": size,
        "complete": complete,
        "writable": there is not None and os.access(there, os.W_OK),
        "free": None if there is None else shutil.disk_usage(there).free,
    }


def _size(folder: Path) -> tuple[int, bool]:
    """Return the bytes of a folder's files, and whether all of them were looked at."""
    total = seen = 0
    waiting = [folder]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:  # not there, or not ours to read
            continue
        for entry in entries:
            seen += 1
            if seen > ENTRIES:
                return total, False
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                total += entry.stat(follow_symlinks=False).st_size
    return total, True


def _nearest_that_is_there(folder: Path) -> Path | None:
    return next((place for place in (folder, *folder.parents) if place.is_dir()), None)
