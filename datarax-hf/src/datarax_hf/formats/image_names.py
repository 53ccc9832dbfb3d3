"""Names of images in metadata: which columns hold some, however deep, and what they become.

`file_name` and what ends in `_file_name` become an image, `file_names` and what ends in
`_file_names` a list of them; so do the parts of structs, also of structs in lists.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datarax_hf.arrow_numbers import numbers_of
from datarax_hf.features import is_list, part_of, plain_type
from datarax_hf.formats.shard import count_nulls

STORED = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""What an image is stored as."""

Load = Callable[[Sequence[str | None]], pa.Array]
"""Returns the images of names as `STORED`."""


@dataclass(frozen=True)
class Shown:
    """What a column, or a part of one, is handed out as.

    Attributes:
        name: Its name.
        kind: Its type.
        feature: What it means; None where nothing says.
        images: Whether it is, or holds, images.
    """

    name: str
    kind: pa.DataType
    feature: Any
    images: bool


def shown(name: str, kind: pa.DataType, said: Any = None) -> Shown:
    """Return what a column of metadata is handed out as.

    Args:
        name: The column, or a part of one; an empty name for the values of a list.
        kind: The type that it is stored in.
        said: What it means, in the words of today's `datasets`; images are images in any case.
    """
    own = _image_name(name, kind)
    image = {"_type": "Image"}
    if own is not None and not is_list(kind):
        return Shown(own, STORED, image, images=True)
    if own is not None:
        listed = {"feature": image, "length": -1, "_type": "List"}
        return Shown(own, pa.list_(STORED), listed, images=True)
    if is_list(kind):
        inner = shown("", kind.value_type, part_of(said, None))
        if inner.images:
            listed = {"feature": inner.feature, "length": -1, "_type": "List"}
            return Shown(name, pa.list_(inner.kind), listed, images=True)
    if pa.types.is_struct(kind):
        parts = {}
        for part in kind:
            own = _image_name(part.name, part.type) or part.name
            parts[own] = shown(part.name, part.type, part_of(said, own))
        if any(part.images for part in parts.values()):
            struct = pa.struct([(part, inner.kind) for part, inner in parts.items()])
            features = {part: inner.feature for part, inner in parts.items()}
            return Shown(name, struct, features, images=True)
    return Shown(name, kind, said, images=False)


def with_images(name: str, values: pa.Array, load: Load) -> pa.Array:
    """Return the values of a column with images in the place of their names.

    Args:
        name: The column, or a part of one; an empty name for the values of a list.
        values: What is stored.
        load: Loads images.
    """
    kind = values.type
    own = _image_name(name, kind)
    if own is not None and not is_list(kind):
        return load(values.to_pylist())
    if not shown(name, kind).images:
        return values
    if is_list(kind):
        inner = values.flatten()
        made = load(inner.to_pylist()) if own is not None else with_images("", inner, load)
        lengths = numbers_of(pc.fill_null(pc.list_value_length(values), 0))
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), made, mask=values.is_null())
    parts = {
        _image_name(part.name, part.type) or part.name: with_images(part.name, inner, load)
        for part, inner in zip(kind, values.flatten(), strict=True)
    }
    fields = [pa.field(part, made.type) for part, made in parts.items()]
    return pa.StructArray.from_arrays(list(parts.values()), fields=fields, mask=values.is_null())


def names_in(name: str, values: pa.Array) -> list[str]:
    """Return the names of images in the values of a column, the nulls left out."""
    named: list[str] = []

    def take(names: Sequence[str | None]) -> pa.Array:
        named.extend(name for name in names if name is not None)
        return pa.nulls(len(names), STORED)

    with_images(name, values, take)
    return named


def count_nulls_of(name: str, values: pa.Array, within: str) -> int:
    """Return how many images, or values without images, are null in a part of a column.

    Args:
        name: The column.
        values: What is stored.
        within: The part, by the names that are shown, and "bytes" in the end where it is an image;
            empty for the column itself.
    """
    if _image_name(name, values.type) is not None:
        return count_nulls(values) + names_in(name, values).count("")
    if not within or not pa.types.is_struct(values.type):
        return count_nulls(values)
    for part, inner in zip(values.type, values.flatten(), strict=True):
        own = _image_name(part.name, part.type) or part.name
        if within == own or within.startswith(f"{own}."):
            return count_nulls_of(part.name, inner, within[len(own) + 1 :])
    return len(values)


def _image_name(name: str, kind: pa.DataType) -> str | None:
    """Return what a column that names images is called when it holds them; None for others."""
    kind = plain_type(kind)
    for ending, plural in (("file_name", False), ("file_names", True)):
        if name != ending and not name.endswith(f"_{ending}"):
            continue
        values = kind.value_type if plural and pa.types.is_list(kind) else kind
        if plural == pa.types.is_list(kind) and pa.types.is_string(values):
            return name[: -len(ending) - 1] or ("images" if plural else "image")
    return None
