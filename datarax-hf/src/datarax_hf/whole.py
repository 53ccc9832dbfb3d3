"""Files that are whole or not there: written under a temporary name, locked meanwhile, and renamed.

One builder at a time writes a file, among all processes and threads. What a killed one leaves is
known by its lock, which went with it.
"""

from __future__ import annotations

import importlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from datarax_hf.flushing import Flushing

fcntl: Any
try:
    fcntl = importlib.import_module("fcntl")
except ImportError:  # Windows: no locks, so that two processes may do the same work twice
    fcntl = None

PARTIAL = ".partial"
LOCK = ".lock"
YOUNG_SECONDS = 60.0
_OLD_SECONDS = 7 * 86_400.0


class NotKeptError(OSError):
    """A derived file cannot be kept; the text says why. What asked does without it."""


def write_whole(final: Path, build: Callable[[Path], None], *, flush: bool) -> None:
    """Build a file under a temporary name, which is locked meanwhile, and rename it."""
    partial = final.with_name(f"{final.name}.{secrets.token_hex(6)}{PARTIAL}")
    descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
    try:
        lock(descriptor, wait=False)
        if flush:
            with Flushing(descriptor):
                build(partial)
            # Another file where `build` replaced the one it was given.
            with partial.open("rb") as written:
                os.fsync(written.fileno())
        else:
            build(partial)
        partial.replace(final)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    finally:
        os.close(descriptor)
    if flush:
        _sync_folder(final.parent)


def clear(folder: Path) -> None:
    """Delete what killed builds left in a folder of derived files."""
    for path in folder.glob(f"*{PARTIAL}"):
        with suppress(OSError):
            age = time.time() - path.stat().st_mtime
            if age > YOUNG_SECONDS and is_abandoned(path, age):
                path.unlink()


def is_abandoned(path: Path, age: float) -> bool:
    if fcntl is None:
        return age > _OLD_SECONDS
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return lock(descriptor, wait=False)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock for one builder among all processes and threads; the file goes with it."""
    descriptor = _created(path)
    try:
        lock(descriptor, wait=True)
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _created(path: Path) -> int:
    """Open a file for writing in a folder that another process may be removing as empty."""
    for _ in range(8):
        path.parent.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            return os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    raise NotKeptError(f"the folder {path.parent} is removed each time it is made")


def lock(descriptor: int, *, wait: bool) -> bool:
    """Lock a file until it is closed; where the file system has no locks, count it as locked."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """Make a rename last; not every system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
