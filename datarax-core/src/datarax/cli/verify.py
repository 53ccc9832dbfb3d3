"""Compare a dataset's local files with the hashes published for them.

The files are those that `load` would read with the same options. Exit code 1 says that one is
damaged or missing.
"""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

from datarax.cli.answer import Answer
from datarax.cli.arguments import add_uri, asked_for
from datarax.cli.tables import pairs, table
from datarax.registry.info import FileVerdict, Verified

EPILOG = "example: datarax verify hf:ylecun/mnist"
VERDICTS: tuple[FileVerdict, ...] = ("damaged", "missing", "unknown", "ok")
"""From the worst to the best, as they are listed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the URI and its options."""
    add_uri(parser)


def run(args: argparse.Namespace) -> Answer:
    """Return a verdict for each file."""
    from datarax.registry.loading import verify

    uri, options = asked_for(args)
    verified = verify(uri, **options)
    found = Counter(verified.files.values())
    data: dict[str, Any] = {
        "uri": uri,
        "ok": verified.ok,
        "folder": verified.folder,
        "counts": {verdict: found[verdict] for verdict in VERDICTS},
        "files": dict(verified.files),
        "remedy": verified.remedy,
    }

    def text(width: int | None) -> str:
        return "\n\n".join(_parts(uri, verified, found, width))

    return Answer(data, text, yes=verified.ok)


def _parts(
    uri: str, verified: Verified, found: Counter[FileVerdict], width: int | None
) -> list[str]:
    files = sorted(verified.files.items(), key=lambda item: (VERDICTS.index(item[1]), item[0]))
    counts = ", ".join(f"{found[verdict]:,} {verdict}" for verdict in VERDICTS if found[verdict])
    facts = [
        ("uri", uri),
        ("folder", verified.folder),
        ("files", counts or "none"),
        ("verdict", "fine" if verified.ok else "not fine"),
        ("remedy", verified.remedy),
    ]
    rows = [(verdict, name) for name, verdict in files]
    return (
        [table(("verdict", "file"), rows, width), pairs(facts, width)]
        if rows
        else [pairs(facts, width)]
    )
