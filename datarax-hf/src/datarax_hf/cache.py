"""The Hub's cache on disk: from a name and a revision to a snapshot, with no socket and no client.

The layout is `{cache}/datasets--ns--name/{refs,snapshots/<commit>,trees/<commit>.json}`. Only small
notes are written here (what a ref stands for, the listing of a commit, the name that a dataset was
asked for by), each whole or not at all, and none where the cache is read-only. A revision that is
not there is a miss, never another revision.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from datarax.errors import CorruptDataError
from datarax_hf.names import aliases, canonical, is_dataset_name, stays_inside, user_path

MAIN = "main"
NAMES = "datarax-names"
"""The folder of a cached repository that notes the other names that it was asked for by."""
StrPath = str | os.PathLike[str]
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHORT_COMMIT = re.compile(r"[0-9a-f]{4,39}")


@dataclass(frozen=True)
class Snapshot:
    """One commit of a dataset, as far as this machine knows it.

    Attributes:
        dataset: What the Hub calls the dataset.
        revision: The revision that was asked for.
        commit: The full commit.
        folder: Where its files lie, or should.
        files: Its files, relative to `folder`, and their bytes where known.
        complete: Whether `files` is the whole listing, and not only what happens to be on disk.
        notes: What a user should know of how it was found.
        hashes: The hashes that the Hub publishes for its files, as far as they are known.
    """

    dataset: str
    revision: str
    commit: str
    folder: Path
    files: dict[str, int | None]
    complete: bool
    notes: tuple[str, ...] = field(default=())
    hashes: Mapping[str, str] = field(default_factory=dict, repr=False)

    def has(self, name: str) -> bool:
        """Return whether the file lies on this machine.

        Raises:
            CorruptDataError: If the name leads out of the folder.
        """
        return self.path(name).is_file()

    def path(self, name: str) -> Path:
        """Return where the file lies, or should.

        Raises:
            CorruptDataError: If the name leads out of the folder.
        """
        if not stays_inside(name):
            raise CorruptDataError(
                f"hf:{self.dataset} lists a file {name!r}, which leaves its folder; it is not read"
            )
        return self.folder / name


def hub_cache(cache_dir: StrPath | None) -> Path:
    """Return the cache folder, as huggingface_hub would choose it if it were imported now."""
    chosen = (
        (None if cache_dir is None else str(cache_dir))
        or os.environ.get("HF_HUB_CACHE")
        or os.environ.get("HUGGINGFACE_HUB_CACHE")
        or str(hub_home() / "hub")
    )
    path = user_path(os.path.expandvars(chosen)).absolute()
    # Beside `folder/..` is beside what that leads to, and not within the folder.
    return Path(os.path.realpath(path)) if ".." in path.parts else path


def hub_home() -> Path:
    """Return the folder that HF_HOME names now; `~` and variables in it are left as they are."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(os.environ.get("HF_HOME") or default)


def repo_folder(cache: Path, dataset: str) -> Path:
    """Return the folder of a dataset that was cached under the name `dataset`."""
    return cache / "--".join(("datasets", *dataset.split("/")))


def is_commit(revision: str) -> bool:
    """Return whether `revision` is a commit in full."""
    return _COMMIT.fullmatch(revision) is not None


def is_short_commit(revision: str) -> bool:
    """Return whether `revision` can be the beginning of a commit."""
    return _SHORT_COMMIT.fullmatch(revision) is not None


def cached_snapshots(cache: Path, name: str, revision: str) -> list[Snapshot]:
    """Return the snapshots of `revision` in the cache, one for each name it is kept under.

    A branch may have been another commit when it was cached under another name: what was noted of
    it last holds.
    """
    found = []
    for alias in known_names(cache, name):
        repo = repo_folder(cache, alias)
        commit = resolve(repo, revision)
        if commit is not None:
            dataset = canonical(name) if alias in aliases(name) else alias
            found.append((_noted(repo, revision), snapshot(repo, dataset, revision, commit)))
    last = max((when for when, _ in found), default=0.0)
    commits = {each.commit for when, each in found if when == last}
    return [each for _, each in found if each.commit in commits]


def known_names(cache: Path, name: str) -> tuple[str, ...]:
    """Return the names that the cache may keep a dataset under, the one asked for first.

    Those that are known for certain, and those that the Hub answered with when it was asked.
    """
    names = aliases(name)
    notes = {"--".join(alias.split("/")) for alias in names}
    moved = (
        path.parents[1].name.partition("--")[2].replace("--", "/")
        for note in sorted(notes)
        for path in sorted(cache.glob(f"datasets--*/{NAMES}/{note}"))
    )
    return tuple(dict.fromkeys((*names, *(other for other in moved if is_dataset_name(other)))))


def resolve(repo: Path, revision: str) -> str | None:
    """Return the commit that `revision` stands for in a cached repository, or None.

    A commit in full, a branch, tag or other ref, or the prefix of exactly one cached commit. Of a
    commit the cache has files, or the listing: of some datasets there is no file to read.
    """
    if is_commit(revision):
        return revision if _is_known(repo, revision) else None
    ref = repo / "refs" / revision
    if ref.is_file():
        commit = read_ref(repo, revision)
        return commit if commit is not None and _is_known(repo, commit) else None
    if is_short_commit(revision):
        matches = [commit for commit in _commits(repo) if commit.startswith(revision)]
        return matches[0] if len(matches) == 1 else None
    return None


def read_ref(repo: Path, revision: str) -> str | None:
    """Return the commit that a cached repository notes for a ref; None where it notes none."""
    try:
        commit = (repo / "refs" / revision).read_text(encoding="ascii").strip()
    except (OSError, UnicodeError):
        return None
    return commit if is_commit(commit) else None


def known_revisions(cache: Path, name: str) -> list[str]:
    """Return the refs and commits of a dataset that the cache holds."""
    known: set[str] = set()
    for alias in known_names(cache, name):
        repo = repo_folder(cache, alias)
        refs = repo / "refs"
        known.update(
            path.relative_to(refs).as_posix() for path in refs.rglob("*") if path.is_file()
        )
        known.update(_commits(repo))
    return sorted(known)


def cached_datasets() -> list[str]:
    """Return the names of the datasets that the cache holds a snapshot of."""
    folders = hub_cache(None).glob("datasets--*")
    names = (folder.name.split("--", 1)[1].replace("--", "/") for folder in folders)
    return sorted(name for name in names if _commits(repo_folder(hub_cache(None), name)))


def snapshot(repo: Path, dataset: str, revision: str, commit: str) -> Snapshot:
    """Return what a cached repository holds of `commit`."""
    folder = repo / "snapshots" / commit
    tree = read_tree(repo, commit)
    if tree is None:
        return Snapshot(dataset, revision, commit, folder, on_disk(folder), complete=False)
    files: dict[str, int | None] = {name: entry.size for name, entry in tree.items()}
    hashes = {name: entry.hash for name, entry in tree.items()}
    return Snapshot(dataset, revision, commit, folder, files, complete=True, hashes=hashes)


def is_known_absent(snapshot: Snapshot, name: str) -> bool:
    """Return whether huggingface_hub noted that the commit has no such file."""
    return (snapshot.folder.parents[1] / ".no_exist" / snapshot.commit / name).exists()


def on_disk(folder: Path) -> dict[str, int | None]:
    """Return the files under `folder`, by their path within it, with their bytes."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@dataclass(frozen=True)
class TreeEntry:
    """One file of a commit's listing.

    Attributes:
        size: Its bytes.
        blob_id: The git SHA-1 of what git keeps of it: the file, or the pointer to a large one.
        sha256: The SHA-256 of a large file.
        xet_hash: Its hash in the Hub's Xet storage.
    """

    size: int
    blob_id: str
    sha256: str | None = None
    xet_hash: str | None = None

    @property
    def hash(self) -> str:
        """The hash of its bytes, which names its blob."""
        return self.sha256 or self.blob_id


def read_tree(repo: Path, commit: str) -> Mapping[str, TreeEntry] | None:
    """Return the listing of a commit that huggingface_hub or datarax kept, or None."""
    path = repo / "trees" / f"{commit}.json"
    try:
        return _tree(path, path.stat().st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


@lru_cache(maxsize=8)
def _tree(path: Path, _written: int) -> Mapping[str, TreeEntry] | None:
    """Return the listing in a file; a long one is read once, and not again for each question."""
    listed = json.loads(path.read_text(encoding="utf-8"))
    if listed["format_version"] != 1:
        return None
    entries = {str(name): _entry(values) for name, values in listed["files"].items()}
    return MappingProxyType(entries)


def write_tree(repo: Path, commit: str, tree: Mapping[str, TreeEntry]) -> None:
    """Keep the listing of a commit, in the form that huggingface_hub keeps it in."""
    files = {}
    for name, entry in sorted(tree.items()):
        files[name] = {"size": entry.size, "blob_id": entry.blob_id}
        if entry.sha256 is not None:
            files[name] |= {"lfs_sha256": entry.sha256, "lfs_size": entry.size}
        if entry.xet_hash is not None:
            files[name]["xet_hash"] = entry.xet_hash
    text = json.dumps({"format_version": 1, "files": files}, indent=1)
    _note(repo / "trees" / f"{commit}.json", text)


def write_ref(repo: Path, revision: str, commit: str) -> None:
    """Note what `revision` stands for, as of now."""
    path = repo / "refs" / revision
    _note(path, commit)
    with contextlib.suppress(OSError):
        os.utime(path)


def write_commit(repo: Path, commit: str) -> None:
    """Note that a commit is known, where no file of it is needed.

    The clients take a ref for damaged whose commit has no folder.
    """
    with contextlib.suppress(OSError):
        (repo / "snapshots" / commit).mkdir(parents=True, exist_ok=True)


def write_name(repo: Path, name: str) -> None:
    """Note that the dataset of a cached repository was asked for as `name`."""
    _note(repo / NAMES / "--".join(name.split("/")), "")


def _note(path: Path, text: str) -> None:
    """Write a small file, whole or not at all; a read-only cache is left as it is."""
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        if path.is_file() and path.read_bytes() == text.encode():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _noted(repo: Path, revision: str) -> float:
    """Return when it was noted what `revision` stands for; 0 for what stands for itself."""
    try:
        return (repo / "refs" / revision).stat().st_mtime
    except OSError:
        return 0.0


def _is_known(repo: Path, commit: str) -> bool:
    folder = repo / "snapshots" / commit
    return folder.is_dir() or (repo / "trees" / f"{commit}.json").is_file()


def _commits(repo: Path) -> list[str]:
    folder = repo / "snapshots"
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if is_commit(path.name))


def _entry(values: Mapping[str, Any]) -> TreeEntry:
    large = values.get("lfs_sha256")
    xet = values.get("xet_hash")
    return TreeEntry(
        int(values["size"]),
        str(values["blob_id"]),
        None if large is None else str(large),
        None if xet is None else str(xet),
    )
