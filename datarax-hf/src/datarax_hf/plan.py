"""From a snapshot and a config to the files that are read, before any of them is opened.

Decides the configuration, the split and the shards from names and the card alone, and says which
of the files this machine lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from datarax.errors import UnknownConfigError, UnknownSplitError, listing
from datarax.sources import SplitTerm, choose_split, parse_split
from datarax_hf.cache import Snapshot
from datarax_hf.config import HFSourceConfig
from datarax_hf.contents import Contents
from datarax_hf.derived import Derived
from datarax_hf.errors import ConfigNotCachedError, SplitNotCachedError
from datarax_hf.formats.settings import Settings
from datarax_hf.layout import (
    check_path,
    lacking_shards,
)
from datarax_hf.remedy import how_to_fetch

ALL = "all"
"""The split expression that means every split, unless one bears that name."""


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


def make_plan(contents: Contents, config: HFSourceConfig, *, every: bool = False) -> Plan:
    """Return the files that `config` asks for.

    Args:
        contents: What the snapshot holds.
        config: What is asked for.
        every: Whether all splits are meant where none is named.

    Raises:
        UnknownConfigError: If the configuration does not exist, or must be named.
        UnknownSplitError: If the split does not exist, must be named, or is malformed.
        CorruptDataError: If a file name leaves the snapshot, or with `verify` in place of those, if
            the card that says so is not the one that the Hub publishes.
    """
    try:
        return _planned(contents, config, every=every)
    except (UnknownConfigError, UnknownSplitError):
        check_card(contents, config)
        raise


def check_card(contents: Contents, config: HFSourceConfig) -> None:
    """Raise, with `verify`, where what a card says of configs and splits is not what it should say.

    Raises:
        CorruptDataError: If its hash is another than the Hub publishes.
    """
    if config.verify:
        from datarax_hf.verifying import check_cards  # it knows of plans itself

        check_cards(contents.snapshot, config)


def _planned(contents: Contents, config: HFSourceConfig, *, every: bool) -> Plan:
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
