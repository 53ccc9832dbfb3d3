"""The contract holds on the correct source, and fails on each that is broken on purpose."""

import importlib
import itertools
import os
from dataclasses import replace
from pathlib import Path

import pytest

from datarax.testing import SourceContract
from datarax.testing.pinning import contract_tests
from mutants.breaking import MUTANTS
from mutants.lesser import BY_INDEX, FORWARD, ForwardShelf, IndexedShelf
from mutants.shelf import EVERYTHING

FAMILIES = (
    "access",
    "lifecycle",
    "order",
    "passes",
    "plugins",
    "readers",
    "state",
    "streaming",
    "traced",
)
FAMILY = {}
for family in FAMILIES:
    known = len(MUTANTS)
    importlib.import_module(f"mutants.{family}")
    FAMILY |= dict.fromkeys((mutant.name for mutant in MUTANTS[known:]), family)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "mutants.md"
HEAD = """# Sources broken on purpose

On each of these the [contract](contract.md) fails, in the test, or the case of it, that names the
promise that is broken. They are in `datarax-core/mutants`; `DATARAX_WRITE_MATRIX=1 pytest
datarax-core/mutants -k docs` makes this page.
"""

NOT_BROKEN = {
    "test_the_matrix_is_as_pinned_and_every_test_in_it_was_collected": (
        "no source can break it: tests/test_contract_pinning.py does"
    ),
}


class TestCorrect(SourceContract):
    """The source that all mutants are made of keeps every promise."""

    capabilities = EVERYTHING

    @pytest.fixture
    def dataset(self, shelf):
        return shelf()


class TestForwardOnly(SourceContract):
    """So does one that only goes forward, and refuses what reads by index."""

    capabilities = FORWARD

    @pytest.fixture
    def dataset(self, shelf):
        return replace(shelf(plugin=ForwardShelf), part=None)


class TestByIndexAlone(SourceContract):
    """And one that reads by index, but neither under tracing nor from a saved place."""

    capabilities = BY_INDEX

    @pytest.fixture
    def dataset(self, shelf):
        return replace(shelf(plugin=IndexedShelf), part=None)


class MutantContract(SourceContract):
    """The contract of one mutant, of which its one promise is collected."""

    @pytest.fixture
    def dataset(self, shelf):
        return shelf(plugin=self.mutant.plugin)


for mutant in MUTANTS:
    globals()[f"Test{mutant.name}"] = type(
        f"Test{mutant.name}",
        (MutantContract,),
        {
            "__doc__": mutant.how,
            "mutant": mutant,
            "only": (mutant.promise,),
            "capabilities": mutant.capabilities,
        },
    )


def test_there_are_mutants_enough_each_of_one_name():
    assert len(MUTANTS) >= 45
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_each_promise_of_the_contract_is_broken_by_a_mutant():
    tests = set(contract_tests(SourceContract))
    broken = {mutant.test for mutant in MUTANTS}
    assert broken <= tests, f"no such tests: {broken - tests}"
    assert tests - broken == set(NOT_BROKEN)


def test_the_case_that_a_mutant_breaks_was_collected(request):
    collected = {
        item.cls.mutant.name
        for item in request.session.items
        if getattr(item.cls, "mutant", None) is not None
    }
    narrowed = request.config.option.keyword or any("::" in arg for arg in request.config.args)
    assert narrowed or collected == {mutant.name for mutant in MUTANTS}


def test_the_docs_list_every_mutant_and_the_promise_that_it_breaks():
    lines = [HEAD, f"There are {len(MUTANTS)}.", ""]
    for family, mutants in itertools.groupby(MUTANTS, key=lambda mutant: FAMILY[mutant.name]):
        lines += [
            f"## {family.capitalize()}",
            "",
            "| mutant | the promise it breaks |",
            "|---|---|",
        ]
        for mutant in mutants:
            promise = mutant.promise.removeprefix("test_").replace("_", " ").replace("[", " [")
            lines.append(f"| **{mutant.name}**. {mutant.how} | {promise} |")
        lines.append("")
    text = "\n".join(lines)
    if os.environ.get("DATARAX_WRITE_MATRIX"):
        PAGE.write_text(text, "utf-8")
    assert PAGE.read_text("utf-8") == text
