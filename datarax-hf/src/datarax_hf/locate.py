"""From a config to a plan whose files are all on this machine: by the cache, or by the Hub."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from datarax.errors import CacheMissError, DataraxError, UnknownDatasetError, listing
from datarax_hf.cache import (
    MAIN,
    Snapshot,
    cached_snapshots,
    hub_cache,
    is_commit,
    known_revisions,
    on_disk,
    repo_folder,
)
from datarax_hf.card import CARDS, one_file, read_card
from datarax_hf.config import HFSourceConfig
from datarax_hf.contents import Contents, read_contents
from datarax_hf.errors import CacheWriteError, HubConnectionError
from datarax_hf.formats.kinds import SUPPORTED
from datarax_hf.layout import CONVERTED, looks_converted
from datarax_hf.names import aliases, canonical, is_local, meant_name, user_path
from datarax_hf.plan import Plan, check_card, make_plan
from datarax_hf.remedy import cache_miss, fetch_into, what_is_wrong

if TYPE_CHECKING:
    from datarax_hf.hub import Hub

_WHAT_A_CARD_SAYS = "The card says which of the files are of which config and split."

SIZES_OF = 10_000
"""Files of a dataset that the Hub is asked the sizes of, at most, where nothing is to be loaded."""


def locate(config: HFSourceConfig, *, every: bool = False) -> Plan:
    """Return the files that `config` asks for, all of them on this machine.

    With `every` they are those of all splits, where none is named, and here whatever the mode.

    Offline no socket is opened. Online only files of the splits asked for are downloaded, and a
    wrong config or split is said before any of them is. For mode "streaming" none is downloaded,
    and the cache goes on saying of the revision what it said. With `verify` hashes are compared.

    Raises:
        CacheMissError: If files are missing offline; it names each.
        UnknownDatasetError: If there is no such dataset or revision.
        HubConnectionError: If the Hub cannot be asked and the cache does not do.
        UnknownConfigError: As `make_plan` says.
        UnknownSplitError: As `make_plan` says.
        CorruptDataError: If a file has another size than the Hub lists, or with `verify` another
            hash.
    """
    plan = _located(config, every=every)
    _check_sizes(plan)
    if config.verify:
        from datarax_hf.verifying import check

        check(plan, config)
    return plan


def _located(config: HFSourceConfig, *, every: bool) -> Plan:
    if is_local(config.name):
        return make_plan(_local(config), config, every=every)
    if config.offline:
        return _cached(config, every=every)
    asked = config.revision or MAIN
    if is_commit(asked):
        with contextlib.suppress(CacheMissError):
            whole = _cached(config, every=every)
            if whole.snapshot.complete:
                return whole
    from datarax_hf.hub import Hub

    spare = _spare(config, every=every)
    try:
        return _fetched(Hub(config, brief=spare is not None), config, every=every)
    except HubConnectionError as error:
        plan = spare or _spare(config, every=every)
        if plan is None:
            raise
        note = f"{error} The cached commit {plan.snapshot.commit} is read instead."
        warnings.warn(f"hf:{config.name}: {note}", stacklevel=2)
        return replace(plan, notes=(*plan.notes, note))
    except UnknownDatasetError as error:
        if spare is None:
            raise
        if is_commit(asked):  # which stays what it is
            return replace(spare, notes=(*spare.notes, f"{error}; the cached files are read"))
        raise type(error)(
            f"{str(error).rstrip('.')}. The cache holds its commit {spare.snapshot.commit}, which "
            "local_files_only=True reads"
        ) from error.__cause__


def look(config: HFSourceConfig) -> Contents:
    """Return what the dataset holds, downloading no data: for `inspect`."""
    if is_local(config.name):
        return _local(config)
    if config.offline:
        held = _cached_contents(config)
        return next((contents for contents in held if _is_whole(contents, config)), held[0])
    from datarax_hf.hub import Hub

    spare = _spare(config)
    try:
        hub = Hub(config, brief=spare is not None)
        contents = _listed(hub, config)
        if len(contents.snapshot.files) > SIZES_OF:
            return contents
        return replace(contents, snapshot=hub.listed(contents.snapshot))
    except HubConnectionError as error:
        if spare is None:
            raise
        note = f"{error} The cached commit {spare.snapshot.commit} is told of instead."
        return replace(spare.contents, notes=(*spare.contents.notes, note))


def _cached(config: HFSourceConfig, *, every: bool = False) -> Plan:
    """Return the plan that the cache can serve in full; of several copies the first that does."""
    first: Plan | DataraxError | None = None
    for contents in _cached_contents(config):
        try:
            plan = make_plan(contents, config, every=every)
        except DataraxError as error:
            blind = contents.lacks_card(config.config)
            wrong = _without_card(contents, config) if blind else error
            first = wrong if first is None else first
            continue
        if not contents.lacks_card(config.config) and not plan.lacking():
            return plan
        first = plan if first is None else first
    if isinstance(first, Plan):
        snapshot = first.snapshot
        blind = first.contents.lacks_card(config.config)
        names = first.contents.missing_cards() if blind else []
        paths = [snapshot.folder / name for name in (*names, *first.lacking())]
        found = _WHAT_A_CARD_SAYS if blind else ""
        raise cache_miss(snapshot.dataset, snapshot.revision, paths, config, found=found)
    if first is None:
        raise AssertionError("a cached snapshot is never without contents")
    raise first


def _spare(config: HFSourceConfig, *, every: bool = False) -> Plan | None:
    """Return the plan that the cache can serve in full, or None."""
    try:
        return _cached(config, every=every)
    except DataraxError:
        return None


def _check_sizes(plan: Plan) -> None:
    """Raise where a file has another size than the Hub lists, whatever its format."""
    snapshot = plan.snapshot
    for name in (name for names in plan.files.values() for name in names):
        listed = snapshot.files.get(name)
        if listed is None or not snapshot.has(name):
            continue
        size = snapshot.path(name).stat().st_size
        if size != listed:
            raise plan.contents.origin.damaged(
                name,
                f"{what_is_wrong(snapshot.path(name), listed)}: it has {size} bytes, and the Hub "
                f"lists {listed}",
            )


def held(config: HFSourceConfig) -> Plan:
    """Return the plan over what this machine holds, asking nobody; files may be lacking.

    Where no split is named they are all meant, but for those that this machine has no file of.

    Raises:
        CacheMissError: If it holds nothing of the dataset at this revision.
    """
    if is_local(config.name):
        return make_plan(_local(config), config, every=True)
    held = _cached_contents(config)
    whole = next((contents for contents in held if _is_whole(contents, config)), held[0])
    plan = make_plan(whole, config, every=True)
    if config.split is not None:
        return plan
    here = {
        split: files
        for split, files in plan.files.items()
        if any(plan.snapshot.has(name) for name in files)
    }
    terms = tuple(term for term in plan.terms if term.name in here)
    return replace(plan, terms=terms, files=here) if here else plan


def _is_whole(contents: Contents, config: HFSourceConfig) -> bool:
    try:
        return not contents.lacks_card(config.config) and not make_plan(contents, config).lacking()
    except DataraxError:
        return False


def _cached_contents(config: HFSourceConfig) -> list[Contents]:
    """Return the contents of each cached copy of the revision, or of its converted branch."""
    cache = hub_cache(config.cache_dir)
    asked = config.revision or MAIN
    dataset = canonical(config.name)
    snapshots = cached_snapshots(cache, config.name, asked)
    if not snapshots:
        known = known_revisions(cache, config.name)
        names = aliases(config.name)
        inside = f"snapshots/{asked}" if is_commit(asked) else f"refs/{asked}"
        paths = [repo_folder(cache, name) / inside for name in names]
        found = f"The cache holds its revisions {listing(known)}." if known else ""
        raise cache_miss(dataset, asked, paths, config, found=found)
    held = [read_contents(snapshot, config.config) for snapshot in snapshots]
    able = [contents for contents in held if contents.reads(config.config)]
    if able:
        return able
    for contents in held:
        check_card(contents, config)
    sure = next((contents for contents in held if contents.is_sure()), None)
    snapshot = (sure or held[0]).snapshot
    if sure is None and snapshot.complete:
        raise _without_card(held[0], config)
    if sure is not None and snapshot.complete and asked != MAIN:
        raise _not_converted(sure, config)
    if sure is None or asked != MAIN:
        raise cache_miss(dataset, asked, [snapshot.folder / "*"], config)
    converted = cached_snapshots(cache, config.name, CONVERTED)
    if converted:
        return [_from_conversion(snapshot, sure, config) for snapshot in converted]
    paths = [repo_folder(cache, dataset) / "refs" / CONVERTED]
    found = f"Revision {asked!r} has {sure.unread()}: the Hub's converted copy is needed."
    raise cache_miss(dataset, CONVERTED, paths, config, found=found)


def _listed(hub: Hub, config: HFSourceConfig) -> Contents:
    """Return what the Hub holds; only the card is downloaded."""
    snapshot = hub.look_up(config.name, config.revision or MAIN)
    if is_commit(snapshot.revision) and looks_converted(snapshot.files):
        # A saved state names the commit of the converted copy; only its ref says what it is.
        with contextlib.suppress(UnknownDatasetError):
            converted = hub.look_up(snapshot.dataset, CONVERTED)
            snapshot = converted if converted.commit == snapshot.commit else snapshot
    contents = _with_card(hub, snapshot)
    if contents.reads(config.config):
        return contents
    check_card(contents, config)
    if snapshot.revision != MAIN:
        raise _not_converted(contents, config)
    try:
        converted = hub.look_up(snapshot.dataset, CONVERTED)
    except UnknownDatasetError as error:
        raise UnknownDatasetError(
            f"{_nothing(contents, config)}, and the Hub keeps no converted copy of it at "
            f"{CONVERTED!r}"
        ) from error
    return _from_conversion(converted, contents, config)


def _nothing(contents: Contents, config: HFSourceConfig) -> str:
    """Return that a revision holds nothing that is read, as a clause."""
    script = contents.script
    return (
        f"hf:{config.name} holds, at revision {contents.snapshot.revision!r}, {contents.unread()}"
        f"{'' if script is None else f'; its loading script {script!r} is not run'}"
    )


def _not_converted(contents: Contents, config: HFSourceConfig) -> UnknownDatasetError:
    return UnknownDatasetError(
        f"{_nothing(contents, config)}. The Hub's converted copy follows 'main' only; "
        f"hf:{config.name}@{CONVERTED} reads it"
    )


def _without_card(contents: Contents, config: HFSourceConfig) -> CacheMissError:
    """Return the error for a snapshot whose card is missing and may change the answer."""
    snapshot = contents.snapshot
    missing = [snapshot.folder / name for name in contents.missing_cards()]
    return cache_miss(snapshot.dataset, snapshot.revision, missing, config, found=_WHAT_A_CARD_SAYS)


def _with_card(hub: Hub, snapshot: Snapshot) -> Contents:
    lacking = [name for name in CARDS if name in snapshot.files and not snapshot.has(name)]
    if lacking:
        for copy in _copies(snapshot):
            if all(map(copy.has, lacking)):
                return read_contents(copy)
        try:
            hub.fetch(snapshot, lacking)
        except CacheWriteError as error:
            return _with_card_elsewhere(hub, snapshot, error)
    return read_contents(snapshot)


def _with_card_elsewhere(hub: Hub, snapshot: Snapshot, refused: CacheWriteError) -> Contents:
    """Return what a snapshot holds whose card the cache cannot take: reading it needs no copy.

    Raises:
        CacheWriteError: What the cache said, if no other folder can take it either.
    """
    with tempfile.TemporaryDirectory(prefix="datarax-") as folder:
        place = Path(folder, *snapshot.folder.parts[-3:])
        cards = [name for name in CARDS if name in snapshot.files]
        try:
            hub.fetch(replace(snapshot, folder=place), cards)
        except CacheWriteError:
            raise refused from None
        card = read_card(place, snapshot.dataset)
    return replace(read_contents(snapshot, card=card), card_elsewhere=True)


def _fetched(hub: Hub, config: HFSourceConfig, *, every: bool) -> Plan:
    """Return the plan after downloading what it lacks, unless that is to be streamed."""
    contents = _listed(hub, config)
    plan = make_plan(contents, config, every=every)
    other = _other_copy(plan) if plan.lacking() else None
    if other is None and plan.lacking():
        if config.mode == "streaming" and not every:
            return plan
        hub.fetch(plan.snapshot, plan.lacking())
    hub.remember((other or plan).snapshot, asked=config.name)
    if contents.in_place_of is not None:
        hub.remember(contents.in_place_of.snapshot, asked=config.name, listed=True)
    if other is not None:
        return other
    lacking = plan.lacking()
    if lacking:
        command = fetch_into(plan.snapshot.folder, plan.snapshot.commit)
        raise HubConnectionError(
            f"hf:{config.name}: the download ended without {listing(lacking)}; try {command}"
        )
    return plan


def _other_copy(plan: Plan) -> Plan | None:
    """Return the plan over a copy of the same commit that is cached under another name."""
    for copy in _copies(plan.snapshot):
        other = replace(plan, contents=replace(plan.contents, snapshot=copy))
        if not other.lacking():
            return other
    return None


def _copies(snapshot: Snapshot) -> Iterator[Snapshot]:
    """Yield what the same commit is under each name that its dataset may be cached under."""
    cache = snapshot.folder.parents[2]
    for name in aliases(snapshot.dataset):
        folder = repo_folder(cache, name) / "snapshots" / snapshot.commit
        yield replace(snapshot, folder=folder)


def _from_conversion(snapshot: Snapshot, in_place_of: Contents, config: HFSourceConfig) -> Contents:
    note = (
        f"{config.revision or MAIN!r} holds no files of a format that is read; the Hub's converted "
        f"copy at {CONVERTED!r}, commit {snapshot.commit}, is read instead"
    )
    contents = read_contents(replace(snapshot, notes=(*snapshot.notes, note)), config.config)
    return replace(contents, in_place_of=in_place_of)


def _local(config: HFSourceConfig) -> Contents:
    """Return the contents of a folder that is laid out as a repository, or of one file."""
    folder = user_path(config.name).absolute()
    if not folder.is_dir() and not folder.is_file():
        raise UnknownDatasetError(
            f"hf:{config.name}: {folder} is no folder and no file of this machine"
            f"{meant_name(config.name)}"
        )
    if config.revision is not None:
        raise UnknownDatasetError(
            f"hf:{config.name}: a path has no revisions, but {config.revision!r} was asked for"
        )
    if folder.is_file():
        files: dict[str, int | None] = {folder.name: folder.stat().st_size}
        snapshot = Snapshot(config.name, MAIN, "", folder.parent, files, complete=True)
        contents = read_contents(snapshot, card=one_file(folder.name))
    else:
        snapshot = Snapshot(config.name, MAIN, "", folder, on_disk(folder), complete=True)
        contents = read_contents(snapshot)
    if folder.is_file() and not contents.readable:
        raise UnknownDatasetError(
            f"hf:{config.name}: {folder} is a file of no format that is read; read are {SUPPORTED}"
        )
    if not contents.readable:
        raise UnknownDatasetError(f"hf:{config.name}: {folder} holds {contents.unread()}")
    return contents
