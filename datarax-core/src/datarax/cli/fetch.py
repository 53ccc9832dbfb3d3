"""Bring a dataset onto this machine, and say what to copy to one without a network.

What `load` would read with the same options is fetched, and none of it decoded; where no split is
named, every split of the Hub's datasets.
"""

from __future__ import annotations

import argparse
import shlex
from typing import Any

from datarax.cli.answer import Answer
from datarax.cli.arguments import add_uri, asked_for
from datarax.cli.tables import pairs, table
from datarax.registry.info import Fetched
from datarax.sources.plan import readable_bytes

EPILOG = "example: datarax fetch hf:ylecun/mnist --split train"
FILES_SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the URI and its options."""
    add_uri(parser)


def run(args: argparse.Namespace) -> Answer:
    """Return what lies here now."""
    from datarax.registry.loading import fetch

    uri, options = asked_for(args)
    fetched = fetch(uri, **options)
    data: dict[str, Any] = {
        "uri": uri,
        "folder": fetched.folder,
        "bytes": fetched.bytes,
        "files": dict(fetched.files),
        "setup": dict(fetched.setup),
    }

    def text(width: int | None) -> str:
        return "\n\n".join(_parts(uri, args.split, fetched, width))

    return Answer(data, text)


def _parts(uri: str, split: str | None, fetched: Fetched, width: int | None) -> list[str]:
    shown = list(fetched.files.items())[:FILES_SHOWN]
    rows = [(readable_bytes(size), name) for name, size in shown]
    more = len(fetched.files) - len(shown)
    held = [
        ("uri", uri),
        ("folder", fetched.folder),
        ("files", f"{len(fetched.files):,}"),
        ("bytes", f"{fetched.bytes:,} ({readable_bytes(fetched.bytes)})"),
    ]
    files = table(("size", "file"), rows, width, right=("size",))
    return [
        pairs(held, width),
        files + (f"\n… and {more} more; --json lists all" if more else ""),
        _carry(uri, split, fetched),
    ]


def _carry(uri: str, split: str | None, fetched: Fetched) -> str:
    """Return what to do on a machine without a network, as lines for its shell."""
    lines = [
        "For a machine without a network, copy the folder, whole, with its links:",
        f"  {fetched.folder}",
    ]
    if fetched.setup:
        lines += ["and set there, with FOLDER where it then lies:", "  FOLDER=/where/it/lies"]
        lines += [f"  export {name}={_quoted(value)}" for name, value in fetched.setup.items()]
    look = "info" if split is None else "head"  # without a split, head may ask for one
    chosen = "" if split is None else f" --split {shlex.quote(split)}"
    lines += ["Then:", f"  datarax {look} {shlex.quote(uri)}{chosen} --local-files-only"]
    return "\n".join(lines)


def _quoted(value: str) -> str:
    """Return a value for a shell, with the folder filled in by it."""
    return '"$FOLDER"'.join(shlex.quote(part) if part else "" for part in value.split("{folder}"))
