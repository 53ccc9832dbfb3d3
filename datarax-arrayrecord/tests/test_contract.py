"""The contract of sources, for shards of raw records."""

import jax
import pytest

from datarax.testing import INDEXED, KnownDataset, SourceContract


class TestArrayRecordContract(SourceContract):
    """Four shards of digits, of unequal length, in one folder."""

    capabilities = INDEXED
    matrix = "contract-matrix.md"

    @pytest.fixture
    def dataset(self, write, payloads, digits, tmp_path):
        write(payloads, shards=4)
        (bad,) = write(payloads, folder=tmp_path / "bad")
        bad.write_bytes(bad.read_bytes()[: bad.stat().st_size // 2])
        spec = {
            name: jax.ShapeDtypeStruct(value.shape, value.dtype)
            for name, value in digits[0].items()
        }
        return KnownDataset(
            uri=f"arrayrecord:{tmp_path}",
            records=digits,
            options={"spec": spec},
            miss=(f"arrayrecord:{tmp_path}/nothing.array_record", {"spec": spec}),
            corrupt=(f"arrayrecord:{bad}", {"spec": spec}),
        )
