"""Several processes under `jax.distributed`: each reads only its own rows; resume on any number."""

import json
import os
import socket
import subprocess
import sys

import pytest

pytestmark = pytest.mark.long

ROWS, BATCH = 53, 8

RUN = """
import json, sys
import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

port, count, rank, rows, size, mode, remainder = sys.argv[1:8]
state = json.loads(sys.argv[8])
count, rank, rows, size = map(int, (count, rank, rows, size))
jax.distributed.initialize(f"127.0.0.1:{port}", count, rank)
from datarax.sources import MemoryReader, ReaderSource, SourceConfig

class Counted(MemoryReader):
    asked = set()

    def read(self, indices, names):
        self.asked.update(indices.tolist())
        return super().read(indices, names)

    def read_into(self, indices, out):
        self.asked.update(indices.tolist())
        super().read_into(indices, out)

reader = Counted({"id": np.arange(rows, dtype=np.int32), "x": np.ones((rows, 3), np.float32)})
source = ReaderSource(SourceConfig(shuffle=True, seed=9, mode=mode), reader, uri="rows:")
Counted.asked.clear()
mesh = jax.make_mesh((len(jax.devices()),), ("rows",))
sharding = NamedSharding(mesh, PartitionSpec("rows"))
batches = source.batches(size, epochs=2, remainder=remainder, sharding=sharding, prefetch=0)
if state:
    batches.set_state(state)
found, states = [], []
for _ in range(int(sys.argv[9])):
    batch = next(batches)
    assert batch["id"].shape == (size,) and batch["x"].shape == (size, 3)
    assert batch["id"].sharding == sharding
    mine = {}
    for shard in batch["id"].addressable_shards:
        keep = np.asarray(shard.data)
        for place, value in zip(range(*shard.index[0].indices(size)), keep.tolist()):
            mine[place] = value
    found.append(mine)
    states.append(batches.get_state())
read = sorted(Counted.asked)
batches.close()
print(json.dumps({"found": found, "state": states[-1], "read": read}))
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run(count, *, mode, steps, state=None, remainder="drop"):
    port = free_port()
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={8 // count}",
    }
    arguments = [ROWS, BATCH, mode, remainder, json.dumps(state), steps]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RUN, str(port), str(count), str(rank), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for rank in range(count)
    ]
    outputs = [process.communicate(timeout=240) for process in processes]
    for process, (_, complaint) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, complaint
    return [json.loads(out.splitlines()[-1]) for out, _ in outputs]


def joined(results, step):
    rows = {}
    for result in results:
        rows.update({int(place): value for place, value in result["found"][step].items()})
    return [rows[place] for place in range(BATCH)]


def expected(start, count):
    import numpy as np

    from datarax.sources import MemorySource, MemorySourceConfig

    source = MemorySource(
        MemorySourceConfig(shuffle=True, seed=9), {"id": np.arange(ROWS, dtype=np.int32)}
    )
    return np.asarray(source.get_batch_at(start, count)["id"]).tolist()


@pytest.mark.parametrize("mode", ["lazy", "eager"])
def test_two_processes_share_a_batch_and_four_go_on_where_they_stopped(mode):
    first = run(2, mode=mode, steps=2)
    assert first[0]["state"] == first[1]["state"]
    second = run(4, mode=mode, steps=3, state=first[0]["state"])
    for step in range(2):
        assert joined(first, step) == expected(step * BATCH, BATCH)
    for step in range(3):
        assert joined(second, step) == expected((step + 2) * BATCH, BATCH)


def test_each_process_reads_only_the_rows_of_its_own_devices():
    results = run(2, mode="lazy", steps=6)
    mine = [{value for step in result["found"] for value in step.values()} for result in results]
    assert not mine[0] & mine[1]
    for result, rows in zip(results, mine, strict=True):
        assert set(result["read"]) == rows


def test_a_padded_remainder_is_assembled_too():
    results = run(2, mode="lazy", steps=7, remainder="pad")
    assert joined(results, 6) == [*expected(6 * BATCH, ROWS - 6 * BATCH), 0, 0, 0]
