"""Files of a snapshot into the cache: in parallel, resumed where they broke off, each hashed.

A file is written beside its blob, under one lock with the client's own downloads, and takes its
name only when its hash is the one published. What arrived before a failure, or before a kill, stays
there for the next try.
"""

from __future__ import annotations

import contextlib
import os
import queue
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
from datarax_hf.blobs import blob_of, check_space, held_bytes, link, partial_of, told_of
from datarax_hf.cache import Snapshot, TreeEntry
from datarax_hf.hashes import new_hash
from datarax_hf.retry import LOGGER, Patience, persist
from datarax_hf.xet import XetStorage

AT_ONCE = 8
"""Files that are downloaded at the same time."""

_CHUNK = 1 << 20
_LOCK_SECONDS = 2.0
_JOIN_SECONDS = 0.2


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
    blobs = {name: blob_of(snapshot, name, tree[name]) for name in lacking}
    with told_of(repo):
        for folder in (repo / "blobs", snapshot.folder):
            folder.mkdir(parents=True, exist_ok=True)
    needed = {blobs[name]: tree[name].size - held_bytes(blobs[name]) for name in lacking}
    check_space(repo, sum(needed.values()))
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
    with told_of(blob.parent):
        lock.parent.mkdir(parents=True, exist_ok=True)
        with _held_lock(lock, f"{snapshot.dataset}, file {name!r}", stopped):
            if snapshot.has(name):
                counted(entry.size)
                return
            if not blob.exists() and not _by_xet(xet, name, entry, blob, counted):
                _Transfer(server, snapshot, name, entry, blob, counted, stopped).run()
            link(snapshot.path(name), blob)


def _by_xet(
    xet: XetStorage, name: str, entry: TreeEntry, blob: Path, counted: Callable[[int], None]
) -> bool:
    """Write a blob out of Xet storage; return False where HTTP is to, as where it has begun to."""
    if held_bytes(blob):
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
        self._partial = partial_of(blob)
        self._counted = counted
        self._stopped = stopped
        self._have = 0
        self._digest: Any = None

    def run(self) -> None:
        """Write the blob.

        Raises:
            CorruptDataError: If the server sends other bytes than it lists, twice.
        """
        if self._fill(partial_of(self._blob)):
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
