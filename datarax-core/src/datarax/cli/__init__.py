"""The command line: `datarax COMMAND`, each command a module of its own.

A command answers with an `Answer`; `main` alone writes to standard output, and turns answers and
errors into exit codes.
"""

from __future__ import annotations

from datarax.cli.main import main

__all__ = ["main"]
