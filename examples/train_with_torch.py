"""A model trained on a datarax reader through PyTorch's DataLoader, with worker processes.

    pip install datarax-core datarax-sklearn torch
    python train_with_torch.py

A source's reader, or a part of it, is a map-style dataset as the DataLoader takes it, batched
reads included; shuffling and workers are PyTorch's. It exits with 1 where the model does not learn.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from flax import nnx

import datarax
from datarax.sources import Reader, ReaderSource, SourceConfig
from datarax.structure import Splitter, SplitterConfig

BATCH = 64
EPOCHS = 10
WORKERS = 2
TARGET = 0.9


class Classifier(nnx.Module):
    """Digits from their 64 pixels: two dense layers."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.hidden = nnx.Linear(64, 128, rngs=rngs)
        self.out = nnx.Linear(128, 10, rngs=rngs)

    def __call__(self, image: jax.Array) -> jax.Array:
        """Return the scores, (rows, 10), of images, (rows, 8, 8) with ink from 0 to 16."""
        return self.out(nnx.relu(self.hidden(image.reshape(len(image), 64) / 16)))


@nnx.jit
def train_step(
    model: Classifier, optimizer: nnx.Optimizer[Classifier], batch: dict[str, Any]
) -> jax.Array:
    """Train on one batch; return its loss."""

    def loss(model: Classifier) -> jax.Array:
        scores = model(batch["image"])
        losses = optax.softmax_cross_entropy_with_integer_labels(scores, batch["label"])
        return jnp.mean(losses)

    value, gradients = nnx.value_and_grad(loss)(model)
    optimizer.update(model, gradients)
    return value


def collate(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return records as a batch of NumPy arrays; runs in the workers."""
    return {
        "image": np.stack([record["image"] for record in records]).astype(np.float32),
        "label": np.array([record["label"] for record in records], np.int32),
    }


def batches(reader: Reader) -> Iterator[dict[str, Any]]:
    """Yield the batches of all epochs, each epoch in an order of its own, made by the workers."""
    loader = torch.utils.data.DataLoader(
        reader,
        BATCH,
        shuffle=True,
        drop_last=True,
        collate_fn=collate,
        num_workers=WORKERS,
        multiprocessing_context="spawn",  # JAX has threads, which a fork would not copy
        persistent_workers=True,
        generator=torch.Generator().manual_seed(0),
    )
    for _ in range(EPOCHS):
        yield from loader


def main() -> int:
    """Train on four fifths of the digits; return 1 unless the rest is classified well."""
    digits = datarax.load("sklearn:digits", mode="lazy")
    learnt, held_out = Splitter(SplitterConfig(fractions={"train": 0.8, "test": 0.2}))(digits)
    model = Classifier(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(3e-3), wrt=nnx.Param)
    losses = [train_step(model, optimizer, batch) for batch in batches(learnt)]
    test = ReaderSource(SourceConfig(), held_out).get_batch_at(0, len(held_out))
    accuracy = float(jnp.mean(model(test["image"]).argmax(1) == test["label"]))
    print(f"{len(losses)} batches from PyTorch's workers, last loss {float(losses[-1]):.3f}")
    print(f"accuracy {accuracy:.3f} on {len(held_out)} held-out rows")
    return 0 if accuracy >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
