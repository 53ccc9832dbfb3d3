"""Files of a snapshot into the cache: in parallel, resumed where they broke off, each hashed.

A file is written beside its blob, under one lock with the client's own downloads, and takes its
name only when its hash is the one published. What arrived before a failure, or before a kill, stays
there for the next try.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from huggingface_hub import constants, get_session
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # public, by its docs
    WeakFileLock,
    hf_raise_for_status,
)

from datarax.errors import CorruptDataError
from datarax.progress import Progress
from datarax_hf.cache import Snapshot, TreeEntry
from datarax_hf.errors import CacheWriteError
from datarax_hf.hashes import is_hash, new_hash
from datarax_hf.retry import LOGGER, Patience, persist
from datarax_hf.xet import XetStorage

AT_ONCE = 8
"""Files that are downloaded at the same time."""

_CHUNK = 1 << 20
_LOCK_SECONDS = 2.0
_JOIN_SECONDS = 0.2
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LOCKED = {errno.EACCES, errno.EPERM, errno.EROFS}
_NO_FOLDER = {errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG}


@dataclass(frozen=True)
class Server:
    """Where files come from.

    Attributes:
        endpoint: The Hub's address.
        headers: What every request carries, the token among it.
        patience: How often is asked again.
    """

    endpoint: str
    headers: Mapping[str, str]
    patience: Patience

    def url(self, snapshot: Snapshot, name: str) -> str:
        """Return the address of a file's bytes."""
        return (
            f"{self.endpoint}/datasets/{snapshot.dataset}/resolve/{snapshot.commit}/{quote(name)}"
        )

    @contextlib.contextmanager
    def stream(self, url: str, start: int = 0, stop: int | None = None) -> Iterator[Any]:
        """Send one GET for the bytes [start, stop) of a file, and yield the response unread.

        Raises:
            HfHubHTTPError: For any answer but success, its body read.
        """
        headers = {**self.headers, "Accept-Encoding": "identity"}
        if start or stop is not None:
            headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        with get_session().stream("GET", url, headers=headers, timeout=timeout) as response:
            if response.is_error:
                response.read()
            hf_raise_for_status(response)
            yield response


def download(server: Server, snapshot: Snapshot, tree: Mapping[str, TreeEntry]) -> None:
    """Bring files of a snapshot into the cache; those that are there stay.

    Args:
        server: Where they come from.
        snapshot: Where they belong.
        tree: The files, by name.

    Raises:
        CorruptDataError: If the server sends other bytes than it lists, twice.
        CacheWriteError: If the cache is full, would be, or cannot be written.
        Exception: Those of the client, once patience is at its end.
    """
    lacking = [name for name in tree if not snapshot.has(name)]
    repo = snapshot.folder.parents[1]
    blobs = {name: _blob(snapshot, name, tree[name]) for name in lacking}
    with _told_of(repo):
        for folder in (repo / "blobs", snapshot.folder):
            folder.mkdir(parents=True, exist_ok=True)
    needed = {blobs[name]: tree[name].size - _held(blobs[name]) for name in lacking}
    _check_space(repo, sum(needed.values()))
    stopped = threading.Event()
    total = sum(tree[name].size for name in lacking)
    with Progress(f"downloading hf:{snapshot.dataset}", total) as bar:
        lock = threading.Lock()

        def counted(count: int) -> None:
            with lock:
                bar.advance(count)

        with XetStorage(server, snapshot, stopped) as xet:

            def one(name: str) -> None:
                _download_one(
                    snapshot,
                    name,
                    tree[name],
                    blobs[name],
                    server=server,
                    xet=xet,
                    counted=counted,
                    stopped=stopped,
                )

            _all_at_once(one, lacking, stopped)


def _all_at_once(
    one: Callable[[str], None], names: Sequence[str], stopped: threading.Event
) -> None:
    """Call `one` for each name, several at the same time; the first error ends the others.

    The threads are daemons and an interrupt waits for none of them: what they wait for may take as
    long as a timeout, and what they wrote so far stays whole as a part.
    """
    if len(names) < 2:
        for name in names:
            one(name)
        return
    ahead = iter(names)
    lock = threading.Lock()
    outcomes: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def work() -> None:
        while not stopped.is_set():
            with lock:
                name = next(ahead, None)
            if name is None:
                break
            try:
                one(name)
            except BaseException as error:  # noqa: BLE001  # raised where it is waited for
                outcomes.put(error)
                return
        outcomes.put(None)

    threads = [
        threading.Thread(target=work, name=f"datarax-hf-download-{number}", daemon=True)
        for number in range(min(AT_ONCE, len(names)))
    ]
    for thread in threads:
        thread.start()
    try:
        errors = (outcomes.get() for _ in threads)
        error = next((error for error in errors if error is not None), None)
    finally:
        stopped.set()
    if error is not None:
        for thread in threads:
            thread.join(_JOIN_SECONDS)
        raise error


def _download_one(
    snapshot: Snapshot,
    name: str,
    entry: TreeEntry,
    blob: Path,
    *,
    server: Server,
    xet: XetStorage,
    counted: Callable[[int], None],
    stopped: threading.Event,
) -> None:
    cache = snapshot.folder.parents[2]
    lock = cache / ".locks" / snapshot.folder.parents[1].name / f"{blob.name}.lock"
    with _told_of(blob.parent):
        lock.parent.mkdir(parents=True, exist_ok=True)
        with _held_lock(lock, f"{snapshot.dataset}, file {name!r}", stopped):
            if snapshot.has(name):
                counted(entry.size)
                return
            if not blob.exists() and not _by_xet(xet, name, entry, blob, counted):
                _Transfer(server, snapshot, name, entry, blob, counted, stopped).run()
            _link(snapshot.path(name), blob)


def _by_xet(
    xet: XetStorage, name: str, entry: TreeEntry, blob: Path, counted: Callable[[int], None]
) -> bool:
    """Write a blob out of Xet storage; return False where HTTP is to, as where it has begun to."""
    if _held(blob):
        return False
    part = blob.with_name(f"{blob.name}.xet.incomplete")
    if not xet.fetch(name, entry, part, counted):
        return False
    part.replace(blob)
    return True


class _Transfer:
    """The bytes of one file, from the server to `blobs/<hash>.incomplete` to `blobs/<hash>`."""

    def __init__(
        self,
        server: Server,
        snapshot: Snapshot,
        name: str,
        entry: TreeEntry,
        blob: Path,
        counted: Callable[[int], None],
        stopped: threading.Event,
    ) -> None:
        self._server = server
        self._url = server.url(snapshot, name)
        self._who = f"hf:{snapshot.dataset}: the file {name!r}"
        self._what = f"{snapshot.dataset}, file {name!r}"
        self._size = entry.size
        self._published = entry.hash
        self._blob = blob
        self._partial = _partial(blob)
        self._counted = counted
        self._stopped = stopped
        self._have = 0
        self._digest: Any = None

    def run(self) -> None:
        """Write the blob.

        Raises:
            CorruptDataError: If the server sends other bytes than it lists, twice.
        """
        if self._fill(_partial(self._blob)):
            return
        LOGGER.warning("%s came damaged; it is fetched again", self._who)
        # A name of its own: where locks do nothing, as on some network file systems, another
        # process may have written to the first one.
        own = self._blob.with_name(f"{self._blob.name}.{uuid.uuid4().hex[:8]}.incomplete")
        try:
            if self._fill(own):
                return
        finally:
            own.unlink(missing_ok=True)
        raise CorruptDataError(
            f"{self._who} came twice from {self._url} with the hash {self._digest.hexdigest()}, "
            f"and the Hub lists {self._published}; nothing of it was kept"
        )

    def _fill(self, partial: Path) -> bool:
        """Complete a partial file and give it the blob's name; return False if it is damaged."""
        with partial.open("ab+") as file:
            self._begin(file)
            persist(
                lambda: self._receive(file),
                self._server.patience,
                self._what,
                stopped=self._stopped,
                count=lambda: self._have,
            )
        if self._digest.hexdigest() != self._published:
            self._counted(-self._have)
            partial.unlink(missing_ok=True)
            return False
        try:
            partial.replace(self._blob)
        except FileNotFoundError:
            if not self._blob.exists():
                raise
        return True

    def _begin(self, file: Any) -> None:
        """Take over what an earlier download left."""
        self._digest = new_hash(self._published, self._size)
        self._have = file.seek(0, os.SEEK_END)
        if self._have > self._size:
            self._restart(file)
        file.seek(0)
        while chunk := file.read(_CHUNK):
            self._digest.update(chunk)
        self._counted(self._have)

    def _restart(self, file: Any) -> None:
        self._counted(-self._have)
        file.truncate(0)
        file.seek(0)
        self._have = 0
        self._digest = new_hash(self._published, self._size)

    def _receive(self, file: Any) -> None:
        """Write the bytes that are lacking; what arrived before an error counts."""
        if self._have == self._size:
            return
        try:
            with self._server.stream(self._url, self._have) as response:
                if self._have and not _goes_on(response, self._have):
                    self._restart(file)
                    if response.status_code == HTTPStatus.PARTIAL_CONTENT:
                        raise ConnectionError("the answer is a part that does not say which")
                for chunk in response.iter_bytes():
                    self._take(file, chunk)
        finally:
            file.flush()
        if self._have < self._size:
            raise ConnectionError(f"the answer ended after {self._have} of {self._size} bytes")

    def _take(self, file: Any, chunk: bytes) -> None:
        if self._stopped.is_set():
            raise InterruptedError(f"{self._who} was left, since another one failed")
        if self._have + len(chunk) > self._size:
            self._restart(file)
            raise CorruptDataError(
                f"{self._who} is listed with {self._size} bytes, and {self._url} sends more; it "
                "was not kept"
            )
        file.write(chunk)
        self._digest.update(chunk)
        self._have += len(chunk)
        self._counted(len(chunk))


@contextlib.contextmanager
def _held_lock(lock: Path, what: str, stopped: threading.Event) -> Iterator[None]:
    """Hold the lock that the client holds while it downloads the same blob; say the waiting."""
    with contextlib.ExitStack() as stack:
        waits = 0
        while True:
            try:
                stack.enter_context(WeakFileLock(lock, timeout=_LOCK_SECONDS))
                break
            except TimeoutError:
                if stopped.is_set():
                    raise InterruptedError(f"hf:{what} was left, since another failed") from None
                waits += 1
                if waits % 10 == 1:
                    LOGGER.warning("hf:%s is being downloaded by another process; waiting", what)
        yield


def _goes_on(response: Any, start: int) -> bool:
    """Return whether the body begins at byte `start`."""
    said = str(response.headers.get("Content-Range", ""))
    return bool(response.status_code == HTTPStatus.PARTIAL_CONTENT) and said.startswith(
        f"bytes {start}-"
    )


def _blob(snapshot: Snapshot, name: str, entry: TreeEntry) -> Path:
    if not is_hash(entry.hash):
        raise CorruptDataError(
            f"hf:{snapshot.dataset} lists the file {name!r} with {entry.hash!r}, which is no hash; "
            "it is not fetched"
        )
    return snapshot.folder.parents[1] / "blobs" / entry.hash


def _partial(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.incomplete")


def _held(blob: Path) -> int:
    """Return the bytes of a file that need no place any more."""
    for path in (blob, _partial(blob)):
        with contextlib.suppress(OSError):
            return path.stat().st_size
    return 0


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


def _link(path: Path, blob: Path) -> None:
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


def _check_space(folder: Path, needed: int) -> None:
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return
    if needed > free:
        raise _full(folder, f"needs {needed} bytes more, and {free} are free")


@contextlib.contextmanager
def _told_of(folder: Path) -> Iterator[None]:
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
