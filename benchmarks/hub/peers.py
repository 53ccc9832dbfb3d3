"""The cases of `datasets`, and of torch over it."""

from __future__ import annotations

import tempfile

from hub.data import text_rows
from hub.timing import BATCH, consumed, delivered, rates


def peer(folder, form=None):
    import datasets

    held = datasets.load_dataset(
        "parquet",
        data_files=str(folder / "train.parquet"),
        split="train",
        cache_dir=str(folder / "datasets"),
    )
    return held.with_format(form) if form else held


def as_jax(batch):
    import jax.numpy as jnp
    import numpy as np

    return {name: jnp.asarray(np.asarray(values)) for name, values in batch.items()}


def datasets_epoch(folder, form):
    """Shuffled batches by index: `datasets` shuffles by a table of indices."""
    import numpy as np

    held = peer(folder, form)
    random = np.random.default_rng(0)

    def batches():
        order = random.permutation(len(held))
        for begin in range(0, len(order) - BATCH + 1, BATCH):
            batch = held[order[begin : begin + BATCH].tolist()]
            yield batch if form == "jax" else as_jax(batch)

    return rates(lambda: consumed(batches()), delivered(len(held)))


def datasets_in_order(folder, form):
    """Batches as they lie."""
    held = peer(folder, form)

    def batches():
        for batch in held.iter(BATCH, drop_last_batch=True):
            yield batch if form == "jax" else as_jax(batch)

    return rates(lambda: consumed(batches()), delivered(len(held)))


def datasets_load(folder, form):
    """Every row as jax arrays, in pieces: the jax format stacks a whole split for minutes."""
    held = peer(folder, form)

    def load():
        pieces = [batch if form == "jax" else as_jax(batch) for batch in held.iter(1000)]
        consumed(pieces)

    return rates(load, len(held))


def datasets_parse(folder):
    import datasets

    kind, name = {"E": ("csv", "train.csv"), "F": ("json", "train.jsonl")}[folder.name]

    def parse():
        with tempfile.TemporaryDirectory() as empty:
            datasets.load_dataset(
                kind, data_files=str(folder / name), split="train", cache_dir=empty
            )

    return rates(parse, text_rows(folder))


def datasets_elements(folder):
    held = peer(folder)

    def epoch():
        for _row in held:
            continue

    return rates(epoch, len(held))


def datasets_texts(folder, *, shuffled=False):
    whole = peer(folder)
    held = whole.shuffle(seed=0) if shuffled else whole

    def epoch():
        for batch in held.iter(1000):
            for text in batch["text"]:
                _row = {"text": text}

    return rates(epoch, len(held))


def torch_epoch(folder, workers):
    import numpy as np
    import torch

    held = peer(folder, "numpy")

    def collate(rows):
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    loader = torch.utils.data.DataLoader(
        held,
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        collate_fn=collate,
    )
    return rates(lambda: consumed(as_jax(batch) for batch in loader), delivered(len(held)))
