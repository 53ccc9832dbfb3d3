"""The text of a dataset's README below its YAML: what it is, and how to cite it.

Cards are written by people: what is not found is None, and nothing here is an error.
"""

from __future__ import annotations

import re

LONGEST = 1000
"""Characters of a description at most."""

_FRONT = re.compile(r"\A\ufeff?\s*---[ \t]*\r?\n.*?\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_HEADING = re.compile(r"^#{1,6}\s+(?P<title>.*?)\s*#*\s*$")
_ENTRY = re.compile(r"^[ \t]*@\w+\s*\{", re.MULTILINE)
_SUMMARY = re.compile(r"(?:dataset )?(?:summary|description|overview|introduction)", re.IGNORECASE)
_NO_PROSE = re.compile(r"\s*(?:$|[-*+|>!<=]|\d+\.|\[.*\]\(.*\)\s*$|\*\*[^*]+:?\*\*:?\s*\S*$)")
_UNKNOWN = re.compile(r"\[?more information needed\]?(?:\(.*\))?\.?", re.IGNORECASE)


def description_in(text: str) -> str | None:
    r"""Return the first paragraph of prose under a heading such as 'Dataset Summary', or of all.

    >>> description_in("# Digits\n\n## Dataset Summary\n\nDigits, by hand.")
    'Digits, by hand.'
    """
    body = _FENCE.sub("", _COMMENT.sub("", _FRONT.sub("", text)))
    sections = _sections(body)
    chosen = [lines for title, lines in sections if _SUMMARY.fullmatch(title)]
    for lines in (*chosen, *(lines for _, lines in sections)):
        prose = _first_paragraph(lines)
        if prose is not None:
            return prose if len(prose) <= LONGEST else prose[: LONGEST - 1].rstrip() + "…"
    return None


def citation_in(text: str) -> str | None:
    r"""Return the BibTeX entries of a README, or None.

    >>> citation_in("## Citation\n\n```\n@misc{digits, year={1998}}\n```")
    '@misc{digits, year={1998}}'
    """
    body = _FRONT.sub("", text)
    entries = []
    for start in _ENTRY.finditer(body):
        end = _end_of_entry(body, start.end() - 1)
        if end is not None:
            entries.append(body[start.start() : end].strip())
    return "\n\n".join(entries) or None


def _end_of_entry(text: str, opened: int) -> int | None:
    """Return where the brace that is opened at `opened` is closed, or None."""
    depth = 0
    for position in range(opened, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position + 1
    return None


def _sections(body: str) -> list[tuple[str, list[str]]]:
    sections: list[tuple[str, list[str]]] = [("", [])]
    for line in body.splitlines():
        heading = _HEADING.match(line)
        if heading is not None:
            sections.append((heading["title"].strip("* "), []))
        else:
            sections[-1][1].append(line)
    return sections


def _first_paragraph(lines: list[str]) -> str | None:
    paragraph: list[str] = []
    for line in (*lines, ""):
        if not _NO_PROSE.match(line):
            paragraph.append(line.strip())
        elif paragraph:
            text = " ".join(paragraph)
            if not _UNKNOWN.fullmatch(text):
                return text
            paragraph = []
    return None
