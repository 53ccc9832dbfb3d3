"""The speed of the spine: what datarax adds between memory and a training step, beside its peers.

    python benchmarks/spine.py [--write docs/benchmarks.md]

Every case runs in a process of its own, five epochs after one to warm up, and the median counts;
three such processes, a round of all cases apart, and the middle one counts. The slowest run once.
All cases read the same arrays: A, 60,000 rows of uint8[28, 28] and an id; B, 200,000 rows of
int32[512] and an id; batches of 128, shuffled. Each checks that an epoch delivered no row twice.
The limit is a NumPy gather and `jnp.asarray` of the same rows, the order being given. Peers that
are not installed are named as such.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

BATCH = 128
REPEATS = 5
ROUNDS = 3
LONG_SECONDS = 25
DATA = {"A": (60_000, (28, 28), "uint8"), "B": (200_000, (512,), "int32")}
BASE = 2**30 - 1


def arrays(name):
    import numpy as np

    rows, shape, dtype = DATA[name]
    values = np.random.default_rng(0).integers(0, 255, (rows, *shape)).astype(dtype)
    return {"x": values, "id": np.arange(rows, dtype=np.int32)}


def measured(epoch, rows, *, ids=True):
    """Return rows per second: the median of five epochs, the first of which is checked."""
    import numpy as np

    seen = epoch()
    if ids:
        seen = np.concatenate([np.asarray(part).ravel() for part in seen])
        assert len(set(seen.tolist())) == len(seen) >= rows - BATCH, "a row was delivered twice"
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        epoch()
        times.append(time.perf_counter() - begin)
    return rows / statistics.median(times)


def looped(batches):
    """Return the ids of every batch, after the last one has arrived."""
    import jax

    ids, batch = [], None
    for batch in batches:
        ids.append(batch["id"])
    jax.block_until_ready(batch)
    return ids


def source(name, mode):
    from datarax.sources import MemorySource, MemorySourceConfig

    return MemorySource(MemorySourceConfig(shuffle=True, mode=mode), arrays(name))


def limit(name):
    import jax.numpy as jnp
    import numpy as np

    data = arrays(name)
    rows = len(data["id"])
    order = np.random.default_rng(1).permutation(rows)

    def batches():
        for begin in range(0, rows - BATCH + 1, BATCH):
            index = order[begin : begin + BATCH]
            yield {key: jnp.asarray(column[index]) for key, column in data.items()}

    return measured(lambda: looped(batches()), rows)


def batches_of(name, mode):
    held = source(name, mode)
    return measured(lambda: looped(held.batches(BATCH)), len(held))


def step(carry, batch):
    """A step that reads the whole batch, as a training step does."""
    import jax.numpy as jnp

    return carry + batch["x"].astype(jnp.int32).sum(), batch["id"]


def batches_and_step(name, mode):
    """The work of `scan_epoch` as a Python loop: the step, compiled, on each batch."""
    import jax
    import jax.numpy as jnp

    held, compiled = source(name, mode), jax.jit(step)

    def epoch():
        carry, ids = jnp.int32(0), []
        for batch in held.batches(BATCH):
            carry, y = compiled(carry, batch)
            ids.append(y)
        jax.block_until_ready(carry)
        return ids

    return measured(epoch, len(held))


def only_ids(carry, batch):
    """A step that computes nothing: its pass only delivers."""
    return carry, batch["id"]


def scan_epoch(name, mode, of=step):
    import jax
    import jax.numpy as jnp

    held = source(name, mode)

    def epoch():
        _, ids = held.scan_epoch(of, jnp.int32(0), batch_size=BATCH)
        return [jax.block_until_ready(ids)]

    return measured(epoch, len(held))


def hand_written_scan(name):
    import jax
    import jax.numpy as jnp
    import numpy as np

    data = {key: jnp.asarray(column) for key, column in arrays(name).items()}
    rows = len(data["id"])
    order = np.random.default_rng(1).permutation(rows)[: rows // BATCH * BATCH]
    index = jnp.asarray(order.reshape(-1, BATCH).astype(np.int32))

    @jax.jit
    def run(data, index):
        def body(carry, i):
            taken = {k: v.at[i].get(mode="promise_in_bounds") for k, v in data.items()}
            return step(carry, taken)

        return jax.lax.scan(body, jnp.int32(0), index)

    return measured(lambda: [jax.block_until_ready(run(data, index)[1])], rows)


def callback_per_batch(name):
    import jax
    import jax.numpy as jnp

    held = source(name, "lazy")
    steps = len(held) // BATCH

    @jax.jit
    def run(epoch):
        def body(carry, i):
            return step(carry, held.get_batch_at(i * BATCH, BATCH, key=epoch))

        return jax.lax.scan(body, jnp.int32(0), jnp.arange(steps, dtype=jnp.int32))

    return measured(lambda: [jax.block_until_ready(run(jax.random.key(0))[1])], len(held))


def elements(name, host_only):
    from datarax.sources import MemorySource, MemorySourceConfig

    rows = 20_000
    data = (
        {"text": [f"row {row}" for row in range(200_000)]}
        if host_only
        else {key: column[:rows] for key, column in arrays(name).items()}
    )
    held = MemorySource(MemorySourceConfig(shuffle=True), data)

    def epoch():
        for _element in held:
            continue

    return measured(epoch, len(held), ids=False)


def order_in_scan(size):
    """Return microseconds for 128 indices inside a scan."""
    import jax
    import jax.numpy as jnp

    from datarax.core import order

    steps = 20_000

    @jax.jit
    def run(words, epoch):
        keys = order.round_keys(jnp, [words[0], words[1]], size, epoch, jnp.uint32(0))

        def body(total, i):
            offsets = i * jnp.uint32(BATCH) + jnp.arange(BATCH, dtype=jnp.uint32)
            return total + order.traced_indices(keys, size, offsets).sum(), None

        return jax.lax.scan(body, jnp.int32(0), jnp.arange(steps, dtype=jnp.uint32))[0]

    words = jnp.asarray(order.seed_words(3))
    rate = measured(lambda: jax.block_until_ready(run(words, jnp.uint32(1))), steps, ids=False)
    return 1e6 / rate


def order_on_host(size):
    """Return microseconds for 128 indices on the host, in pieces of 32 batches."""
    import numpy as np

    from datarax.core import order

    words, span = order.seed_words(3), np.arange(32 * BATCH)

    def epoch():
        for piece in range(50):
            order.indices(words, size, piece // 25, span + piece * len(span))

    return 1e6 / measured(epoch, 50 * 32, ids=False)


def import_cost(module):
    """Return milliseconds that an import adds to bare Python."""

    def run(code):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - begin

    pairs = [(run(f"import {module}"), run("pass")) for _ in range(7)]
    return 1e3 * statistics.median(first - second for first, second in pairs)


def grain_batches(name):
    import grain
    import jax.numpy as jnp

    data = arrays(name)

    class Rows:
        def __len__(self):
            return len(data["id"])

        def __getitem__(self, index):
            return {key: column[index] for key, column in data.items()}

    def epoch():
        loader = grain.MapDataset.source(Rows()).shuffle(seed=0).batch(BATCH, drop_remainder=True)
        return looped({k: jnp.asarray(v) for k, v in b.items()} for b in loader.to_iter_dataset())

    return measured(epoch, len(data["id"]))


def torch_batches(name):
    import jax.numpy as jnp
    import torch

    data = arrays(name)

    class Rows(torch.utils.data.Dataset):
        def __len__(self):
            return len(data["id"])

        def __getitems__(self, indices):
            return {key: column[indices] for key, column in data.items()}

    loader = torch.utils.data.DataLoader(
        Rows(), batch_size=BATCH, shuffle=True, drop_last=True, collate_fn=lambda batch: batch
    )
    return measured(
        lambda: looped({k: jnp.asarray(v) for k, v in batch.items()} for batch in loader),
        len(data["id"]),
    )


def jax_dataloader_batches(name):
    import jax_dataloader as jdl

    data = arrays(name)
    loader = jdl.DataLoader(
        jdl.ArrayDataset(data["x"], data["id"]),
        "jax",
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
    )
    return measured(lambda: looped({"x": x, "id": i} for x, i in loader), len(data["id"]))


PEERS = {"grain": grain_batches, "torch": torch_batches, "jax-dataloader": jax_dataloader_batches}
CASES = {
    "limit": limit,
    "eager batches": lambda name: batches_of(name, "eager"),
    "lazy batches": lambda name: batches_of(name, "lazy"),
    "eager batches, a step each": lambda name: batches_and_step(name, "eager"),
    "lazy batches, a step each": lambda name: batches_and_step(name, "lazy"),
    "hand-written scan": hand_written_scan,
    "eager scan_epoch": lambda name: scan_epoch(name, "eager"),
    "lazy scan_epoch": lambda name: scan_epoch(name, "lazy"),
    "lazy scan_epoch, no step": lambda name: scan_epoch(name, "lazy", only_ids),
    "callback per batch": callback_per_batch,
    **PEERS,
}
SINGLE = {
    "order in a scan, N = 10^9": lambda _: order_in_scan(10**9),
    "order in a scan, N = 2^30 - 1": lambda _: order_in_scan(BASE),
    "order in a scan, worst N below 2^30": lambda _: order_in_scan(worst_size()),
    "order on the host, N = 10^9": lambda _: order_on_host(10**9),
    "order on the host, worst N below 2^30": lambda _: order_on_host(worst_size()),
    "elements with arrays": lambda name: elements(name, host_only=False),
    "elements, host-only": lambda name: elements(name, host_only=True),
    "import datarax": lambda _: import_cost("datarax"),
}


def worst_size():
    """Return the N below 2**30 of which the network walks the most: least of its square."""
    from datarax.core.order import _sides

    def waste(size):
        a, b = _sides(size)
        return (a * b - size) / size

    side = 2**15
    return max((a * (a - 1) + 1 for a in range(side - 64, side)), key=waste)


def run(case, name):
    command = [sys.executable, __file__, "--case", case, "--data", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        if "ModuleNotFoundError" in done.stderr:
            return None
        raise SystemExit(f"{case} on {name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def rounds(wanted):
    """Return the middle one of three measurements of each case, taken a whole round apart.

    So that what else the machine does for a while falls on one of them. Cases of which one takes
    more than `LONG_SECONDS` are measured once.
    """
    found = {case: [] for case in wanted}
    long = set()
    for _ in range(ROUNDS):
        for case in wanted:
            if case in long:
                continue
            begin = time.monotonic()
            found[case].append(run(*case))
            if time.monotonic() - begin > LONG_SECONDS or found[case] == [None]:
                long.add(case)
    return {
        case: None if values == [None] else statistics.median(values)
        for case, values in found.items()
    }


def table():
    wanted = [*((case, name) for name in DATA for case in CASES), *((case, "A") for case in SINGLE)]
    middle = rounds(wanted)
    rates = {name: {case: middle[case, name] for case in CASES} for name in DATA}
    single = {case: middle[case, "A"] for case in SINGLE}
    lines = ["| rows per second | A | of the limit | B | of the limit |", "|---|---|---|---|---|"]
    for case in CASES:
        cells = []
        for name in DATA:
            rate = rates[name][case]
            if rate is None:
                cells += ["not installed", ""]
            else:
                cells += [f"{rate:,.0f}", f"{rate / rates[name]['limit']:.2f}"]
        lines.append(f"| {case} | {' | '.join(cells)} |")
    lines += ["", "| against the hand-written scan | A | B |", "|---|---|---|"]
    for case in (
        "eager scan_epoch",
        "lazy scan_epoch",
        "eager batches, a step each",
        "lazy batches, a step each",
        "callback per batch",
    ):
        ratios = [f"{rates[n][case] / rates[n]['hand-written scan']:.2f}" for n in DATA]
        lines.append(f"| {case} | {' | '.join(ratios)} |")
    lines += ["", "| alone | |", "|---|---|"]
    for case, value in single.items():
        unit = "ms" if "import" in case else "elements/s" if "elements" in case else "µs for 128"
        lines.append(f"| {case} | {value:,.{0 if value > 1000 else 2}f} {unit} |")
    return "\n".join(lines)


def versions():
    names = ("datarax-core", "jax", "flax", "numpy", "grain", "torch", "jax-dataloader")
    found = []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"Python {platform.python_version()}, {cores} cores, CPU; " + ", ".join(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case")
    parser.add_argument("--data", default="A", choices=DATA)
    parser.add_argument("--write", type=Path, help="a Markdown file to write the tables to")
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps({**CASES, **SINGLE}[arguments.case](arguments.data)))
        return
    text = (
        "# Benchmarks: the spine\n\n"
        f"Written by `python benchmarks/spine.py --write docs/benchmarks.md`. {versions()}.\n"
        "Ratios are what to remember: absolute figures hold for one machine. A: 60,000 rows of\n"
        "uint8[28, 28] and an id; B: 200,000 rows of int32[512] and an id; batches of 128, every\n"
        "epoch shuffled and checked to deliver no row twice; medians of five epochs, and of\n"
        "three fresh processes, each a round of all cases apart (the slowest cases run once).\n"
        "The limit is a NumPy gather and `jnp.asarray` of the same rows. A scan,\n"
        "a callback and `a step each` also compute a step that reads the whole batch; the other\n"
        "rows, and `no step`, only deliver it.\n\n"
        f"{table()}\n"
    )
    print(text)
    if arguments.write:
        arguments.write.write_text(text)


if __name__ == "__main__":
    main()
