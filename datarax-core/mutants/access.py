"""Sources broken on purpose where elements and batches are read."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from datarax.sources.source import ReaderSource
from mutants.breaking import breaks


@breaks("length_is_the_number_of_records[lazy]")
class CountsOneTooMany(ReaderSource):
    """Its length is off by one."""

    def __len__(self):
        return super().__len__() + 1


@breaks("negative_indices_count_from_the_end[lazy]")
class CountsNegativesFromOne(ReaderSource):
    """Index -1 is the record before the last."""

    def __getitem__(self, index):
        return super().__getitem__(max(index - 1, -len(self)) if index < 0 else index)


@breaks("an_index_out_of_range_is_an_index_error[lazy]")
class ClipsItsIndices(ReaderSource):
    """An index out of range is the nearest one."""

    def __getitem__(self, index):
        return super().__getitem__(min(max(index, -len(self)), len(self) - 1))


@breaks("an_index_out_of_range_is_an_index_error[eager]", error=ValueError)
class RaisesValueError(ReaderSource):
    """An index out of range is a ValueError, at which no loop stops."""

    def __getitem__(self, index):
        try:
            return super().__getitem__(index)
        except IndexError as error:
            raise ValueError(str(error)) from error


@breaks("an_index_out_of_range_is_an_index_error[lazy]")
class TakesAnyNumber(ReaderSource):
    """An index that is no integer is rounded."""

    def __getitem__(self, index):
        return super().__getitem__(int(index) if isinstance(index, float | str) else index)


@breaks("element_i_is_record_i_whatever_the_order[shuffled-lazy]")
class ReadsByPosition(ReaderSource):
    """Shuffled, s[i] is the element at position i, not record i."""

    def __getitem__(self, index):
        if not self.config.shuffle:
            return super().__getitem__(index)
        batch = self.get_batch_at(index % len(self), 1)
        return {**super().__getitem__(index), **{name: leaf[0] for name, leaf in batch.items()}}


@breaks("the_spec_is_of_shape_dtype_structs_and_says_which_fields_are_arrays[eager]")
class DeclaresArrays(ReaderSource):
    """Its spec is of arrays."""

    def element_spec(self):
        return {
            name: np.zeros(leaf.shape, leaf.dtype) for name, leaf in super().element_spec().items()
        }


@breaks("the_spec_is_of_shape_dtype_structs_and_says_which_fields_are_arrays[streaming]")
class DeclaresByTheMode(ReaderSource):
    """Its spec depends on the mode."""

    def element_spec(self):
        spec = super().element_spec()
        return spec if self.plan.mode != "streaming" else {**spec, "more": spec["label"]}


@breaks("every_leaf_of_elements_batches_and_scan_batches_is_as_declared[lazy]")
class DeclaresAnotherDtype(ReaderSource):
    """The dtype declared is not the one emitted."""

    def element_spec(self):
        spec = super().element_spec()
        return {**spec, "label": jax.ShapeDtypeStruct((), jnp.int16)}


@breaks("every_leaf_of_elements_batches_and_scan_batches_is_as_declared[lazy]")
class IsWeaklyTyped(ReaderSource):
    """A number of an element is a Python number's weak array, and takes on the type of others."""

    def _elements(self, epoch, offset):
        for piece in super()._elements(epoch, offset):
            yield [{**each, "weight": jnp.asarray(float(each["weight"]))} for each in piece]


@breaks("every_leaf_of_elements_batches_and_scan_batches_is_as_declared[lazy]")
class KeepsElementsOnTheHost(ReaderSource):
    """Elements are NumPy's."""

    def __getitem__(self, index):
        return {name: np.asarray(value) for name, value in super().__getitem__(index).items()}


@breaks("every_leaf_of_elements_batches_and_scan_batches_is_as_declared[lazy]")
class ScansOtherTypes(ReaderSource):
    """The batches of `scan_epoch` alone are of another dtype."""

    def scan_epoch(self, step, carry, *, batch_size):
        def widened(carry, batch):
            return step(carry, {**batch, "image": batch["image"].astype(jnp.int32)})

        return super().scan_epoch(widened, carry, batch_size=batch_size)


@breaks("a_batch_is_the_records_at_its_positions[stored-lazy]")
class AddsALeaf(ReaderSource):
    """A batch has a leaf that the spec does not."""

    def get_batch_at(self, start, size, key=None):
        batch = super().get_batch_at(start, size, key)
        return {**batch, "position": start + jnp.arange(size)}


@breaks("a_batch_is_the_records_at_its_positions[stored-lazy]", error=OverflowError)
class StartsIn32Bits(ReaderSource):
    """A start beyond 32 bits does not fit it."""

    def get_batch_at(self, start, size, key=None):
        return super().get_batch_at(int(np.int32(start)), size, key)


@breaks("a_batch_goes_on_into_the_epochs_that_follow[stored-lazy]")
class StopsAtTheEnd(ReaderSource):
    """A batch beyond the end repeats the last record: the wrap is off."""

    def get_batch_at(self, start, size, key=None):
        batch = super().get_batch_at(start, size, key)
        last = min(size, len(self) - start % len(self)) - 1
        return {name: leaf[jnp.minimum(jnp.arange(size), last)] for name, leaf in batch.items()}


@breaks("a_batch_goes_on_into_the_epochs_that_follow[shuffled-lazy]")
class RepeatsItsEpoch(ReaderSource):
    """A batch beyond the end begins the same epoch's order again."""

    def get_batch_at(self, start, size, key=None):
        epoch, offset = divmod(start, len(self))
        left = len(self) - offset
        if size <= left:
            return super().get_batch_at(start, size, key)
        first = super().get_batch_at(start, left, key)
        rest = self.get_batch_at(epoch * len(self), size - left, key)
        return {name: jnp.concatenate([leaf, rest[name]]) for name, leaf in first.items()}


@breaks("reading_at_a_position_moves_nothing[stored-lazy]")
class MovesAsItReads(ReaderSource):
    """`get_batch_at` moves the cursor."""

    def get_batch_at(self, start, size, key=None):
        self._host.cursor.offset = (self._host.cursor.offset + size) % len(self)
        return super().get_batch_at(start, size, key)


@breaks("reading_at_a_position_moves_nothing[shuffled-lazy]")
class CountsItsReads(ReaderSource):
    """What `get_batch_at` returns depends on what was read before."""

    def get_batch_at(self, start, size, key=None):
        self._host.stored = (self._host.stored or 0) + 1
        return super().get_batch_at(start + self._host.stored, size, key)


@breaks("a_bad_start_size_or_key_is_refused[lazy]")
class TakesAnyStart(ReaderSource):
    """A start that is negative counts from zero."""

    def get_batch_at(self, start, size, key=None):
        return super().get_batch_at(max(start, 0) if isinstance(start, int) else start, size, key)


@breaks("a_bad_start_size_or_key_is_refused[eager]")
class TakesAnyKey(ReaderSource):
    """A key that is no key is taken for a seed."""

    def get_batch_at(self, start, size, key=None):
        return super().get_batch_at(start, size, jax.random.key(key) if key == 7 else key)


@breaks("text_and_ragged_fields_are_arrays_once_given_a_width[lazy]")
class CountsTheWidth(ReaderSource):
    """The length beside a padded field is its width."""

    def get_batch_at(self, start, size, key=None):
        batch = super().get_batch_at(start, size, key)
        return {
            name: jnp.full_like(leaf, batch[name[:-7]].shape[1])
            if name.endswith("_length")
            else leaf
            for name, leaf in batch.items()
        }


@breaks("text_and_ragged_fields_are_arrays_once_given_a_width[eager]")
class FillsWithSpaces(ReaderSource):
    """A padded field is filled up with spaces."""

    def get_batch_at(self, start, size, key=None):
        batch = super().get_batch_at(start, size, key)
        return {
            name: jnp.where(leaf == 0, 32, leaf).astype(leaf.dtype) if name == "text" else leaf
            for name, leaf in batch.items()
        }


@breaks("a_value_beyond_its_width_is_an_error_or_cut_and_counted[eager]")
class CountsNoCuts(ReaderSource):
    """What is cut is not counted."""

    @property
    def cuts(self):
        return {}
