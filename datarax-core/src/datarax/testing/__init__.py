"""The contract of sources, as tests that a plugin adopts.

Subclass `SourceContract`, say what the source can do, and give one fixture that makes a small
dataset with a known answer:

    class TestMySource(SourceContract):
        capabilities = INDEXED

        @pytest.fixture
        def dataset(self, tmp_path):
            return KnownDataset(uri="my:...", records=[{"x": np.int32(1)}, ...])

It needs the extra `testing`: pip install datarax-core[testing].
"""

from __future__ import annotations

try:
    import pytest
except ImportError as error:
    raise ImportError(
        "datarax.testing needs pytest; run: pip install 'datarax-core[testing]'"
    ) from error

_PARTS = (
    "access",
    "contract",
    "edges",
    "known",
    "lifecycle",
    "options",
    "passes",
    "refusals",
    "resume",
    "streaming",
    "traced",
)
pytest.register_assert_rewrite(*(f"datarax.testing.{part}" for part in _PARTS))

from datarax.registry.plugin import INDEXED, Capability  # noqa: E402  # after the rewrite hook
from datarax.testing.contract import SourceContract  # noqa: E402
from datarax.testing.known import KnownDataset  # noqa: E402
from datarax.testing.matrix import Matrix, matrix_of  # noqa: E402
from datarax.testing.offline import no_network  # noqa: E402

__all__ = [
    "INDEXED",
    "Capability",
    "KnownDataset",
    "Matrix",
    "SourceContract",
    "matrix_of",
    "no_network",
]
