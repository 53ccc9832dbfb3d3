"""What must be the same on an accelerator as on the CPU; run where there is one.

`tox -e accelerator`, or with jax for the accelerator installed: pytest datarax-core/accelerator.
A machine without one fails here, rather than pass without having looked.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import datarax
from datarax.core import order
from datarax.testing import INDEXED, Capability, KnownDataset, SourceContract

SIZES = [1, 2, 7, 64, 1000, 60_000, 2**20 - 1, 10**9, 2**31 - 1]
ROWS = 1000


@pytest.fixture(scope="module", autouse=True)
def accelerator():
    device = jax.devices()[0]
    assert device.platform != "cpu", "no accelerator: jax sees the CPU alone"
    return device


@pytest.fixture
def data():
    values = np.random.default_rng(0).integers(0, 255, (ROWS, 8, 8)).astype(np.uint8)
    return {"x": values, "id": np.arange(ROWS, dtype=np.int32)}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("epoch", [0, 1, 2**32 + 5])
def test_the_order_is_that_of_the_host_and_of_the_cpu(size, epoch):
    words = order.seed_words(3)
    count = min(size, 257)
    host = order.positions(words, size, epoch, 0, count)
    low, high = np.uint32(epoch & 0xFFFFFFFF), np.uint32(epoch >> 32)

    @jax.jit
    def traced(words):
        keys = order.round_keys(jnp, [words[0], words[1]], size, low, high)
        return order.traced_indices(keys, size, jnp.arange(count, dtype=jnp.uint32))

    np.testing.assert_array_equal(np.asarray(traced(jnp.asarray(words))), host)
    with jax.default_device(jax.devices("cpu")[0]):
        np.testing.assert_array_equal(np.asarray(traced(jnp.asarray(words))), host)


@pytest.mark.parametrize("mode", ["eager", "lazy"])
def test_batches_lie_on_the_accelerator_and_hold_what_they_hold_on_the_cpu(mode, data, accelerator):
    found = []
    for device in (accelerator, jax.devices("cpu")[0]):
        with (
            jax.default_device(device),
            datarax.load("memory:", data=data, mode=mode, shuffle=True, seed=5) as source,
        ):
            batches = list(source.batches(64, epochs=2, remainder="pad"))
            assert {d for batch in batches for d in batch["x"].devices()} == {device}
            found.append([{name: np.asarray(leaf) for name, leaf in b.items()} for b in batches])
    assert len(found[0]) == len(found[1])
    for left, right in zip(*found, strict=True):
        for name, leaf in left.items():
            np.testing.assert_array_equal(leaf, right[name])


@pytest.mark.parametrize("mode", ["eager", "lazy"])
def test_scan_epoch_sees_the_sequence_of_batches(mode, data):
    def step(total, batch):
        return total + batch["x"].astype(jnp.int32).sum(), batch["id"]

    with datarax.load("memory:", data=data, mode=mode, shuffle=True) as source:
        by_batches = [np.asarray(batch["id"]) for batch in source.clone().batches(64)]
        total, ids = source.scan_epoch(step, jnp.int32(0), batch_size=64)
    np.testing.assert_array_equal(np.asarray(ids), np.stack(by_batches))
    assert int(total) == data["x"][np.concatenate(by_batches)].astype(np.int64).sum()


def test_eager_data_is_placed_where_it_is_asked_for(data, accelerator):
    cpu = jax.devices("cpu")[0]
    for device in (accelerator, cpu):
        with datarax.load("memory:", data=data, placement=device) as source:
            assert source.get_batch_at(0, 4)["x"].devices() == {device}


def test_a_state_saved_on_one_goes_on_on_the_other(data):
    def load():
        return datarax.load("memory:", data=data, shuffle=True, seed=9)

    with jax.default_device(jax.devices("cpu")[0]), load() as source:
        batches = source.batches(32)
        for _ in range(5):
            next(batches)
        state = batches.get_state()
        rest = [np.asarray(batch["id"]) for batch in batches]
    with load() as source:
        batches = source.batches(32)
        batches.set_state(state)
        for left, right in zip(batches, rest, strict=True):
            np.testing.assert_array_equal(np.asarray(left["id"]), right)


class TestContract(SourceContract):
    capabilities = INDEXED | {Capability.STREAMING, Capability.WINDOW_SHUFFLE}

    @pytest.fixture
    def dataset(self):
        records = [
            {"x": np.arange(6, dtype=np.float32).reshape(2, 3) + i, "text": f"row {i}"}
            for i in range(11)
        ]
        columns = {name: [record[name] for record in records] for name in records[0]}
        return KnownDataset("memory:", records, options={"data": columns}, reads_files=False)
