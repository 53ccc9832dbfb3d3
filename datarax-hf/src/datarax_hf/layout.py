"""From a listing of files to configs, splits and the parquet files of each, in order.

The card decides where it speaks; else file and folder names do, as the Hub reads them. Works on
names alone, so that a wrong config or split is said before anything is downloaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from datarax.errors import CorruptDataError, UnknownConfigError, listing, nearest
from datarax_hf.card import Card, CardConfig

PARQUET = ".parquet"
CONVERTED = "refs/convert/parquet"
_KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_BREAK = r"[-._ 0-9]"
_SHARDED = re.compile(r"data/(?P<split>[^/]+?)-\d{5}-of-\d{5}[^/]*\.[^/]*")
_SHARD = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<tail>[^/]*)")
_CONVERTED = re.compile(r"(?P<config>[^/]+)/(?:partial-)?(?P<split>[^/]+)/\d+\.parquet")


@dataclass(frozen=True)
class Layout:
    """The configurations of a dataset.

    Attributes:
        configs: Files by split by configuration, in order.
        default: The configuration that is read unless one is named; None where one must be.
        globs: The globs of the card that matched nothing, by configuration and split.
    """

    configs: Mapping[str, Mapping[str, tuple[str, ...]]]
    default: str | None
    globs: Mapping[tuple[str, str], tuple[str, ...]]

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
    names = sorted(name for name in files if name.endswith(PARQUET) and not _hidden(name))
    if converted:
        return _from_conversion(names)
    globs: dict[tuple[str, str], tuple[str, ...]] = {}
    if not card.configs:
        return Layout({"default": splits_by_name(names)}, "default", globs)
    configs = {config.name: _config_splits(config, names, globs) for config in card.configs}
    return Layout(configs, _default(card.configs), globs)


def splits_by_name(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return files by split, as their names and folders say: train, validation, test, others.

    The first of these rules that fits any file is the rule for all: `data/SPLIT-00000-of-00002`,
    a folder named as a split, a file named as one; else every file is `train`.
    """
    names = sorted(names)
    sharded: dict[str, list[str]] = {}
    for name in names:
        match = _SHARDED.fullmatch(name)
        if match is not None:
            sharded.setdefault(match["split"], []).append(name)
    if sharded:
        order = (*_KEYWORDS, *sorted(set(sharded) - set(_KEYWORDS)))
        return {split: tuple(sharded[split]) for split in order if split in sharded}
    for matches in (_folder_names, _file_names):
        found = {
            split: tuple(name for name in names if matches(name, keywords))
            for split, keywords in _KEYWORDS.items()
        }
        if any(found.values()):
            return {split: files for split, files in found.items() if files}
    return {"train": tuple(names)} if names else {}


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
        ending = tail if tail == PARQUET else f"*{PARQUET}"
        lacking += [
            f"{stem}-{number:05d}-of-{count:05d}{ending}"
            for number in range(count)
            if number not in tails
        ]
    return lacking


def check_path(name: str, *, dataset: str) -> str:
    """Return `name` if it stays within its repository.

    Raises:
        CorruptDataError: If it is absolute, or climbs out by '..', a drive or a backslash.
    """
    parts = name.split("/")
    if any(part in {"", ".", ".."} for part in parts) or set(name) & set("\\:\0"):
        raise CorruptDataError(
            f"{dataset} lists a file {name!r}, which leaves its folder; it is not read"
        )
    return name


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
    inside = [name for name in names if name.startswith(root)]
    if config.data_files is None:
        found = splits_by_name(name.removeprefix(root) for name in inside)
        return {split: tuple(root + name for name in files) for split, files in found.items()}
    splits = {}
    for split, patterns in config.data_files.items():
        files: dict[str, None] = {}
        unmatched = []
        for glob in patterns:
            pattern = glob_pattern(root + glob.removeprefix("./"))
            matched = [name for name in names if pattern.fullmatch(name)]
            files.update(dict.fromkeys(matched))
            if not matched:
                unmatched.append(root + glob)
        splits[split] = tuple(files)
        if unmatched:
            globs[config.name, split] = tuple(unmatched)
    return splits


def _default(configs: tuple[CardConfig, ...]) -> str | None:
    if len(configs) == 1:
        return configs[0].name
    marked = [config.name for config in configs if config.default]
    if len(marked) == 1:
        return marked[0]
    return "default" if any(config.name == "default" for config in configs) else None


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


def _folder_names(name: str, keywords: tuple[str, ...]) -> bool:
    folders = name.split("/")[:-1]
    bounded = re.compile(rf"(?:.*{_BREAK})?(?:{'|'.join(keywords)})(?:{_BREAK}.*)?")
    return any(bounded.fullmatch(folder) for folder in folders)


def _file_names(name: str, keywords: tuple[str, ...]) -> bool:
    bounded = re.compile(rf"(?:.*{_BREAK})?(?:{'|'.join(keywords)}){_BREAK}.*")
    return bounded.fullmatch(name.rsplit("/", 1)[-1]) is not None


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__")) for part in name.split("/"))
