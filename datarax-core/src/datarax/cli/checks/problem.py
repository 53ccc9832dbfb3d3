"""A problem that `datarax doctor` found, with its remedy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """What is wrong with what, and what to do about it."""

    about: str
    problem: str
    remedy: str

    @classmethod
    def of(cls, about: str, text: str) -> Problem:
        """Return a problem whose text is one of core's own, which end with '; remedy'."""
        problem, _, remedy = text.rpartition("; ")
        return cls(about, problem, remedy)
