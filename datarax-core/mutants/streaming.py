"""Streams broken on purpose: their order, their window, where they are resumed."""

from __future__ import annotations

import numpy as np

from datarax.sources.source import ReaderSource
from datarax.sources.streaming import IndexedStream
from mutants.breaking import breaks


@breaks("a_stream_delivers_the_records_in_storage_order")
class StreamsBackwards(IndexedStream):
    """The records of a piece come last first."""

    def stream(self, shard, offset, names):
        for piece in super().stream(shard, offset, names):
            yield {name: column[::-1] for name, column in piece.items()}


@breaks("a_stream_delivers_the_records_in_storage_order")
class StreamsOnce(ReaderSource):
    """Its second pass delivers nothing."""

    def _elements(self, epoch, offset):
        if not epoch or self.plan.mode != "streaming":
            yield from super()._elements(epoch, offset)


@breaks("a_stream_has_no_indexed_access")
class StreamsByIndex(ReaderSource):
    """A stream says that it reads by index."""

    def supports_indexed_access(self):
        return True


@breaks("a_stream_has_no_indexed_access")
class ReadsUpToTheIndex(ReaderSource):
    """A stream is read from its beginning for each index asked of it."""

    def __getitem__(self, index):
        if self.plan.mode != "streaming":
            return super().__getitem__(index)
        return list(self)[index]


@breaks("batches_of_a_stream_are_the_same_sequence[keep]")
class LosesTheEndOfAStream(ReaderSource):
    """The batch that ends a stream is lost where it is not full."""

    def _stream_batches(self, epoch, offset, size, many):
        for batch, rows in super()._stream_batches(epoch, offset, size, many):
            if rows == size:
                yield batch, rows


@breaks("batches_of_a_stream_are_the_same_sequence[pad]")
class PadsStreamsWithOnes(ReaderSource):
    """What ends a stream is filled up with copies, as if it were full."""

    def _stream_batches(self, epoch, offset, size, many):
        for batch, rows in super()._stream_batches(epoch, offset, size, many):
            index = np.minimum(np.arange(size), rows - 1)
            yield {name: leaf[index] for name, leaf in batch.items()}, size


@breaks("scan_epoch_of_a_stream_runs_its_full_batches")
class ScansPartOfAStream(ReaderSource):
    """`scan_epoch` of a stream leaves its first batch out."""

    def _stacks(self, epoch, offset, size, many, spare):
        if self.plan.mode == "streaming" and not offset:
            offset = size
        yield from super()._stacks(epoch, offset, size, many, spare)


@breaks("scan_epoch_of_a_stream_runs_its_full_batches")
class ScansWithoutMoving(ReaderSource):
    """`scan_epoch` of a stream does not move the cursor."""

    def scan_epoch(self, step, carry, *, batch_size):
        done = super().scan_epoch(step, carry, batch_size=batch_size)
        self._host.cursor.epoch = 0
        return done


@breaks("a_window_shuffle_holds_each_record_once_and_is_a_function_of_seed_and_epoch")
class RepeatsInAWindow(ReaderSource):
    """A window is drawn from with replacement."""

    def _columns(self, epoch, offset):
        for piece in super()._columns(epoch, offset):
            rows = len(piece["label"]) if self.config.shuffle else 0
            index = np.arange(rows) // 2 * 2
            yield (
                {
                    name: [column[i] for i in index] if isinstance(column, list) else column[index]
                    for name, column in piece.items()
                }
                if rows
                else piece
            )


@breaks("a_window_shuffle_holds_each_record_once_and_is_a_function_of_seed_and_epoch")
class ShufflesEachEpochAlike(ReaderSource):
    """The window's order is that of the first epoch in each."""

    def _columns(self, epoch, offset):
        return super()._columns(0, offset)


@breaks("a_window_shuffle_holds_each_record_once_and_is_a_function_of_seed_and_epoch")
class ShufflesEachSeedAlike(ReaderSource):
    """The window's order is that of seed 0."""

    def _words(self, key):
        words = super()._words(key)
        return words if words is None else words * 0


@breaks("a_stream_is_resumed_at_the_record")
class SkipsOneTooFew(IndexedStream):
    """A stream that is resumed delivers one record again."""

    def stream(self, shard, offset, names):
        return super().stream(shard, max(0, offset - 1), names)


@breaks("a_stream_is_resumed_at_the_record")
class ResumesAtThePiece(IndexedStream):
    """A stream that is resumed begins with the piece that it stood in."""

    def stream(self, shard, offset, names):
        return super().stream(shard, offset // 4 * 4, names)


@breaks("a_shuffled_stream_is_resumed_at_the_record")
class ResumesInAnotherWindow(ReaderSource):
    """A shuffled stream that is resumed draws its windows from where it stood."""

    def _columns(self, epoch, offset):
        if not self.config.shuffle or not offset:
            yield from super()._columns(epoch, offset)
            return
        for number, piece in enumerate(super()._columns(epoch, offset)):
            turned = {name: column[::-1] for name, column in piece.items()}
            yield piece if number else turned


@breaks("a_shuffled_stream_is_resumed_at_the_record")
class ForgetsItsWindow(ReaderSource):
    """A state does not tell the window, and goes on in another."""

    def _fingerprint(self):
        mark = super()._fingerprint()
        return {**mark, "order": mark["order"].partition(", window")[0]}
