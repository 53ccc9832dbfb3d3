"""Sources broken on purpose in the one order that every access path asks for."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from datarax.core import order
from datarax.sources.source import ReaderSource
from mutants.breaking import breaks


@breaks("a_shuffled_epoch_holds_each_record_once[lazy]")
class DrawsWithReplacement(ReaderSource):
    """A shuffled epoch holds some records twice, and others not at all."""

    def get_batch_at(self, start, size, key=None):
        batch = super().get_batch_at(start, size, key)
        if not self.config.shuffle:
            return batch
        drawn = np.random.default_rng(start).integers(0, size, size)
        return {name: leaf[drawn] for name, leaf in batch.items()}


@breaks("each_epoch_and_each_seed_has_an_order_of_its_own[lazy]")
class IgnoresTheSeed(ReaderSource):
    """Every seed gives the same orders."""

    def _words(self, key):
        words = super()._words(key)
        return order.seed_words(0) if words is not None and key is None else words


@breaks("each_epoch_and_each_seed_has_an_order_of_its_own[lazy]")
class IgnoresTheEpoch(ReaderSource):
    """Every epoch has the same order."""

    def get_batch_at(self, start, size, key=None):
        return super().get_batch_at(start % len(self), size, key)


@breaks("each_epoch_and_each_seed_has_an_order_of_its_own[lazy]")
class AddsTheEpochToTheSeed(ReaderSource):
    """Seed 0 has in epoch 1 the order that seed 1 has in epoch 0."""

    def get_batch_at(self, start, size, key=None):
        if not self.config.shuffle or key is not None:
            return super().get_batch_at(start, size, key)
        epoch, offset = divmod(start, len(self))
        return super().get_batch_at(offset, size, jax.random.key(self.config.seed + epoch))


@breaks("each_epoch_and_each_seed_has_an_order_of_its_own[eager]")
class StaysInStorageOrder(ReaderSource):
    """Shuffled order is storage order."""

    def _words(self, key):
        return None


@breaks("a_key_replaces_the_seed_when_shuffled_and_changes_nothing_when_not[lazy]")
class IgnoresTheKey(ReaderSource):
    """A key changes nothing, shuffled or not."""

    def _words(self, key):
        return super()._words(None)


@breaks("a_key_replaces_the_seed_when_shuffled_and_changes_nothing_when_not[lazy]")
class ShufflesByTheKeyAlone(ReaderSource):
    """A key shuffles a source that is in storage order."""

    def _words(self, key):
        return super()._words(key) if key is None else np.asarray(jax.random.key_data(key))


@breaks("iteration_delivers_each_epoch_in_order[shuffled-lazy]")
class IteratesInStorageOrder(ReaderSource):
    """Iteration knows of no shuffle."""

    def _elements(self, epoch, offset):
        for index in range(offset, len(self)):
            yield (self[index],)


@breaks("batches_are_the_same_sequence_and_never_mix_epochs[drop-shuffled-lazy]")
class OrdersByBatchSize(ReaderSource):
    """The order of batches depends on their size."""

    def _stage(self, epoch, offset, size, count, scratch):
        batches = super()._stage(epoch, offset, size, count, scratch)
        return [{name: leaf[::-1] for name, leaf in batch.items()} for batch in batches]


@breaks("a_restored_source_goes_on_exactly_with_another_batch_size[shuffled-lazy]")
class OrdersByPlaceInBatch(ReaderSource):
    """The order of batches of two is right, and of no other size."""

    def _stage(self, epoch, offset, size, count, scratch):
        batches = super()._stage(epoch, offset, size, count, scratch)
        turn = size - 2
        return [{name: jnp.roll(leaf, turn, 0) for name, leaf in each.items()} for each in batches]


@breaks("scan_epoch_runs_the_same_batches_in_compiled_code[shuffled-lazy]")
class ScansInStorageOrder(ReaderSource):
    """`scan_epoch` knows of no shuffle."""

    def _stage_stack(self, epoch, offset, size, count, capacity, spare):
        rows = offset + np.arange(size * count)
        out = self._facts.layout.blank(capacity, size)
        flat = {
            name: leaf.reshape(-1, *leaf.shape[2:])[: size * count] for name, leaf in out.items()
        }
        self._facts.layout.read_into(self.reader, rows, flat)
        return {name: jnp.asarray(leaf) for name, leaf in out.items()}, None


@breaks("scan_epoch_runs_the_same_batches_in_compiled_code[shuffled-lazy]")
class ScansTheFirstEpochAgain(ReaderSource):
    """`scan_epoch` leaves the epoch where it is."""

    def scan_epoch(self, step, carry, *, batch_size):
        done = super().scan_epoch(step, carry, batch_size=batch_size)
        self._host.cursor.epoch -= 1
        return done


@breaks("epochs_of_plain_loops_follow_one_another[lazy]")
class StaysInTheFirstEpoch(ReaderSource):
    """A plain loop of batches sees the same order in each epoch."""

    def batches(self, batch_size, **words):
        self._host.cursor.epoch = 0
        return super().batches(batch_size, **words)
