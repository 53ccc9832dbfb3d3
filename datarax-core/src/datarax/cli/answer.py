"""What a command answers: data for `--json`, text for a person, and whether the answer is "no"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """The answer of a command that ran.

    Attributes:
        data: JSON values under documented keys.
        text: Makes the text, for lines of so many columns; None is without a limit.
        yes: False where the command ran and the answer is "no": exit code 1.
    """

    data: Mapping[str, Any]
    text: Callable[[int | None], str]
    yes: bool = True
