"""What the parts of the contract share: the fixtures, and the one law of order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

import datarax
from datarax.core import order
from datarax.registry.plugin import INDEXED, Capability
from datarax.testing.known import KnownDataset, rows_of

Load = Callable[..., Any]

MODES = ("eager", "lazy")
ORDERS = (False, True)
SEED = 11

by_mode = pytest.mark.parametrize("mode", MODES)
by_order = pytest.mark.parametrize("shuffle", ORDERS, ids=["stored", "shuffled"])


class ContractBase:
    """The declaration and the fixtures of a contract.

    Attributes:
        capabilities: What the sources can do, as the plugin describes them.
        reads_files: Whether records come from files, which can be damaged.
        matrix: A file beside the test that pins the matrix of the contract, or None; written anew
            where the environment says DATARAX_WRITE_MATRIX=1.
        deviations: Reasons, by the name of a contract test, for overriding or deleting it.
    """

    capabilities: frozenset[Capability] = INDEXED
    reads_files: bool = True
    matrix: str | None = None
    deviations: ClassVar[Mapping[str, str]] = {}

    @pytest.fixture
    def dataset(self) -> KnownDataset:
        """Return a small dataset with a known answer. Every adopter defines it."""
        raise NotImplementedError(
            f"{type(self).__name__} must define the fixture 'dataset', returning a KnownDataset"
        )

    @pytest.fixture(autouse=True)
    def no_skip(self, request: pytest.FixtureRequest) -> None:
        """Make the dataset before anything else, and fail where that would skip."""
        try:
            request.getfixturevalue("dataset")
        except pytest.skip.Exception as skipped:
            pytest.fail(f"the contract is kept or not, never skipped: {skipped}")

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


def expected_batch(
    dataset: KnownDataset, spec: Any, start: int, size: int, *, shuffle: bool, seed: int = SEED
) -> dict[str, Any]:
    """Return the batch that every access path must give: the one law of order."""
    count = len(dataset.records)
    words = order.seed_words(seed) if shuffle else None
    indices = order.positions(words, count, *divmod(start, count), size)
    return rows_of(dataset.records, spec, np.asarray(indices).tolist())
