"""YAML that people write: at the head of README.md, and in `.huggingface.yaml`.

What cannot be read is a note that says where, never an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Said = tuple[Mapping[str, Any], tuple[str, ...]]
"""What a file says, and notes."""

IN_ITS_PLACE = "; configs and splits are read from file names"
_FRONT = re.compile(
    r"\ufeff?(?P<blank>\s*)---[ \t]*\r?\n(?P<yaml>.*?)\r?\n---[ \t]*(?:\r?\n|$)", re.DOTALL
)


def front_matter(text: str, where: str) -> Said:
    """Return the mapping between two lines of `---` at the head of a text, and notes.

    Args:
        text: The text; one that has no such head says nothing.
        where: The file's name, for notes.
    """
    front = _FRONT.match(text)
    if front is None:
        return {}, ()
    return mapping_in(front["yaml"], where, line=2 + front["blank"].count("\n"))


def mapping_in(
    text: str, where: str, *, line: int = 1
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Return the mapping that a YAML document is, and notes on why it is none.

    Args:
        text: The document; an empty one says nothing.
        where: The file's name, for notes.
        line: The number of its first line.
    """
    import yaml

    try:
        # Not by libyaml: up to 0.2.5 it follows nesting without an end until the process crashes.
        meta = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = "" if mark is None else f", line {mark.line + line}"
        problem = getattr(error, "problem", None) or "it is malformed"
        return {}, (f"the YAML of {where}{at} cannot be read ({problem}){IN_ITS_PLACE}",)
    except (ValueError, RecursionError) as error:
        return {}, (f"the YAML of {where} cannot be read ({error}){IN_ITS_PLACE}",)
    if meta is not None and not isinstance(meta, Mapping):
        return {}, (f"the YAML of {where} is no mapping{IN_ITS_PLACE}",)
    return meta or {}, ()
