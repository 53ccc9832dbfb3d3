"""The cases of datarax."""

from __future__ import annotations

import shutil
import tempfile

from hub.data import records, text_rows
from hub.memory import AnonymousPeak
from hub.timing import BATCH, consumed, delivered, rates


def source(folder, **options):
    from datarax_hf import HFSource, HFSourceConfig

    return HFSource(HFSourceConfig(name=str(folder), local_files_only=True, **options))


def our_load(folder, **options):
    import jax

    import datarax_hf.source  # noqa: F401  # no case counts imports, but those of a cold process

    def load():
        loaded = source(folder, mode="eager", **options)
        jax.block_until_ready(loaded.get_batch_at(0, 1))
        loaded.close()

    return rates(load, records(folder))


def our_epoch(folder, mode, *, shuffled=True):
    import datarax_hf.source  # noqa: F401  # as above

    opened = []

    def epoch():
        if not opened:
            opened.append(source(folder, mode=mode, shuffle=shuffled))
        consumed(opened[0].batches(BATCH))

    return rates(epoch, delivered(records(folder)))


def our_elements(folder):
    opened = source(folder, mode="lazy")

    def epoch():
        for _element in opened:
            continue

    return rates(epoch, records(folder))


def our_texts(folder, *, shuffled=False):
    import numpy as np

    opened = source(folder, mode="lazy")
    count = records(folder)
    order = np.random.default_rng(0).permutation(count) if shuffled else np.arange(count)

    def epoch():
        for begin in range(0, count, 1000):
            for text in opened.reader.read(order[begin : begin + 1000], ["text"])["text"]:
                _row = {"text": text}

    return rates(epoch, count)


def our_parse(folder):
    import datarax_hf.source  # noqa: F401  # as above

    def parse():
        with tempfile.TemporaryDirectory() as empty:
            source(folder, mode="lazy", derived_dir=empty).close()

    return rates(parse, text_rows(folder))


def our_peak(folder):
    import jax.numpy as jnp

    import datarax_hf.source  # noqa: F401  # imports are what the peak is counted from

    jnp.zeros(8).block_until_ready()
    before = AnonymousPeak.now()
    with AnonymousPeak() as memory:
        consumed(
            source(folder, mode="lazy", shuffle=True, derived_dir=folder / "new").batches(BATCH)
        )
        consumed(source(folder, mode="lazy").batches(BATCH))
    shutil.rmtree(folder / "new", ignore_errors=True)
    return {"peak": (memory.peak - before) / 2**20}
