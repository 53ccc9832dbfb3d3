"""What the images of a file become, kept in the derived cache, so that headers are read once.

A form is found out by reading every header, and so every byte, of a column. It is kept by the hash
of the file and the options that it depends on, in a small file of JSON that shows by itself whether
it is whole.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datarax_hf.derived import Derived
from datarax_hf.image_columns import ImageColumn
from datarax_hf.images import ImageForm
from datarax_hf.shards import Shards
from datarax_hf.whole import NotKeptError

VERSION = 2

LEAST_BYTES = 2**20
"""Images of a file that stores fewer bytes of them are looked at again: it takes no time."""

_MOST = 1000


@dataclass(frozen=True)
class Forms:
    """The forms that images were found to have.

    Attributes:
        forms: None where there is no image, one where all agree, else the first two that differ.
        null: Whether an image is null; what comes behind it was not looked at.
    """

    forms: tuple[ImageForm, ...] = ()
    null: bool = False

    @property
    def settled(self) -> bool:
        """Whether no other image changes anything: they make no array."""
        return self.null or len(self.forms) > 1

    def joined(self, other: Forms) -> Forms:
        """Return the forms of these images and, behind them, of others."""
        if self.settled:
            return self
        differ = [form for form in other.forms if not self.forms or form != self.forms[0]]
        return Forms((*self.forms, *differ)[:2], other.null)


@dataclass(frozen=True)
class KeptForms:
    """The forms of the images of a column, by file.

    Attributes:
        shards: The files.
        column: The column, which says how its images are decoded.
        derived: The cache.
    """

    shards: Shards
    column: ImageColumn
    derived: Derived
    _name: str = field(init=False)

    def __post_init__(self) -> None:
        decoder = self.column.decoder
        told = json.dumps([self.column.name, decoder.mode, decoder.size, VERSION])
        name = f"form-{hashlib.sha256(told.encode()).hexdigest()[:20]}.json"
        object.__setattr__(self, "_name", name)

    def get(self, groups: range) -> Forms | None:
        """Return the forms of the images of a file, or None where they are not kept."""
        path = self.derived.find(self.shards.source_of(groups.start), self._name)
        if path is None:
            return None
        forms = _read(path)
        if forms is None:
            with suppress(OSError):  # in a folder of others it stays, and is not believed
                path.unlink()
        return forms

    def put(self, groups: range, forms: Forms) -> None:
        """Keep the forms of the images of a file, where anything is kept at all."""
        stored = self.shards.stored_bytes(self.column.name, groups)
        if self.derived.refused or stored < LEAST_BYTES:
            return
        told = {"forms": [[f.mode, f.height, f.width] for f in forms.forms], "null": forms.null}
        whole = json.dumps({"told": told, "sum": _sum(told)})

        def write(path: Path) -> None:
            path.write_text(whole)

        with suppress(NotKeptError):
            source = self.shards.source_of(groups.start)
            self.derived.file(source, self._name, write, size=_MOST, flush=False)


def _read(path: Path) -> Forms | None:
    """Return what a file says; None where it is not whole."""
    try:
        kept: Any = json.loads(path.read_bytes())
        told = kept["told"]
        if kept["sum"] != _sum(told):
            return None
        forms = tuple(_form(entry) for entry in told["forms"])
        null: Any = told["null"]
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    whole = type(null) is bool and len(forms) < 3
    return Forms(forms, null) if whole else None


def _sum(told: Any) -> int:
    """Return the checksum of what a file says, by which a damaged one is told."""
    return zlib.crc32(json.dumps(told).encode())


def _form(entry: Sequence[Any]) -> ImageForm:
    mode, height, width = entry
    form = ImageForm(str(mode), int(height), int(width))
    if min(form.shape) < 1:
        raise ValueError(f"no form of an image: {entry!r}")
    return form
