"""`PlainSource`: a correct source that reads by index, and does no more than that."""

from __future__ import annotations

import jax

from datarax.errors import NotSupportedError
from datarax.sources.source import ReaderSource


class PlainSource(ReaderSource):
    """A source that reads by index on the host alone, and goes on from no saved place."""

    def get_batch_at(self, start, size, key=None):
        if isinstance(start, jax.core.Tracer) or isinstance(key, jax.core.Tracer):
            raise NotSupportedError("a traced start is not supported; give a Python int")
        return super().get_batch_at(start, size, key)

    def set_state(self, state):
        raise NotSupportedError("it cannot resume: its files are never twice the same")
