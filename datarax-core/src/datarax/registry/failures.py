"""Which plugins failed when they were last tried, kept from one process to the next.

A small JSON file in the user's cache folder. It is a hint for listings alone: losing it, or not
being able to write it, changes nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from datarax.registry.metadata import about

LIMIT = 100
"""Failures kept; older ones are forgotten."""


def file() -> Path:
    """Return the file: `datarax/failures.json` under XDG_CACHE_HOME, else under ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME") or (
        os.environ.get("LOCALAPPDATA") if sys.platform == "win32" else None
    )
    return (Path(home) if home else Path.home() / ".cache") / "datarax" / "failures.json"


def installation(distribution: Any) -> str | None:
    """Return what tells one installation of a distribution from any other, by place and time."""
    if distribution is None:
        return None
    _, name, version = about(distribution)
    folder = str(distribution.locate_file(""))
    record = Path(folder) / f"{str(name).replace('-', '_')}-{version}.dist-info"
    try:
        since = record.stat().st_mtime_ns
    except OSError:  # in an archive, or named in a way of its own
        since = 0
    return f"{name} {version} in {folder} since {since}"


def last(key: str | None) -> str | None:
    """Return how the plugin of an installation failed when last tried; None if it did not."""
    if key is None:
        return None
    said = _read().get(key)
    return said if isinstance(said, str) else None


def note(key: str | None, failure: str | None) -> None:
    """Keep how a plugin failed, or with None that it did not."""
    if key is None:
        return
    held = _read()
    if held.get(key) == failure:
        return
    held.pop(key, None)
    if failure is not None:
        held[key] = failure
    _write(dict(list(held.items())[-LIMIT:]))


def _read() -> dict[str, Any]:
    try:
        held = json.loads(file().read_text("utf-8"))
    except (OSError, ValueError, RuntimeError):
        return {}
    return held if isinstance(held, dict) else {}


def _write(held: dict[str, Any]) -> None:
    with contextlib.suppress(OSError, RuntimeError):  # a hint: a read-only home loses it
        path = file()
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, made = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                json.dump(held, out, indent=1)
            Path(made).replace(path)
        finally:
            Path(made).unlink(missing_ok=True)
