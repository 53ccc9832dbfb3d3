"""The contract that every source keeps, on a slice of the digits."""

import pytest
from sklearn import datasets

from datarax.registry import INDEXED
from datarax.testing import KnownDataset, SourceContract


def rows(**columns):
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


class TestDigits(SourceContract):
    capabilities = INDEXED
    reads_files = False
    matrix = "contract-matrix.md"

    @pytest.fixture
    def dataset(self):
        digits = datasets.load_digits()
        kept = slice(10, 34)
        return KnownDataset(
            "sklearn:digits",
            rows(image=digits.images[kept], label=digits.target[kept]),
            options={"split": f"train[{kept.start}:{kept.stop}]"},
        )
