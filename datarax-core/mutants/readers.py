"""Readers broken on purpose. Free of JAX, but for the one that is broken by it."""

from __future__ import annotations

import os
import time

import numpy as np

from datarax.errors import CorruptDataError
from datarax.sources import Field
from mutants.breaking import breaks
from mutants.shelf import ROW, ShelfReader


@breaks("element_i_is_record_i_whatever_the_order[stored-lazy]")
class ReadsTheNeighbour(ShelfReader):
    """An index off by one."""

    def rows(self, indices):
        return super().rows((indices + 1) % len(self))


@breaks("element_i_is_record_i_whatever_the_order[stored-eager]")
class LosesTheLastOfAPart(ShelfReader):
    """Where a part ends, its last row is read for the first of the next."""

    def rows(self, indices):
        first_of_parts = np.isin(indices, self._ends)
        return super().rows(indices - first_of_parts)


@breaks("a_batch_is_the_records_at_its_positions[stored-lazy]")
class WrapsIntegers(ShelfReader):
    """Integers that do not fit the declared dtype are wrapped."""

    @property
    def fields(self):
        return {**super().fields, "label": Field.array(np.int8)}

    def read(self, indices, names):
        columns = dict(super().read(indices, names))
        if "label" in columns:
            columns["label"] = columns["label"].astype(np.int8)
        return columns


@breaks("element_i_is_record_i_whatever_the_order[shuffled-lazy]")
class DeclaresTheFirstRow(ShelfReader):
    """The spec is that of the first row, into which the others are cast."""

    @property
    def fields(self):
        first = super().rows(np.array([0]))["label"][0]
        return {**super().fields, "label": Field.array(np.min_scalar_type(first))}

    def read(self, indices, names):
        columns = dict(super().read(indices, names))
        if "label" in columns:
            columns["label"] = columns["label"].astype(self.fields["label"].dtype)
        return columns


@breaks("the_spec_is_of_shape_dtype_structs_and_says_which_fields_are_arrays[lazy]")
class DeclaresAnotherShape(ShelfReader):
    """An image is declared flat, and handed out flat, which the known answer is not."""

    @property
    def fields(self):
        return {**super().fields, "image": Field.array(np.uint8, (6,))}

    def read(self, indices, names):
        columns = dict(super().read(indices, names))
        if "image" in columns:
            columns["image"] = columns["image"].reshape(-1, 6)
        return columns


@breaks("a_record_handed_out_is_the_callers_own")
class SharesItsRecords(ShelfReader):
    """A record is kept, and handed out again, the same object."""

    kept = None

    def __getitem__(self, index):
        self.kept = self.kept or {}
        if index not in self.kept:
            self.kept[index] = super().__getitem__(index)
        return self.kept[index]


@breaks("a_record_handed_out_is_the_callers_own")
class ReadsIntoOneBuffer(ShelfReader):
    """Each read is into the same buffer, under the records that were handed out before."""

    buffer = None

    def rows(self, indices):
        if self.buffer is None:
            self.buffer = np.zeros(len(self) * 20, ROW)
        out = self.buffer[: len(indices)]
        out[...] = super().rows(indices)
        return out

    def read(self, indices, names):
        rows = self.rows(indices)
        return {name: rows[name].tolist() if name == "text" else rows[name] for name in names}


@breaks("the_reader_hands_out_the_records_on_the_host")
class CountsNegativesFromZero(ShelfReader):
    """A negative index counts from the front."""

    def __getitem__(self, index):
        return super().__getitem__(abs(index) if -len(self) <= index < 0 else index)


@breaks("the_reader_hands_out_the_records_on_the_host")
class HasNoBounds(ShelfReader):
    """A reader without bounds: an index beyond the end is the last record."""

    def __getitem__(self, index):
        return super().__getitem__(min(index, len(self) - 1))


@breaks("the_reader_hands_out_the_records_on_the_host")
class HandsOutDeviceArrays(ShelfReader):
    """Records are arrays of JAX."""

    def __getitem__(self, index):
        import jax

        record = super().__getitem__(index)
        return {**record, "label": jax.numpy.asarray(int(record["label"]))}


@breaks("the_reader_travels_to_another_process_and_reads_there_without_jax")
class ReadsWithJax(ShelfReader):
    """Reading imports JAX, in every worker process too."""

    def rows(self, indices):
        import jax

        return super().rows(np.asarray(jax.device_get(indices)))


@breaks("the_reader_travels_to_another_process_and_reads_there_without_jax", error=TypeError)
class CannotTravel(ShelfReader):
    """It holds what cannot travel."""

    def __reduce__(self):
        raise TypeError("cannot pickle an open file")


@breaks("the_reader_travels_to_another_process_and_reads_there_without_jax")
class ArrivesWithoutItsFiles(ShelfReader):
    """It travels without its files, and opens them nowhere."""

    def __reduce__(self):
        return _bare, (len(self),)


def _bare(size):
    reader = ArrivesWithoutItsFiles.__new__(ArrivesWithoutItsFiles)
    reader._parts, reader._ends = [], np.array([size])
    return reader


@breaks("eight_threads_read_the_same_records")
class KeepsWhatItReads(ShelfReader):
    """What is asked for goes through an attribute that all threads share."""

    asked = None

    def rows(self, indices):
        self.asked = indices
        time.sleep(0.0005)
        return super().rows(np.resize(self.asked, len(indices)))


@breaks("opening_and_closing_leaks_no_descriptor")
class LeaksADescriptor(ShelfReader):
    """Each reader opens a file that nothing closes."""

    def __init__(self, paths):
        super().__init__(paths)
        os.open(self._paths[0], os.O_RDONLY)


@breaks("opening_and_closing_leaks_no_descriptor")
class ClosesNothing(ShelfReader):
    """`close` keeps the files, and so does a list of all readers."""

    everyone: list[ShelfReader] = []  # noqa: RUF012  # it is what leaks

    def __init__(self, paths):
        super().__init__(paths)
        self.everyone.append(self)

    def close(self):
        self.closed = True


@breaks("a_damaged_file_is_an_error_that_names_it[lazy]")
class ReadsDamagedFiles(ShelfReader):
    """A file cut short is read as if its end were zeros."""

    @staticmethod
    def opened(path):
        try:
            return np.load(path, allow_pickle=False)
        except ValueError:
            return np.zeros(3, ROW)


@breaks("a_damaged_file_is_an_error_that_names_it[eager]")
class NamesNoDamagedFile(ShelfReader):
    """The error for a damaged file does not say which."""

    @staticmethod
    def opened(path):
        try:
            return ShelfReader.opened(path)
        except CorruptDataError as error:
            raise CorruptDataError("shelf: a part of the dataset a/b is damaged") from error


@breaks("a_damaged_file_is_an_error_that_names_it[streaming]", error=ValueError)
class RaisesWhatNumPyRaises(ShelfReader):
    """A damaged file is whatever error the library below has for it."""

    @staticmethod
    def opened(path):
        return np.load(path, mmap_mode="r", allow_pickle=False)


@breaks("a_cacheable_source_reads_the_same[lazy]")
class ReadsOtherValuesEachTime(ShelfReader):
    """A reader that is not deterministic: records change from read to read."""

    reads = 0

    def rows(self, indices):
        rows = super().rows(indices)
        rows["label"] += self.reads
        self.reads += 1
        return rows
