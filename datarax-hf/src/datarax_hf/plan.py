"""From a snapshot and a config to the files that are read, before any of them is opened.

Decides the configuration, the split and the shards from names and the card alone, and says which
of the files this machine lacks.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from datarax.errors import UnknownConfigError, UnknownSplitError, listing
from datarax.sources import SplitTerm, choose_split, parse_split
from datarax_hf.cache import Snapshot, is_known_absent, read_ref
from datarax_hf.card import CARD, CARDS, Card, CardConfig, read_card
from datarax_hf.config import HFSourceConfig
from datarax_hf.derived import Derived
from datarax_hf.errors import ConfigNotCachedError, SplitNotCachedError
from datarax_hf.formats.kinds import SUPPORTED, is_read, kind_of
from datarax_hf.formats.labels import folder_labels
from datarax_hf.formats.settings import Settings
from datarax_hf.layout import (
    CONVERTED,
    Layout,
    check_path,
    find_layout,
    glob_pattern,
    is_numbered,
    lacking_shards,
    leads_out,
)
from datarax_hf.remedy import Origin, PartialOrigin, how_to_fetch

ALL = "all"
"""The split expression that means every split, unless one bears that name."""

FILES_SHOWN = 5
"""Files that are named where none is read."""

NO_CARD = "the card is not on this machine; configs, splits and types are from the files"
NO_LISTING = (
    "the cache holds no listing of this revision, as is so where files were downloaded one by one: "
    "which it lacks is known only where the card or their numbers tell"
)
_NO_DATA = (*CARDS, ".gitattributes", ".gitignore")
_SCRIPT = re.compile(r"[^/]+\.py")


@dataclass(frozen=True)
class Contents:
    """What a snapshot holds: the card and the layout that follows from it.

    Attributes:
        snapshot: The snapshot.
        card: Its card; empty where it has none or it is not on this machine.
        layout: Its configurations and their splits.
        notes: What a user should know of how it was read.
        in_place_of: What was asked for and holds nothing that is read, where this is the Hub's
            converted copy of it; else None.
        card_elsewhere: Whether the card was read without a copy of it in the cache.
    """

    snapshot: Snapshot
    card: Card
    layout: Layout
    notes: tuple[str, ...]
    in_place_of: Contents | None = None
    card_elsewhere: bool = False

    @property
    def origin(self) -> Origin:
        """Where the files come from, for what is said of them."""
        snapshot = self.snapshot
        origin = Origin if snapshot.complete else PartialOrigin
        return origin(snapshot.dataset, snapshot.commit or None, snapshot.folder)

    @property
    def readable(self) -> bool:
        """Whether any split has a file of a format that is read, or a card promises some."""
        promised = not self.snapshot.complete and bool(self.layout.globs)
        return promised or any(
            files for splits in self.layout.configs.values() for files in splits.values()
        )

    def reads(self, config: str | None) -> bool:
        """Return whether a configuration, or the default one, has a file of a format that is read.

        Where it does not exist, or must be named, that is for `make_plan` to say.
        """
        chosen = self.layout.default if config is None else config
        if chosen is None or chosen not in self.layout.unread:
            return self.readable
        return any(self.layout.configs[chosen].values())

    def is_sure(self) -> bool:
        """Return whether this machine knows enough of it to say that no file is read.

        A card can name files that are read; without a listing, only files that are not read, or a
        loading script, tell that more than the card was there.
        """
        snapshot = self.snapshot
        if snapshot.complete:
            return not self.missing_cards() or not any(map(is_read, snapshot.files))
        return bool(self.layout.unread) or self.script is not None

    def lacks_card(self, config: str | None) -> bool:
        """Return whether there is, or may be, a card that is not here and may change the answer.

        Where a listing says that all data is parquet in one folder, numbered by split, file names
        tell as much as a card would. Without a listing a folder may be one of several, each a
        configuration of its own, unless its name tells otherwise or it is the one asked for.

        Args:
            config: The configuration that is asked for.
        """
        snapshot = self.snapshot
        if not self.missing_cards():
            return False
        asked = "" if config is None or snapshot.complete else f"{config}/"
        data = [name.removeprefix(asked) for name in snapshot.files if is_read(name)]
        folders = {name.rpartition("/")[0] for name in data}
        if snapshot.complete:
            return len(folders) > 1 or self.may_need_card() or not all(map(is_numbered, data))
        splits = {split for found in self.layout.configs.values() for split in found}
        telling = {"", "data", snapshot.dataset.rpartition("/")[2], *splits}
        return not {part for folder in folders for part in folder.split("/")} <= telling

    def may_need_card(self) -> bool:
        """Return whether files are of formats that a card gives types and parameters for."""
        return any(is_read(name) and kind_of(name) != "parquet" for name in self.snapshot.files)

    def missing_cards(self) -> list[str]:
        """Return which files that say what the dataset is are not here; one may not exist."""
        snapshot = self.snapshot
        if self.card_elsewhere:
            return []
        if snapshot.complete:
            return [name for name in CARDS if name in snapshot.files and not snapshot.has(name)]
        known = snapshot.has(CARD) or is_conversion(snapshot) or is_known_absent(snapshot, CARD)
        return [] if known else [CARD]

    def unread(self, config: str | None = None, *, split: str | None = None) -> str:
        """Return what was found in place of files that are read, as a clause.

        Args:
            config: The configuration that was looked into; None is all of them.
            split: Its split; None is all of them.
        """
        found_in = self.layout.configs if config is None else {config}
        kinds = sorted({kind for name in found_in for kind in self.layout.unread.get(name, ())})
        unmatched = [
            note
            for name in found_in
            for note in self.unmatched(name, None if split is None else (split,))
        ]
        for entry in self.card.configs:
            unmatched += self._in_vain(entry) if entry.name in found_in else ()
        files = [name for name in self.snapshot.files if name not in _NO_DATA]
        shown = listing(files[:FILES_SHOWN])
        there = f"its files are {shown}" if files else "it has no files"
        more = len(files) - FILES_SHOWN
        there += f" and {more} more" if more > 0 else ""
        if unmatched and not kinds:
            return f"none of the files that its card asks for: {'; '.join(unmatched)}; {there}"
        found = f", but {' and '.join(kinds)} files" if kinds else ""
        said = f"no files of a format that is read{found}; read are {SUPPORTED}"
        return "; ".join((said, *unmatched, there))

    def unmatched(self, config: str, splits: Collection[str] | None = None) -> list[str]:
        """Return notes on what the card asks for and the dataset does not have.

        Args:
            config: The configuration.
            splits: The splits to tell of; None is all of them.
        """
        if not self.snapshot.complete:
            return []
        return [
            f"the card's {glob!r} for the split {split!r} {self._why_unmatched(glob)}"
            for (name, split), globs in self.layout.globs.items()
            if name == config and (splits is None or split in splits)
            for glob in globs
        ]

    def _in_vain(self, entry: CardConfig) -> Iterator[str]:
        """Yield what an entry of the card says of its files that there are none of."""
        folder = f"{entry.data_dir}/"
        if entry.data_dir and not any(name.startswith(folder) for name in self.snapshot.files):
            yield f"the card's data_dir {entry.data_dir!r} holds no file"
        if entry.data_files is not None and not any(entry.data_files.values()):
            yield f"the card's data_files of the config {entry.name!r} are empty"

    def _why_unmatched(self, glob: str) -> str:
        if leads_out(glob):
            return "leads out of the dataset, and is not read"
        some = any(map(glob_pattern(glob).fullmatch, self.snapshot.files))
        return "matches no file of a known format" if some else "matches no file"

    @property
    def script(self) -> str | None:
        """The loading script, where the dataset has one."""
        return next((name for name in self.snapshot.files if _SCRIPT.fullmatch(name)), None)

    def settings(self, config: str, derived: Derived | None = None) -> Settings:
        """Return what the files of a configuration are read with."""
        options = dict(self.card.options(config))
        options.pop("features", None)
        labels, described = folder_labels(self.layout.configs[config].values(), options)
        return Settings(options, self.card.features(config), labels, described, derived)

    def splits(self, config: str) -> Mapping[str, tuple[str, ...]]:
        """Return the files of each split of a configuration, those without any left out."""
        splits = self.layout.configs[config]
        globs = {} if self.snapshot.complete else self.layout.globs
        return {
            split: files for split, files in splits.items() if files or (config, split) in globs
        }


@dataclass(frozen=True)
class Plan:
    """The files to read for one config.

    Attributes:
        contents: What the snapshot holds.
        config: The configuration that was chosen.
        terms: The terms of the split expression.
        files: The files of each split that a term names, in order, relative to the snapshot.
        notes: What a user should know.
        settings: What the files are read with.
    """

    contents: Contents
    config: str
    terms: tuple[SplitTerm, ...]
    files: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]
    settings: Settings = field(default_factory=Settings)

    @property
    def snapshot(self) -> Snapshot:
        return self.contents.snapshot

    def only(self, split: str) -> Plan:
        """Return the plan for one of its splits, whole."""
        return replace(self, terms=(SplitTerm(split),), files={split: self.files[split]})

    @property
    def expression(self) -> str:
        """The split expression as it stands after choosing."""
        return "+".join(str(_written(term)) for term in self.terms)

    def paths(self) -> list[Path]:
        """Return where the files lie, or should."""
        return [self.snapshot.folder / name for files in self.files.values() for name in files]

    def lacking(self) -> list[str]:
        """Return the files that this machine lacks; a name only the Hub knows is a glob."""
        snapshot = self.snapshot
        lacking = []
        for split, files in self.files.items():
            lacking += [name for name in files if not snapshot.has(name)]
            if not snapshot.complete:
                lacking += lacking_shards(files)
                lacking += self.contents.layout.globs.get((self.config, split), ())
        return list(dict.fromkeys(lacking))


def read_contents(
    snapshot: Snapshot, asked_config: str | None = None, *, card: Card | None = None
) -> Contents:
    """Return what a snapshot holds, reading its card where it is on this machine.

    Args:
        snapshot: The snapshot.
        asked_config: The configuration asked for, for a snapshot without a card.
        card: What stands in place of the card.
    """
    dataset = snapshot.dataset
    if card is None:
        card = read_card(snapshot.folder, dataset)
    notes = [*snapshot.notes, *card.notes]
    if not snapshot.complete:
        notes.append(NO_LISTING)
    if not snapshot.has(CARD) and not snapshot.complete:
        notes.append(NO_CARD)
        inside = any(name.startswith(f"{asked_config}/") for name in snapshot.files)
        if asked_config and inside and not card.configs:
            card = replace(card, configs=(CardConfig(asked_config, None, asked_config),))
    layout = find_layout(snapshot.files, card, converted=is_conversion(snapshot))
    return Contents(snapshot, card, layout, tuple(notes))


def is_conversion(snapshot: Snapshot) -> bool:
    """Return whether it is the Hub's converted copy, asked for by its ref or by its commit."""
    if snapshot.revision == CONVERTED:
        return True
    if not snapshot.commit:  # a folder of this machine, which may lie anywhere
        return False
    return read_ref(snapshot.folder.parents[1], CONVERTED) == snapshot.commit


def make_plan(contents: Contents, config: HFSourceConfig, *, every: bool = False) -> Plan:
    """Return the files that `config` asks for.

    Args:
        contents: What the snapshot holds.
        config: What is asked for.
        every: Whether all splits are meant where none is named.

    Raises:
        UnknownConfigError: If the configuration does not exist, or must be named.
        UnknownSplitError: If the split does not exist, must be named, or is malformed.
        CorruptDataError: If a file name leaves the snapshot.
    """
    snapshot = contents.snapshot
    uri = f"hf:{snapshot.dataset}"
    try:
        chosen = contents.layout.choose(config.config, dataset=uri)
    except UnknownConfigError as error:
        if not contents.missing_cards():
            raise
        raise ConfigNotCachedError(
            f"{error} The cache does not hold the dataset's card, which says what configs there "
            f"are; {how_to_fetch(snapshot, config)}"
        ) from error
    splits = contents.splits(chosen)
    if not splits and not snapshot.complete:
        raise ConfigNotCachedError(
            f"{uri}: no file of the config {chosen!r} is on this machine; its configs are "
            f"{listing(contents.layout.configs)}; {how_to_fetch(snapshot, config)}"
        )
    if not splits:
        raise UnknownConfigError(
            f"{uri}: the config {chosen!r} has {contents.unread(chosen)}; "
            f"its configs are {listing(contents.layout.configs)}"
        )
    for term in () if config.split is None else parse_split(config.split):
        if term.name in contents.layout.configs[chosen] and term.name not in splits:
            raise UnknownSplitError(
                f"{uri}: the split {term.name!r} of the config {chosen!r} has "
                f"{contents.unread(chosen, split=term.name)}; its other splits are "
                f"{listing(splits)}"
            )
    if config.split is not None and config.split.strip() == ALL and ALL not in splits:
        _check_all(contents, chosen, splits, config)
    several = len(contents.layout.configs) > 1
    named = f"{uri} (config {chosen!r})" if several else uri
    try:
        if every and config.split is None:
            terms = tuple(SplitTerm(name) for name in splits)
        else:
            terms = choose_split(config.split, tuple(splits), dataset=named)
    except UnknownSplitError as error:
        if snapshot.complete or _listed_splits(contents, chosen):
            raise
        raise _not_cached(str(error), contents, config) from error
    if config.split is None and not every and not snapshot.complete:
        _check_default(terms[0].name, contents, chosen, config)
    files = {term.name: splits[term.name] for term in terms}
    for names in files.values():
        for name in names:
            check_path(name, dataset=uri)
    settings = replace(contents.settings(chosen, Derived.of(config)), flatten=config.flatten)
    return Plan(contents, chosen, terms, files, contents.notes, settings)


def _not_cached(what: str, contents: Contents, config: HFSourceConfig) -> SplitNotCachedError:
    """Return the error for a split that this machine lacks, or may lack."""
    return SplitNotCachedError(
        f"{what} The cache holds no listing of this revision, so there may be splits that it "
        f"lacks; {how_to_fetch(contents.snapshot, config)}"
    )


def _known_splits(contents: Contents, config: str) -> tuple[str, ...]:
    """Return the splits of a configuration that the card tells of; () where it tells of none."""
    return _listed_splits(contents, config) or tuple(contents.card.records(config))


def _listed_splits(contents: Contents, config: str) -> tuple[str, ...]:
    """Return the splits of a configuration that the card gives files of: there are no others."""
    listed = [entry.data_files for entry in contents.card.configs if entry.name == config]
    return tuple(listed[0] or ()) if listed else ()


def _check_default(split: str, contents: Contents, chosen: str, config: HFSourceConfig) -> None:
    """Raise unless the split that is read, as none is named, is sure to be the one online."""
    known = _known_splits(contents, chosen)
    if split == "train" or known == (split,):
        return
    others = f"those that the card tells of are {listing(known)}" if known else "no others are here"
    raise _not_cached(
        f"hf:{contents.snapshot.dataset}: no split is named, and {split!r} is here; {others}: say "
        f"which with split=.",
        contents,
        config,
    )


def _check_all(
    contents: Contents, chosen: str, splits: Mapping[str, Any], config: HFSourceConfig
) -> None:
    """Raise where some of the splits that `all` means cannot be read, or may not be known."""
    uri = f"hf:{contents.snapshot.dataset}"
    for name in contents.layout.configs[chosen]:
        if name not in splits:
            raise UnknownSplitError(
                f"{uri}: split='all', and its split {name!r} has "
                f"{contents.unread(chosen, split=name)}; name those to read, of {listing(splits)}"
            )
    known = _known_splits(contents, chosen)
    if contents.snapshot.complete or (known and set(known) <= set(splits)):
        return
    lacking = [name for name in known if name not in splits]
    found = f"the splits {listing(lacking)} are not here." if lacking else "some may not be here."
    raise _not_cached(f"{uri}: split='all', and {found}", contents, config)


def _written(term: SplitTerm) -> str:
    if term.start is None and term.stop is None:
        return term.name
    rounding = "" if term.rounding == "closest" else f"({term.rounding})"
    ends = (
        "" if end is None else f"{end.value}{'%' if end.percent else ''}"
        for end in (term.start, term.stop)
    )
    return f"{term.name}[{':'.join(ends)}]{rounding}"
