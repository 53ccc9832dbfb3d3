"""Filling the cache with all that `load` may read, and saying what to copy: the hook `fetch`."""

from __future__ import annotations

from datarax.registry.info import Fetched
from datarax_hf.card import CARDS
from datarax_hf.config import HFSourceConfig
from datarax_hf.locate import locate


def fetch(config: HFSourceConfig) -> Fetched:
    """Bring the files of `config` onto this machine, and return the folder to carry.

    Where no split is named they are those of all splits.

    It is the dataset's own folder in the cache: with its blobs, its listings and what its revisions
    stand for. In whichever folder it is put, that one is the cache there.

    Raises:
        The errors of `HFSource`, but for those of decoding.
    """
    plan = locate(config, every=True)
    snapshot = plan.snapshot
    cards = [name for name in CARDS if snapshot.has(name)]
    names = [*cards, *(name for files in plan.files.values() for name in files)]
    if not snapshot.commit:
        sizes = {name: snapshot.path(name).stat().st_size for name in names}
        return Fetched(folder=str(snapshot.folder), files=sizes)
    repo = snapshot.folder.parents[1]
    files = {
        (snapshot.folder / name).relative_to(repo).as_posix(): snapshot.path(name).stat().st_size
        for name in dict.fromkeys(names)
    }
    return Fetched(folder=str(repo), files=files, setup={"HF_HUB_CACHE": "{folder}/.."})
