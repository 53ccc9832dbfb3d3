"""`SourceContract`: every promise of a source, as one class of tests.

The promises stand in the modules beside this one, by idea. Each is tested where it is declared,
and where it is not, the documented error is demanded: nothing is skipped.
"""

from __future__ import annotations

from datarax.testing.access import AccessContract
from datarax.testing.lifecycle import LifecycleContract
from datarax.testing.options import OptionsContract
from datarax.testing.passes import PassesContract
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
):
    """Subclass it, set `capabilities`, and define the fixture `dataset`."""
