"""Write a package for a source of your own: options, reader, contract test, tox, CI, README.

It passes its tests as it is written. It needs the extra `testing`:
pip install 'datarax-core[testing]'.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from datarax.cli.answer import Answer

EPILOG = "example: datarax new-plugin squares --into ."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the name, and where to write."""
    parser.add_argument("name", metavar="NAME", help="the scheme, such as squares")
    parser.add_argument(
        "--into",
        type=Path,
        default=Path(),
        metavar="FOLDER",
        help="the folder that the package's own is made in; the current one unless given",
    )


def run(args: argparse.Namespace) -> Answer:
    """Return the files written."""
    from datarax.testing.scaffold import new_plugin

    files = new_plugin(args.name, args.into)
    data: dict[str, Any] = {"name": args.name, "files": [str(path) for path in files]}

    def text(width: int | None) -> str:
        del width
        return "\n".join(data["files"])

    return Answer(data, text)
