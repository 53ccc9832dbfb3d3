"""The Hub over the network, through huggingface_hub; its errors in datarax's words.

The endpoint, the cache and the token are read when a `Hub` is made, not when a module is imported.
What may pass is asked again, as `retry` has it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

from huggingface_hub import HfApi, get_session
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # public, by its docs
    build_hf_headers,
    hf_raise_for_status,
)

from datarax.errors import DataraxError, UnknownDatasetError
from datarax_hf import __version__
from datarax_hf.cache import (
    Snapshot,
    TreeEntry,
    hub_cache,
    is_commit,
    is_short_commit,
    read_tree,
    repo_folder,
    write_commit,
    write_name,
    write_ref,
    write_tree,
)
from datarax_hf.config import HFSourceConfig
from datarax_hf.download import Server, download
from datarax_hf.errors import HubAccessError, HubConnectionError
from datarax_hf.names import is_dataset_name, near_name
from datarax_hf.retry import HTTP_ERROR, Patience, asked_too_long, persist, told
from datarax_hf.tokens import find_token, hidden, shows_token

_TIMEOUT = 30.0


class Hub:
    """One Hub, as the environment and the config name it.

    Args:
        config: Names the cache and the token.
        brief: Whether to give up soon when a revision is looked up, since the cache can serve.
    """

    def __init__(self, config: HFSourceConfig, *, brief: bool = False) -> None:
        self._endpoint = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
        _check_address(self._endpoint)
        self._cache = hub_cache(config.cache_dir)
        self._patience = Patience.from_environment()
        self._look_up_patience = self._patience.brief() if brief else self._patience
        with self._told(config.name, ""):
            self._token = find_token(config.token)
            headers = build_hf_headers(
                token=self._token.for_client,
                library_name="datarax-hf",
                library_version=__version__,
            )
        self.server = Server(self._endpoint, headers, self._patience)

    def look_up(self, name: str, revision: str) -> Snapshot:
        """Return the commit that `revision` is now, with its listing; nothing is downloaded.

        Raises:
            UnknownDatasetError: If there is no such dataset or revision, or no access to it.
            HubConnectionError: If the Hub cannot be asked.
        """
        with self._told(name, revision):
            try:
                info = self._info(name, revision)
            except RevisionNotFoundError:
                commit = self._commit_of(name, revision)
                if commit is None:
                    raise
                info = self._info(name, commit)
        if info.sha is None or info.siblings is None:
            raise HubConnectionError(
                f"{self._endpoint} answered for the dataset {name!r} without a commit or a listing"
            )
        if not is_commit(info.sha) or not is_dataset_name(info.id):
            raise HubConnectionError(
                f"{self._endpoint} answered for the dataset {name!r} with the name {info.id!r} and "
                f"the commit {info.sha!r}, of which one cannot be"
            )
        repo = repo_folder(self._cache, info.id)
        files = {sibling.rfilename: sibling.size for sibling in info.siblings}
        kept = read_tree(repo, info.sha) or {}
        files |= {name: entry.size for name, entry in kept.items() if name in files}
        if info.id != name and repo.is_dir():
            write_name(repo, name)
        folder = repo / "snapshots" / info.sha
        return Snapshot(info.id, revision, info.sha, folder, files, complete=True)

    def listed(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot with the size and the hash that the Hub publishes for each file."""
        tree = self._tree(snapshot)
        return replace(
            snapshot,
            files={**snapshot.files, **{name: entry.size for name, entry in tree.items()}},
            hashes={name: entry.hash for name, entry in tree.items()},
        )

    def fetch(self, snapshot: Snapshot, names: Sequence[str]) -> None:
        """Download files of a snapshot into the cache; those that are there stay.

        Raises:
            UnknownDatasetError: If the Hub does not have a file, or gives no access to it.
            HubConnectionError: If the Hub cannot be asked, or contradicts itself.
            CorruptDataError: If it sends other bytes than it lists.
            CacheWriteError: If the cache is full or cannot be written.
        """
        tree = self._tree(snapshot)
        absent = [name for name in names if name not in tree]
        if absent:
            raise HubConnectionError(
                f"{self._endpoint} has a file {absent[0]!r} in {snapshot.dataset!r} at "
                f"{snapshot.commit} by what it says of the dataset, and leaves it out of the "
                "listing of its files; was the answer cut short on the way? try again"
            )
        with self._told(snapshot.dataset, snapshot.revision):
            download(self.server, snapshot, {name: tree[name] for name in names})

    def remember(self, snapshot: Snapshot, *, asked: str, listed: bool = False) -> None:
        """Note in the cache what the revision stands for and what the dataset was asked for as.

        Args:
            snapshot: The revision and its commit.
            asked: What the dataset was asked for as.
            listed: Whether to keep the listing too, for a commit of which no file is downloaded.
        """
        repo = snapshot.folder.parents[1]
        if listed:
            self._tree(snapshot)
        write_commit(repo, snapshot.commit)
        if not snapshot.commit.startswith(snapshot.revision):
            write_ref(repo, snapshot.revision, snapshot.commit)
        if asked != snapshot.dataset:
            write_name(repo, asked)

    def telling(self, snapshot: Snapshot) -> AbstractContextManager[None]:
        """Return a context in which the client's errors become those of datarax."""
        return self._told(snapshot.dataset, snapshot.revision)

    def _info(self, name: str, revision: str) -> Any:
        api = HfApi(endpoint=self._endpoint, token=self._token.for_client)
        with self._understood(name):
            return persist(
                lambda: api.dataset_info(name, revision=revision, timeout=_TIMEOUT),
                self._look_up_patience,
                name,
            )

    def _commit_of(self, name: str, revision: str) -> str | None:
        """Return the commit of `main` that `revision` is the beginning of, or None."""
        if not is_short_commit(revision):
            return None
        api = HfApi(endpoint=self._endpoint, token=self._token.for_client)
        commits = persist(
            lambda: api.list_repo_commits(name, repo_type="dataset"), self._look_up_patience, name
        )
        matches = {one.commit_id for one in commits if one.commit_id.startswith(revision)}
        return matches.pop() if len(matches) == 1 else None

    def _tree(self, snapshot: Snapshot) -> Mapping[str, TreeEntry]:
        """Return the listing of a commit, which the cache keeps unless it lacks known files."""
        repo = snapshot.folder.parents[1]
        kept = read_tree(repo, snapshot.commit)
        if kept is not None and snapshot.files.keys() <= kept.keys():
            return kept
        tree: dict[str, TreeEntry] = {}
        page: str | None = (
            f"{self._endpoint}/api/datasets/{snapshot.dataset}/tree/{quote(snapshot.commit)}"
            "?recursive=true&expand=false"
        )
        with self._told(snapshot.dataset, snapshot.revision):
            asked: set[str] = set()
            while page is not None:
                if page in asked:
                    raise HubConnectionError(
                        f"{self._endpoint} lists {snapshot.dataset!r} without an end: what follows "
                        f"{page} is {page} again"
                    )
                asked.add(page)
                listed, page = self._page(page, snapshot.dataset)
                with self._understood(snapshot.dataset):
                    for entry in listed:
                        if entry.get("type") == "file":
                            tree[str(entry["path"])] = _tree_entry(entry)
        if snapshot.files.keys() <= tree.keys():
            write_tree(repo, snapshot.commit, tree)
        return tree

    def _page(self, url: str, dataset: str) -> tuple[list[dict[str, Any]], str | None]:
        def ask() -> Any:
            response = get_session().get(url, headers=self.server.headers, timeout=_TIMEOUT)
            hf_raise_for_status(response)
            return response

        response = persist(ask, self._patience, dataset)
        further = response.links.get("next", {}).get("url")
        with self._understood(dataset):
            return response.json(), None if further is None else self._here(further, dataset)

    def _here(self, address: str, dataset: str) -> str:
        """Return the address of what follows in a listing, at the Hub that was asked.

        A mirror may pass on the one of the Hub behind it, which the token is not for.
        """
        parts = urlsplit(address)
        _, api, rest = parts.path.partition("/api/")
        if not api:
            raise HubConnectionError(
                f"{self._endpoint} says that the listing of {dataset!r} goes on at {address!r}, "
                "which is no address of a Hub"
            )
        return f"{self._endpoint}{api}{rest}" + (f"?{parts.query}" if parts.query else "")

    @contextmanager
    def _understood(self, dataset: str) -> Iterator[None]:
        """Raise what reading an answer raises as an error that names who gave it."""
        try:
            yield
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise HubConnectionError(
                f"{self._endpoint} answered for the dataset {dataset!r} with what is not the "
                f"answer of a Hub ({type(error).__name__}: {error}); is there a proxy or a login "
                "page between? check HF_ENDPOINT and the network"
            ) from error

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
            raise told from None if shows_token(error) else error

    def _in_our_words(self, error: BaseException, name: str, revision: str) -> Exception | None:
        """Return the datarax error for one of the client's, or None for what is not the Hub's."""
        hub = self._endpoint
        match error:
            case GatedRepoError():
                return HubAccessError(
                    f"the dataset {name!r} is gated, and {self._token.origin} has no access; ask "
                    f"for it at {hub}/datasets/{name}, then log in by 'hf auth login', or give "
                    "token="
                )
            case DisabledRepoError():
                return HubAccessError(
                    f"the dataset {name!r} has been disabled by {hub}, and no token opens it; a "
                    "copy in a cache can still be read with local_files_only=True"
                )
            case RepositoryNotFoundError():
                return UnknownDatasetError(
                    f"{hub} has no dataset {name!r}, or it is private and {self._token.origin} may "
                    f"not see it ('hf auth login', or token=).{near_name(name)}"
                )
            case RevisionNotFoundError():
                return UnknownDatasetError(
                    f"the dataset {name!r} on {hub} has no revision {revision!r}; give a branch, a "
                    "tag, a ref such as 'refs/pr/1', or a commit"
                )
            case HfHubHTTPError() if error.response.status_code in {401, 403}:
                return HubAccessError(
                    f"{hub} refuses the dataset {name!r} to {self._token.origin} "
                    f"(HTTP {error.response.status_code}{_said(error)}); check it by "
                    "'hf auth whoami', or give token=False where the dataset is public"
                )
            case EntryNotFoundError():
                return UnknownDatasetError(
                    f"{hub} lists a file of {name!r} at {revision!r} and does not have it: "
                    f"{hidden(str(error))}"
                )
            case OfflineModeIsEnabled():
                return HubConnectionError(
                    "huggingface_hub was imported with HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE on "
                    f"and cannot ask for {name!r}; start Python without them, or pass "
                    "local_files_only=True."
                )
            case HfHubHTTPError():
                seconds = asked_too_long(error)
                later = "later" if seconds is None else f"in {seconds:.0f} s, as it asks"
                return HubConnectionError(
                    f"{hub} answered HTTP {error.response.status_code}{_said(error)} for the "
                    f"dataset {name!r}; try again {later}, or pass local_files_only=True to read "
                    "what is cached."
                )
        if isinstance(error, HTTP_ERROR | ConnectionError | TimeoutError):
            return HubConnectionError(
                f"{hub} cannot be reached for the dataset {name!r} ({told(error)}); check the "
                "network, or pass local_files_only=True to read what is cached."
            )
        return None


def _check_address(endpoint: str) -> None:
    """Raise unless HF_ENDPOINT can be the address of a Hub."""
    try:
        parts = urlsplit(endpoint)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise HubConnectionError(
            f"HF_ENDPOINT is {endpoint!r}, which is no address of a Hub; one is written as "
            "https://huggingface.co"
        )


def _tree_entry(entry: dict[str, Any]) -> TreeEntry:
    large = entry.get("lfs") or {}
    return TreeEntry(
        int(entry["size"]), str(entry["oid"]), large.get("oid"), entry.get("xetHash") or None
    )


def _said(error: Any) -> str:
    return f", {hidden(error.server_message)!r}" if error.server_message else ""
