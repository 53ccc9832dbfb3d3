"""Memory of large batches is written again when nothing holds it, and never before."""

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from datarax import staging
from datarax.sources import Field, ReaderSource, RecordReader, SourceConfig
from datarax.sources.layout import Layout
from datarax.sources.recycled import LEAST_BYTES, MOST_SPARE, Recycled

WIDTH = LEAST_BYTES // 4
"""Numbers of a record, one of which is a batch whose memory is recycled."""

ROWS = 40


class Wide(RecordReader):
    """Reads records of a MiB, each full of its index."""

    @property
    def fields(self):
        return {"x": Field.array(np.float32, (WIDTH,)), "n": Field.array(np.int32)}

    def __len__(self):
        return ROWS

    def record(self, index):
        return {"x": np.full(WIDTH, index, np.float32), "n": np.int32(index)}


class WideStream:
    """The same, forward only."""

    fields = Wide().fields
    shards = (ROWS,)

    def stream(self, shard, offset, names):
        wide = Wide()
        for index in range(offset, ROWS):
            record = wide.record(index)
            yield {name: np.asarray(record[name])[None] for name in names}

    def close(self):
        """Hold nothing."""


def source(mode):
    reader = WideStream() if mode == "streaming" else Wide()
    return ReaderSource(SourceConfig(mode=mode), reader, uri="test:")


@pytest.fixture(params=["lazy", "streaming"])
def mode(request):
    return request.param


@pytest.mark.parametrize("prefetch", [0, 2])
def test_batches_that_are_held_stay_what_they_are(mode, prefetch):
    """All of them, and views of those that are gone; what was taken from them too."""
    with source(mode) as found:
        batches = list(found.batches(9, prefetch=prefetch, remainder="keep", epochs=3))
        for batch in batches:
            np.testing.assert_array_equal(batch["x"][:, 0], batch["n"])
            np.testing.assert_array_equal(batch["x"][:, -1], batch["n"])
        del batches, batch
        views = []
        for batch in found.batches(2, prefetch=prefetch, epochs=2):
            views.append((np.asarray(batch["x"])[1, 5:], int(batch["n"][1])))
        del batch
        for view, index in views:
            np.testing.assert_array_equal(view, np.float32(index))


def test_what_is_computed_from_a_batch_that_is_gone_is_right(mode):
    """The computation holds the memory until it is done."""
    step = jax.jit(lambda x: jnp.sort(x + 1, axis=-1)[:, ::1000].sum())
    with source(mode) as found:
        sums, due = [], []
        for batch in found.batches(2, epochs=3):
            due.append(float((np.asarray(batch["n"]) + 1).sum()) * len(range(0, WIDTH, 1000)))
            sums.append(step(batch["x"]))
            del batch
        np.testing.assert_allclose(np.array(sums), due, rtol=1e-6)


def test_memory_is_used_again(mode, monkeypatch):
    """A pass takes that of a few batches, however many it has."""
    monkeypatch.setattr(staging, "PIECE_BYTES", 1)
    blocks, blank = [], Recycled.blank

    def noted(self, layout, rows):
        leaves = blank(self, layout, rows)
        blocks.append(_memory(leaves["x"]))
        return leaves

    monkeypatch.setattr(Recycled, "blank", noted)
    with source(mode) as found:
        for batch in found.batches(1):
            np.testing.assert_array_equal(batch["x"][:, 0], batch["n"])
    assert len(blocks) == ROWS
    assert len({id(block) for block in blocks}) < ROWS // 2


def test_memory_goes_with_its_pass():
    """And at most a few blocks lie ready; small arrays are none of it."""
    layout = Layout.of(Wide().fields, ["x", "n"], x64=False)
    recycled = Recycled()
    held = [recycled.blank(layout, 1) for _ in range(MOST_SPARE + 3)]
    blocks = [weakref.ref(_memory(leaves["x"])) for leaves in held]
    assert len({leaves["x"].ctypes.data for leaves in held}) == len(held)
    assert all(leaves["x"].ctypes.data % 64 == 0 for leaves in held)
    del held
    gc.collect()
    assert sum(block() is not None for block in blocks) == MOST_SPARE
    again = recycled.blank(layout, 1)
    del recycled
    gc.collect()
    assert [block() is _memory(again["x"]) for block in blocks].count(True) == 1
    assert sum(block() is not None for block in blocks) == 1
    again["x"][:] = 3
    assert (again["x"] == 3).all()
    del again
    gc.collect()
    assert not any(block() is not None for block in blocks)


def _memory(view):
    """Return the array that owns the memory of a view."""
    return view.base.base.obj
