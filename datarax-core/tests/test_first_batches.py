"""The first batches of eager data: there before their program is compiled, and equal to its own."""

import subprocess
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import datarax

ROWS = 1000
FIELDS = {
    "x": np.random.default_rng(0).standard_normal((ROWS, 3)).astype(np.float32),
    "flag": np.arange(ROWS) % 3 == 0,
    "half": np.arange(ROWS).astype(jnp.bfloat16),
}


def eager(names=("x", "flag"), **options):
    return datarax.load(
        "memory:", data={name: FIELDS[name] for name in names}, mode="eager", **options
    )


def compiling():
    return [thread for thread in threading.enumerate() if thread.name == "datarax-compile"]


def ran(code):
    """Run code in a process of its own; return how it ended, and what it said."""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    return run.returncode, run.stdout, run.stderr


def same(one, other):
    return (
        all(
            np.array_equal(np.asarray(one[name]), np.asarray(other[name]))
            and one[name].dtype == other[name].dtype
            for name in one
        )
        and one.keys() == other.keys()
    )


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("names", [("x", "flag"), ("x", "half")], ids=["first", "compiled"])
def test_batches_before_the_program_is_compiled_are_those_after_it(names, shuffle):
    with eager(names, shuffle=shuffle, seed=5) as source:
        before = list(source.batches(64, remainder="keep"))
        one = source.get_batch_at(ROWS - 10, 37)
    with eager(names, shuffle=shuffle, seed=5) as source:
        source.get_batch_at(0, 37)
        source.batches(64).close()  # waits for what is compiled
        assert not compiling()
        after = list(source.batches(64, remainder="keep"))
        assert same(one, source.get_batch_at(ROWS - 10, 37))
    assert len(before) == len(after) == 16
    assert all(map(same, before, after))


def test_a_first_batch_does_not_wait_for_the_compiler(monkeypatch):
    entered, may_go = threading.Event(), threading.Event()

    @jax.jit
    def slow(*_arguments):
        entered.set()
        assert may_go.wait(60)
        return jnp.zeros(())

    monkeypatch.setattr("datarax.sources.placed.gather", slow)
    source = eager(shuffle=True)
    batch = source.get_batch_at(0, 8)
    assert entered.wait(60)
    assert len(compiling()) == 1
    assert batch["x"].shape == (8, 3)
    assert source.get_batch_at(8, 8)["x"].shape == (8, 3)
    assert source.get_batch_at(8, 16)["x"].shape == (16, 3)  # compiled later: one at a time
    assert len(compiling()) == 1
    may_go.set()
    source.close()
    assert not compiling()


@pytest.mark.parametrize("what", ["batches", "source", "pass"])
def test_what_is_closed_or_ends_leaves_no_thread_behind(what):
    source = eager()
    batches = source.batches(8)
    next(batches)
    if what == "pass":
        assert len(list(batches)) == ROWS // 8 - 1
    else:
        (batches if what == "batches" else source).close()
    assert not compiling()


def test_what_the_compiler_cannot_do_is_raised_where_it_is_asked_for(monkeypatch):
    def broken(*_arguments):
        raise RuntimeError("out of memory")

    monkeypatch.setattr("datarax.sources.placed.gather", broken)
    with eager() as source:
        assert source.get_batch_at(0, 8)["x"].shape == (8, 3)
        source.batches(8).close()
        with pytest.raises(RuntimeError, match="out of memory"):
            source.get_batch_at(0, 8)


@pytest.mark.parametrize("committed", [False, True])
def test_first_batches_lie_where_the_data_does(committed):
    device = jax.devices()[0]
    with eager(placement=device if committed else None) as source:
        first = source.get_batch_at(0, 8)
        source.batches(8).close()
        later = source.get_batch_at(0, 8)
    for name, leaf in first.items():
        assert leaf.committed == later[name].committed == committed
        assert leaf.sharding == later[name].sharding
        assert leaf.weak_type == later[name].weak_type


def test_a_first_batch_inside_compiled_code_is_a_part_of_it():
    source = eager(shuffle=True)
    inside = jax.jit(lambda scale: source.get_batch_at(3, 8)["x"] * scale)(1.0)
    assert not compiling()
    assert np.array_equal(inside, source.get_batch_at(3, 8)["x"])
    source.close()


def test_a_batch_is_no_view_of_the_data():
    with eager() as source:
        batch = source.get_batch_at(0, ROWS)
        kept = np.array(batch["x"])
        doubled = jax.jit(lambda x: x * 2, donate_argnums=0)(batch["x"])
        assert np.array_equal(doubled, kept * 2)
        assert np.array_equal(source.get_batch_at(0, ROWS)["x"], kept)


def test_a_process_ends_quietly_while_its_program_is_compiled():
    code = (
        "import datarax, numpy as np\n"
        "source = datarax.load('memory:', data={'x': np.arange(9)}, mode='eager', shuffle=True)\n"
        "print(next(source.batches(3))['x'].shape)\n"
    )
    assert ran(code) == (0, "(3,)\n", "")


@pytest.mark.long
def test_a_process_waits_for_the_compiler_before_it_ends():
    """A thread that is inside the compiler as the interpreter is torn down crashes it."""
    code = (
        "import datarax, time, numpy as np\n"
        "import datarax.sources.placed as placed\n"
        "def slow(*_): time.sleep(6); print('compiled')\n"
        "placed.gather = slow\n"
        "source = datarax.load('memory:', data={'x': np.arange(9)}, mode='eager')\n"
        "next(source.batches(3))\n"
    )
    assert ran(code) == (0, "compiled\n", "")


def test_where_no_thread_can_be_started_the_program_is_compiled_when_it_is_needed(monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    source = eager(shuffle=True)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        first = source.get_batch_at(0, 8)
        assert same(first, source.get_batch_at(0, 8))
        assert len(list(source.batches(8, prefetch=0))) == ROWS // 8
    source.close()


def test_after_the_main_thread_has_ended_batches_are_there():
    code = (
        "import datarax, threading, numpy as np\n"
        "source = datarax.load('memory:', data={'x': np.arange(9)}, mode='eager')\n"
        "def late():\n"
        "    threading.main_thread().join()\n"
        "    print(source.get_batch_at(0, 3)['x'], source.get_batch_at(3, 3)['x'])\n"
        "threading.Thread(target=late).start()\n"
    )
    assert ran(code) == (0, "[0 1 2] [3 4 5]\n", "")


def test_64_bit_data_is_read_as_it_is_where_64_bit_is_off():
    wide = np.arange(10) + 2**40
    with jax.enable_x64(True):
        source = datarax.load("memory:", data={"x": wide}, mode="eager")
    first = source.get_batch_at(0, 10)["x"]
    assert first.dtype == np.int64
    assert np.array_equal(first, wide)
    source.close()


def test_data_that_was_made_numpy_is_read():
    source = eager(shuffle=True)
    graph, state = nnx.split(source)
    assert same(
        nnx.merge(graph, jax.device_get(state)).get_batch_at(0, 8), source.get_batch_at(0, 8)
    )
    source.close()


def test_batches_lie_the_same_way_from_the_first_one_on_under_a_mesh():
    mesh = jax.make_mesh((1,), ("rows",), axis_types=(jax.sharding.AxisType.Auto,))
    traces = []

    @jax.jit
    def step(batch):
        traces.append(batch)
        return batch["x"].sum()

    with jax.set_mesh(mesh), eager() as source:
        for _ in range(3):
            for batch in source.batches(8):
                step(batch)
    assert len(traces) == 1
