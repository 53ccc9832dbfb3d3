"""The contract of sources, on the reference implementation."""

import numpy as np
import pytest

from datarax.testing import INDEXED, Capability, KnownDataset, SourceContract

ROWS = 11


class TestMemoryContract(SourceContract):
    capabilities = INDEXED | {Capability.STREAMING, Capability.WINDOW_SHUFFLE}
    reads_files = False
    matrix = "contract-matrix.md"

    @pytest.fixture
    def dataset(self):
        records = [
            {
                "image": np.arange(12, dtype=np.uint8).reshape(3, 4) + row,
                "label": np.int64(row % 3),
                "weight": np.float64(row) / 4,
                "text": f"row {row}",
            }
            for row in range(ROWS)
        ]
        columns = {name: [record[name] for record in records] for name in records[0]}
        return KnownDataset(uri="memory:", records=records, options={"data": columns})


class TestMemoryContractOfRecords(TestMemoryContract):
    """The same promises for data given as a list of records."""

    @pytest.fixture
    def dataset(self):
        records = [{"x": np.float32(row), "flag": row % 2 == 0} for row in range(7)]
        return KnownDataset(uri="memory:", records=records, options={"data": records})
