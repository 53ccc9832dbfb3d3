"""`source.reader` as it is in PyTorch's DataLoader, with workers that never import JAX."""

import sys

import numpy as np
import pytest
import torch

from datarax.sources import MemorySource, MemorySourceConfig

ROWS = 40
VALUES = np.arange(ROWS * 3, dtype=np.float32).reshape(ROWS, 3)

SPAWNED = """
import pickle, sys
import torch

def collate(records):
    assert "jax" not in sys.modules, "a worker imported jax"
    return [int(record["id"]) for record in records]

if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        reader = pickle.load(file)
    loader = torch.utils.data.DataLoader(
        reader, batch_size=8, num_workers=2, collate_fn=collate,
        multiprocessing_context=sys.argv[2],
    )
    print(sorted(row for batch in loader for row in batch))
"""


@pytest.fixture(params=["eager", "lazy"])
def source(request):
    with MemorySource(
        MemorySourceConfig(mode=request.param), {"x": VALUES, "id": np.arange(ROWS)}
    ) as source:
        yield source


def test_a_data_loader_takes_the_reader_as_it_is(source):
    loader = torch.utils.data.DataLoader(source.reader, batch_size=8, shuffle=True)
    rows = {}
    for batch in loader:
        rows |= dict(zip(batch["id"].tolist(), batch["x"].numpy(), strict=True))
    assert sorted(rows) == list(range(ROWS))
    np.testing.assert_array_equal(np.stack([rows[row] for row in range(ROWS)]), VALUES)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_it_without_jax(source, method, tmp_path):
    import pickle
    import subprocess

    script, pickled = tmp_path / "run.py", tmp_path / "reader.pickle"
    script.write_text(SPAWNED)
    pickled.write_bytes(pickle.dumps(source.reader))
    run = subprocess.run(
        [sys.executable, str(script), str(pickled), method],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == str(list(range(ROWS)))
