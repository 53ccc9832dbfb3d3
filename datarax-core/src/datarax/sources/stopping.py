"""Whether the pass for which a thread reads was closed: for readers that wait, as on a network.

A pass stages in a thread, and closing it waits for that thread. What cannot be interrupted from
outside, such as a generator that runs, looks here while it waits, and gives up.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_STOPPED: ContextVar[threading.Event | None] = ContextVar("datarax_stopped", default=None)


def pass_closed() -> bool:
    """Return whether this thread stages for a pass that was closed meanwhile.

    A reader that waits for what may not come asks it now and then, and raises where it is True:
    nobody is left to see what, and closing the pass waits for it.
    """
    stopped = _STOPPED.get()
    return stopped is not None and stopped.is_set()


@contextmanager
def staging(stopped: threading.Event) -> Iterator[None]:
    """Let `pass_closed` tell, in this thread, whether `stopped` is set."""
    token = _STOPPED.set(stopped)
    try:
        yield
    finally:
        _STOPPED.reset(token)
