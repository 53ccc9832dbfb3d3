"""Run the contract against an installed plugin, on the sample that the plugin makes.

It prints the matrix of what the plugin supports. Exit code 1 says that a promise is broken. It
needs the extra `testing`: pip install 'datarax-core[testing]'.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from datarax.cli import output
from datarax.cli.answer import Answer
from datarax.cli.tables import pairs, table

if TYPE_CHECKING:
    from datarax.testing.matrix import Matrix
    from datarax.testing.validate import ValidationReport

EPILOG = "example: datarax validate datarax-hf"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the distribution, and which of its schemes."""
    parser.add_argument("distribution", metavar="DIST", help="the distribution, such as datarax-hf")
    parser.add_argument("--scheme", help="which of its sources, where it offers several")


def run(args: argparse.Namespace) -> Answer:
    """Run the contract and return what became of it."""
    from datarax.testing.validate import validate

    if sys.stderr is not None and sys.stderr.isatty():
        output.say("running the contract, which takes a while")
    return answer_of(validate(args.distribution, scheme=args.scheme))


def answer_of(report: ValidationReport) -> Answer:
    """Return the answer that a report is."""

    def text(width: int | None) -> str:
        return "\n\n".join(part for part in _parts(report, width) if part)

    return Answer(report.as_dict(), text, yes=report.passed)


def _parts(report: ValidationReport, width: int | None) -> list[str]:
    facts: list[tuple[str, Any]] = [
        ("distribution", f"{report.distribution} {report.version}"),
        ("scheme", report.scheme),
        ("tests", f"{report.count:,} ran, {len(report.failures)} failures"),
        ("verdict", "passed" if report.passed else "failed"),
    ]
    return [
        _matrix(report.matrix, width),
        pairs([("failed", failure) for failure in report.failures], width),
        pairs(facts, width),
    ]


def _matrix(matrix: Matrix, width: int | None) -> str:
    from datarax.testing.matrix import COLUMNS

    rows = [
        (
            row.part,
            *(row.cases.get(column, "") for column in COLUMNS),
            row.verdict + (f": {row.note}" if row.note else ""),
            row.promise,
        )
        for row in matrix.rows
    ]
    headings = ("part", *COLUMNS, "verdict", "promise")
    return table(headings, rows, width, right=COLUMNS)
