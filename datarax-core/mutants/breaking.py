"""`breaks`: what declares a mutant, and the promise of the contract that it breaks.

A mutant names the test, or one case of it, that must fail on it. What it shares with the correct
source is all but one thing, so that what fails is the promise and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mutants.shelf import ShelfConfig, ShelfPlugin, ShelfReader

FAILED = (AssertionError, pytest.fail.Exception)


@dataclass(frozen=True)
class Mutant:
    """A source broken on purpose.

    Attributes:
        name: Its name.
        how: In what way it is broken, as a sentence.
        promise: The test of the contract that must fail on it, or the case of one.
        plugin: What answers to `shelf:` instead of the correct plugin.
        capabilities: What its contract is told.
        fails_with: What its test fails with: an assertion, unless what is broken is an error.
    """

    name: str
    how: str
    promise: str
    plugin: type[ShelfPlugin]
    capabilities: frozenset
    fails_with: tuple[type[BaseException], ...]

    @property
    def test(self):
        """The name of the test, without the case."""
        return self.promise.partition("[")[0]


MUTANTS: list[Mutant] = []


def breaks(promise, *, error=None, capabilities=ShelfPlugin.capabilities):
    """Declare a class as a mutant that breaks `promise`.

    Args:
        promise: The name of the test, without `test_`, and of the case in brackets.
        error: The class of the error that the mutant raises where another one is promised, or
            where none is.
        capabilities: What the contract is told of the mutant's capabilities.
    """

    def declare(broken):
        plugin = broken
        if not issubclass(broken, ShelfPlugin):
            plugin = type(f"{broken.__name__}Plugin", (ShelfPlugin,), {_part(broken): broken})
        how = " ".join(broken.__doc__.split())
        errors = FAILED if error is None else (error,)
        MUTANTS.append(
            Mutant(broken.__name__, how, f"test_{promise}", plugin, capabilities, errors)
        )
        return broken

    return declare


def _part(broken):
    """Return what a class is of a plugin. It is told without importing JAX, as a reader may not."""
    if issubclass(broken, ShelfReader):
        return "reader"
    if issubclass(broken, ShelfConfig):
        return "config"
    return "source" if hasattr(broken, "get_batch_at") else "stream"
