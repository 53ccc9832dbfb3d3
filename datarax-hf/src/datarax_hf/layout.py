"""From a listing of files to configs, splits and the data files of each, in order.

The card decides where it speaks; else file and folder names do, as the Hub reads them. Works on
names alone, so that a wrong config or split is said before anything is downloaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from datarax.errors import CorruptDataError, UnknownConfigError, listing, nearest
from datarax_hf.card import Card, CardConfig
from datarax_hf.formats.kinds import choose, is_data
from datarax_hf.names import stays_inside

CONVERTED = "refs/convert/parquet"
_KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_BREAK = r"[-._ 0-9]"
_FOLDER_SHAPES = ("{word}", "{word}{edge}.*", ".*{edge}{word}", ".*{edge}{word}{edge}.*")
_FILE_SHAPES = ("{word}{edge}.*", ".*{edge}{word}{edge}.*")
_SPECIAL = re.compile(r"(?:^|/)(?:\.|__)")
_NO_DATA = {
    "README.md",
    "config.json",
    "dataset_dict.json",
    "dataset_info.json",
    "dataset_infos.json",
    "dummy_data.zip",
}
"""Files that describe a dataset; they are data only where a card names them."""
_SHARDED = re.compile(r"data/(?P<split>[^/]+?)-\d{5}-of-\d{5}[^/]*\.[^/]*")
_SHARD = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<tail>[^/]*)")
_CONVERTED = re.compile(r"(?P<config>[^/]+)/(?:partial-)?(?P<split>[^/]+)/\d+\.parquet")


@dataclass(frozen=True)
class Layout:
    """The configurations of a dataset.

    Attributes:
        configs: Files by split by configuration, in order.
        default: The configuration that is read unless one is named; None where one must be.
        globs: The globs of the card that matched nothing, by configuration and split; what leads
            out of the dataset as the card has it.
        unread: The formats that are not read, by the configurations that have files of them.
    """

    configs: Mapping[str, Mapping[str, tuple[str, ...]]]
    default: str | None
    globs: Mapping[tuple[str, str], tuple[str, ...]]
    unread: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def choose(self, asked: str | None, *, dataset: str) -> str:
        """Return the configuration that is asked for, or the default.

        Raises:
            UnknownConfigError: If there is no such, or none was asked for and none is the default.
        """
        known = tuple(self.configs)
        if asked is None:
            if self.default is None:
                raise UnknownConfigError(
                    f"{dataset} has the configs {listing(known)} and none is the default; "
                    f"say which with config=, for example config={known[0]!r}"
                )
            return self.default
        if asked not in self.configs:
            raise UnknownConfigError(
                f"{dataset} has no config {asked!r}; its configs are {listing(known)}."
                f"{nearest(asked, known)}"
            )
        return asked


def find_layout(files: Iterable[str], card: Card, *, converted: bool = False) -> Layout:
    """Return the layout of a repository with these files and this card."""
    names = sorted(name for name in files if is_data(name))
    if converted:
        return _from_conversion(names)
    globs: dict[tuple[str, str], tuple[str, ...]] = {}
    unread: dict[str, tuple[str, ...]] = {}
    entries = card.configs or (CardConfig("default", None),)
    configs = {
        entry.name: _chosen(entry.name, _config_splits(entry, names, globs), unread)
        for entry in entries
    }
    return Layout(configs, _default(card), globs, unread)


def looks_converted(files: Iterable[str]) -> bool:
    """Return whether all data files are named as those of the Hub's converted copies."""
    names = [name for name in files if is_data(name)]
    return bool(names) and all(_CONVERTED.fullmatch(name) for name in names)


def splits_by_name(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return files by split, as their names and folders say: train, validation, test, others.

    The first of these rules that fits any file is the rule for all: `data/SPLIT-00000-of-00002`,
    a folder named as a split, a file named as one; else every file is `train`. Hidden files,
    folders that begin with two underscores and what describes the dataset are left out.
    """
    names = sorted(name for name in names if is_plain(name))
    sharded: dict[str, list[str]] = {}
    for name in names:
        match = _SHARDED.fullmatch(name)
        if match is not None:
            sharded.setdefault(match["split"], []).append(name)
    if sharded:
        order = (*_KEYWORDS, *sorted(set(sharded) - set(_KEYWORDS)))
        return {split: tuple(sharded[split]) for split in order if split in sharded}
    for rank in (_folder_rank, _file_rank):
        ranked = [(name, *(rank(name, split) for split in _KEYWORDS)) for name in names]
        found = {
            split: tuple(row[0] for row in _by_rank(ranked, number))
            for number, split in enumerate(_KEYWORDS, start=1)
        }
        if any(found.values()):
            return {split: files for split, files in found.items() if files}
    return {"train": tuple(names)} if names else {}


def is_plain(name: str, glob: str = "**") -> bool:
    """Return whether a file is one that `glob` asks for, and not one that is hidden.

    Names that begin with a dot, folders that begin with two underscores and files that describe
    the dataset count only where the glob spells them.
    """
    base = name[name.rfind("/") + 1 :]
    if base not in _NO_DATA and not _SPECIAL.search(name) and not _SPECIAL.search(glob):
        return True
    return (
        (base not in _NO_DATA or base == glob.rsplit("/", 1)[-1])
        and _special(name.split("/"), ".") == _special(glob.split("/"), ".")
        and _special(name.split("/")[:-1], "__") == _special(glob.split("/")[:-1], "__")
    )


def lacking_shards(names: Iterable[str]) -> list[str]:
    """Return the shards that `-00000-of-00002` numbering promises and `names` lacks.

    A name that ends in a hash of its own, which only the Hub knows, has `*` in its place.
    """
    names = list(names)
    sets: dict[tuple[str, int], dict[int, str]] = {}
    for name in names:
        match = _SHARD.fullmatch(name)
        if match is not None:
            key = (match["stem"], int(match["count"]))
            sets.setdefault(key, {})[int(match["number"])] = match["tail"]
    lacking = []
    for (stem, count), tails in sets.items():
        tail = next(iter(tails.values())) if len(set(tails.values())) == 1 else ""
        extensions = tail[tail.find(".") :] if "." in tail else ""
        ending = tail if tail == extensions else f"*{extensions}"
        lacking += [
            f"{stem}-{number:05d}-of-{count:05d}{ending}"
            for number in range(count)
            if number not in tails
        ]
    return lacking


def is_numbered(name: str) -> bool:
    """Return whether a name says how many files its split has: `-00000-of-00002`."""
    return _SHARD.fullmatch(name) is not None


def check_path(name: str, *, dataset: str) -> str:
    """Return `name` if it stays within its repository.

    Raises:
        CorruptDataError: If it is absolute, or climbs out by '..', a drive or a backslash.
    """
    if not stays_inside(name):
        raise CorruptDataError(
            f"{dataset} lists a file {name!r}, which leaves its folder; it is not read"
        )
    return name


def leads_out(glob: str) -> bool:
    """Return whether a card's glob leads out of the dataset: an address, '..', an absolute path."""
    return "://" in glob or glob.startswith("/") or ".." in glob.split("/")


def glob_pattern(glob: str) -> re.Pattern[str]:
    """Return the pattern of a card's glob: `*`, `?`, `[...]`, `{a,b}`, and `**` across folders."""
    glob = glob.removeprefix("./")
    pattern, depth, position = "", 0, 0
    while position < len(glob):
        rest = glob[position:]
        if rest.startswith("**/"):
            step, part = 3, "(?:.*/)?"
        elif rest.startswith("**"):
            step, part = 2, ".*"
        elif rest[0] == "[" and "]" in rest[2:]:
            step = rest.index("]", 2) + 1
            body = rest[1 : step - 1].replace("\\", r"\\").replace("[", r"\[")
            part = f"[{'^' + body[1:] if body[0] in '!^' else body}]"
        else:
            step = 1
            braces = {"{": "(?:", "}": ")" if depth else r"\}", ",": "|" if depth else ","}
            part = {"*": "[^/]*", "?": "[^/]", **braces}.get(rest[0], re.escape(rest[0]))
            depth += {"{": 1, "}": -1 if depth else 0}.get(rest[0], 0)
        pattern += part
        position += step
    try:
        return re.compile(pattern)
    except re.error:
        return re.compile(re.escape(glob))


def _config_splits(
    config: CardConfig, names: list[str], globs: dict[tuple[str, str], tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    root = f"{config.data_dir}/" if config.data_dir else ""
    if config.data_files is None:
        inside = [name.removeprefix(root) for name in names if name.startswith(root)]
        found = splits_by_name(inside)
        return {split: tuple(root + name for name in files) for split, files in found.items()}
    splits = {}
    for split, patterns in config.data_files.items():
        files: list[str] = []  # one that two patterns ask for is read twice, as `datasets` does
        unmatched = []
        for pattern in patterns:
            if leads_out(pattern):
                unmatched.append(pattern)
                continue
            glob = root + pattern.removeprefix("./")
            matches = glob_pattern(glob).fullmatch
            matched = [name for name in names if matches(name) and is_plain(name, glob)]
            files += matched
            if not matched:
                unmatched.append(glob)
        splits[split] = tuple(files)
        if unmatched:
            globs[config.name, split] = tuple(unmatched)
    return splits


def _chosen(
    config: str, splits: dict[str, tuple[str, ...]], unread: dict[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Return the files of each split in the one format that most of them have."""
    choices = {split: choose(names) for split, names in splits.items()}
    kinds = {choice.kind for choice in choices.values() if choice.kind and not choice.names}
    if kinds:
        unread[config] = tuple(sorted(kinds))
    return {split: choice.names for split, choice in choices.items()}


def _default(card: Card) -> str | None:
    names = [config.name for config in card.configs]
    if len(names) < 2:
        return names[0] if names else "default"
    marked = [config.name for config in card.configs if config.default]
    if len(marked) == 1:
        return marked[0]
    if "default" in names:
        return "default"
    described = list(card.info)
    return described[0] if len(described) == 1 and described[0] in names else None


def _from_conversion(names: list[str]) -> Layout:
    configs: dict[str, dict[str, list[str]]] = {}
    for name in names:
        match = _CONVERTED.fullmatch(name)
        if match is not None:
            splits = configs.setdefault(match["config"], {})
            splits.setdefault(match["split"], []).append(name)
    order = (*_KEYWORDS, *sorted({split for splits in configs.values() for split in splits}))
    layout = {
        config: {split: tuple(splits[split]) for split in dict.fromkeys(order) if split in splits}
        for config, splits in configs.items()
    }
    only = next(iter(layout)) if len(layout) == 1 else None
    return Layout(layout, "default" if "default" in layout else only, {})


def _by_rank(ranked: list[tuple[Any, ...]], number: int) -> list[tuple[Any, ...]]:
    return sorted((row for row in ranked if row[number] is not None), key=lambda row: row[number])


def _folder_rank(name: str, split: str) -> int | None:
    """Return which of the split's words, in which shape, names a folder above; None if none."""
    return _ranks(name.rpartition("/")[0], split)


@lru_cache(maxsize=4096)
def _ranks(folders: str, split: str) -> int | None:
    return _first(_FOLDER_SHAPES, split, folders.split("/") if folders else [])


def _file_rank(name: str, split: str) -> int | None:
    """Return which of the split's words, in which shape, names the file; None if none."""
    base = name.rsplit("/", 1)[-1]
    return _first(_FILE_SHAPES, split, [base]) if _words(split).search(base) else None


def _first(shapes: tuple[str, ...], split: str, parts: list[str]) -> int | None:
    for rank, pattern in enumerate(_patterns(shapes, split)):
        if any(pattern.fullmatch(part) for part in parts):
            return rank
    return None


@lru_cache(maxsize=16)
def _patterns(shapes: tuple[str, ...], split: str) -> tuple[re.Pattern[str], ...]:
    return tuple(
        re.compile(shape.format(word=word, edge=_BREAK), re.DOTALL)
        for word in _KEYWORDS[split]
        for shape in shapes
    )


@lru_cache(maxsize=16)
def _words(split: str) -> re.Pattern[str]:
    return re.compile("|".join(_KEYWORDS[split]))


def _special(parts: list[str], mark: str) -> int:
    return sum(part.startswith(mark) for part in parts)
