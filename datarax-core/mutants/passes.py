"""Sources broken on purpose in their passes: remainders, the cursor, what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from datarax.batches import Batches
from datarax.core.host import Cursor
from datarax.errors import StalePassError
from datarax.sources.source import ReaderSource
from mutants.breaking import breaks


class AlteredBatches(Batches):
    """Batches of which something is changed as they are delivered."""

    def __next__(self):
        return self.altered(super().__next__())

    def altered(self, batch):
        return batch


class AlteredSource(ReaderSource):
    """A source with batches of its own."""

    kind = AlteredBatches

    def batches(self, batch_size, **words):
        return self.kind(self, batch_size, **words)


@breaks("batches_are_the_same_sequence_and_never_mix_epochs[keep-stored-lazy]")
class MixesEpochs(ReaderSource):
    """The last batch of an epoch holds records of the next one."""

    def _stage(self, epoch, offset, size, count, scratch):
        more = size + 1 if count == 1 and offset + size == len(self) else size
        return super()._stage(epoch, offset, more, count, scratch)


@breaks("batches_are_the_same_sequence_and_never_mix_epochs[drop-stored-lazy]")
class KeepsWhatIsDropped(ReaderSource):
    """A remainder to be dropped is kept."""

    def batches(self, batch_size, *, remainder="drop", **words):
        kept = "keep" if remainder == "drop" else remainder
        return super().batches(batch_size, remainder=kept, **words)


@breaks("batches_are_the_same_sequence_and_never_mix_epochs[keep-stored-lazy]")
class DropsWhatIsKept(ReaderSource):
    """A remainder to be kept is dropped."""

    def batches(self, batch_size, *, remainder="drop", **words):
        kept = "drop" if remainder == "keep" else remainder
        return super().batches(batch_size, remainder=kept, **words)


@breaks("batches_are_the_same_sequence_and_never_mix_epochs[pad-stored-lazy]")
class PadsWithRecords(AlteredSource):
    """What fills the last batch up is another record, not zeros."""

    class kind(AlteredBatches):
        def altered(self, batch):
            last = jnp.sum(batch["valid_mask"]) - 1
            rows = jnp.minimum(jnp.arange(len(batch["valid_mask"])), last)
            return {
                name: leaf if name == "valid_mask" else leaf[rows] for name, leaf in batch.items()
            }


@breaks("batches_are_the_same_sequence_and_never_mix_epochs[pad-shuffled-lazy]")
class MasksNothing(AlteredSource):
    """The mask is true of what fills the last batch up."""

    class kind(AlteredBatches):
        def altered(self, batch):
            return {**batch, "valid_mask": jnp.ones_like(batch["valid_mask"])}


@breaks("batches_are_the_same_sequence_and_never_mix_epochs[drop-stored-lazy]")
class CountsAPassTooMany(ReaderSource):
    """`epochs=E` makes E + 1 passes."""

    def batches(self, batch_size, *, epochs=1, **words):
        return super().batches(batch_size, epochs=epochs + 1, **words)


@breaks("batches_are_the_same_sequence_and_never_mix_epochs[keep-stored-lazy]")
class MiscountsItsBatches(AlteredSource):
    """`len` of batches counts the full ones alone."""

    class kind(AlteredBatches):
        def _count(self, elements):
            return elements // self._size


@breaks("the_cursor_moves_as_batches_are_delivered[lazy]")
class CountsWhatIsStaged(AlteredSource):
    """The cursor moves as batches are staged ahead, before they are delivered."""

    class kind(AlteredBatches):
        def altered(self, batch):
            self._source._host.cursor.deliver(self._size)
            return batch


@breaks("the_cursor_moves_as_batches_are_delivered[streaming]")
class FinishesAtTheEnd(AlteredSource):
    """The epoch advances when the pass is asked for more, not with its last batch."""

    class kind(AlteredBatches):
        def altered(self, batch):
            cursor = self._source._host.cursor
            if cursor.epoch and not cursor.offset:
                cursor.epoch, cursor.offset = 0, 9
            return batch


@breaks("next_goes_on_with_the_pass_or_begins_one[lazy]", error=StalePassError)
class BeginsWithEachNext(ReaderSource):
    """`next` begins a pass each time."""

    def __next__(self):
        self._host.running = None
        return super().__next__()


class LenientCursor(Cursor):
    """A cursor that any pass may move."""

    __slots__ = ()

    def check(self, token):
        return None


@breaks("a_pass_continued_after_a_newer_one_began_is_an_error[lazy]")
class LetsPassesMix(ReaderSource):
    """A pass goes on after a newer one began, and moves its cursor."""

    def __init__(self, config, reader, *, uri="", rngs=None, name=None):
        super().__init__(config, reader, uri=uri, rngs=rngs, name=name)
        self._host.cursor = LenientCursor()


@breaks("scan_epoch_refuses_to_run_inside_jit[lazy]")
class ScansUnderJit(ReaderSource):
    """`scan_epoch` runs inside of jit, where its cursor moves once, as it is traced."""

    def scan_epoch(self, step, carry, *, batch_size):
        if isinstance(carry, jax.core.Tracer):
            self._host.cursor.finish()
            return carry, None
        return super().scan_epoch(step, carry, batch_size=batch_size)


@breaks("bad_arguments_of_batches_are_refused[lazy]")
class TakesAnyBatchSize(ReaderSource):
    """A batch size out of range is the nearest one."""

    def batches(self, batch_size, **words):
        return super().batches(max(1, int(batch_size)), **words)


@breaks("bad_arguments_of_batches_are_refused[streaming]")
class TakesAnyRemainder(ReaderSource):
    """A word for the remainder that means nothing is taken for another."""

    def batches(self, batch_size, *, remainder="drop", **words):
        known = remainder if remainder in ("drop", "pad", "keep") else "drop"
        return super().batches(batch_size, remainder=known, **words)
