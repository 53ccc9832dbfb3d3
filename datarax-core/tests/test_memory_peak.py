"""Peak memory, measured in processes of their own: eager loading's is bounded, lazy's is no N.

The kernel's own high-water mark of resident memory is read, so that nothing depends on timing.
"""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.long

RUN = """
import json, resource, sys
from pathlib import Path
import jax
import numpy as np
from datarax.sources import (
    ColumnarReader, Field, MemorySource, MemorySourceConfig, ReaderSource, RecordReader,
    SourceConfig,
)
from datarax.sources.streaming import IndexedStream

WIDTH = 1024


def memory(word):
    status = Path("/proc/self/status")
    if not status.exists():
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    (line,) = [line for line in status.read_text().splitlines() if line.startswith(word)]
    return int(line.split()[1]) * 1024


class Columns(ColumnarReader):
    stored = np.float32

    def __init__(self, size):
        self.size = size

    @property
    def fields(self):
        return {"x": Field.array(self.stored, (WIDTH,)), "id": Field.array(np.int32)}

    def __len__(self):
        return self.size

    def read(self, indices, names):
        columns = {}
        if "x" in names:
            columns["x"] = np.empty((len(indices), WIDTH), self.stored)
            columns["x"][...] = (indices % 1000)[:, None]
        if "id" in names:
            columns["id"] = indices.astype(np.int32)
        return columns


class Wide(Columns):
    stored = np.int64


class Records(RecordReader):
    __init__, fields, __len__ = Columns.__init__, Columns.fields, Columns.__len__
    stored = np.float32

    def record(self, index):
        return {"x": np.full(WIDTH, index % 1000, np.float32), "id": np.int32(index)}


def source(reader, mode, **options):
    if mode == "streaming":
        reader = IndexedStream(reader)
    return ReaderSource(SourceConfig(mode=mode, shuffle=True, **options), reader, uri="rows:")


def one_pass(made, how):
    if how == "batches":
        return sum(np.asarray(batch["id"]).size for batch in made.batches(64))
    if how == "scan_epoch":
        rows, _ = made.scan_epoch(lambda c, b: (c + b["id"].shape[0], None), 0, batch_size=64)
        return int(rows)
    return sum(1 for _ in made)


def warm(mode):
    for how in ("batches", "scan_epoch", "elements"):
        one_pass(source(Columns(256), mode, **window(mode)), how)


def window(mode):
    return {"shuffle_window": 256} if mode == "streaming" else {}


what, *arguments = sys.argv[1:]
if what == "eager":
    kind, rows = arguments[0], int(arguments[1])
    warm("eager")
    before = memory("VmRSS")
    made = source({"columns": Columns, "wide": Wide, "records": Records}[kind](rows), "eager")
    jax.block_until_ready(made._data)
    peak = memory("VmHWM") - before
    assert float(made[rows - 1]["x"][5]) == (rows - 1) % 1000
    print(json.dumps({"peak": peak, "decoded": made.plan.bytes}))
elif what == "pass":
    mode, how, rows = arguments[0], arguments[1], int(arguments[2])
    warm(mode)
    peaks = []
    for size in (rows, 10 * rows):
        made = source(Columns(size), mode, **window(mode))
        delivered = one_pass(made, how)
        assert delivered == (size if how == "elements" else size // 64 * 64), delivered
        peaks.append(memory("VmHWM"))
        bytes = made.plan.bytes
        made.close()
    print(json.dumps({"peaks": peaks, "bytes": bytes}))
elif what == "passes":
    mode, how, rows = arguments[0], arguments[1], int(arguments[2])
    made = source(Columns(rows), mode, **window(mode))
    held = []
    for _ in range(12):
        one_pass(made, how)
        held.append(memory("VmRSS"))
    print(json.dumps({"held": held, "bytes": made.plan.bytes}))
else:
    warm("lazy")
    before = memory("VmRSS")
    made = source(Columns(10**9), "lazy")
    read = jax.jit(lambda start: made.get_batch_at(start, 64)["id"])
    seen = {int(i) for i in made.get_batch_at(10**12, 64)["id"]}
    seen |= {int(i) for i in read(2**31 - 100)}
    batches = made.batches(64)
    seen |= {int(i) for _ in range(50) for i in next(batches)["id"]}
    batches.close()
    assert len(seen) > 3000
    print(json.dumps({"peak": memory("VmHWM") - before}))
"""

MIB = 2**20
ROWS = 50_000  # of 4 KiB: some 200 MB decoded


def run(*arguments):
    # A pass stages in a thread of its own. glibc gives threads arenas, eight for each core, and
    # where XLA's threads took them all, each pass warms up another one, until all are warm. As many
    # as eight cores would have show what is held.
    done = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, arguments)],
        env={**os.environ, "MALLOC_ARENA_MAX": "64"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def least(measure, bound, attempts=3):
    """Return the least of a few measurements, up to the first within bounds.

    Resident memory is what is held and what the allocator has not given back yet, which on a busy
    machine depends on how threads happen to meet: that only adds, and what is held is always there.
    """
    found = []
    while len(found) < attempts and (not found or found[-1] >= bound):
        found.append(measure())
    return min(found)


@pytest.mark.parametrize("kind", ["columns", "wide", "records"])
def test_eager_loading_peaks_below_1_3_times_the_decoded_size(kind):
    """Read by column, stored twice as wide as emitted, and record by record."""

    def share():
        found = run("eager", kind, ROWS)
        assert found["decoded"] == ROWS * (4 * 1024 + 4)
        return found["peak"] / found["decoded"]

    assert 0.95 < least(share, 1.3) < 1.3


@pytest.mark.parametrize("how", ["batches", "scan_epoch", "elements"])
@pytest.mark.parametrize("mode", ["lazy", "streaming"])
def test_the_peak_of_an_epoch_does_not_depend_on_how_many_records_there_are(mode, how):
    """Ten times the records, 740 MB more, add less than what a few pieces of 8 MiB take."""

    def growth():
        found = run("pass", mode, how, 20_000)
        assert found["bytes"] > 800 * 10**6
        few, many = found["peaks"]
        return many - few

    assert least(growth, 96 * MIB) < 96 * MIB


@pytest.mark.parametrize("how", ["batches", "scan_epoch"])
@pytest.mark.parametrize("mode", ["lazy", "streaming"])
def test_pass_after_pass_holds_no_more(mode, how):
    def growth():
        held = run("passes", mode, how, 20_000)["held"]
        return min(held[8:]) - min(held[4:8])  # one piece more a pass would be 32 MiB

    assert least(growth, 24 * MIB) < 24 * MIB


def test_that_measure_sees_an_eager_source():
    found = run("pass", "eager", "scan_epoch", 5_000)
    few, many = found["peaks"]
    assert many - few > 0.7 * found["bytes"]


def test_a_billion_records_are_shuffled_in_the_memory_of_a_few_batches():
    """A permutation of them would take 4 GB."""
    assert least(lambda: run("billion")["peak"], 128 * MIB) < 128 * MIB
