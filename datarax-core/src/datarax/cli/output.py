"""Writing: the one place that writes to standard output and error.

Control characters are written as escapes, so that no dataset's card steers a terminal; a pipe that
was closed ends the writing and is no error; what an encoding cannot say is escaped.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from typing import Any, TextIO

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def write(text: str, to: TextIO | None = None) -> None:
    """Write `text`, and a line's end where it has none, to standard output unless told.

    Raises:
        OSError: If it cannot be written, to a full disk for instance.
    """
    _write(text, sys.stdout if to is None else to)


def say(text: str, *, before: str = "", to: TextIO | None = None) -> None:
    """Write a message to standard error, after `before` as it is."""
    _write(f"{before}datarax: {text}", sys.stderr if to is None else to)


def _write(text: str, stream: TextIO | None) -> None:
    if stream is None:  # closed, or of a windowed application
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    whole = _CONTROL.sub(_escape, text if text.endswith("\n") else f"{text}\n")
    try:
        stream.write(whole.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        _drop(stream)
    except OSError:
        _drop(stream)
        raise


def width() -> int | None:
    """Return the columns of the terminal; None where there is none and COLUMNS is unset."""
    if os.environ.get("COLUMNS", "").isdecimal():
        return max(1, int(os.environ["COLUMNS"]))
    if sys.stdout is not None and sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    return None


def as_json(value: Any) -> str:
    """Return JSON with a line for each key, and lists without objects on one line."""
    return _laid_out(value, "") + "\n"


def _laid_out(value: Any, indent: str) -> str:
    inner = indent + "  "
    if isinstance(value, dict) and value:
        lines = [
            f"{inner}{json.dumps(key)}: {_laid_out(item, inner)}" for key, item in value.items()
        ]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        lines = [inner + _laid_out(item, inner) for item in value]
        return "[\n" + ",\n".join(lines) + f"\n{indent}]"
    return json.dumps(value, allow_nan=False)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def _drop(stream: TextIO) -> None:
    """Let what is still buffered go nowhere, so that the process ends without an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
