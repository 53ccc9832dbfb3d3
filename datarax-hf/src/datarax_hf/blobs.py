"""Blobs of the Hub's cache: where contents lie, how names link to them, and room for more."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import constants

from datarax.errors import CorruptDataError
from datarax_hf.cache import Snapshot, TreeEntry
from datarax_hf.errors import CacheWriteError
from datarax_hf.hashes import is_hash

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LOCKED = {errno.EACCES, errno.EPERM, errno.EROFS}
_NO_FOLDER = {errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG}
_NO_LINKS = {
    errno.EEXIST,
    errno.EPERM,
    errno.EACCES,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.ENOTSUP,
    errno.EINVAL,
}
"""What file systems without links answer, and where an entry is there."""


def blob_of(snapshot: Snapshot, name: str, entry: TreeEntry) -> Path:
    """Return where the contents of a file lie, or should, by the hash that is published.

    Raises:
        CorruptDataError: If that is no hash.
    """
    if not is_hash(entry.hash):
        raise CorruptDataError(
            f"hf:{snapshot.dataset} lists the file {name!r} with {entry.hash!r}, which is no hash; "
            "it is not fetched"
        )
    return snapshot.folder.parents[1] / "blobs" / entry.hash


def partial_of(blob: Path) -> Path:
    """Return where a blob lies until all of it has arrived."""
    return blob.with_name(f"{blob.name}.incomplete")


def held_bytes(blob: Path) -> int:
    """Return the bytes of a file that need no place any more."""
    for path in (blob, partial_of(blob)):
        with contextlib.suppress(OSError):
            return path.stat().st_size
    return 0


def link(path: Path, blob: Path) -> None:
    """Make a snapshot's entry: a link to the blob, or the blob itself where links are off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() and not path.exists():
        path.unlink(missing_ok=True)
    if not constants.HF_HUB_DISABLE_SYMLINKS:
        try:
            path.symlink_to(os.path.relpath(blob, path.parent))
        except NotImplementedError:
            pass
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
    if path.exists():
        return
    if _is_linked(blob):  # by another commit, whose file would be gone
        part = path.with_name(f"{path.name}.{os.getpid()}.incomplete")
        shutil.copyfile(blob, part)
        part.replace(path)
    else:
        blob.replace(path)


def _is_linked(blob: Path) -> bool:
    """Return whether an entry of any snapshot is a link to a blob."""
    entries = (blob.parents[1] / "snapshots").rglob("*")
    return any(entry.is_symlink() and entry.resolve() == blob.resolve() for entry in entries)


def check_space(folder: Path, needed: int) -> None:
    """Raise if a folder's disk has not that many bytes more.

    Raises:
        CacheWriteError: If so.
    """
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return
    if needed > free:
        raise _full(folder, f"needs {needed} bytes more, and {free} are free")


@contextlib.contextmanager
def told_of(folder: Path) -> Iterator[None]:
    """Say what a failed write means, naming the folder."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise _full(folder, f"cannot take more ({error.strerror})") from error
        if error.errno in _LOCKED | _NO_FOLDER:
            raise CacheWriteError(
                error.errno,
                f"the cache folder {folder} cannot be written ({error.strerror}), and files are to "
                "be downloaded into it; give another by cache_dir=, HF_HUB_CACHE or HF_HOME",
            ) from error
        raise


def _full(folder: Path, what: str) -> CacheWriteError:
    return CacheWriteError(
        errno.ENOSPC,
        f"the cache folder {folder} {what}; make room there, or give another folder by cache_dir=, "
        "HF_HUB_CACHE or HF_HOME. What was downloaded so far is kept, and the next load goes on "
        "from there",
    )
