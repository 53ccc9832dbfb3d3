"""Write a package for a source of your own: options, reader, contract test, tox, CI, README.

It passes its tests as it is written. It needs the extra `testing`:
pip install 'datarax-core[testing]'.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from datarax.cli.answer import Answer
from datarax.cli.mistake import Mistake

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

    try:
        files = new_plugin(args.name, args.into)
    except (ValueError, OSError) as error:
        raise Mistake(str(error), kind=type(error).__name__) from error
    folder = args.into / f"datarax-{args.name}"
    data: dict[str, Any] = {
        "name": args.name,
        "folder": str(folder),
        "files": [str(path) for path in files],
    }

    def text(width: int | None) -> str:
        del width
        lines = [
            *data["files"],
            "",
            "Next:",
            f"  cd {shlex.quote(str(folder))}",
            "  pip install -e '.[testing]'",
            "  pytest",
            f"  datarax validate datarax-{args.name}",
        ]
        return "\n".join(lines)

    return Answer(data, text)
