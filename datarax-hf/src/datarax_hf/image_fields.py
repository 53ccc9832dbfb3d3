"""What the encoded images of a column become: an array only where the header of each agrees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from datarax.sources import Field
from datarax_hf.columns import ImageColumn
from datarax_hf.images import ImageForm, is_image
from datarax_hf.recent import RecentColumns
from datarax_hf.shards import Shards
from datarax_hf.slices import Slices
from datarax_hf.threads import Threads, cores

_NULL_IMAGES = "some of its images are null"
_GROUPS_PER_CORE = 4


@dataclass(frozen=True)
class EncodedImages:
    """The encoded images of a column, as they are looked at when it is opened.

    Attributes:
        shards: The row groups.
        slices: How large ones are read.
        recent: What holds those that were read, for who reads them next.
        column: The column.
    """

    shards: Shards
    slices: Slices
    recent: RecentColumns
    column: ImageColumn

    def are_images(self) -> bool:
        """Return whether the first value that is not null is an image."""
        for group in range(len(self.shards)):
            for images in self._read(group, keep=False):
                if images.null_count < len(images):
                    return is_image(images.drop_null()[0].as_py())
        return False

    def field(self, threads: Threads) -> Field:
        """Return the field of the column, row groups being looked at on all cores.

        Where both mode and size were asked for, all images have one form and no header is read.

        Raises:
            CorruptDataError: If one is no image; the text names its file and row.
        """
        mode, size = self.column.decoder.mode, self.column.decoder.size
        if mode is not None and size is not None and self.shards.records:
            if self.shards.nulls(f"{self.column.name}.bytes"):
                return Field.host_only(_NULL_IMAGES)
            asked = ImageForm(mode, *size)
            return Field.array(asked.dtype, asked.shape)
        try:
            return self._agreed(threads)
        finally:
            pa.default_memory_pool().release_unused()

    def _agreed(self, threads: Threads) -> Field:
        form: ImageForm | None = None
        keep, at_once = self._fits(), _GROUPS_PER_CORE * cores()
        for begin in range(0, len(self.shards), at_once):
            groups = range(begin, min(begin + at_once, len(self.shards)))
            for found in self._forms(groups, threads, keep=keep):
                if found is None:
                    return Field.host_only(_NULL_IMAGES)
                for other in found:
                    form = form or other
                    if other != form:
                        return Field.host_only(_difference(form, other))
        return self.column.field if form is None else Field.array(form.dtype, form.shape)

    def _forms(
        self, groups: range, threads: Threads, *, keep: bool
    ) -> list[list[ImageForm] | None]:
        """Return the first forms that differ in each row group; None where an image is null."""
        found: list[list[ImageForm] | None] = [None] * len(groups)

        def look(place: int) -> None:
            found[place] = self._forms_of(groups[place], keep=keep)

        threads.each(look, range(len(groups)))
        return found

    def _forms_of(self, group: int, *, keep: bool) -> list[ImageForm] | None:
        form: ImageForm | None = None
        begin, place = 0, self.shards.place(group)
        for images in self._read(group, keep=keep):
            if images.null_count:
                return None
            form, other = self.column.decoder.agree(
                images,
                form,
                lambda row: f"{place(begin + row)}, column {self.column.name!r}",  # noqa: B023
            )
            if form is not None and other is not None:
                return [form, other]
            begin += len(images)
        return [] if form is None else [form]

    def _fits(self) -> bool:
        """Return whether all images can be held: those looked at last are not those read first."""
        left = self.recent.limit
        for group in range(len(self.shards)):
            left -= self.shards.stored_bytes(self.column.name, [group])
            if left < 0:
                return False
        return True

    def _read(self, group: int, *, keep: bool) -> Iterator[pa.Array]:
        """Yield the encoded images of a row group; `keep` holds those of one that is read whole."""
        where = self.shards.where(group)
        for table in self.slices.tables(group, self.column.name):
            loaded = self.column.load(table.column(self.column.name), where)
            if keep and len(table) == self.shards.rows(group):
                self.recent.put((group, self.column.name), loaded)
            yield from loaded.chunks


def _difference(form: ImageForm, other: ImageForm) -> str:
    if form.mode != other.mode:
        return (
            f"images differ in mode ({form.mode} and {other.mode}); image_mode='RGB' gives them one"
        )
    return (
        f"images differ in size ({form.height}x{form.width} and {other.height}x{other.width}); "
        "image_size=(height, width) gives them one"
    )
