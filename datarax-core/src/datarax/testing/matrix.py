"""The matrix of a contract: each promise, in how many tests, in which mode, and whether it is held.

It is computed from the class that adopts the contract, so that a file of it pins what runs.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from datarax.testing.pinning import capability_of, contract_tests

COLUMNS = ("eager", "lazy", "streaming", "any")

Verdict = Literal["held", "refused", "no files", "deviates"]
REFUSED = "refused"
OF_FILES = (
    "test_a_damaged_file_is_an_error_that_names_it",
    "test_a_miss_names_the_dataset_and_what_is_missing",
)
"""What holds of files alone."""


@dataclass(frozen=True)
class Row:
    """One promise.

    Attributes:
        part: The part of the contract it belongs to.
        promise: What is promised, in words: the name of its test.
        cases: How many tests there are of it, by mode; "any" where it has none.
        verdict: "held"; "refused", where a capability is not declared and the documented error is
            demanded; "no files", where there are none to be missing or damaged; "deviates", where
            the adopter says why it does otherwise.
        note: The capability that is not declared, or the reason.
        refused: The modes whose capability is not declared, and which are refused.
    """

    part: str
    promise: str
    cases: Mapping[str, int]
    verdict: Verdict
    note: str = ""
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Matrix:
    """The rows of one contract, and what its source declares."""

    capabilities: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def count(self) -> int:
        """How many tests there are."""
        return sum(sum(row.cases.values()) for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "capabilities": list(self.capabilities),
            "count": self.count,
            "rows": [asdict(row) for row in self.rows],
        }

    def markdown(self) -> str:
        """Return it as a Markdown table."""
        lines = [
            f"Capabilities: {', '.join(self.capabilities) or 'none'}.",
            "",
            f"{self.count} tests, none skipped.",
            "",
            f"| promise | {' | '.join(COLUMNS)} | |",
            f"|---|{'---|' * (len(COLUMNS) + 1)}",
        ]
        for part, rows in itertools.groupby(self.rows, key=lambda row: row.part):
            lines.append(f"| **{part}** |{' |' * (len(COLUMNS) + 1)}")
            for row in rows:
                cells = [
                    REFUSED if column in row.refused else str(row.cases.get(column, ""))
                    for column in COLUMNS
                ]
                said = row.verdict + (f": {row.note}" if row.note else "")
                lines.append(f"| {row.promise} | {' | '.join(cells)} | {said} |")
        return "\n".join(lines) + "\n"


def matrix_of(adopter: type) -> Matrix:
    """Return the matrix of a class that adopts `SourceContract`."""
    from datarax.testing.base import capability_of_mode
    from datarax.testing.contract import SourceContract

    declared = frozenset(getattr(adopter, "capabilities", frozenset()))
    reasons: Mapping[str, str] = getattr(adopter, "deviations", {})
    rows = []
    for name, test in contract_tests(SourceContract).items():
        needed = capability_of(test)
        part = test.__qualname__.partition(".")[0].removesuffix("Contract").lower()
        cases = _cases(test, part)
        refused = tuple(
            mode for mode in cases if mode != "any" and capability_of_mode(mode) not in declared
        )
        verdict: Verdict = "held"
        note = ""
        if name in reasons:
            verdict, note = "deviates", reasons[name]
        elif needed is not None and needed not in declared:
            verdict, note = "refused", f"{needed} is not declared"
        elif len(refused) == len(cases):
            verdict, note = "refused", f"{capability_of_mode(refused[0])} is not declared"
        elif name in OF_FILES and not getattr(adopter, "reads_files", True):
            verdict = "no files"
        promise = name.removeprefix("test_").replace("_", " ")
        rows.append(Row(part, promise, cases, verdict, note, refused))
    return Matrix(tuple(sorted(map(str, declared))), tuple(rows))


def _cases(test: Any, part: str) -> dict[str, int]:
    marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
    modes: Sequence[str] = ["streaming" if part == "streaming" else "any"]
    others = 1
    for mark in marks:
        names, values = mark.args[0], list(mark.args[1])
        if names == "mode":
            modes = [str(value) for value in values]
        else:
            others *= len(values)
    return dict.fromkeys(modes, others)
