"""Correct sources that can do less, and refuse the rest in the words that the contract demands."""

from __future__ import annotations

from datarax.errors import NotSupportedError
from datarax.registry import Capability
from mutants.shelf import ShelfPlugin

FORWARD = frozenset({Capability.STREAMING, Capability.WINDOW_SHUFFLE, Capability.EXACT_RESUME})
BY_INDEX = frozenset({Capability.INDEXED_ACCESS})


class LocalShelf(ShelfPlugin):
    """A shelf from which nothing is fetched, and to which nothing is saved."""

    def fetched(self, config):
        raise NotSupportedError("there is nothing to fetch")

    def saved(self, source, config):
        raise NotSupportedError("this source reads only: it cannot save")


class ForwardShelf(LocalShelf):
    """A shelf that goes forward only, whatever the mode."""

    capabilities = FORWARD

    def opened(self, config):
        reader = self.split(self.reader(self.paths(config)), config)
        return self.stream(reader, self.rows_of_a_piece)


class IndexedShelf(LocalShelf):
    """A shelf that reads by index, and does no more than that."""

    capabilities = BY_INDEX

    @property
    def source(self):
        from mutants.plain import PlainSource

        return PlainSource

    def opened(self, config):
        if config.mode == "streaming":
            raise ValueError("it cannot stream; take mode='lazy' or 'eager'")
        return self.split(self.reader(self.paths(config)), config)
