"""The dataset card: what the YAML at the head of README.md says of configs, splits and features.

A card that cannot be read is a note, never an error: file names speak in its place.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datarax_hf.features import modern
from datarax_hf.front_matter import IN_ITS_PLACE, Said, front_matter, mapping_in
from datarax_hf.old_infos import INFOS, STORED, infos_in

CARD = "README.md"
STANDALONE = ".huggingface.yaml"
CARDS = (CARD, STANDALONE, INFOS)
"""The files that say what a dataset is."""

_OWN = {"config_name", "data_dir", "data_files", "default"}
_LISTS = {"list": "List", "large_list": "LargeList", "sequence": "List"}
_TYPES = {
    "image": "Image",
    "audio": "Audio",
    "video": "Video",
    "class_label": "ClassLabel",
    "array2_d": "Array2D",
    "array3_d": "Array3D",
    "array4_d": "Array4D",
    "array5_d": "Array5D",
    "translation": "Translation",
    "translation_variable_languages": "TranslationVariableLanguages",
    "json": "Json",
    "pdf": "Pdf",
    "nifti": "Nifti",
    "mesh": "Mesh",
    "bio_sequence": "BioSequence",
    "bio_structure": "BioStructure",
}
_UNKNOWN = "Unknown"
"""The `_type` of an entry that cannot be read: a column of it is what it is stored as."""

_BESIDE_THE_TYPE = {"name", "length", "id"}
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, RecursionError)


def _shown(value: Any) -> str:
    """Show a part: some aliases of YAML, each to others, stand for more than memory holds."""
    brief = reprlib.Repr()
    brief.maxlevel, brief.maxstring, brief.maxother = 3, 80, 80
    return brief.repr(value)


def _as_text(value: Any) -> str:
    return _shown(value) if isinstance(value, list | dict) else str(value)


@dataclass(frozen=True)
class CardConfig:
    """One entry of the card's `configs`.

    Attributes:
        name: The configuration's name.
        data_files: Globs by split, in the card's order; None where file names decide.
        data_dir: The folder that the globs and file names are relative to; "" is the root.
        default: Whether it is marked as the default.
        options: Its other entries: the parameters of its format, such as `sep`.
    """

    name: str
    data_files: Mapping[str, tuple[str, ...]] | None
    data_dir: str = ""
    default: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Card:
    """What a card says.

    Attributes:
        configs: Its configurations, in its order; empty where it lists none.
        info: Its `dataset_info`, by configuration name.
        meta: The whole YAML mapping.
        notes: Why parts of it were left unread.
    """

    configs: tuple[CardConfig, ...] = ()
    info: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def info_of(self, config: str) -> Mapping[str, Any]:
        """Return the `dataset_info` of a configuration, or an empty mapping.

        Where the card lists no configurations there is one, and a single entry is its.
        """
        if config in self.info:
            return self.info[config]
        if len(self.info) == 1 and not self.configs:
            return next(iter(self.info.values()))
        return {}

    def options(self, config: str) -> Mapping[str, Any]:
        """Return the parameters of the format that a configuration gives."""
        return next((entry.options for entry in self.configs if entry.name == config), {})

    def records(self, config: str) -> dict[str, int]:
        """Return the number of records of each split, as far as the card says it."""
        splits = self.info_of(config).get("splits")
        counts: dict[str, int] = {}
        for split in splits if isinstance(splits, list) else ():
            if isinstance(split, Mapping) and isinstance(split.get("num_examples"), int):
                counts[str(split.get("name"))] = split["num_examples"]
        return counts

    def miscounts(self, config: str, found: Mapping[str, int], *, whole: bool = True) -> list[str]:
        """Return notes on splits of which the card says another number of records than was found.

        Args:
            config: The configuration.
            found: The records of each split, as far as its files were counted.
            whole: Whether no file can be missing.
        """
        promised = self.records(config)
        return [
            f"the card says {promised[split]} records of {split!r}, its files hold {count}; "
            + (
                "the files are right"
                if whole or count > promised[split]
                else "the cache, which holds no listing of this revision, may lack some"
            )
            for split, count in found.items()
            if promised.get(split, count) != count
        ]

    def features(self, config: str) -> dict[str, Any] | None:
        """Return the features of a configuration, in the form parquet metadata has them.

        A `_type` that is not known, or an entry that cannot be read, is what it is stored as;
        `odd_features` tells of it.
        """
        listed = self._features(config)
        if not isinstance(listed, list) or not all(map(_is_named, listed)):
            return None
        return {str(entry["name"]): _column(entry)[0] for entry in listed} or None

    def odd_features(self, config: str) -> list[str]:
        """Return notes on what the features of a configuration say that is not known."""
        listed = self._features(config)
        if listed is None:
            return []
        if not isinstance(listed, list) or not all(map(_is_named, listed)):
            return ["the card's features are no list of names and types; types are inferred"]
        notes = []
        for entry in listed:
            feature, problem = _column(entry)
            unknown = sorted(unknown_types(feature))
            if problem is not None:
                what = f"cannot be read ({problem})"
            elif unknown:
                what = f"is of the type {unknown[0]!r}, which is not known"
            else:
                continue
            notes.append(f"the card's feature {entry['name']!r} {what}; it is read as it is stored")
        return notes

    def _features(self, config: str) -> Any:
        return self.info_of(config).get("features") or self.options(config).get("features")

    def text(self, key: str, config: str | None = None) -> str | None:
        """Return an entry of the card, or of a config's info, as text: a license may be a list."""
        value = self.meta.get(key) or (self.info_of(config).get(key) if config else None)
        if isinstance(value, list):
            return ", ".join(map(_as_text, value)) or None
        return str(value) if value else None


def one_file(name: str) -> Card:
    """Return the card that stands for a file without a repository: it is the split `train`."""
    glob = re.sub(r"[\[\]*?{}]", lambda special: f"[{special[0]}]", name)
    return Card((CardConfig("default", {"train": (glob,)}),))


def read_card(folder: Path, dataset: str) -> Card:
    """Return what the card in a folder says, an absent one being empty.

    What `.huggingface.yaml` beside it says counts in place of the entries of the same name, and
    its `dataset_info` in place of that of `dataset_infos.json`.
    """
    meta, notes = _said(folder / CARD, front_matter, dataset)
    own, of_own = _said(folder / STANDALONE, mapping_in, dataset)
    infos, of_infos = _said(folder / INFOS, infos_in, dataset)
    return _card({**meta, **own}, (*notes, *of_own, *of_infos), dataset, infos)


def parse_card(text: str, dataset: str) -> Card:
    """Return what the YAML at the head of `text` says."""
    return _card(*front_matter(text, f"{dataset}/{CARD}"), dataset)


def _said(path: Path, parse: Callable[[str, str], Said], dataset: str) -> Said:
    where = f"{dataset}/{path.name}"
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return {}, ()
    except OSError as error:
        return {}, (f"{where} cannot be read ({error.strerror}){IN_ITS_PLACE}",)
    return parse(text, where)


def _card(
    meta: Mapping[str, Any],
    notes: tuple[str, ...],
    dataset: str,
    infos: Mapping[str, Mapping[str, Any]] | None = None,
) -> Card:
    info = {**(infos or {}), **_info(meta.get("dataset_info"))}
    try:
        listed = meta.get("configs") or ()
        if not isinstance(listed, list | tuple):
            raise TypeError(f"it is {_shown(listed)} and no list")
        configs = tuple(map(_config, listed))
        if len({config.name for config in configs}) < len(configs):
            raise ValueError("a config_name stands twice")  # one way to the note
    except _MALFORMED as error:
        note = f"'configs' in {dataset}/{CARD} cannot be read ({error}); splits are from file names"
        return Card((), info, meta, (*notes, note))
    return Card(configs, info, meta, notes)


def _config(entry: Mapping[str, Any]) -> CardConfig:
    if not isinstance(entry, Mapping):
        raise TypeError(f"its entry {_shown(entry)} is no mapping")
    name = str(entry.get("config_name", "default"))
    folder = str(entry.get("data_dir") or "").strip("/").removeprefix("./")
    files = entry.get("data_files")
    return CardConfig(
        name=name,
        data_files=None if files is None else _data_files(files),
        data_dir="" if folder == "." else folder,
        default=bool(entry.get("default")),
        options={str(key): value for key, value in entry.items() if key not in _OWN},
    )


def _data_files(files: Any) -> dict[str, tuple[str, ...]]:
    """Return globs by split from any of the forms that cards use."""
    if isinstance(files, str):
        return {"train": (files,)}
    if isinstance(files, Mapping):
        return {str(split): _globs(path) for split, path in files.items()}
    if not isinstance(files, list):
        raise TypeError(f"data_files is {_shown(files)}")
    if all(isinstance(entry, str) for entry in files):
        return {"train": _globs(files)}
    by_split: dict[str, tuple[str, ...]] = {}
    for entry in files:
        if not isinstance(entry, Mapping) or not {"split", "path"} <= set(entry):
            raise TypeError(f"{_shown(entry)} in data_files has no 'split' or no 'path'")
        split = str(entry["split"])
        if split in by_split:
            raise ValueError(f"the split {split!r} stands twice")
        by_split[split] = _globs(entry["path"])
    return by_split


def _globs(path: Any) -> tuple[str, ...]:
    globs = tuple(path) if isinstance(path, list) else (path,)
    if not all(isinstance(glob, str) for glob in globs):
        raise TypeError(f"{_shown(path)} is neither a path nor a list of paths")
    return globs


def _info(listed: Any) -> dict[str, Mapping[str, Any]]:
    entries = listed if isinstance(listed, list) else [listed]
    return {
        str(entry.get("config_name", "default")): entry
        for entry in entries
        if isinstance(entry, Mapping)
    }


def _is_named(entry: Any) -> bool:
    return isinstance(entry, Mapping) and "name" in entry


def _column(entry: Mapping[str, Any]) -> tuple[Any, str | None]:
    """Return the feature of one column, and what is wrong with its entry, or None."""
    try:
        if STORED in entry:
            feature = modern(entry[STORED])
            unknown_types(feature)
            if not isinstance(feature, Mapping):
                raise TypeError(f"{_shown(feature)} names no type")
            return feature, None
        return _feature(entry), None
    except _MALFORMED as error:
        return {"_type": _UNKNOWN}, str(error)


def unknown_types(feature: Any) -> set[str]:
    """Return the types within a feature that `datasets` 5.2 does not have, as the card has them."""
    from datarax_hf.formats.guess import storage_type

    if not isinstance(feature, Mapping):
        return set()
    kind = feature.get("_type")
    if kind == "Value":
        return set() if storage_type(feature) is not None else {str(feature["dtype"])}
    if kind in _LISTS.values():
        return unknown_types(feature["feature"])
    if isinstance(kind, str):
        return set() if kind in _TYPES.values() else {kind}
    return {found for part in feature.values() for found in unknown_types(part)}


def _features(listed: list[Any]) -> dict[str, Any]:
    if not all(map(_is_named, listed)):
        raise ValueError("a part of it has no name")
    return {str(entry["name"]): _feature(entry) for entry in listed}


def _feature(entry: Any) -> Any:
    """Return one feature; the YAML form names the kind by its key and its names by number."""
    if isinstance(entry, str):
        return _feature({"dtype": entry})
    if isinstance(entry, list):
        return _features(entry)
    if not isinstance(entry, Mapping):
        raise TypeError(f"{_shown(entry)} names no type")
    for key, kind in _LISTS.items():
        if key in entry:
            inner = _feature(entry[key])
            length = entry.get("length", -1)
            if key == "sequence" and isinstance(entry[key], list):
                return {
                    name: {"feature": part, "length": length, "_type": "List"}
                    for name, part in inner.items()
                }
            return {"feature": inner, "length": length, "_type": kind}
    if "struct" in entry:
        return _feature(entry["struct"])
    if isinstance(entry.get("dtype"), str):
        dtype = entry["dtype"]
        return {"_type": _TYPES[dtype]} if dtype in _TYPES else {"dtype": dtype, "_type": "Value"}
    if "dtype" in entry:
        return _feature(entry["dtype"])
    word = next((str(key) for key in entry if key not in _BESIDE_THE_TYPE), None)
    if word is None:
        raise ValueError("it names no type")
    options = entry[word] or {}
    if not isinstance(options, Mapping):
        raise TypeError(f"{_shown(word)} is followed by {_shown(options)}")
    feature = {**options, "_type": _TYPES.get(word, word)}
    if word == "class_label" and isinstance(feature.get("names"), Mapping):
        feature["names"] = _names_in_order(feature["names"])
    if word == "class_label" and not isinstance(feature.get("names"), list | str | None):
        raise TypeError(f"its names are {_shown(feature['names'])}")
    return feature


def _names_in_order(names: Mapping[Any, Any]) -> list[Any]:
    """Return class names in the order of their numbers, of which none may be missing."""
    by_number = {int(number): name for number, name in names.items()}
    if sorted(by_number) != list(range(len(names))):
        raise ValueError(f"its classes are numbered {sorted(by_number)}")
    return [by_number[number] for number in range(len(names))]
