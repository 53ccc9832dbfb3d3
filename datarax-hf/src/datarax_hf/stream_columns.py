"""What becomes of the columns of a stream, before any record is read.

A stream sees each record once, so nothing is settled by looking at all of them: images are arrays
only where the options give them one form, and integers and floats are unless a footer tells of
nulls. What then turns out otherwise is an error, never another shape. Only whether bytes that
nothing declares are images the first of them say, as in the other modes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from datarax.sources import Field
from datarax_hf.column_choice import check_filled, column_of
from datarax_hf.columns import Column, ObjectColumn
from datarax_hf.features import Features, Kind, describe
from datarax_hf.image_columns import ImageColumn
from datarax_hf.images import ImageDecoder, ImageForm, Place, is_image

Nulls = Callable[[str], int | None]
UNSEEN = (
    "a stream does not look at its images beforehand; image_mode= and image_size= together give "
    "them one form"
)


def stream_columns(
    schema: pa.Schema,
    features: Features | None,
    decoder: ImageDecoder,
    nulls: Nulls,
    fill_nulls: Mapping[str, Any],
) -> dict[str, Column]:
    """Return how each column of a schema is read.

    Args:
        schema: The stored columns.
        features: What they mean; None leaves it to the Arrow types.
        decoder: How images become arrays.
        nulls: Returns the nulls of a column or of a part of one, as far as they are known.
        fill_nulls: The numbers that stand for nulls, by column.
    """
    check_filled(fill_nulls, schema.names)
    return {
        name: _column(name, kind, decoder, nulls, fill_nulls.get(name))
        for name, kind in describe(schema, features).items()
    }


def converted(column: Column, data: pa.ChunkedArray, where: str, place: Place | None = None) -> Any:
    """Return all values of some records of a column, as `ColumnReader.read` does.

    Args:
        column: The column.
        data: What is stored of it.
        where: Words for where that lies.
        place: Returns those for a row of it; its number is told unless given.
    """
    loaded = column.load(data, where)
    told = place or (lambda row: f"{where}, row {row}")
    return column.gather(loaded, np.arange(len(data)), told)


@dataclass(frozen=True)
class PerhapsImageColumn(ObjectColumn):
    """A column of bytes and paths that nothing declares, as it is read until one is looked at.

    Attributes:
        images: How it is read if they are images.
    """

    images: ImageColumn | None = None

    def settled(self, first: bytes | None) -> Column:
        """Return how the column is read, given its first bytes, None where there are none."""
        if self.images is not None and first is not None and is_image(first):
            return self.images
        return ObjectColumn(self.name, Field.host_only("a struct has no fixed array form"))


def _column(name: str, kind: Kind, decoder: ImageDecoder, nulls: Nulls, fill: Any) -> Column:
    # Parquet counts an empty list as a null, so of a shape without numbers it tells nothing.
    told = None if 0 in (kind.field.shape or ()) else nulls(name)
    column = column_of(name, kind, nulls=told, decoder=decoder, fill=fill)
    if not isinstance(column, ImageColumn):
        return column
    images = replace(column, field=_image_field(name, column.decoder, nulls))
    if kind.undeclared:
        unread = Field.host_only("it is not read, so no value was looked at")
        return PerhapsImageColumn(name, unread, images=images)
    return images


def _image_field(name: str, decoder: ImageDecoder, nulls: Nulls) -> Field:
    if decoder.mode is None or decoder.size is None:
        return Field.host_only(UNSEEN)
    if nulls(f"{name}.bytes"):
        return Field.host_only("some of its images are null")
    form = ImageForm(decoder.mode, *decoder.size)
    return Field.array(form.dtype, form.shape)
