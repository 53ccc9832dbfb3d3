"""Text files: a record for each line, paragraph or document, in the field `text`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
SAMPLES = ("line", "paragraph", "document")


def tables(name: str, origin: Origin, settings: Settings, guess: Guess) -> Iterator[pa.Table]:
    """Yield the records of a text file, in pieces."""
    options = settings.given(OPTIONS, (), f"hf:{origin.dataset}, text")
    if options["sample_by"] not in SAMPLES:
        raise NotSupportedError(
            f"hf:{origin.dataset}: the card gives sample_by={options['sample_by']!r}; "
            f"it is one of {listing(SAMPLES)}"
        )
    column = next(iter(settings.features or {"text": None}))
    guess.columns[column] = pa.string()
    with Characters(
        name,
        origin,
        encoding=options["encoding"] or "utf-8",
        errors=options["encoding_errors"] or "strict",
        ended=False,
        advance=guess.advance,
    ) as file:
        if options["sample_by"] == "line":
            samples = _lines(file, keep=bool(options["keep_linebreaks"]))
        else:
            samples = _wholes(file, paragraphs=options["sample_by"] == "paragraph")
        for values in samples:
            yield pa.table({column: pa.array(values, pa.string())})


def _lines(file: Characters, *, keep: bool) -> Iterator[list[str]]:
    for block, _ in file.blocks():
        *lines, last = _unix(block).split("\n")
        if keep:
            lines = [f"{line}\n" for line in lines]
        yield [*lines, last] if last else lines


def _wholes(file: Characters, *, paragraphs: bool) -> Iterator[list[str]]:
    """Yield paragraphs, which empty lines divide, or the whole file."""
    rest = ""
    for block, _ in file.blocks():
        rest += _unix(block)
        if paragraphs:
            *whole, rest = rest.split("\n\n")
            yield [paragraph for paragraph in whole if paragraph]
        if len(rest) > LARGEST_LINE:
            raise file.origin.damaged(
                file.name, f"has a record of more than {LARGEST_LINE:,} characters"
            )
    if rest:
        yield [rest]


def _unix(block: bytes) -> str:
    return block.decode().replace("\r\n", "\n").replace("\r", "\n")
