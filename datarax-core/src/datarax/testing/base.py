"""What the parts of the contract share: the fixtures, the modes, and the one law of order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np
import pytest

import datarax
from datarax.core import order
from datarax.registry.plugin import INDEXED, Capability
from datarax.testing.known import KnownDataset, check_known, rows_of
from datarax.testing.refusals import kept_or_refused

Load = Callable[..., Any]
Test = TypeVar("Test", bound=Callable[..., Any])

MODES = ("eager", "lazy")
ORDERS = (False, True)

by_order = pytest.mark.parametrize("shuffle", ORDERS, ids=["stored", "shuffled"])


def by_mode(test: Test) -> Test:
    """Make a test one for each mode that reads by index."""
    return _by(MODES, test)


def by_every_mode(test: Test) -> Test:
    """Make a test one for each mode, streaming too."""
    return _by((*MODES, "streaming"), test)


def _by(modes: tuple[str, ...], test: Test) -> Test:
    marked: Test = pytest.mark.parametrize("mode", modes)(kept_or_refused(test, _of_arguments))
    return marked


def capability_of_mode(mode: str, *, shuffle: bool = False) -> Capability:
    """Return the capability that a mode needs."""
    if mode != "streaming":
        return Capability.INDEXED_ACCESS
    return Capability.WINDOW_SHUFFLE if shuffle else Capability.STREAMING


def _of_arguments(arguments: Mapping[str, Any]) -> Capability:
    return capability_of_mode(arguments["mode"], shuffle=arguments.get("shuffle", False))


class ContractBase:
    """The declaration and the fixtures of a contract.

    Attributes:
        capabilities: What the sources can do, as the plugin describes them.
        reads_files: Whether records come from files, which can be missing or damaged.
        matrix: A file beside the test that pins the matrix of the contract, or None; written anew
            where the environment says DATARAX_WRITE_MATRIX=1.
        deviations: Reasons, by the name of a contract test, for overriding or deleting it.
        seed: What the orders of the tests are drawn from.
        known: The dataset, once it is made.
    """

    capabilities: frozenset[Capability] = INDEXED
    reads_files: bool = True
    matrix: str | None = None
    deviations: ClassVar[Mapping[str, str]] = {}
    seed: int = 11
    known: KnownDataset

    @pytest.fixture
    def dataset(self) -> KnownDataset:
        """Return a small dataset with a known answer. Every adopter defines it."""
        raise NotImplementedError(
            f"{type(self).__name__} must define the fixture 'dataset', returning a KnownDataset"
        )

    @pytest.fixture(autouse=True)
    def no_skip(self, request: pytest.FixtureRequest) -> None:
        """Make the dataset first of all; fail where that would skip, or shows too little."""
        try:
            self.known = request.getfixturevalue("dataset")
        except (pytest.skip.Exception, pytest.xfail.Exception) as skipped:
            pytest.fail(f"the contract is kept or not, never skipped: {skipped}")
        check_known(self.known)

    @pytest.fixture
    def load(self, dataset: KnownDataset) -> Iterator[Load]:
        """Load the known dataset, with options on top; closed when the test ends."""
        opened: list[Any] = []

        def load(**options: Any) -> Any:
            source = datarax.load(dataset.uri, **{**dataset.options, **options})
            opened.append(source)
            return source

        yield load
        for source in opened:
            source.close()

    def drawn(self, shuffle: bool) -> int | None:
        """Return what an order is drawn from: the seed, or None where it is storage order."""
        return self.seed if shuffle else None


def expected_batch(
    dataset: KnownDataset, spec: Any, start: int, size: int, *, seed: int | None
) -> dict[str, Any]:
    """Return the batch that every access path must give: the one law of order.

    Args:
        dataset: The records.
        spec: Which of their fields are arrays.
        start: The first position.
        size: How many.
        seed: What the order is drawn from; None is storage order.
    """
    count = len(dataset.records)
    words = None if seed is None else order.seed_words(seed)
    indices = order.positions(words, count, *divmod(start, count), size)
    return rows_of(dataset.records, spec, np.asarray(indices).tolist())
