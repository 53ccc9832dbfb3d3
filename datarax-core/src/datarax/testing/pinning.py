"""What keeps the contract whole: no test of it is overridden or lost without a reason said."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from datarax.registry.plugin import Capability

FIXTURES = ("load", "no_skip", "pytest_generate_tests")
SILENT_MARKS = ("skip", "skipif", "xfail")


def capability_of(test: Any) -> Capability | None:
    """Return the capability that a test needs, or None."""
    return getattr(test, "capability", None)


def contract_tests(contract: type) -> dict[str, Any]:
    """Return the tests of a contract by name, in the order of its parts."""
    found: dict[str, Any] = {}
    for part in reversed(contract.__mro__):
        found |= {name: value for name, value in vars(part).items() if name.startswith("test_")}
    return found


def check_deviations(adopter: type, contract: type) -> None:
    """Raise TypeError where an adopter silences a part of the contract, or says so for nothing."""
    reasons: Mapping[str, str] = getattr(adopter, "deviations", {})
    tests = contract_tests(contract)
    kept = [*tests, *FIXTURES]
    changed = [
        name
        for name in kept
        if inspect.getattr_static(adopter, name, None) is not inspect.getattr_static(contract, name)
    ]
    who = f"{adopter.__module__}.{adopter.__qualname__}"
    for name in changed:
        if not str(reasons.get(name, "")).strip():
            raise TypeError(
                f"{who} overrides or deletes {name}, which the contract holds; leave it as it is, "
                f"or say why it cannot be kept: deviations = {{{name!r}: 'the reason'}}"
            )
    for name in reasons:
        if name not in kept:
            raise TypeError(
                f"{who} says why it deviates from {name}, and the contract has no such test; "
                "strike it from deviations"
            )
        if name not in changed:
            raise TypeError(
                f"{who} says why it deviates from {name} ({reasons[name]!r}), and does not deviate "
                "from it; strike it from deviations"
            )
    collected = getattr(adopter, "__test__", True)
    if collected is not True:
        raise TypeError(f"{who} sets __test__ to {collected!r}: nothing would run")
    check_marks(who, _marks(adopter))


def check_marks(who: str, marks: Iterable[str]) -> None:
    """Raise TypeError where a mark would keep tests of the contract from counting."""
    for mark in marks:
        if mark in SILENT_MARKS:
            raise TypeError(f"{who} is marked {mark}: a contract is kept, or it is not adopted")


def _marks(adopter: type) -> Iterable[str]:
    for part in adopter.__mro__:
        marks = vars(part).get("pytestmark", ())
        yield from (mark.name for mark in (marks if isinstance(marks, list | tuple) else [marks]))
