"""`dataset_infos.json`: what `datasets` wrote beside the data before cards had a `dataset_info`.

It is an object of infos by configuration, each with features in the form that parquet metadata has
them. Of a single one the name says nothing: it is that of the default configuration.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

INFOS = "dataset_infos.json"
STORED = "stored"
"""The key of a listed feature that is given as files store it."""

Infos = dict[str, Mapping[str, Any]]


def infos_in(text: str, where: str) -> tuple[Infos, tuple[str, ...]]:
    """Return the infos of a file by configuration, as a card lists them, and notes.

    Args:
        text: The file's text.
        where: Its name, for notes.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        return {}, (f"{where} cannot be read ({error}); it is left out",)
    if not isinstance(found, Mapping) or not all(
        isinstance(info, Mapping) for info in found.values()
    ):
        return {}, (f"{where} is no object of infos by configuration; it is left out",)
    alone = len(found) == 1
    return {"default" if alone else name: _listed(info) for name, info in found.items()}, ()


def _listed(info: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an info with its features and its splits as lists of what has a name."""
    features, splits = info.get("features"), info.get("splits")
    if isinstance(features, Mapping):
        features = [{"name": name, STORED: feature} for name, feature in features.items()]
    if isinstance(splits, Mapping):
        splits = [{**split, "name": name} for name, split in splits.items() if _is_object(split)]
    return {**info, "features": features, "splits": splits}


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)
