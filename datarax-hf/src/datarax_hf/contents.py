"""What a snapshot holds: its files, what its card says, and the configs and splits of both.

Says too what of it this machine does not know, and what the card says in vain.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from datarax.errors import listing
from datarax_hf.cache import Snapshot, is_known_absent, read_ref
from datarax_hf.card import CARD, CARDS, Card, CardConfig, read_card
from datarax_hf.derived import Derived
from datarax_hf.formats.kinds import SUPPORTED, is_read, kind_of
from datarax_hf.formats.labels import folder_labels
from datarax_hf.formats.settings import Settings
from datarax_hf.layout import (
    CONVERTED,
    Layout,
    find_layout,
    glob_pattern,
    is_numbered,
    leads_out,
)
from datarax_hf.remedy import Origin, PartialOrigin

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
