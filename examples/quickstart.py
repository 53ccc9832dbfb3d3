"""The main job: a real dataset by name, a model trained on it, the same data from the Hub's cache.

    pip install datarax-core datarax-hf datarax-sklearn
    python quickstart.py

It trains an NNX classifier on scikit-learn's digits, each epoch one `nnx.scan` over
`get_batch_at`, and measures it on held-out rows. Then it lays the same digits out as a dataset
repository in a local Hugging Face cache and, with networking blocked, loads that by name: the
batches are the same, bit for bit. It exits with 1 where either promise fails.
"""

from __future__ import annotations

import json
import socket
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pyarrow as pa
import pyarrow.parquet as pq
from flax import nnx

import datarax

BATCH = 64
EPOCHS = 40
TARGET = 0.95
HUB_NAME = "example/digits"
CARD = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
---
# Handwritten digits
"""


class Classifier(nnx.Module):
    """Digits from 3x3 patches: one linear layer over each, pooled, then two dense ones."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.patch = nnx.Linear(9, 32, rngs=rngs)
        self.hidden = nnx.Linear(3 * 3 * 32, 128, rngs=rngs)
        self.out = nnx.Linear(128, 10, rngs=rngs)

    def __call__(self, image: jax.Array) -> jax.Array:
        """Return the scores, (rows, 10), of images, (rows, 8, 8) with ink from 0 to 16."""
        rows = len(image)
        patches = jnp.stack([image[:, y : y + 6, x : x + 6] for y in range(3) for x in range(3)], 3)
        features = nnx.relu(self.patch(patches / 16))
        pooled = features.reshape(rows, 3, 2, 3, 2, 32).max((2, 4))
        return self.out(nnx.relu(self.hidden(pooled.reshape(rows, -1))))


def shifted(image: jax.Array, key: jax.Array) -> jax.Array:
    """Return the images, each moved by up to one pixel."""
    corners = jax.random.randint(key, (len(image), 2), 0, 3)
    padded = jnp.pad(image, ((0, 0), (1, 1), (1, 1)))
    return jax.vmap(lambda one, at: jax.lax.dynamic_slice(one, at, (8, 8)))(padded, corners)


@nnx.jit
def train_epoch(
    model: Classifier,
    optimizer: nnx.Optimizer[Classifier],
    source: datarax.DataSourceModule,
    epoch: jax.Array,
) -> jax.Array:
    """Train on the whole batches of one epoch; return the loss of each."""

    @nnx.scan(in_axes=(nnx.Carry, None, 0), out_axes=(nnx.Carry, 0))
    def step(
        carry: tuple[Classifier, nnx.Optimizer[Classifier]],
        source: datarax.DataSourceModule,
        start: jax.Array,
    ) -> tuple[tuple[Classifier, nnx.Optimizer[Classifier]], jax.Array]:
        model, optimizer = carry
        batch = source.get_batch_at(start, BATCH)
        image = shifted(batch["image"], jax.random.fold_in(jax.random.key(0), start))

        def loss(model: Classifier) -> jax.Array:
            scores = model(image)
            losses = optax.softmax_cross_entropy_with_integer_labels(scores, batch["label"])
            return jnp.mean(losses)

        value, gradients = nnx.value_and_grad(loss)(model)
        optimizer.update(model, gradients)
        return (model, optimizer), value

    starts = epoch * len(source) + BATCH * jnp.arange(len(source) // BATCH)
    _, losses = step((model, optimizer), source, starts)
    return losses


def train() -> float:
    """Train on four fifths of the digits; return the accuracy on the last fifth."""
    source = datarax.load("sklearn:digits", split="train[:80%]", shuffle=True)
    held_out = datarax.load("sklearn:digits", split="train[80%:]")
    steps = len(source) // BATCH
    print(f"sklearn:digits  {len(source):,} rows to train on, {len(held_out)} held out")

    model = Classifier(nnx.Rngs(0))
    schedule = optax.cosine_decay_schedule(4e-3, EPOCHS * steps)
    optimizer = nnx.Optimizer(model, optax.adamw(schedule, weight_decay=1e-2), wrt=nnx.Param)
    begun = time.perf_counter()
    losses = train_epoch(model, optimizer, source, jnp.int32(0)).block_until_ready()
    compiled = time.perf_counter()
    for epoch in range(1, EPOCHS):
        losses = train_epoch(model, optimizer, source, jnp.int32(epoch))
    losses.block_until_ready()
    seconds = time.perf_counter() - compiled
    rows = (EPOCHS - 1) * steps * BATCH
    print(f"first epoch     {compiled - begun:.1f} s, compilation included")
    print(f"training        {rows / seconds:,.0f} rows per second, {EPOCHS} epochs in nnx.scan")

    test = held_out.get_batch_at(0, len(held_out))
    accuracy = float(jnp.mean(model(test["image"]).argmax(1) == test["label"]))
    print(f"held out        accuracy {accuracy:.3f}, loss in training {losses.mean():.3f}")
    return accuracy


def write_hub_cache(cache: Path, name: str) -> None:
    """Lay the digits out under `cache` as huggingface_hub keeps a dataset repository."""
    records = datarax.load("sklearn:digits", mode="lazy").reader
    rows = [records[index] for index in range(len(records))]
    classes = [str(digit) for digit in range(10)]
    features = {
        "image": {"shape": [8, 8], "dtype": "float64", "_type": "Array2D"},
        "label": {"names": classes, "_type": "ClassLabel"},
    }
    table = pa.table(
        {
            "image": pa.array(
                [row["image"].tolist() for row in rows], pa.list_(pa.list_(pa.float64()))
            ),
            "label": pa.array([row["label"] for row in rows], pa.int64()),
        },
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    commit = "0123456789abcdef" * 2 + "01234567"
    repository = cache / f"datasets--{name.replace('/', '--')}"
    snapshot = repository / "snapshots" / commit
    (snapshot / "data").mkdir(parents=True)
    pq.write_table(table, snapshot / "data" / "train-00000-of-00001.parquet")
    (snapshot / "README.md").write_text(CARD)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)


class BlockedSocket(socket.socket):
    """A socket that cannot be opened."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise OSError("networking is blocked")


@contextmanager
def no_network() -> Iterator[None]:
    """Make every attempt to look up a host or open a socket an error."""
    refused = OSError("networking is blocked")
    with (
        mock.patch.object(socket, "getaddrinfo", side_effect=refused),
        mock.patch.object(socket, "socket", BlockedSocket),
    ):
        yield


def same_batches(one: datarax.DataSourceModule, other: datarax.DataSourceModule) -> bool:
    """Return whether two epochs of both sources are the same batches, bit for bit."""
    passes = (source.batches(BATCH, epochs=2, remainder="keep") for source in (one, other))
    return all(
        mine.keys() == theirs.keys()
        and all(
            mine[name].dtype == theirs[name].dtype
            and mine[name].shape == theirs[name].shape
            and mine[name].tobytes() == theirs[name].tobytes()
            for name in mine
        )
        for mine, theirs in zip(*map(on_host, passes), strict=True)
    )


def on_host(batches: Iterable[Any]) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
    """Yield the batches as NumPy arrays."""
    for batch in batches:
        yield {name: np.asarray(leaf) for name, leaf in batch.items()}


def load_from_cache() -> bool:
    """Load the digits from a local Hub cache, offline; return whether they are the same."""
    with tempfile.TemporaryDirectory() as cache:
        write_hub_cache(Path(cache), HUB_NAME)
        with no_network():
            same = [
                same_batches(
                    datarax.load("sklearn:digits", shuffle=shuffle),
                    datarax.load(
                        f"hf:{HUB_NAME}", local_files_only=True, cache_dir=cache, shuffle=shuffle
                    ),
                )
                for shuffle in (True, False)
            ]
    verdict = "the same batches, bit for bit" if all(same) else "OTHER BATCHES than sklearn:digits"
    print(f"hf:{HUB_NAME}  from a local cache, networking blocked: {verdict}")
    return all(same)


def main() -> int:
    """Run both parts; return the exit status."""
    accurate = train() > TARGET
    if not accurate:
        print(f"FAILED: the accuracy is not above {TARGET}")
    return 0 if load_from_cache() and accurate else 1


if __name__ == "__main__":
    sys.exit(main())
