"""Sources broken on purpose under tracing: jit, vmap, scan and NNX."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from datarax.sources.source import ReaderSource
from mutants.breaking import breaks


@breaks("a_traced_start_gives_the_same_batch_under_jit[stored-lazy]", error=TypeError)
class NeedsAPythonInt(ReaderSource):
    """`get_batch_at` is not traceable."""

    def get_batch_at(self, start, size, key=None):
        return super().get_batch_at(int(start), size, key)


@breaks("a_traced_start_gives_the_same_batch_under_jit[shuffled-lazy]")
class CountsIn16Bits(ReaderSource):
    """A traced start wraps around long before 32 bits are full."""

    def _callback(self, start, words, count):
        return super()._callback(
            start.astype(jnp.int16).astype(jnp.int32) % len(self), words, count
        )


@breaks("vmap_over_start_gives_a_batch_for_each[stored-lazy]")
class MapsTheFirstStart(ReaderSource):
    """Under vmap every batch is that of the first start."""

    def _callback(self, start, words, count):
        spec = {
            name: jax.ShapeDtypeStruct((count, *leaf.shape), leaf.dtype)
            for name, leaf in self.element_spec().items()
        }
        size, layout, reader = len(self), self._facts.layout, self.reader

        def read(start):
            first = int(np.ravel(start)[0])
            rows = layout.read(reader, (first + np.arange(count)) % size)
            return {
                name: np.broadcast_to(leaf, (*np.shape(start), *leaf.shape))
                for name, leaf in rows.items()
            }

        return jax.pure_callback(read, spec, start, vmap_method="expand_dims")


@breaks("vmap_over_keys_gives_an_order_for_each[lazy]")
class MapsNoKeys(ReaderSource):
    """A traced key is not used."""

    def _words(self, key):
        return super()._words(None if isinstance(key, jax.core.Tracer) else key)

    def get_batch_at(self, start, size, key=None):
        if not isinstance(key, jax.core.Tracer):
            return super().get_batch_at(start, size, key)
        spread = jax.random.key_data(key)[0].astype(jnp.int32) * 0
        return super().get_batch_at(spread + start, size)


@breaks("scan_over_positions_gives_the_same_batches[stored-lazy]")
class ReadsBeforeTheScan(ReaderSource):
    """In a loop the batch of its first turn is read for all."""

    def _callback(self, start, words, count):
        return super()._callback(start * 0, words, count)


@breaks("nnx_jit_takes_a_source_and_does_not_retrace_as_its_cursor_moves[lazy]")
class HoldsItsPlace(ReaderSource):
    """Its place is an attribute that NNX sees, for which jit compiles anew."""

    def __init__(self, config, reader, *, uri="", rngs=None, name=None):
        super().__init__(config, reader, uri=uri, rngs=rngs, name=name)
        self.place = 0

    def __next__(self):
        self.place += 1
        return super().__next__()


@breaks("a_traced_start_that_is_no_integer_scalar_is_refused[lazy]")
class RoundsItsStart(ReaderSource):
    """A traced start that is no integer is rounded."""

    def get_batch_at(self, start, size, key=None):
        if isinstance(start, jax.core.Tracer):
            start = start.astype(jnp.int32)
        return super().get_batch_at(start, size, key)


@breaks("padded_fields_are_the_same_under_nnx_jit_as_without[lazy]")
class PadsNothingUnderJit(ReaderSource):
    """Under tracing a padded field is left empty."""

    def get_batch_at(self, start, size, key=None):
        batch = super().get_batch_at(start, size, key)
        if isinstance(start, jax.core.Tracer) and "text" in batch:
            batch = {**batch, "text": jnp.zeros_like(batch["text"])}
        return batch
