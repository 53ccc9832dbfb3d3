"""Files of this machine against the hashes that the Hub publishes: `verify=True` and the hook.

The cache knows the hashes: from the listing of the commit, from the blob that an entry links to, or
from the notes of `hf download --local-dir`. Only where it knows none is the Hub asked for them, and
never offline.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from datarax.errors import CorruptDataError, DataraxError, NotSupportedError
from datarax.progress import Progress
from datarax.registry.info import FileVerdict, Verified
from datarax_hf.cache import Snapshot
from datarax_hf.card import CARDS
from datarax_hf.config import HFSourceConfig
from datarax_hf.hashes import hash_file, published_hash
from datarax_hf.names import is_local
from datarax_hf.plan import Plan
from datarax_hf.remedy import fetch_into

AT_ONCE = min(8, os.cpu_count() or 1)


@dataclass(frozen=True)
class Checked:
    """What was found of one file.

    Attributes:
        name: The file, relative to the snapshot.
        published: The hash that the Hub publishes, or None where nothing says it.
        found: The hash that the file has; None where it is missing or nothing is published.
        missing: Whether it is not on this machine.
    """

    name: str
    published: str | None
    found: str | None
    missing: bool = False

    @property
    def verdict(self) -> FileVerdict:
        if self.missing:
            return "missing"
        if self.published is None:
            return "unknown"
        return "ok" if self.found == self.published else "damaged"


def verify(config: HFSourceConfig) -> Verified:
    """Return a verdict on each local file that `load` would read with the same options.

    Where no split is named: on those of every split of which this machine has any.

    Raises:
        CorruptDataError: If the card is damaged, and by what it says there is nothing to compare.
    """
    from datarax_hf.locate import held

    plan = held(replace(config, verify=True))
    names = dict.fromkeys((*_data(plan), *_cards(plan.snapshot), *plan.lacking()))
    snapshot, checked = _check(plan.snapshot, list(names), config)
    bad = [one.name for one in checked if one.verdict in {"damaged", "missing"}]
    return Verified(
        folder=str(snapshot.folder),
        files={one.name: one.verdict for one in checked},
        remedy=_remedy(snapshot, bad) if bad else None,
    )


def check(plan: Plan, config: HFSourceConfig) -> None:
    """Raise unless every file of `plan` has the hash that the Hub publishes for it.

    Raises:
        CorruptDataError: If one has another; it names file, both hashes and the remedy.
        NotSupportedError: A NotImplementedError, if nothing says what a file's hash should be.
    """
    cards = _cards(plan.snapshot)
    snapshot, checked = _check(plan.snapshot, [*_data(plan), *cards], config)
    for one in checked:
        if one.name in cards and one.verdict == "unknown":
            continue
        if one.missing:
            raise NotSupportedError(
                f"hf:{snapshot.dataset}: verify=True compares files of this machine, and "
                f"{one.name!r} stays on the Hub while it is streamed; give mode='lazy' or 'eager'"
            )
        if one.verdict == "unknown" and not snapshot.commit:
            raise NotSupportedError(
                f"hf:{snapshot.dataset}: verify=True, and for files that are not the Hub's, such "
                f"as {snapshot.folder / one.name}, no hash is published; load it without verify"
            )
        if one.verdict == "unknown":
            raise NotSupportedError(
                f"hf:{snapshot.dataset}: verify=True, and nothing on this machine says which hash "
                f"the file {one.name!r} should have ({snapshot.folder / one.name}); load it once "
                "with a network, or without verify"
            )
        if one.verdict != "ok":
            raise _damaged(snapshot, one)


def check_cards(snapshot: Snapshot, config: HFSourceConfig) -> None:
    """Raise if what says which files are of which config and split has another hash than published.

    Raises:
        CorruptDataError: If so.
    """
    snapshot, checked = _check(snapshot, _cards(snapshot), config)
    for one in checked:
        if one.verdict == "damaged":
            raise _damaged(snapshot, one)


def _damaged(snapshot: Snapshot, one: Checked) -> CorruptDataError:
    return CorruptDataError(
        f"hf:{snapshot.dataset}: the file {one.name!r} has the hash {one.found}, and the "
        f"Hub publishes {one.published} ({snapshot.folder / one.name}); fetch it again: "
        f"{_remedy(snapshot, [one.name])}"
    )


def _data(plan: Plan) -> list[str]:
    return list(dict.fromkeys(name for files in plan.files.values() for name in files))


def _cards(snapshot: Snapshot) -> list[str]:
    """Return what is on this machine of what says which files are of which config and split."""
    return [name for name in CARDS if snapshot.has(name)]


def _check(
    snapshot: Snapshot, names: Sequence[str], config: HFSourceConfig
) -> tuple[Snapshot, list[Checked]]:
    snapshot = _with_hashes(snapshot, names, config)
    sizes = {name: snapshot.path(name).stat().st_size for name in names if snapshot.has(name)}
    lock = threading.Lock()
    with (
        Progress(f"verifying hf:{snapshot.dataset}", sum(sizes.values())) as bar,
        ThreadPoolExecutor(AT_ONCE, "datarax-hf-verify") as pool,
    ):

        def counted(count: int) -> None:
            with lock:
                bar.advance(count)

        def one(name: str) -> Checked:
            published = published_hash(snapshot, name)
            if name not in sizes:
                return Checked(name, published, None, missing=True)
            if published is None:
                return Checked(name, None, None)
            return Checked(name, published, hash_file(snapshot.path(name), published, counted))

        return snapshot, list(pool.map(one, names))


def _with_hashes(snapshot: Snapshot, names: Sequence[str], config: HFSourceConfig) -> Snapshot:
    """Return the snapshot with hashes from the Hub, where this machine lacks some."""
    known = all(published_hash(snapshot, name) for name in names if snapshot.has(name))
    if known or config.offline or is_local(config.name):
        return snapshot
    from datarax_hf.hub import Hub

    with contextlib.suppress(DataraxError):
        return Hub(config, brief=True).listed(snapshot)
    return snapshot


def _remedy(snapshot: Snapshot, names: Sequence[str]) -> str:
    if not snapshot.commit:
        return f"replace {', '.join(repr(name) for name in names)} by good copies"
    return f"{fetch_into(snapshot.folder, snapshot.commit, names=names)} --force-download"
