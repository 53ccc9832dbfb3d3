"""A cold process to its first shuffled batch: `hf:` beside `datasets`, everything cached.

    python benchmarks/hf_cold.py [--write docs/benchmarks-hf-cold.md] [--folder FOLDER] [--rounds 7]

The data are A, B and C of `benchmarks/hf.py`. Each process is given the time at which it was
begun, and tells how long it took from there to a batch of 128 rows as jax arrays, imports included.
What is laid out or converted was so by a process before. Importing JAX and Flax alone is a row of
its own: no source can be ahead of that.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from hub.data import make
from hub.ours import source
from hub.peers import as_jax, peer
from hub.running import medians, run, settle, versions
from hub.timing import BATCH

HEAD = """# Benchmarks: the Hub, from a cold process

Written by `python benchmarks/hf_cold.py --write docs/benchmarks-hf-cold.md`. {versions}.
Seconds from the start of a process to a shuffled batch of {batch} rows as jax arrays, imports
included, everything cached: medians of {rounds} rounds, in each of which every case runs once.
In brackets, the part of what the faster of the two forms of `datasets` takes. A, B and C are those
of [the other benchmarks](benchmarks-hf.md). Lazily, as with `datasets`, a batch is all that is
read; eagerly, the whole split is on the device then: 410 MB of B and, decoded, 390 MB of C.

"""


def ours(mode):
    def first(folder):
        import jax

        batch = next(source(folder, mode=mode, shuffle=True).batches(BATCH))
        jax.block_until_ready(batch)

    return first


def theirs(form):
    def first(folder):
        import jax

        held = peer(folder, form).shuffle(seed=0)
        batch = held[list(range(BATCH))]
        jax.block_until_ready(batch if form == "jax" else as_jax(batch))

    return first


def imports(_folder):
    import jax.numpy as jnp
    from flax import nnx  # noqa: F401

    jnp.zeros(8).block_until_ready()


CASES = {
    "importing jax and flax": imports,
    "datarax, lazy": ours("lazy"),
    "datarax, eager": ours("eager"),
    "datasets, jax": theirs("jax"),
    "datasets, numpy": theirs("numpy"),
}


def measured(name, rounds, folder):
    """Return the seconds of each case; a process of each before the first fills the caches."""

    def seconds(case):
        return run(__file__, folder, (name, case), warm=True)

    for case in CASES:
        seconds(case)
    found = medians(CASES, rounds, seconds)
    return {case: result and result["seconds"] for case, result in found.items()}


def report(rounds, folder):
    lines = ["| seconds | A | B | C |", "|---|---|---|---|"]
    found = {name: measured(name, rounds, folder) for name in "ABC"}
    for case in CASES:
        cells = []
        for results in found.values():
            taken = results[case]
            peers = [s for other, s in results.items() if other.startswith("datasets") and s]
            part = f" ({taken / min(peers):.2f})" if taken and peers else ""
            cells.append("not installed" if taken is None else f"{taken:.2f}{part}")
        lines.append(f"| {case} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, help="a Markdown file to write the table to")
    parser.add_argument("--folder", type=Path, help="where the data are kept; else a temporary one")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--case", nargs=2, metavar=("DATA", "CASE"))
    arguments = parser.parse_args()
    settle()
    if arguments.case:
        name, case = arguments.case
        CASES[case](arguments.folder / name)
        print(json.dumps({"seconds": time.time() - float(os.environ["BEGUN"])}))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).absolute()
        if not (folder / "F").exists():
            make(folder, 1.0)
        head = HEAD.format(versions=versions(), batch=BATCH, rounds=arguments.rounds)
        text = f"{head}{report(arguments.rounds, folder)}\n"
    print(text)
    if arguments.write:
        arguments.write.write_text(text)


if __name__ == "__main__":
    main()
