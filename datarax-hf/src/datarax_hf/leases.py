"""Leases: which derived files some process has open, so that no other deletes them."""

from __future__ import annotations

import json
import os
import secrets
import time
import weakref
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from datarax_hf.whole import PARTIAL, YOUNG_SECONDS, is_abandoned, lock

OPEN = ".open"
"""The folder of the leases, within one of derived files."""


class Hold:
    """A lease on derived files: a list of them that its process keeps locked.

    A child that was forked has the lock too, and is not the one that gives it up.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        by_folder: dict[Path, list[str]] = {}
        for path in paths:
            by_folder.setdefault(path.parents[1], []).append(f"{path.parent.name}/{path.name}")
        self._leases = [_lease(folder, names) for folder, names in by_folder.items()]
        self._finalizer = weakref.finalize(self, _release, self._leases, os.getpid())

    def close(self) -> None:
        """Let the files be pruned. Closing again does nothing."""
        self._finalizer()


def held_files(folder: Path) -> set[Path]:
    """Return the files within a folder that some process has open; forget leases of dead ones."""
    held: set[Path] = set()
    place = folder / OPEN
    if not place.is_dir():
        return held
    for path in place.iterdir():
        with suppress(OSError, ValueError):
            age = time.time() - path.stat().st_mtime
            if path.suffix == PARTIAL and age < YOUNG_SECONDS:
                continue
            if is_abandoned(path, age):
                path.unlink()
            else:
                held.update(folder / name for name in json.loads(path.read_bytes()))
    return held


def _lease(folder: Path, names: list[str]) -> tuple[Path, int] | None:
    """Write and lock a list of open files; None where the folder cannot be written."""
    place = folder / OPEN
    path = place / f"{os.getpid()}-{secrets.token_hex(6)}"
    try:
        place.mkdir(exist_ok=True)
        partial = path.with_name(f"{path.name}{PARTIAL}")
        descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
    except OSError:
        return None
    try:
        lock(descriptor, wait=False)
        os.write(descriptor, json.dumps(names).encode())
        partial.replace(path)
    except OSError:
        os.close(descriptor)
        return None
    return path, descriptor


def _release(leases: list[tuple[Path, int] | None], owner: int) -> None:
    for lease in leases:
        if lease is not None:
            path, descriptor = lease
            if os.getpid() == owner:
                with suppress(OSError):
                    path.unlink()
            os.close(descriptor)
