"""Which column reads what: by what it holds, how many nulls are in it, and what the options say."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from datarax.errors import UnknownFieldError, listing, nearest
from datarax.sources import Field
from datarax_hf.columns import ArrayColumn, Column, ObjectColumn, SequenceColumn
from datarax_hf.features import Kind
from datarax_hf.image_columns import ImageColumn
from datarax_hf.images import ImageDecoder


def column_of(
    name: str, kind: Kind, *, nulls: int | None, decoder: ImageDecoder, fill: Any = None
) -> Column:
    """Return how a column is read; an image column's field is settled later.

    Args:
        name: The column.
        kind: What it holds.
        nulls: How many of its values, or of the numbers within them, are null, as far as is known.
        decoder: How images become arrays, as the options say.
        fill: The number that stands for nulls; None is none.

    Raises:
        UnknownFieldError: If there is a fill, and it is no column of numbers.
        ValueError: If the fill does not fit the column's dtype.
    """
    dtype = kind.field.dtype if kind.form in {"array", "sequence"} else None
    if fill is not None:
        check_fill(name, fill, dtype)
    if kind.form == "array" and (not nulls or fill is not None):
        return ArrayColumn(name, kind.field, fill)
    if kind.form == "sequence":
        return SequenceColumn(name, kind.field, fill)
    own = ImageDecoder(decoder.mode or kind.image_mode, decoder.size)
    asked = decoder.mode is not None or decoder.size is not None
    if kind.form == "image" and (asked or not kind.encoded):
        return ImageColumn(name, kind.field, own)
    field = kind.field
    if kind.form == "array":
        field = Field.host_only(
            f"{nulls} of its values are null; fill_nulls={{{name!r}: number}} makes an array of it"
        )
    elif kind.form == "image":
        field = Field.host_only("its feature says not to decode it; image_mode='RGB' decodes it")
    return ObjectColumn(name, field, kind, decoder)


def check_filled(fill_nulls: Mapping[str, Any], names: Collection[str]) -> None:
    """Raise unless the columns whose nulls are to be filled exist.

    Raises:
        UnknownFieldError: If one does not.
    """
    for name in fill_nulls:
        if name not in names:
            raise UnknownFieldError(
                f"fill_nulls names {name!r}; the fields are {listing(names)}.{nearest(name, names)}"
            )


def check_fill(name: str, fill: Any, dtype: np.dtype[Any] | None) -> None:
    """Raise unless a column of a dtype can hold what is to stand for its nulls."""
    if dtype is None:
        raise UnknownFieldError(
            f"fill_nulls names {name!r}, which is no column of numbers; leave it out of fill_nulls"
        )
    kinds: dict[str, tuple[type, ...]] = {"b": (bool,), "f": (int, float)}
    fits = isinstance(fill, kinds.get(dtype.kind, (int,))) and isinstance(fill, bool) == (
        dtype.kind == "b"
    )
    if fits and dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        fits = bounds.min <= fill <= bounds.max
    if not fits:
        raise ValueError(f"fill_nulls[{name!r}] is {fill!r}, which a column of {dtype} cannot hold")
