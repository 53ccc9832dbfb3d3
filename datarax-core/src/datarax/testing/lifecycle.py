"""The contract of a source's life: import, threads, processes, close, and what jit caches keep."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from datarax.errors import SourceClosedError
from datarax.registry.catalogue import CATALOGUE
from datarax.registry.plugin import Capability
from datarax.registry.uri import parse_uri
from datarax.testing.base import ContractBase, Load, by_every_mode, by_mode
from datarax.testing.known import KnownDataset, check_element, same_host_value
from datarax.testing.refusals import needs

THREADS = 8
_IMPORT = """
import importlib, sys

def refuse(event, arguments):
    if event.startswith("socket."):
        raise RuntimeError(f"importing opened a socket: {{event}} {{arguments}}")

sys.addaudithook(refuse)
importlib.import_module({module!r})
heavy = sorted({{name.partition(".")[0] for name in sys.modules}} & {heavy!r})
assert not heavy, heavy
"""
_HEAVY = {
    "jax",
    "flax",
    "pyarrow",
    "huggingface_hub",
    "tensorflow_datasets",
    "array_record",
    "tensorflow",
    "datasets",
    "torch",
    "sklearn",
    "pandas",
    "PIL",
}
_UNPICKLE = """
import pickle, sys
reader = pickle.load(sys.stdin.buffer)
size = len(reader)
records = [reader[0], *reader.__getitems__([size - 1, 1])]
assert "jax" not in sys.modules, "reading imported jax"
sys.stdout.buffer.write(pickle.dumps(records))
"""


class LifecycleContract(ContractBase):
    """Promises about import, concurrency and the end."""

    def test_importing_the_plugin_imports_neither_jax_nor_a_backend_and_opens_no_socket(
        self, dataset: KnownDataset
    ) -> None:
        plugin = CATALOGUE.find(parse_uri(dataset.uri).scheme).plugin
        module = getattr(plugin, "__module__", None) or plugin.__name__
        run = subprocess.run(
            [sys.executable, "-c", _IMPORT.format(module=module, heavy=_HEAVY)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr

    @needs(Capability.INDEXED_ACCESS)
    def test_the_reader_travels_to_another_process_and_reads_there_without_jax(
        self, load: Load, dataset: KnownDataset
    ) -> None:
        source = load(mode="lazy")
        run = subprocess.run(
            [sys.executable, "-c", _UNPICKLE],
            input=pickle.dumps(source.reader),
            capture_output=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr.decode()
        for record, index in zip(pickle.loads(run.stdout), (0, -1, 1), strict=True):
            for name, value in dataset.records[index].items():
                assert same_host_value(record[name], value), f"{name} of record {index}"
        assert len(source.reader) == len(dataset.records), "pickling broke the reader that stays"
        assert source.reader[0].keys() == dataset.records[0].keys()

    @needs(Capability.INDEXED_ACCESS)
    def test_eight_threads_read_the_same_records(self, load: Load, dataset: KnownDataset) -> None:
        source = load(mode="lazy")
        size = len(dataset.records)
        ready = threading.Barrier(THREADS)

        def read(thread: int) -> None:
            ready.wait(10)
            for turn in range(THREADS):
                index = (thread * 3 + turn) % size
                alone = source.reader[index]
                first, second = source.reader.__getitems__([index, (index + 1) % size])
                for found, at in ((alone, index), (first, index), (second, (index + 1) % size)):
                    for name, value in dataset.records[at].items():
                        assert same_host_value(found[name], value), f"{name} of record {at}"

        with ThreadPoolExecutor(THREADS) as pool:
            for finished in [pool.submit(read, thread) for thread in range(THREADS)]:
                finished.result()

    @by_every_mode
    def test_closing_twice_is_harmless_and_using_after_is_an_error(
        self, load: Load, mode: str
    ) -> None:
        source = load(mode=mode)
        batches, elements = source.batches(2), iter(source)
        next(batches)
        with source:
            pass
        source.close()
        uses: list[Callable[[], Any]] = [
            lambda: next(source),
            lambda: iter(source),
            lambda: source.batches(2),
            lambda: next(batches),
            lambda: next(elements),
            lambda: source.reader,
            lambda: source.scan_epoch(lambda c, b: (c, None), 0, batch_size=2),
        ]
        if mode != "streaming":
            uses += [lambda: source[0], lambda: source.get_batch_at(0, 2)]
        for use in uses:
            with pytest.raises(SourceClosedError, match="closed"):
                use()

    @by_every_mode
    def test_a_clone_reads_on_after_the_first_is_closed(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        source = load(mode=mode)
        clone = source.clone()
        source.close()
        check_element(next(clone), dataset.records[0], clone.element_spec())
        clone.close()
        with pytest.raises(SourceClosedError, match="closed"):
            next(clone)

    @by_every_mode
    def test_batches_that_are_closed_leave_no_thread(self, load: Load, mode: str) -> None:
        source = load(mode=mode)
        list(source.batches(2))  # what the source keeps for as long as it lives is there now
        before = set(threading.enumerate())
        with source.batches(2, epochs=3) as batches:
            next(batches)
        for _ in source.batches(2):
            continue
        left = [thread.name for thread in threading.enumerate() if thread not in before]
        assert not left, "threads are left"

    @by_mode
    @needs(Capability.TRACED_ACCESS)
    def test_jit_caches_keep_no_deleted_source_alive(self, load: Load, mode: str) -> None:
        source = load(mode=mode)

        @nnx.jit
        def read(source: Any, start: Any) -> Any:
            return source.get_batch_at(start, 2)

        read(source, jnp.int32(0))
        copied = source.clone()
        read(copied, jnp.int32(0))
        host: Any = weakref.ref(copied._host)
        del copied
        gc.collect()
        assert host() is None

    @by_mode
    @needs(Capability.TRACED_ACCESS)
    def test_a_second_instance_and_a_dict_in_its_config_work_in_the_same_nnx_jit(
        self, load: Load, mode: str
    ) -> None:
        @nnx.jit
        def read(source: Any, start: Any) -> Any:
            return source.get_batch_at(start, 2)

        sources = [load(mode=mode, precomputed_stats={"of": {"mean": [0.5]}}) for _ in range(2)]
        first, second = (read(source, jnp.int32(1)) for source in sources)
        assert all(hash(nnx.split(source)[0]) for source in sources)
        for name, leaf in first.items():
            np.testing.assert_array_equal(leaf, second[name])

    @by_mode
    def test_split_and_merge_give_a_source_that_reads_the_same(self, load: Load, mode: str) -> None:
        source = load(mode=mode)
        merged = nnx.merge(*nnx.split(source))
        for name, leaf in source.get_batch_at(1, 2).items():
            np.testing.assert_array_equal(merged.get_batch_at(1, 2)[name], leaf)
