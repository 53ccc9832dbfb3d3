"""docs/matrix.md is made of the matrices that the distributions pin; DATARAX_WRITE_MATRIX=1 makes it."""

import os
import re
from pathlib import Path

import pytest

from datarax.registry import Capability
from datarax.testing import SourceContract, matrix_of
from datarax.testing.matrix import COLUMNS
from datarax.testing.refusals import _REFUSALS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "matrix.md"
PINNED = {
    "core": ROOT / "datarax-core",
    "hf": ROOT / "datarax-hf",
    "tfds": ROOT / "datarax-tfds",
    "arrayrecord": ROOT / "datarax-arrayrecord",
    "sklearn": ROOT / "examples" / "datarax-sklearn",
}
HEAD = """# What each source keeps

Made of the matrices that the tests of each distribution pin, by
`DATARAX_WRITE_MATRIX=1 pytest tests/test_docs_contract.py`. **e**, **l** and **s** are the modes
eager, lazy and streaming, in which the promise is held; **yes** is a promise that is of no mode;
**refused** is one whose capability is not declared, with the documented error. Every cell is tested:
see [the contract](contract.md).
"""


def pinned(folder):
    """Return the capabilities, the number of tests and the rows of a pinned matrix."""
    text = (folder / "tests" / "contract-matrix.md").read_text("utf-8")
    (said,) = re.findall(r"^Capabilities: (.*)\.$", text, re.MULTILINE)
    (count,) = re.findall(r"^(\d+) tests, none skipped\.$", text, re.MULTILINE)
    lines = [line.strip("| ").split("|") for line in text.splitlines() if line.startswith("| ")]
    return said.split(", "), int(count), [[cell.strip() for cell in line] for line in lines[1:]]


def cell(row):
    cases, verdict = dict(zip(COLUMNS, row[1:5], strict=True)), row[5]
    if verdict.startswith("deviates"):
        return verdict
    if verdict.startswith("refused"):
        return "refused"
    if verdict == "no files":
        return "no files"
    assert verdict == "held", row
    if cases["any"]:
        return "yes"
    return " ".join(mode[0] for mode in COLUMNS[:3] if cases[mode].isdigit())


def page():
    matrices = {name: pinned(folder) for name, folder in PINNED.items()}
    lines = [HEAD, f"| | {' | '.join(PINNED)} |", f"|---|{'---|' * len(PINNED)}"]
    for capability in Capability:
        has = ["yes" if capability in said else "refused" for said, _, _ in matrices.values()]
        lines.append(f"| `{capability}` | {' | '.join(has)} |")
    counts = [str(count) for _, count, _ in matrices.values()]
    lines.append(f"| tests, none skipped | {' | '.join(counts)} |")
    for rows in zip(*(rows for _, _, rows in matrices.values()), strict=True):
        (promise,) = {row[0] for row in rows}
        if promise.startswith("**"):
            part = promise.strip("*")
            lines += ["", f"## {part.capitalize()}", "", f"| | {' | '.join(PINNED)} |"]
            lines.append(f"|---|{'---|' * len(PINNED)}")
        else:
            lines.append(f"| {promise} | {' | '.join(cell(row) for row in rows)} |")
    return "\n".join(lines) + "\n"


def test_the_page_is_what_the_distributions_pin():
    if os.environ.get("DATARAX_WRITE_MATRIX"):
        PAGE.write_text(page(), "utf-8")
    assert PAGE.read_text("utf-8") == page()


def test_every_matrix_is_of_the_contract_as_it_is():
    promises = [row.promise for row in matrix_of(SourceContract).rows]
    for folder in PINNED.values():
        _, count, rows = pinned(folder)
        assert [row[0] for row in rows if not row[0].startswith("**")] == promises
        assert count == matrix_of(SourceContract).count


@pytest.mark.parametrize("capability", Capability)
def test_what_is_refused_where_a_capability_is_not_declared_is_told(capability):
    text = (ROOT / "docs" / "contract.md").read_text("utf-8")
    assert capability in _REFUSALS
    assert f"| `{capability.name}` |" in text
