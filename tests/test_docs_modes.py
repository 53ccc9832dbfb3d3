"""The table of docs/modes.md: each cell is what happens when the thing is tried."""

import copy
import json
import pickle
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

import datarax
from datarax.core import order
from datarax.sources import Reader

PAGE = Path(__file__).resolve().parents[1] / "docs" / "modes.md"
MODES = ("eager", "lazy", "streaming")
ROWS, SEED, SIZE = 23, 3, 4
DATA = {
    "x": np.arange(ROWS, dtype=np.float32),
    "text": [f"row {row}" for row in range(ROWS)],
}
STORED = list(range(ROWS))
SHUFFLED = order.indices(order.seed_words(SEED), ROWS, 0, np.arange(ROWS)).tolist()


def load(mode, **options):
    return datarax.load("memory:", data=DATA, mode=mode, **options)


def xs(batches):
    return [x for batch in batches for x in np.asarray(batch["x"]).ravel().tolist()]


def traced(transform):
    """Return the check of a way to read the batches at positions 0 and 4 inside JAX."""

    def check(mode):
        source = load(mode, shuffle=True, seed=SEED)
        return all(xs([found]) == SHUFFLED[: 2 * SIZE] for found in transform(source))

    return check


def by_jit(source):
    starts = jnp.arange(2) * SIZE
    jitted = jax.jit(lambda start: source.get_batch_at(start, SIZE))
    through_nnx = nnx.jit(lambda source, start: source.get_batch_at(start, SIZE))
    for read in (jitted, lambda start: through_nnx(source, start)):
        yield {"x": np.stack([read(start)["x"] for start in starts])}


def by_vmap(source):
    yield jax.vmap(lambda start: source.get_batch_at(start, SIZE))(jnp.arange(2) * SIZE)


def by_scan(source):
    def step(carry, start):
        return carry, source.get_batch_at(start, SIZE)

    yield jax.lax.scan(step, 0, jnp.arange(2) * SIZE)[1]
    scan = nnx.scan(step, in_axes=(nnx.Carry, 0), out_axes=(nnx.Carry, 0))
    yield scan(jnp.int32(0), jnp.arange(2) * SIZE)[1]


def remainder(kind, rows):
    def check(mode):
        batches = list(load(mode).batches(SIZE, remainder=kind))
        masks = [batch.get("valid_mask") for batch in batches]
        masked = masks[-1] is not None and masks[-1].tolist() == [True] * 3 + [False]
        return xs(batches) == rows and masked == (kind == "pad")

    return check


def shards(mode):
    mesh = jax.make_mesh((len(jax.devices()),), ("data",))
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    batches = list(load(mode).batches(SIZE, sharding=sharding))
    return xs(batches) == STORED[:20] and all(b["x"].sharding == sharding for b in batches)


def prefetches(mode):
    return all(
        xs(load(mode).batches(SIZE, remainder="keep", prefetch=ahead)) == STORED
        for ahead in (0, 1, 5)
    )


def scans(mode):
    total, ys = load(mode).scan_epoch(lambda c, b: (c + b["x"].sum(), b["x"]), 0.0, batch_size=SIZE)
    return float(total) == sum(range(20)) and ys.ravel().tolist() == STORED[:20]


def resumes(mode):
    options = {"shuffle": True, "seed": SEED}
    whole = xs(load(mode, **options).batches(SIZE, remainder="keep"))
    source = load(mode, **options)
    batches = source.batches(SIZE)
    begun = xs([next(batches), next(batches)])
    batches.close()
    restored = load(mode, **options)
    restored.set_state(json.loads(json.dumps(source.get_state())))
    return begun + xs(restored.batches(5, remainder="keep")) == whole


def is_copied(mode):
    source = load(mode)
    next(source)
    twins = [source.clone(), copy.copy(source), pickle.loads(pickle.dumps(source))]
    return all(xs(twin) == STORED[1:] for twin in twins) and float(next(source)["x"]) == 1


def selects(mode):
    only, rest = load(mode, include_keys=["x"]), load(mode, exclude_keys=["text"])
    return set(next(only)) == set(next(rest)) == {"x"}


def pads(mode):
    batch = next(load(mode, pad={"text": 8}).batches(12))
    return batch["text"].shape == (12, 8) and batch["text_length"].tolist() == [5] * 10 + [6] * 2


def has_host_values(mode):
    source = load(mode)
    return [element["text"] for element in source] == DATA["text"] and "text" in source.host_only


def is_placed(mode):
    (device,) = jax.devices()[-1:]
    return load(mode, placement=device)[0]["x"].devices() == {device}


def is_cached(mode):
    source = load(mode, cacheable=True)
    found = xs(source.batches(SIZE, remainder="keep"))
    source.reset_cache()
    return found == STORED == xs(source.batches(SIZE, remainder="keep"))


def is_map_style(mode):
    """Both loaders index, ask for several, and pickle; datarax-core/interop runs the real ones."""
    reader = load(mode).reader
    if not isinstance(reader, Reader):
        raise NotImplementedError("no reader by index")
    there = pickle.loads(pickle.dumps(reader))
    return len(there) == ROWS and [float(r["x"]) for r in there.__getitems__([5, 0])] == [5, 0]


CHECKS = {
    "`len(s)`, where the records are counted": lambda mode: len(load(mode)) == ROWS,
    "`s[i]`": lambda mode: float(load(mode, shuffle=True)[-1]["x"]) == ROWS - 1,
    "iteration, `next(s)`": lambda mode: xs(source := load(mode)) == STORED == xs(source),
    "`get_batch_at`": lambda mode: (
        xs([load(mode, shuffle=True, seed=SEED).get_batch_at(0, ROWS)]) == SHUFFLED
    ),
    "`get_batch_at` under `jit` and `nnx.jit`": traced(by_jit),
    "`get_batch_at` under `vmap`": traced(by_vmap),
    "`get_batch_at` in `lax.scan` and `nnx.scan`": traced(by_scan),
    "`batches`, remainder dropped": remainder("drop", STORED[:20]),
    "`batches`, remainder kept": remainder("keep", STORED),
    "`batches`, remainder padded and masked": remainder("pad", [*STORED, 0]),
    "`batches(sharding=…)`": shards,
    "`batches(prefetch=…)`, 0 or more": prefetches,
    "`scan_epoch`": scans,
    "full shuffle": lambda mode: xs(load(mode, shuffle=True, seed=SEED)) == SHUFFLED,
    "window shuffle, `shuffle_window=`": lambda mode: (
        sorted(found := xs(load(mode, shuffle=True, shuffle_window=5))) == STORED != found
    ),
    "exact resume, with another batch size too": resumes,
    "`s.clone()`, copies and pickles with a cursor of their own": is_copied,
    "`include_keys=`, `exclude_keys=`": selects,
    "`pad=`": pads,
    "host-only fields in elements": has_host_values,
    "`placement=`": is_placed,
    "`cacheable=True`": is_cached,
    "`s.reader` in Grain and PyTorch, with workers": is_map_style,
}


def table():
    """Return the cells of the page's table, by row and mode."""
    lines = re.findall(r"^\| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    head, *rows = ([cell.strip() for cell in line.split(" | ")] for line in lines)
    assert head == ["what", *MODES]
    return {row[0]: dict(zip(MODES, row[1:], strict=True)) for row in rows}


def works(row, mode):
    """Return whether what the row says is done; an error of the documented kinds is a refusal."""
    try:
        return CHECKS[row](mode)
    except (NotImplementedError, ValueError):
        return False


def test_every_row_of_the_table_is_checked_and_every_check_is_a_row():
    assert list(table()) == list(CHECKS)
    assert {cell for row in table().values() for cell in row.values()} == {"yes", "no"}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("row", CHECKS)
def test_a_cell_says_what_happens(row, mode):
    assert works(row, mode) == (table()[row][mode] == "yes")


@pytest.mark.parametrize(
    ("row", "mode", "text"),
    [
        ("`s[i]`", "streaming", "mode='lazy' or 'eager'"),
        ("`get_batch_at`", "streaming", "mode='lazy' or 'eager'"),
        ("window shuffle, `shuffle_window=`", "eager", "shuffle=True while streaming"),
        ("window shuffle, `shuffle_window=`", "lazy", "shuffle=True while streaming"),
        ("`placement=`", "lazy", r"batches\(sharding=\.\.\.\)"),
        ("`placement=`", "streaming", r"batches\(sharding=\.\.\.\)"),
        ("`cacheable=True`", "streaming", "mode='lazy'"),
    ],
)
def test_a_no_is_refused_with_what_to_do_instead(row, mode, text):
    with pytest.raises((NotImplementedError, ValueError), match=text):
        CHECKS[row](mode)
