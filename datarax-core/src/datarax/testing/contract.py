"""`SourceContract`: every promise of a source, as one class of tests.

The promises stand in the modules beside this one, by idea. Each is tested where it is declared,
and where it is not, the documented error is demanded: nothing is skipped.
"""

from __future__ import annotations

from typing import Any

import pytest

from datarax.testing.access import AccessContract
from datarax.testing.edges import EdgesContract
from datarax.testing.lifecycle import LifecycleContract
from datarax.testing.options import OptionsContract
from datarax.testing.passes import PassesContract
from datarax.testing.pinning import check_deviations, check_marks
from datarax.testing.resume import ResumeContract
from datarax.testing.streaming import StreamingContract
from datarax.testing.traced import TracedContract


class SourceContract(
    AccessContract,
    TracedContract,
    PassesContract,
    ResumeContract,
    StreamingContract,
    OptionsContract,
    LifecycleContract,
    EdgesContract,
):
    """Subclass it, set `capabilities`, and define the fixture `dataset`."""

    def __init_subclass__(cls, **words: Any) -> None:
        super().__init_subclass__(**words)
        check_deviations(cls, SourceContract)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Look again as each test is collected: what came after the class, and around it."""
        check_deviations(type(self), SourceContract)
        definition: Any = metafunc.definition
        check_marks(definition.nodeid, (mark.name for mark in definition.iter_markers()))
