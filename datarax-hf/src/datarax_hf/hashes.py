"""The hash that the Hub publishes for a file, and the hash that a file has.

A published hash of 64 digits is the SHA-256 of a large file, one of 40 digits the git SHA-1 of a
small one, which counts its size in. A blob in the cache is named by it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datarax_hf.cache import Snapshot

_CHUNK = 1 << 20
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def is_hash(text: str) -> bool:
    """Return whether `text` can be a published hash."""
    return _HASH.fullmatch(text) is not None


def new_hash(published: str, size: int) -> Any:
    """Return a hash object of the kind of `published`, for a file of `size` bytes."""
    if len(published) == 64:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)


def hash_file(path: Path, published: str, counted: Callable[[int], None] | None = None) -> str:
    """Return the hash of a file, of the kind of `published`.

    Args:
        path: The file.
        published: The hash that it should have.
        counted: Told of the bytes of each piece as it is read.
    """
    with path.open("rb") as file:
        digest = new_hash(published, file.seek(0, 2))
        file.seek(0)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            if counted is not None:
                counted(len(chunk))
    return str(digest.hexdigest())


def published_hash(snapshot: Snapshot, name: str) -> str | None:
    """Return the hash published for a file, as far as this machine knows it.

    From the listing of the commit, else from the blob that the snapshot's entry links to, else
    from what `hf download --local-dir` noted beside the files.
    """
    if name in snapshot.hashes:
        return snapshot.hashes[name]
    path = snapshot.path(name)
    if path.is_symlink():
        blob = path.readlink()
        if blob.parent.name == "blobs" and is_hash(blob.name):
            return blob.name
    note = snapshot.folder / ".cache" / "huggingface" / "download" / f"{name}.metadata"
    try:
        _, noted, *_ = note.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    return noted if is_hash(noted) else None
