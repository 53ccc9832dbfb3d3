"""What the encoded images of a column become: an array only where the header of each agrees."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from datarax.sources import Field
from datarax_hf.derived import Derived
from datarax_hf.headers import Encoded
from datarax_hf.image_columns import ImageColumn
from datarax_hf.image_forms import Forms, KeptForms
from datarax_hf.images import ImageForm, Place, is_image
from datarax_hf.in_place import InPlaceColumn
from datarax_hf.ragged import Look
from datarax_hf.recent import RecentColumns
from datarax_hf.shards import Shards
from datarax_hf.slices import Slices
from datarax_hf.threads import Threads, cores

_NULL_IMAGES = "some of its images are null"
_GROUPS_PER_CORE = 4

LayOut = Callable[[ImageForm, Look], None]
"""Lays out the images of a column, the first of which has this form, and shows what it reads."""


class UnlikeError(Exception):
    """Images were found that make no array, so that laying them out ends."""


@dataclass(frozen=True)
class EncodedImages:
    """The encoded images of a column, as they are looked at when it is opened.

    Attributes:
        shards: The row groups.
        slices: How large ones are read.
        recent: What holds those that were read, for who reads them next.
        column: The column.
        derived: What keeps what was found.
        in_place: Returns the images where they lie, if they lie as they are.
    """

    shards: Shards
    slices: Slices
    recent: RecentColumns
    column: ImageColumn
    derived: Derived
    in_place: Callable[[], InPlaceColumn | None]

    def are_images(self) -> bool:
        """Return whether the first value that is not null is an image."""
        for group in range(len(self.shards)):
            for images in self._read(group, keep=False):
                if images.null_count < len(images):
                    return is_image(images.drop_null()[0].as_py())
        return False

    def field(self, threads: Threads, lay_out: LayOut | None = None) -> Field:
        """Return the field of the column, row groups being looked at on all cores.

        Where both mode and size were asked for, all images have one form and no header is read;
        nor is it where what they say is kept.

        Args:
            threads: The threads to use.
            lay_out: What lays the images out, where they will be needed so: they are looked at as
                it reads them, and not read twice.

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
            found = self._found(threads, lay_out)
        finally:
            pa.default_memory_pool().release_unused()
        if found.null:
            return Field.host_only(_NULL_IMAGES)
        if len(found.forms) > 1:
            return Field.host_only(_difference(*found.forms))
        if not found.forms:
            return self.column.field
        return Field.array(found.forms[0].dtype, found.forms[0].shape)

    def _found(self, threads: Threads, lay_out: LayOut | None) -> Forms:
        kept = KeptForms(self.shards, self.column, self.derived)
        files = [groups for _, groups in self.shards.groups_of(0, self.shards.records)]
        found, unknown = Forms(), []
        for groups in files:
            forms = kept.get(groups)
            found = found if forms is None else found.joined(forms)
            unknown += [groups] if forms is None else []
        if found.settled or not unknown:
            return found
        in_place = self.in_place()
        if in_place is not None:
            return self._seen_in_place(in_place, found, unknown, kept)
        looking = _Looking(self.column, self.shards, found)
        if lay_out is not None:
            self._lay_out(lay_out, looking)
        self._look(looking, [group for groups in unknown for group in groups], threads)
        for groups in unknown:
            forms = looking.of(groups)
            if forms is not None:
                kept.put(groups, forms)
        return looking.found()

    def _seen_in_place(
        self, images: InPlaceColumn, found: Forms, files: Sequence[range], kept: KeptForms
    ) -> Forms:
        """Look at images where they lie, file by file, until the rest changes nothing."""
        for groups in files:
            forms = Forms()
            for first, encoded in images.encoded(groups):
                place = partial(_place_behind, self.shards, first)
                forms = forms.joined(_forms(self.column, encoded, place))
                if forms.settled:
                    break
            kept.put(groups, forms)
            found = found.joined(forms)
            if found.settled:
                break
        return found

    def _lay_out(self, lay_out: LayOut, looking: _Looking) -> None:
        """Lay the images out, unless the first one is null or they turn out to make no array."""
        first = next(iter(self.shards.slices(0, [self.column.name], 1)))
        images = self.column.load(first.column(self.column.name), self.shards.where(0)).chunks
        forms = looking.at(0, 0, images[0]).forms if images else ()
        if len(forms) == 1:
            with suppress(UnlikeError):
                lay_out(forms[0], looking.look)

    def _look(self, looking: _Looking, groups: Sequence[int], threads: Threads) -> None:
        """Look at the row groups that were not looked at yet, until the rest changes nothing."""
        left = [group for group in groups if not looking.done(group)]
        keep, at_once = self._fits(), _GROUPS_PER_CORE * cores()

        def look(group: int) -> None:
            first = 0
            with suppress(UnlikeError):
                for images in self._read(group, keep=keep):
                    looking.look(group, first, images)
                    first += len(images)

        for begin in range(0, len(left), at_once):
            if looking.settled:
                break
            threads.each(look, left[begin : begin + at_once])

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


class _Looking:
    """What was found of the images of a column so far; safe to use from several threads.

    Args:
        column: The column.
        shards: The row groups.
        found: What is known of others, which are not looked at.
    """

    def __init__(self, column: ImageColumn, shards: Shards, found: Forms) -> None:
        self._known = self._found = found
        self._column = column
        self._shards = shards
        self._groups: dict[int, Forms] = {}
        self._rows: dict[int, int] = {}
        self._lock = threading.Lock()

    @property
    def settled(self) -> bool:
        """Whether no other image changes anything."""
        return self._found.settled

    def look(self, group: int, first: int, images: pa.Array) -> None:
        """Look at the next images of a row group, which begin at its row `first`.

        Raises:
            UnlikeError: If no other image changes anything any more.
            CorruptDataError: If one is no image.
        """
        forms = self.at(group, first, images)
        with self._lock:
            self._groups[group] = self._groups.get(group, Forms()).joined(forms)
            self._rows[group] = first + len(images)
            self._found = self._found.joined(forms)
            if self._found.settled:
                raise UnlikeError

    def at(self, group: int, first: int, images: pa.Array) -> Forms:
        """Return the forms of images of a row group, without taking note of them."""
        if images.null_count:
            return Forms(null=True)
        return _forms(self._column, images, self._shards.place(group, first))

    def found(self) -> Forms:
        """Return what was found, in the order of the images and not in that of the threads."""
        forms = self._known
        for group in sorted(self._groups):
            forms = forms.joined(self._groups[group])
        return forms

    def done(self, group: int) -> bool:
        """Return whether all images of a row group were looked at."""
        return self._rows.get(group) == self._shards.rows(group)

    def of(self, groups: range) -> Forms | None:
        """Return the forms of the images of row groups, or None where not enough is known."""
        forms = Forms()
        for group in groups:
            forms = forms.joined(self._groups.get(group, Forms()))
        return forms if forms.settled or all(map(self.done, groups)) else None


def _place_behind(shards: Shards, first: int, row: int) -> str:
    return shards.place_of(first + row)


def _forms(column: ImageColumn, images: pa.Array | Encoded, place: Place) -> Forms:
    """Return the forms of images, none of them null."""
    found = column.decoder.agree(images, None, lambda row: f"{place(row)}, column {column.name!r}")
    return Forms(tuple(form for form in found if form is not None))


def _difference(form: ImageForm, other: ImageForm) -> str:
    if form.mode != other.mode:
        return (
            f"images differ in mode ({form.mode} and {other.mode}); image_mode='RGB' gives them one"
        )
    return (
        f"images differ in size ({form.height}x{form.width} and {other.height}x{other.width}); "
        "image_size=(height, width) gives them one"
    )
