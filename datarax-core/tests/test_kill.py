"""A run that is killed at any moment goes on, from the last saved state, exactly."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.long

KILLS = 20
ROWS, BATCH, EPOCHS = 997, 7, 6

RUN = """
import json, os, sys
import numpy as np
from datarax.sources import MemorySource, MemorySourceConfig

rows, batch, epochs, folder, mode = *map(int, sys.argv[1:4]), sys.argv[4], sys.argv[5]
source = MemorySource(
    MemorySourceConfig(shuffle=True, seed=5, mode=mode), {"id": np.arange(rows, dtype=np.int32)}
)
batches = source.batches(batch, epochs=epochs, remainder="keep")
log, saved = os.path.join(folder, "log"), os.path.join(folder, "state.json")
if os.path.exists(saved):
    with open(saved) as file:
        state = json.load(file)
    batches.set_state(state["batches"])
    os.truncate(log, state["bytes"])
with open(log, "ab") as out:
    for delivered in batches:
        out.write(np.asarray(delivered["id"]).tobytes())
        out.flush()
        state = {"batches": batches.get_state(), "bytes": out.tell()}
        with open(saved + ".new", "w") as file:
            json.dump(state, file)
        os.replace(saved + ".new", saved)
        print(".", end="", flush=True)
"""


def start(folder, mode):
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(ROWS), str(BATCH), str(EPOCHS), str(folder), mode],
        stdout=subprocess.PIPE,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )


def test_twenty_kills_at_random_moments_lose_and_repeat_nothing(tmp_path):
    import numpy as np

    from datarax.sources import MemorySource, MemorySourceConfig

    chance = random.Random(0)
    for kill in range(KILLS):
        run = start(tmp_path, ("eager", "lazy")[kill % 2])
        for _ in range(chance.randrange(1, 20)):
            assert run.stdout.read(1) == b".", "the run ended by itself"
        time.sleep(chance.random() * 0.002)
        run.send_signal(signal.SIGKILL)
        run.stdout.close()
        assert run.wait() == -signal.SIGKILL
    last = start(tmp_path, "lazy")
    last.communicate()
    assert last.returncode == 0
    source = MemorySource(
        MemorySourceConfig(shuffle=True, seed=5), {"id": np.arange(ROWS, dtype=np.int32)}
    )
    expected = np.asarray(source.get_batch_at(0, ROWS * EPOCHS)["id"])
    found = np.frombuffer((tmp_path / "log").read_bytes(), np.int32)
    np.testing.assert_array_equal(found, expected)
    assert len(json.dumps(json.loads((tmp_path / "state.json").read_text()))) < 2048
