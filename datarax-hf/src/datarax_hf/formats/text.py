"""Text files: a record for each line, paragraph or document, in the field `text`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from datarax.errors import NotSupportedError, listing
from datarax_hf.formats.characters import LARGEST_LINE, Characters
from datarax_hf.formats.guess import Guess
from datarax_hf.formats.settings import Settings
from datarax_hf.remedy import Origin

OPTIONS: dict[str, Any] = {
    "encoding": "utf-8",
    "encoding_errors": "strict",
    "keep_linebreaks": False,
    "sample_by": "line",
}
_NEWLINE = ord("\n")
SAMPLES = ("line", "paragraph", "document")


def tables(name: str, origin: Origin, settings: Settings, guess: Guess) -> Iterator[pa.Table]:
    """Yield the records of a text file, in pieces."""
    options = settings.given(OPTIONS, {}, f"hf:{origin.dataset}, text")
    if options["sample_by"] not in SAMPLES:
        raise NotSupportedError(
            f"hf:{origin.dataset}: the card gives sample_by={options['sample_by']!r}; "
            f"it is one of {listing(SAMPLES)}"
        )
    named = list(settings.features or {"text": None})
    column = "text" if "text" in named else named[0]
    guess.columns.update((name, pa.string() if name == column else pa.null()) for name in named)
    with Characters(
        name,
        origin,
        encoding=options["encoding"] or "utf-8",
        errors=options["encoding_errors"] or "strict",
        ended=False,
        advance=guess.advance,
        begin=guess.begin,
        empty=True,
    ) as file:
        by_line = options["sample_by"] == "line"
        if by_line:
            samples = _lines(file, keep=bool(options["keep_linebreaks"]))
        else:
            samples = _wholes(file, paragraphs=options["sample_by"] == "paragraph")
        for values in samples:
            guess.ended = file.ended if by_line else None
            nulls = pa.nulls(len(values))
            yield pa.table({name: values if name == column else nulls for name in named})


def _lines(file: Characters, *, keep: bool) -> Iterator[pa.Array]:
    for block, _ in file.blocks():
        signs = np.frombuffer(_unix(block), np.uint8)
        ends = np.flatnonzero(signs == _NEWLINE)
        if keep:
            offsets = np.concatenate([[0], ends + 1])
        else:
            offsets = np.concatenate([[0], ends - np.arange(len(ends))])
            signs = signs[signs != _NEWLINE]
        if offsets[-1] < len(signs):  # the last line of the file, which does not end
            offsets = np.append(offsets, len(signs))
        yield pa.StringArray.from_buffers(
            len(offsets) - 1, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(signs)
        )


def _wholes(file: Characters, *, paragraphs: bool) -> Iterator[pa.Array]:
    """Yield paragraphs, which empty lines divide, or the whole file."""
    rest = ""
    for block, _ in file.blocks():
        rest += _unix(block).decode()
        if paragraphs:
            *whole, rest = rest.split("\n\n")
            yield pa.array([paragraph for paragraph in whole if paragraph], pa.string())
        if len(rest) > LARGEST_LINE:
            raise file.origin.damaged(
                file.name, f"has a record of more than {LARGEST_LINE:,} characters"
            )
    if rest or not paragraphs:  # a file without text is a document too
        yield pa.array([rest], pa.string())


def _unix(block: bytes) -> bytes:
    return block.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in block else block
