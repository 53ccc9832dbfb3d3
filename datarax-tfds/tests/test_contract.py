"""The contract of sources, for a dataset that TFDS prepared."""

import shutil

import pytest

from datarax.testing import INDEXED, KnownDataset, SourceContract


class TestTFDSContract(SourceContract):
    """The split `train` of `toy`, in three shards: images, labels, tensors, text, nested fields."""

    capabilities = INDEXED
    matrix = "contract-matrix.md"

    @pytest.fixture
    def dataset(self, data_dir, toys, tmp_path):
        bad = shutil.copytree(data_dir, tmp_path / "bad")
        for shard in bad.glob("toy/*/toy-train.array_record-*"):
            shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
        return KnownDataset(
            uri="tfds:toy",
            records=[toys(index) for index in range(23)],
            options={"data_dir": str(data_dir)},
            miss=("tfds:toys:1.0.0", {"data_dir": str(data_dir)}),
            corrupt=("tfds:toy", {"data_dir": str(bad)}),
        )
