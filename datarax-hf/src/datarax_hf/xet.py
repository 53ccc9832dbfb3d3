"""Files out of the Hub's Xet storage, through hf_xet; what it cannot bring, plain HTTP does.

hf_xet compares nothing that arrives with a hash, and asks a server that is dead or silent again for
minutes. So a file is handed on only when its hash is the one that the Hub publishes, and storage
that sends nothing for as long as an HTTP request may wait is given up for the rest of the download.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import queue
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from huggingface_hub import constants, get_session
from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]  # by its docs

from datarax_hf.cache import Snapshot, TreeEntry
from datarax_hf.hashes import hash_file
from datarax_hf.retry import LOGGER, persist, told

if TYPE_CHECKING:
    from datarax_hf.download import Server

_LOOK_SECONDS = 0.1
_QUERY = re.compile(r"\?[^\s)]*")


class XetStorage:
    """The Xet storage of one snapshot, for the time of one download.

    What hf_xet runs, its threads among it, begins with the first file and is let go with the
    context: a process that forks or ends later meets none of it.

    Args:
        server: The Hub, which says where the storage is and gives the token for it.
        snapshot: Whose files are fetched.
        stopped: Set by another thread, it ends the waiting.
    """

    def __init__(self, server: Server, snapshot: Snapshot, stopped: threading.Event) -> None:
        self._server = server
        self._snapshot = snapshot
        self._stopped = stopped
        self._lock = threading.Lock()
        self._session: Any = None
        self._group: Any = None
        self._refusal: Exception | None = None
        self._given_up = constants.HF_HUB_DISABLE_XET or importlib.util.find_spec("hf_xet") is None
        self._arrived = (0, 0)
        self._arrived_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        group, self._group, self._session = self._group, None, None
        if group is not None:
            with contextlib.suppress(Exception):
                if kind is None and not self._given_up:
                    group.wait_to_finish()
                else:
                    group.abort()

    def fetch(
        self, name: str, entry: TreeEntry, path: Path, counted: Callable[[int], None]
    ) -> bool:
        """Write a file whose hash is the published one; return False where HTTP is to do it.

        Args:
            name: The file.
            entry: What the Hub lists for it.
            path: What is written; where False is returned, it is gone.
            counted: Told of the bytes that are on the disk, and of those that are taken back.

        Raises:
            InterruptedError: If `stopped` was set.
        """
        have = 0

        def count(there: int) -> None:
            nonlocal have
            counted(there - have)
            have = there

        whole = False
        try:
            if entry.xet_hash is not None and not self._given_up:
                self._receive(entry, path, count)
                _compare(path, entry)
                whole = True
        except InterruptedError:
            raise
        except Exception as error:  # hf_xet raises its own; HTTP meets the Hub's too
            if self._stopped.is_set():
                raise InterruptedError(f"{name!r} was left, since another file failed") from error
            self._give_up(name, error)
        finally:
            count(entry.size if whole else 0)
            if not whole:
                path.unlink(missing_ok=True)
        return whole

    def _receive(self, entry: TreeEntry, path: Path, count: Callable[[int], None]) -> None:
        hf_xet = importlib.import_module("hf_xet")
        group = self._opened(hf_xet)
        info = hf_xet.XetFileInfo(entry.xet_hash, entry.size)
        download = group.start_download_file(info, str(path.absolute()))
        # Only a thread can wait for a result, and this one has to hear of Ctrl-C and of silence.
        ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        threading.Thread(
            target=_wait, args=(download, ended), name="datarax-hf-xet", daemon=True
        ).start()
        try:
            self._watch(group, download, ended, count)
        except BaseException:
            download.cancel()
            raise

    def _watch(
        self,
        group: Any,
        download: Any,
        ended: queue.SimpleQueue[BaseException | None],
        count: Callable[[int], None],
    ) -> None:
        """Wait for the end of a download; raise its error, or one for silence or a stop."""
        begun = time.monotonic()
        while True:
            with contextlib.suppress(queue.Empty):
                error = ended.get(timeout=_LOOK_SECONDS)
                break
            if self._stopped.is_set():
                raise InterruptedError("a file was left, since another one failed")
            progress = download.progress()
            if progress is not None:
                count(progress.bytes_completed)
            if time.monotonic() - max(begun, self._last_arrival(group)) > _patience():
                raise TimeoutError(f"nothing came in {_patience():g} s")
        if error is not None:
            raise error

    def _opened(self, hf_xet: Any) -> Any:
        """Return the group of downloads; the Hub is asked for it once, whatever it answers."""
        with self._lock:
            if self._refusal is not None:
                raise self._refusal
            if self._group is None:
                try:
                    self._group = self._open(hf_xet)
                except Exception as error:
                    self._refusal = error
                    raise
            return self._group

    def _open(self, hf_xet: Any) -> Any:
        """Ask the Hub where the storage is, and return a group of downloads from it."""
        dataset, commit = self._snapshot.dataset, self._snapshot.commit
        url = f"{self._server.endpoint}/api/datasets/{dataset}/xet-read-token/{quote(commit)}"
        headers = dict(self._server.headers)

        def ask() -> Any:
            response = get_session().get(url, headers=headers, timeout=_patience())
            hf_raise_for_status(response)
            return response.json()

        said = persist(ask, self._server.patience.brief(), dataset, stopped=self._stopped)
        self._session = hf_xet.XetSession()
        return self._session.new_file_download_group(
            endpoint=said["casUrl"],
            token=said["accessToken"],
            token_expiry_unix_secs=int(said["exp"]),
            token_refresh_url=url,
            token_refresh_headers=headers,
            custom_headers={
                key: value for key, value in headers.items() if key.lower() != "authorization"
            },
        )

    def _last_arrival(self, group: Any) -> float:
        """Return when bytes of any file came last: they share connections, and wait for them."""
        progress = group.progress()
        arrived = (progress.total_transfer_bytes_completed, progress.total_bytes_completed)
        with self._lock:
            if arrived != self._arrived:
                self._arrived, self._arrived_at = arrived, time.monotonic()
            return self._arrived_at

    def _give_up(self, name: str, error: Exception) -> None:
        with self._lock:
            first, self._given_up = not self._given_up, True
        if first:
            LOGGER.warning(
                "hf:%s: %r, and what is still to come, is fetched by HTTP, not Xet: %s",
                self._snapshot.dataset,
                name,
                _QUERY.sub("", told(error)),
            )


def _wait(download: Any, ended: queue.SimpleQueue[BaseException | None]) -> None:
    try:
        download.result()
    except BaseException as error:  # noqa: BLE001  # raised where it is waited for
        ended.put(error)
    else:
        ended.put(None)


def _compare(path: Path, entry: TreeEntry) -> None:
    digest = hash_file(path, entry.hash)
    if digest != entry.hash:
        raise ValueError(f"it came with the hash {digest}, and the Hub lists {entry.hash}")


def _patience() -> float:
    """Return the seconds without a byte that end a request."""
    return float(constants.HF_HUB_DOWNLOAD_TIMEOUT)
