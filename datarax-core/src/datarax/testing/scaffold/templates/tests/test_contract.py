"""The contract that every source keeps, on the sample table."""

import pytest
from datarax.registry import INDEXED
from datarax.testing import SourceContract

from datarax_newname.sample import write_sample


class TestNewname(SourceContract):
    capabilities = INDEXED

    @pytest.fixture
    def dataset(self, tmp_path):
        return write_sample(tmp_path)
