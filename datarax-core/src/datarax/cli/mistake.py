"""A mistake of the user's: exit code 2 and its text, with no word of tracebacks."""

from __future__ import annotations


class Mistake(Exception):  # noqa: N818  # it is what the user made, and no error of ours
    """What the user asked cannot be done as asked.

    Args:
        text: What to tell.
        kind: The type that `--json` tells.
        usage: What to show before the text.
    """

    def __init__(self, text: str, *, kind: str = "UsageError", usage: str = "") -> None:
        super().__init__(text)
        self.kind = kind
        self.usage = usage
