"""The Hub over the network, through huggingface_hub; its errors in datarax's words.

The endpoint, the cache and the token are read when a `Hub` is made, not when a module is imported.
"""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]  # public, by its docs

from datarax.errors import DataraxError, UnknownDatasetError, nearest
from datarax_hf.cache import Snapshot, hub_cache, repo_folder, write_ref
from datarax_hf.config import HFSourceConfig
from datarax_hf.errors import HubAccessError, HubConnectionError
from datarax_hf.names import CANONICAL

_HTTP_ERROR = HfHubHTTPError.__bases__[0]
"""The HTTP library's base class: httpx's or httpx2's, as huggingface_hub's version has it."""

_NETWORK = (_HTTP_ERROR, ConnectionError, TimeoutError, LocalEntryNotFoundError)
_TIMEOUT = 30.0


class Hub:
    """One Hub, as the environment and the config name it."""

    def __init__(self, config: HFSourceConfig) -> None:
        self._endpoint = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
        self._token = config.token
        self._cache = hub_cache(config.cache_dir)

    def look_up(self, name: str, revision: str) -> Snapshot:
        """Return the commit that `revision` is now, with its listing; nothing is downloaded.

        Raises:
            UnknownDatasetError: If there is no such dataset or revision, or no access to it.
            HubConnectionError: If the Hub cannot be asked.
        """
        api = HfApi(endpoint=self._endpoint, token=self._token)
        with self._told(name, revision):
            info = api.dataset_info(name, revision=revision, timeout=_TIMEOUT)
        if info.sha is None or info.siblings is None:
            raise HubConnectionError(
                f"{self._endpoint} answered for the dataset {name!r} without a commit or a listing"
            )
        folder = repo_folder(self._cache, info.id) / "snapshots" / info.sha
        files = {sibling.rfilename: sibling.size for sibling in info.siblings}
        return Snapshot(info.id, revision, info.sha, folder, files, complete=True)

    def fetch(self, snapshot: Snapshot, names: Sequence[str]) -> None:
        """Download files of a snapshot into the cache; those that are there stay."""
        with self._told(snapshot.dataset, snapshot.revision):
            snapshot_download(
                snapshot.dataset,
                repo_type="dataset",
                revision=snapshot.commit,
                allow_patterns=[glob.escape(name) for name in names],
                cache_dir=self._cache,
                endpoint=self._endpoint,
                token=self._token,
                tqdm_class=_Bar,
            )

    def remember(self, snapshot: Snapshot) -> None:
        """Note in the cache what the revision stands for, so that it is found offline."""
        if snapshot.revision != snapshot.commit:
            write_ref(snapshot.folder.parents[1], snapshot.revision, snapshot.commit)

    @contextmanager
    def _told(self, name: str, revision: str) -> Iterator[None]:
        try:
            yield
        except DataraxError:
            raise
        except Exception as error:
            told = self._in_our_words(error, name, revision)
            if told is None:
                raise
            raise told from error

    def _in_our_words(self, error: BaseException, name: str, revision: str) -> Exception | None:
        """Return the datarax error for one of the client's, or None for what is not the Hub's."""
        hub = self._endpoint
        if isinstance(error, LocalEntryNotFoundError) and error.__cause__ is not None:
            return self._in_our_words(error.__cause__, name, revision)
        match error:
            case GatedRepoError():
                return HubAccessError(
                    f"the dataset {name!r} is gated; ask for access at {hub}/datasets/{name}, "
                    "then log in by 'hf auth login', or give token="
                )
            case DisabledRepoError():
                return HubAccessError(f"the dataset {name!r} has been disabled by {hub}")
            case RepositoryNotFoundError():
                return UnknownDatasetError(
                    f"{hub} has no dataset {name!r}, or it is private and this token may not see "
                    f"it ('hf auth login', or token=).{nearest(name, _known(name))}"
                )
            case RevisionNotFoundError():
                return UnknownDatasetError(
                    f"the dataset {name!r} on {hub} has no revision {revision!r}; give a branch, a "
                    "tag or a commit in full"
                )
            case HfHubHTTPError() if error.response.status_code in {401, 403}:
                return HubAccessError(
                    f"{hub} refuses the dataset {name!r} to this token "
                    f"(HTTP {error.response.status_code}{_said(error)}); check it by "
                    "'hf auth whoami', or give token=False where the dataset is public"
                )
            case EntryNotFoundError():
                return UnknownDatasetError(
                    f"{hub} lists a file of {name!r} at {revision!r} and does not have it: {error}"
                )
            case OfflineModeIsEnabled():
                return HubConnectionError(
                    f"huggingface_hub was imported with HF_HUB_OFFLINE on and cannot ask for "
                    f"{name!r}; start Python without it, or pass local_files_only=True."
                )
            case HfHubHTTPError():
                return HubConnectionError(
                    f"{hub} answered HTTP {error.response.status_code}{_said(error)} for the "
                    f"dataset {name!r}; try again later, or pass local_files_only=True to read "
                    "what is cached."
                )
        if isinstance(
            error, _HTTP_ERROR | ConnectionError | TimeoutError | LocalEntryNotFoundError
        ):
            return HubConnectionError(
                f"{hub} cannot be reached for the dataset {name!r} "
                f"({type(error).__name__}: {error}); check the network, or pass "
                "local_files_only=True to read what is cached."
            )
        return None


class _Bar(tqdm):
    """The client's progress bar on a terminal; silent elsewhere."""

    def __init__(self, *args: Any, **options: Any) -> None:
        if not sys.stderr.isatty():
            options["disable"] = True
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]  # tqdm has no types


def _known(name: str) -> tuple[str, ...]:
    return tuple(CANONICAL.values()) if "/" in name else tuple(CANONICAL)


def _said(error: Any) -> str:
    return f", {error.server_message!r}" if error.server_message else ""
