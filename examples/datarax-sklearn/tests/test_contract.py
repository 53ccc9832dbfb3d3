"""The contract that every source keeps, on a slice of the digits."""

import pytest
from datarax.registry import INDEXED
from datarax.testing import SourceContract

from datarax_sklearn.sample import known_digits


class TestSklearn(SourceContract):
    capabilities = INDEXED
    reads_files = False
    matrix = "contract-matrix.md"

    @pytest.fixture
    def dataset(self):
        return known_digits()
