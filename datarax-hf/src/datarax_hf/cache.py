"""The Hub's cache on disk: from a name and a revision to a snapshot, with no socket and no client.

The layout is `{cache}/datasets--ns--name/{refs,snapshots/<commit>,trees/<commit>.json}`. Nothing
is written here, and a revision that is not there is a miss, never another revision.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from datarax_hf.names import aliases, canonical

MAIN = "main"
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
    """

    dataset: str
    revision: str
    commit: str
    folder: Path
    files: dict[str, int | None]
    complete: bool
    notes: tuple[str, ...] = field(default=())

    def has(self, name: str) -> bool:
        """Return whether the file lies on this machine."""
        return (self.folder / name).is_file()


def hub_cache(cache_dir: StrPath | None) -> Path:
    """Return the cache folder, as huggingface_hub would choose it if it were imported now."""
    environ = os.environ
    default = Path(environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    home = Path(environ.get("HF_HOME") or default)
    chosen = (
        (None if cache_dir is None else str(cache_dir))
        or environ.get("HF_HUB_CACHE")
        or environ.get("HUGGINGFACE_HUB_CACHE")
        or str(home / "hub")
    )
    return Path(os.path.expandvars(chosen)).expanduser().absolute()


def repo_folder(cache: Path, dataset: str) -> Path:
    """Return the folder of a dataset that was cached under the name `dataset`."""
    return cache / "--".join(("datasets", *dataset.split("/")))


def is_commit(revision: str) -> bool:
    """Return whether `revision` is a commit in full."""
    return _COMMIT.fullmatch(revision) is not None


def cached_snapshots(cache: Path, name: str, revision: str) -> list[Snapshot]:
    """Return the snapshots of `revision` in the cache, one for each name it is kept under."""
    found = []
    for alias in aliases(name):
        repo = repo_folder(cache, alias)
        commit = resolve(repo, revision)
        if commit is not None:
            found.append(snapshot(repo, canonical(name), revision, commit))
    return found


def resolve(repo: Path, revision: str) -> str | None:
    """Return the commit that `revision` stands for in a cached repository, or None.

    A commit in full, a branch, tag or other ref, or the prefix of exactly one cached commit.
    """
    if is_commit(revision):
        return revision if (repo / "snapshots" / revision).is_dir() else None
    ref = repo / "refs" / revision
    if ref.is_file():
        commit = ref.read_text(encoding="utf-8").strip()
        return commit if is_commit(commit) and (repo / "snapshots" / commit).is_dir() else None
    if _SHORT_COMMIT.fullmatch(revision):
        matches = [commit for commit in _commits(repo) if commit.startswith(revision)]
        return matches[0] if len(matches) == 1 else None
    return None


def known_revisions(cache: Path, name: str) -> list[str]:
    """Return the refs and commits of a dataset that the cache holds."""
    known: set[str] = set()
    for alias in aliases(name):
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
    listed = _tree(repo / "trees" / f"{commit}.json")
    complete = listed is not None
    files = listed if listed is not None else on_disk(folder)
    return Snapshot(dataset, revision, commit, folder, files, complete)


def on_disk(folder: Path) -> dict[str, int | None]:
    """Return the files under `folder`, by their path within it, with their bytes."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def write_ref(repo: Path, revision: str, commit: str) -> None:
    """Note what `revision` stands for, whole or not at all; a read-only cache is left as it is."""
    ref = repo / "refs" / revision
    partial = ref.with_name(f".{ref.name}.{os.getpid()}.tmp")
    try:
        if ref.is_file() and ref.read_text(encoding="utf-8") == commit:
            return
        ref.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(commit, encoding="utf-8")
        partial.replace(ref)
    except OSError:
        return


def _commits(repo: Path) -> list[str]:
    folder = repo / "snapshots"
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if is_commit(path.name))


def _tree(path: Path) -> dict[str, int | None] | None:
    """Return the listing that huggingface_hub (2 and later) kept of a commit, or None."""
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
        if listed["format_version"] != 1:
            return None
        return {str(name): int(entry["size"]) for name, entry in listed["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
