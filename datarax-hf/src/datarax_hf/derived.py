"""The derived cache: files made once from the Hub's files, beside its cache, shared by processes.

What a build leaves is whole or not there: it is written under a temporary name, flushed to the disk
and renamed. Files are found by the hash of what they were made from, so that they never go stale,
and every one can be made again, so that any of them may be deleted at any time.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import os
import re
import shutil
import threading
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from datarax_hf.cache import StrPath, hub_cache
from datarax_hf.config import HFSourceConfig
from datarax_hf.leases import OPEN, Hold, held_files
from datarax_hf.names import user_path
from datarax_hf.whole import LOCK, PARTIAL, NotKeptError, clear, locked, write_whole

FORMAT = "v1"
TAKEN_ON_TRUST = 8
"""Of the bytes that were found left one in so many is taken without looking again, since a look is
at every file."""

_SETTLING = threading.Lock()
_BLOB = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}


class Derived:
    """The folders of derived files, in the order in which they are looked into.

    The first that can be written takes what is built. Files in the others are found too, so that a
    shared, read-only cache may bring its own.

    Args:
        folders: One or more folders, which need not exist.
        limit: Bytes that they may take in all, 0 to build nothing; None is half of what the disk
            has free, what they take being counted as free.
    """

    def __init__(self, folders: Iterable[Path], limit: int | None = None) -> None:
        self.folders = tuple(folder / FORMAT for folder in folders)
        self.limit = limit
        self._left = 0
        self._holds: weakref.WeakSet[Hold] = weakref.WeakSet()

    @classmethod
    def of(cls, config: HFSourceConfig) -> Derived:
        """Return the derived cache that a config and the environment choose."""
        limit = config.derived_limit
        if limit is None and os.environ.get("DATARAX_CACHE_LIMIT"):
            limit = _limit(os.environ["DATARAX_CACHE_LIMIT"])
        return cls(derived_folders(config.derived_dir, config.cache_dir), limit)

    @property
    def refused(self) -> bool:
        """Whether nothing is to be built, as asked."""
        return self.limit == 0

    def find(self, source: str, name: str) -> Path | None:
        """Return the file `name` made from `source`, or None; it counts as used now."""
        for folder in self.folders:
            path = folder / source / name
            if path.is_file():
                with suppress(OSError):
                    os.utime(path)
                return path
        return None

    def found(self, source: str, name: str) -> Path:
        """Return the file `name` made from `source`, which was there a moment ago.

        Raises:
            NotKeptError: If it was deleted since.
        """
        path = self.find(source, name)
        if path is None:
            raise NotKeptError(f"the derived file {source}/{name} was deleted while it was needed")
        return path

    def file(
        self,
        source: str,
        name: str,
        build: Callable[[Path], None],
        *,
        size: int | None = None,
        flush: bool = True,
    ) -> Path:
        """Return the file `name` made from `source`, built where there is none.

        Of several processes that ask at once one builds and the others wait for it.

        Args:
            source: What it is made from, by `source_key`.
            name: A file name that says what it is, other for everything that its bytes depend on
                beside the source.
            build: Writes the file at the path that it is given. What it raises is passed on.
            size: Its bytes, where they are known before: room for them is made first.
            flush: Whether it must be on the disk before it is found; False is for a file that
                shows by itself whether it is whole.

        Raises:
            NotKeptError: If no folder can be written, or there is no room.
        """
        found = self.find(source, name)
        if found is not None:
            return found
        if self.refused:
            raise NotKeptError("derived files are refused (derived_limit=0)")
        with self._disk_told():
            folder = self._writable() / source
            final = folder / name
            with locked(folder / f"{name}{LOCK}"):
                if final.is_file():
                    return final
                clear(folder)
                if size is not None:
                    self.make_room(size)
                    write_whole(final, build, flush=flush)
                else:
                    counted = functools.partial(self._build_within, build)
                    write_whole(final, counted, flush=flush)
                    self._settle(final)
        return final

    def make_room(self, size: int, *, written: bool = False) -> None:
        """Delete what was used longest ago until `size` more bytes fit within the limit.

        Args:
            size: The bytes.
            written: Whether they lie on the disk already, in a file that is not whole yet.

        Raises:
            NotKeptError: If they cannot fit beside what is open, or the disk has not that much
                free; then nothing is deleted.
        """
        if self._fits(size):
            return
        if self.limit is not None and size > self.limit:
            raise _beyond(size, self.limit)
        there = size if written else 0
        entries = self._entries()
        used = sum(size for _, size, _ in entries)
        with self._disk_told():
            free = shutil.disk_usage(self._writable()).free + there
        cap = (used + free) // 2 if self.limit is None else self.limit
        if used + size > cap:
            held = self._held()
            stays = sum(size for _, size, path in entries if path in held)
            if stays + size > cap:
                raise _beyond(size, cap, stays)
            freed = self._shrink(cap - size)
            used, free = used - freed, free + freed
        if size > free:
            raise NotKeptError(f"{size:,} bytes are beyond the {free:,} that the disk has free")
        self._left = max(0, min(cap - used, free) - size) // TAKEN_ON_TRUST

    def _build_within(self, build: Callable[[Path], None], path: Path) -> None:
        """Write a file whose bytes are known once it is written, and make room for it."""
        build(path)
        self.make_room(path.stat().st_size, written=True)

    def _settle(self, final: Path) -> None:
        """Keep to the limit where others wrote at the same time: what is not open gives way.

        Raises:
            NotKeptError: If what is open leaves no room; the file is deleted.
        """
        if self.limit is None:
            return
        with _SETTLING:
            self._shrink(self.limit, spared={final})
            sizes = {path: size for _, size, path in self._entries()}
            used, size = sum(sizes.values()), sizes.get(final)
            if used > self.limit and size is not None:  # another may have deleted it
                final.unlink(missing_ok=True)
                raise _beyond(size, self.limit, used - size)

    def _fits(self, size: int) -> bool:
        """Return whether so many bytes fit into what was found left, and take them from it."""
        fits = size <= self._left
        self._left -= size if fits else 0
        return fits

    def prune(self, keep: int = 0) -> int:
        """Delete what was used longest ago until `keep` bytes are left; return the bytes freed.

        Files that a process has open stay, and so do those of builds under way.
        """
        freed = self._shrink(keep)
        for folder in self.folders:
            for part in _folders(folder):
                clear(part)
                with suppress(OSError):
                    part.rmdir()
        return freed

    def hold(self, paths: Iterable[Path]) -> Hold:
        """Keep files from being pruned by any process, until the hold or this process ends."""
        hold = Hold(paths)
        self._holds.add(hold)
        return hold

    def close(self) -> None:
        """End every hold that it gave; what is asked for afterwards is found or made as before."""
        for hold in list(self._holds):
            hold.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"folders": self.folders, "limit": self.limit, "_left": 0}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._holds = weakref.WeakSet()

    def _writable(self) -> Path:
        """Return the first folder that can be written.

        Raises:
            NotKeptError: If none can.
        """
        why: OSError | None = None
        for folder in self.folders:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                why = error
                continue
            if os.access(folder, os.W_OK | os.X_OK):
                return folder
        told = f": {why}" if why else ""
        listed = ", ".join(str(folder) for folder in self.folders)
        raise NotKeptError(f"none of the folders {listed} can be written{told}") from why

    def _entries(self) -> list[tuple[float, int, Path]]:
        """Return (last used, bytes, path) of each whole file, of folders that can be written."""
        entries = []
        for folder in self.folders:
            for part in _folders(folder):
                for path in part.iterdir():
                    if path.suffix not in (PARTIAL, LOCK):
                        with suppress(OSError):
                            state = path.stat()
                            entries.append((state.st_mtime, state.st_size, path))
        return sorted(entries)

    def _held(self) -> set[Path]:
        return set().union(*(held_files(folder) for folder in self.folders))

    def _shrink(self, keep: int, spared: Collection[Path] = ()) -> int:
        entries = self._entries()
        total, freed = sum(size for _, size, _ in entries), 0
        if total <= keep:
            return 0
        held = self._held()
        for _, size, path in entries:
            if total - freed <= keep:
                break
            if path not in held and path not in spared:
                with suppress(OSError):
                    path.unlink()
                    freed += size
        return freed

    @contextmanager
    def _disk_told(self) -> Iterator[None]:
        """Raise what the disk refuses as `NotKeptError`; leave every other error as it is."""
        try:
            yield
        except NotKeptError:
            raise
        except OSError as error:
            if error.errno in _DISK:
                raise NotKeptError(
                    f"{error.strerror} ({error.filename or self.folders[0]})"
                ) from error
            raise


def _beyond(size: int, cap: int, stays: int = 0) -> NotKeptError:
    beside = f", of which files that are open take {stays:,}" if stays else ""
    return NotKeptError(
        f"{size:,} bytes are beyond the limit of {cap:,}{beside} (derived_limit=, or "
        "DATARAX_CACHE_LIMIT)"
    )


def _limit(text: str) -> int:
    """Return the bytes that DATARAX_CACHE_LIMIT gives."""
    if not re.fullmatch(r"\d{1,18}", text.strip(), re.ASCII):
        raise ValueError(f"DATARAX_CACHE_LIMIT is a number of bytes, 0 or more; got {text!r}")
    return int(text)


def derived_folders(derived_dir: StrPath | None, cache_dir: StrPath | None) -> tuple[Path, ...]:
    """Return where derived files lie.

    The folder given, or that of DATARAX_CACHE; else `datarax` beside the hub cache and, for where
    that cannot be written, the user's own.
    """
    chosen = derived_dir or os.environ.get("DATARAX_CACHE")
    if chosen:
        return (user_path(os.path.expandvars(str(chosen))).absolute(),)
    own = user_path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").absolute() / "datarax"
    return (hub_cache(cache_dir).with_name("datarax"), own)


def prune(
    keep: int = 0, *, derived_dir: StrPath | None = None, cache_dir: StrPath | None = None
) -> int:
    """Delete derived files, those used longest ago first, until `keep` bytes are left.

    Files that a process has open stay. Nothing is lost: what is needed again is made again.

    Returns:
        The bytes that were freed.
    """
    return Derived(derived_folders(derived_dir, cache_dir)).prune(keep)


def source_key(path: Path) -> str:
    """Return a name for what derived files are made of: `contents_key`, and when it was written.

    Of a blob the hash is what it should be. What was made of one that was damaged is not to be
    found for the good one that took its place, in another second.
    """
    blob = _blob(path)
    key = contents_key(path)
    return key if blob is None else f"{key}-{int(path.stat().st_mtime)}"


def contents_key(path: Path) -> str:
    """Return a name for the contents of a file: its blob's hash in the hub cache, and its bytes.

    Of any other file it is a hash of its path, bytes and time of change.
    """
    state = path.stat()
    blob = _blob(path)
    if blob is not None:
        return f"{blob}-{state.st_size}"
    told = json.dumps([str(path.resolve()), state.st_size, state.st_mtime_ns])
    return hashlib.sha256(told.encode()).hexdigest()[:40]


def _blob(path: Path) -> str | None:
    name = path.readlink().name if path.is_symlink() else path.name
    return name if _BLOB.fullmatch(name) else None


def _folders(folder: Path) -> list[Path]:
    """Return the folders of derived files, one for each source, within a folder."""
    if not folder.is_dir():
        return []
    return [part for part in folder.iterdir() if part.is_dir() and part.name != OPEN]
