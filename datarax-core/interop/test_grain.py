"""`source.reader` as it is in Grain, with worker processes that never import JAX for it."""

import grain
import numpy as np
import pytest

from datarax.sources import MemorySource, MemorySourceConfig

ROWS = 40
VALUES = np.arange(ROWS * 3, dtype=np.float32).reshape(ROWS, 3)


@pytest.fixture(scope="module", autouse=True)
def parsed_flags():
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()


@pytest.fixture(params=["eager", "lazy"])
def source(request):
    with MemorySource(
        MemorySourceConfig(mode=request.param), {"x": VALUES, "id": np.arange(ROWS)}
    ) as source:
        yield source


def check(batches):
    ids = np.concatenate([batch["id"] for batch in batches])
    assert sorted(ids.tolist()) == list(range(ROWS))
    for batch in batches:
        np.testing.assert_array_equal(batch["x"], VALUES[batch["id"]])


def test_a_map_dataset_takes_the_reader_as_it_is(source):
    check(list(grain.MapDataset.source(source.reader).shuffle(seed=1).batch(8)))


def test_worker_processes_read_it(source):
    dataset = grain.MapDataset.source(source.reader).to_iter_dataset().batch(5)
    check(list(dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers=2))))
