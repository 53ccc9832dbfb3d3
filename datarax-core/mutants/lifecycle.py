"""Sources broken on purpose where they are closed, cloned, kept and looked at by NNX."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from datarax.sources.source import ReaderSource
from mutants.breaking import breaks
from mutants.shelf import ShelfConfig


@breaks("closing_twice_is_harmless_and_using_after_is_an_error[lazy]", error=RuntimeError)
class ClosesOnce(ReaderSource):
    """To close it again is an error."""

    closings = 0

    def close(self):
        self._host.stored = (self._host.stored or 0) + 1
        if self._host.stored == 2:
            raise RuntimeError("closed already")
        super().close()


@breaks("closing_twice_is_harmless_and_using_after_is_an_error[eager]")
class ReadsOnWhenClosed(ReaderSource):
    """Closed, it reads on from what it holds."""

    def get_batch_at(self, start, size, key=None):
        closed, self._host.closed = self._host.closed, False
        try:
            return super().get_batch_at(start, size, key)
        finally:
            self._host.closed = closed


@breaks("closing_twice_is_harmless_and_using_after_is_an_error[streaming]")
class StreamsOnWhenClosed(ReaderSource):
    """Closed, it begins another pass."""

    def __iter__(self):
        closed, self._host.closed = self._host.closed, False
        try:
            return super().__iter__()
        finally:
            self._host.closed = closed


@breaks("a_clone_reads_on_after_the_first_is_closed[lazy]", error=ValueError)
class ClosesItsClones(ReaderSource):
    """Closing it closes the reader under its clones."""

    def close(self):
        if not self._host.closed:
            self.reader.close()
        super().close()


@breaks("batches_that_are_closed_leave_no_thread[lazy]")
class LeavesAThread(ReaderSource):
    """Its batches begin a thread that waits for the source to be closed."""

    def batches(self, batch_size, **words):
        self._host.stored = self._host.stored or threading.Event()
        threading.Thread(target=self._host.stored.wait, daemon=True).start()
        return super().batches(batch_size, **words)

    def close(self):
        if self._host.stored:
            self._host.stored.set()
        super().close()


class StrongRef:
    """What NNX compares by identity, and keeps."""

    def __init__(self, held):
        self.held = held


@breaks("jit_caches_keep_no_deleted_source_alive[lazy]")
class IsKeptByJit(ReaderSource):
    """The caches of jit hold its reader."""

    def __init__(self, config, reader, *, uri="", rngs=None, name=None):
        super().__init__(config, reader, uri=uri, rngs=rngs, name=name)
        self.kept = StrongRef(self._host)

    def clone(self):
        clone = super().clone()
        clone.kept = StrongRef(clone._host)
        return clone


@dataclass
class HeldRows:
    """A dataclass that holds an array: equal to another by comparing arrays."""

    rows: np.ndarray


@breaks(
    "a_second_instance_and_a_dict_in_its_config_work_in_the_same_nnx_jit[lazy]", error=ValueError
)
class HoldsADataclass(ReaderSource):
    """It holds a reader by value, which jit can neither hash nor compare."""

    def __init__(self, config, reader, *, uri="", rngs=None, name=None):
        super().__init__(config, reader, uri=uri, rngs=rngs, name=name)
        self._columns = HeldRows(np.arange(3))


@breaks(
    "a_second_instance_and_a_dict_in_its_config_work_in_the_same_nnx_jit[eager]", error=TypeError
)
@dataclass(frozen=True, kw_only=True)
class ThawsItsDicts(ShelfConfig):
    """A dict in its config is a dict, which jit cannot hash."""

    def __post_init__(self):
        super().__post_init__()
        if self.precomputed_stats is not None:
            object.__setattr__(self, "precomputed_stats", dict(self.precomputed_stats))


@breaks("split_and_merge_give_a_source_that_reads_the_same[lazy]", error=KeyError)
class LosesItselfInAMerge(ReaderSource):
    """What it reads by lies beside it, where a merged one finds nothing."""

    sizes = weakref.WeakKeyDictionary()  # noqa: RUF012  # it is what is broken

    def __init__(self, config, reader, *, uri="", rngs=None, name=None):
        super().__init__(config, reader, uri=uri, rngs=rngs, name=name)
        self.sizes[self] = len(self)

    def get_batch_at(self, start, size, key=None):
        return super().get_batch_at(start % (self.sizes[self] * 2), size, key)


@breaks("split_and_merge_give_a_source_that_reads_the_same[eager]")
class MergesToZeros(ReaderSource):
    """A merged one reads zeros."""

    def __init__(self, config, reader, *, uri="", rngs=None, name=None):
        super().__init__(config, reader, uri=uri, rngs=rngs, name=name)
        object.__setattr__(self, "_host_strong", self._host)
        self.whole = id(self)

    def get_batch_at(self, start, size, key=None):
        batch = super().get_batch_at(start, size, key)
        if id(self) != self.whole:
            return {name: jnp.zeros_like(leaf) for name, leaf in batch.items()}
        return batch
