"""The contract of sources, for a dataset that TFDS prepared."""

import pytest

from datarax.testing import INDEXED, KnownDataset, SourceContract


class TestTFDSContract(SourceContract):
    """The split `train` of `toy`, in three shards: images, labels, tensors, text, nested fields."""

    capabilities = INDEXED

    @pytest.fixture
    def dataset(self, data_dir, toys):
        return KnownDataset(
            uri="tfds:toy",
            records=[toys(index) for index in range(23)],
            options={"data_dir": str(data_dir)},
            miss=("tfds:toys:1.0.0", {"data_dir": str(data_dir)}),
        )
