"""From a snapshot and a config to the files that are read, before any of them is opened.

Decides the configuration, the split and the shards from names and the card alone, and says which
of the files this machine lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from datarax.errors import UnknownConfigError, UnknownSplitError, listing
from datarax.sources import SplitTerm, choose_split, parse_split
from datarax_hf.cache import Snapshot
from datarax_hf.card import CARD, Card, CardConfig, read_card
from datarax_hf.config import HFSourceConfig
from datarax_hf.errors import SplitNotCachedError
from datarax_hf.layout import (
    CONVERTED,
    PARQUET,
    Layout,
    check_path,
    find_layout,
    lacking_shards,
)
from datarax_hf.remedy import Origin, how_to_fetch


@dataclass(frozen=True)
class Contents:
    """What a snapshot holds: the card and the layout that follows from it.

    Attributes:
        snapshot: The snapshot.
        card: Its card; empty where it has none or it is not on this machine.
        layout: Its configurations and their splits.
        notes: What a user should know of how it was read.
    """

    snapshot: Snapshot
    card: Card
    layout: Layout
    notes: tuple[str, ...]

    @property
    def origin(self) -> Origin:
        """Where the files come from, for what is said of them."""
        snapshot = self.snapshot
        return Origin(snapshot.dataset, snapshot.commit or None, snapshot.folder)

    @property
    def has_parquet(self) -> bool:
        """Whether any split has a file, or a card promises files that are not listed."""
        promised = not self.snapshot.complete and bool(self.layout.globs)
        return promised or any(
            files for splits in self.layout.configs.values() for files in splits.values()
        )

    def lacks_card(self) -> bool:
        """Return whether the card is listed, not on this machine, and may change the answer.

        Where all parquet files lie in one folder, file names tell as much as a card would.
        """
        snapshot = self.snapshot
        if snapshot.has(CARD) or CARD not in snapshot.files:
            return False
        folders = {name.rpartition("/")[0] for name in snapshot.files if name.endswith(PARQUET)}
        return len(folders) > 1

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
    """

    contents: Contents
    config: str
    terms: tuple[SplitTerm, ...]
    files: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]

    @property
    def snapshot(self) -> Snapshot:
        return self.contents.snapshot

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


def read_contents(snapshot: Snapshot, asked_config: str | None = None) -> Contents:
    """Return what a snapshot holds, reading its card where it is on this machine."""
    dataset = snapshot.dataset
    card = read_card(snapshot.folder / CARD, dataset)
    notes = [*snapshot.notes, *card.notes]
    if not snapshot.has(CARD) and not snapshot.complete:
        notes.append("the card is not on this machine; configs and splits are from file names")
        if asked_config and any(name.startswith(f"{asked_config}/") for name in snapshot.files):
            card = Card(configs=(CardConfig(asked_config, None, asked_config),))
    layout = find_layout(snapshot.files, card, converted=snapshot.revision == CONVERTED)
    return Contents(snapshot, card, layout, tuple(notes))


def make_plan(contents: Contents, config: HFSourceConfig) -> Plan:
    """Return the files that `config` asks for.

    Raises:
        UnknownConfigError: If the configuration does not exist, or must be named.
        UnknownSplitError: If the split does not exist, must be named, or is malformed.
        CorruptDataError: If a file name leaves the snapshot.
    """
    snapshot = contents.snapshot
    uri = f"hf:{snapshot.dataset}"
    chosen = contents.layout.choose(config.config, dataset=uri)
    splits = contents.splits(chosen)
    if not splits:
        raise UnknownConfigError(
            f"{uri}: the config {chosen!r} has no parquet files; "
            f"its configs are {listing(contents.layout.configs)}"
        )
    if config.split is not None:
        parse_split(config.split)
    several = len(contents.layout.configs) > 1
    named = f"{uri} (config {chosen!r})" if several else uri
    try:
        terms = choose_split(config.split, tuple(splits), dataset=named)
    except UnknownSplitError as error:
        if snapshot.complete or contents.card.configs or contents.card.records(chosen):
            raise
        raise SplitNotCachedError(
            f"{error} The cache holds neither a card nor a listing of this revision, so there may "
            f"be splits that it lacks; {how_to_fetch(snapshot, config)}"
        ) from error
    files = {term.name: splits[term.name] for term in terms}
    for names in files.values():
        for name in names:
            check_path(name, dataset=uri)
    return Plan(contents, chosen, terms, files, contents.notes)


def _written(term: SplitTerm) -> str:
    if term.start is None and term.stop is None:
        return term.name
    ends = (
        "" if end is None else f"{end.value}{'%' if end.percent else ''}"
        for end in (term.start, term.stop)
    )
    return f"{term.name}[{':'.join(ends)}]"
