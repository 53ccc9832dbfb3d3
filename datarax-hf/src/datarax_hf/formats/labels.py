"""Image folders by name alone: whether metadata files describe them, else the labels of folders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from datarax_hf.formats.kinds import is_metadata, kind_of

_FOLDER = "image folder"


def folder_labels(
    splits: Iterable[Iterable[str]], options: Mapping[str, Any]
) -> tuple[tuple[str, ...] | None, bool]:
    """Return the class names of an image folder and whether metadata files describe it.

    Where there are metadata files, folders name no classes, and the records are theirs unless
    the card gives `drop_metadata`. Else each image is a record and its folder its class, provided
    that all images lie equally deep in more than one folder; the card's `drop_labels` decides that
    where it is given.

    Args:
        splits: The files of each split of the configuration.
        options: The parameters that the card gives.
    """
    names = [name for split in splits for name in split]
    images = [name for name in names if kind_of(name) == _FOLDER]
    if not images:
        return None, False
    if any(is_metadata(name) for name in names):
        return None, not options.get("drop_metadata")
    folders = {name.rpartition("/")[0] for name in images}
    labels = sorted({folder.rpartition("/")[2] for folder in folders})
    level = len({folder.count("/") + bool(folder) for folder in folders}) == 1
    drop = options.get("drop_labels")
    if drop or (drop is None and not (len(labels) > 1 and level)):
        return None, False
    return tuple(labels), False


def image_features(labels: Sequence[str] | None) -> dict[str, Any]:
    """Return the features of an image folder without metadata, whose folders name `labels`."""
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    if labels is not None:
        features["label"] = {"_type": "ClassLabel", "names": list(labels)}
    return features


def images_of(names: Iterable[str], *, described: bool) -> list[str] | None:
    """Return the images that are the records of a split; None where its files are something else.

    Args:
        names: The files of the split.
        described: Whether metadata files describe the images of the configuration.
    """
    images = [name for name in names if kind_of(name) == _FOLDER]
    return images if images and not described else None
