"""The sources that are installed, and what is wrong with any of them. Nothing is imported.

Every scheme with its distribution, version, status, summary, homepage and capabilities, as its
metadata says them.
"""

from __future__ import annotations

import argparse
from typing import Any

from datarax.cli.answer import Answer
from datarax.cli.tables import pairs, table
from datarax.registry.catalogue import KNOWN, list_sources
from datarax.registry.info import SourceInfo

EPILOG = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: it takes no argument of its own."""
    del parser


def run(args: argparse.Namespace) -> Answer:
    """Return every source."""
    del args
    found = list_sources()
    schemes = {info.scheme for info in found}
    lacking = {scheme: name for scheme, name in KNOWN.items() if scheme not in schemes}
    data = {
        "sources": [source_json(info) for info in found],
        "not_installed": [
            {"scheme": scheme, "distribution": name, "install": f"pip install {name}"}
            for scheme, name in lacking.items()
        ],
    }

    def text(width: int | None) -> str:
        return "\n\n".join(part for part in _parts(found, lacking, width) if part)

    return Answer(data, text)


def source_json(info: SourceInfo) -> dict[str, Any]:
    """Return what is known of a source as JSON values."""
    return {
        "scheme": info.scheme,
        "distribution": info.distribution,
        "version": info.version,
        "status": info.status,
        "detail": info.detail,
        "summary": info.summary,
        "homepage": info.homepage,
        "capabilities": None if info.capabilities is None else sorted(info.capabilities),
    }


def _parts(found: tuple[SourceInfo, ...], lacking: dict[str, str], width: int | None) -> list[str]:
    rows = [
        (info.scheme, info.distribution, info.version, info.status, info.summary) for info in found
    ]
    able = [(info.scheme, _able(info)) for info in found]
    homes = [(info.scheme, info.homepage) for info in found if info.homepage]
    return [
        table(("scheme", "distribution", "version", "status", "summary"), rows, width),
        table(("scheme", "capabilities"), able, width),
        table(("scheme", "homepage"), homes, width) if homes else "",
        pairs([(info.status, info.detail) for info in found if info.status != "ok"], width),
        pairs([("not installed", _install(*item)) for item in lacking.items()], width),
    ]


def _able(info: SourceInfo) -> str:
    if info.capabilities is None:
        return "unknown until it is imported"
    return ", ".join(sorted(info.capabilities)) or "none"


def _install(scheme: str, name: str) -> str:
    return f"{scheme}: pip install {name}"
