"""Sources broken on purpose where they are saved, restored and copied."""

from __future__ import annotations

import numpy as np

from datarax.errors import StateMismatchError
from datarax.sources.source import ReaderSource
from mutants.breaking import breaks
from mutants.passes import AlteredBatches, AlteredSource


@breaks("a_state_is_small_json_and_holds_no_data[lazy]")
class SavesItsData(ReaderSource):
    """The dataset is in the state."""

    def get_state(self):
        rows = self.reader.__getitems__(range(len(self)))
        return {**super().get_state(), "rows": [int(row["label"]) for row in rows]}


@breaks("a_state_is_small_json_and_holds_no_data[lazy]")
class SavesItsOrder(ReaderSource):
    """A permutation of all records is in the state, as text."""

    def get_state(self):
        return {**super().get_state(), "order": " ".join(map(str, range(len(self))))}


@breaks("a_state_is_small_json_and_holds_no_data[streaming]")
class SavesArrays(ReaderSource):
    """The state holds what JSON cannot say."""

    def get_state(self):
        return {**super().get_state(), "place": np.zeros((), np.int64)}


@breaks("a_state_is_small_json_and_holds_no_data[eager]")
class SavesTuples(ReaderSource):
    """The state holds what JSON gives back as something else."""

    def get_state(self):
        state = super().get_state()
        return {**state, "place": (state["cursor"]["epoch"], state["cursor"]["offset"])}


@breaks("a_state_of_something_else_is_refused_and_changes_nothing[lazy]")
class RestoresAnything(ReaderSource):
    """A state is not asked what it is of: the fingerprint is ignored."""

    def set_state(self, state):
        own = self._fingerprint()
        super().set_state({**state, "fingerprint": own} if "fingerprint" in state else state)


@breaks("a_state_of_something_else_is_refused_and_changes_nothing[eager]")
class RestoresTheOrderAlone(ReaderSource):
    """Of the fingerprint the order alone is looked at."""

    def set_state(self, state):
        own = self._fingerprint()
        marked = {**own, "order": state.get("fingerprint", {}).get("order")}
        super().set_state({**state, "fingerprint": marked} if "fingerprint" in state else state)


@breaks("a_state_of_something_else_is_refused_and_changes_nothing[lazy]")
class RestoresHalf(ReaderSource):
    """A state that is refused has moved the cursor already."""

    def set_state(self, state):
        try:
            super().set_state(state)
        except StateMismatchError:
            self._host.cursor.set(0, 0, 0, 0)
            raise


@breaks("a_restored_source_goes_on_exactly_with_another_batch_size[stored-lazy]")
class RestoresOneLate(ReaderSource):
    """A restored source leaves one element out."""

    def _put_cursor(self, place):
        super()._put_cursor({**place, "offset": place["offset"] + 1})


@breaks("a_restored_source_goes_on_exactly_with_another_batch_size[shuffled-lazy]")
class SavesWhatIsStaged(AlteredSource):
    """The state that is saved counts what was staged, not what was delivered."""

    class kind(AlteredBatches):
        def altered(self, batch):
            self._source._host.cursor.deliver(self._size)
            return batch


@breaks("a_restored_source_goes_on_exactly_with_another_batch_size[stored-eager]")
class SavesBatchNumbers(ReaderSource):
    """Its place is a number of batches, and read back with the size of another one."""

    def _put_cursor(self, place):
        super()._put_cursor({**place, "offset": place["offset"] // 2 * 3})


@breaks("a_state_goes_on_in_another_mode[eager]", error=StateMismatchError)
class SavesItsMode(ReaderSource):
    """The mode is part of what a state belongs to."""

    def _fingerprint(self):
        return {**super()._fingerprint(), "mode": self.plan.mode}


@breaks("an_iterator_of_batches_restores_its_epochs_too[lazy]")
class ForgetsItsEpochs(AlteredSource):
    """The epochs that were left to an iterator of batches are not restored."""

    class kind(AlteredBatches):
        def set_state(self, state):
            super().set_state({**state, "stop_epoch": self._epochs})


@breaks("scan_epoch_goes_on_from_a_restored_state[lazy]")
class ScansFromTheBeginning(ReaderSource):
    """A restored `scan_epoch` begins the epoch again."""

    def scan_epoch(self, step, carry, *, batch_size):
        self._host.cursor.resumed = False
        return super().scan_epoch(step, carry, batch_size=batch_size)


@breaks("clones_and_pickles_keep_the_place_and_move_alone[stored-lazy]")
class SharesItsCursor(ReaderSource):
    """A clone moves the cursor of the first."""

    def clone(self):
        clone = super().clone()
        clone._host.cursor = self._host.cursor
        return clone


@breaks("clones_and_pickles_keep_the_place_and_move_alone[stored-lazy]")
class ClonesAfresh(ReaderSource):
    """A clone begins anew."""

    def clone(self):
        clone = super().clone()
        clone._host.cursor.set(0, 0, 0, 0)
        return clone


@breaks("clones_and_pickles_keep_the_place_and_move_alone[shuffled-lazy]", error=TypeError)
class CannotBePickled(ReaderSource):
    """It holds what cannot travel."""

    def __getstate__(self):
        raise TypeError("cannot pickle a lock")


@breaks("a_copy_starts_afresh_with_what_was_replaced[lazy]")
class CopiesItsPlace(ReaderSource):
    """A copy goes on where the first stood."""

    def copy(self, *, config=None, rngs=None, name=None):
        copied = super().copy(config=config, rngs=rngs, name=name)
        copied._host.cursor = self._host.cursor.copy()
        return copied


@breaks("a_copy_starts_afresh_with_what_was_replaced[eager]")
class CopiesWhatIsReplaced(ReaderSource):
    """A copy drops what was to be replaced."""

    def copy(self, *, config=None, rngs=None, name=None):
        return super().copy(config=config, rngs=rngs)
