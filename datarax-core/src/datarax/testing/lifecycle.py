"""The contract of a source's life: import, threads, processes, close, and what jit caches keep."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
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
from datarax.registry.uri import parse_uri
from datarax.testing.base import ContractBase, Load, by_mode
from datarax.testing.known import KnownDataset

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
records = [reader[index] for index in (0, len(reader) - 1)]
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
        for record, index in zip(pickle.loads(run.stdout), (0, -1), strict=True):
            for name in source.element_spec():
                np.testing.assert_array_equal(record[name], dataset.records[index][name])

    def test_eight_threads_read_the_same_records(self, load: Load, dataset: KnownDataset) -> None:
        source = load(mode="lazy")
        name = next(iter(source.element_spec()))
        indices = list(range(len(dataset.records))) * 4

        def read(index: int) -> Any:
            return source.reader[index][name]

        with ThreadPoolExecutor(8) as pool:
            for index, value in zip(indices, pool.map(read, indices), strict=True):
                np.testing.assert_array_equal(value, dataset.records[index][name])

    @by_mode
    def test_closing_twice_is_harmless_and_using_after_is_an_error(
        self, load: Load, mode: str
    ) -> None:
        source = load(mode=mode)
        batches = source.batches(2)
        next(batches)
        with source:
            source[0]
        source.close()
        uses: list[Callable[[], Any]] = [
            lambda: source[0],
            lambda: next(source),
            lambda: iter(source),
            lambda: source.batches(2),
            lambda: next(batches),
            lambda: source.reader,
            lambda: source.scan_epoch(lambda c, b: (c, None), 0, batch_size=2),
            lambda: source.get_batch_at(0, 2),
        ]
        for use in uses:
            with pytest.raises(SourceClosedError, match="closed"):
                use()

    @by_mode
    def test_a_clone_reads_on_after_the_first_is_closed(self, load: Load, mode: str) -> None:
        source = load(mode=mode)
        clone = source.clone()
        source.close()
        assert clone[0].keys()
        clone.close()
        with pytest.raises(SourceClosedError, match="closed"):
            clone[0]

    @by_mode
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
    def test_a_second_instance_works_in_the_same_nnx_jit(self, load: Load, mode: str) -> None:
        @nnx.jit
        def read(source: Any, start: Any) -> Any:
            return source.get_batch_at(start, 2)

        first, second = (read(load(mode=mode), jnp.int32(1)) for _ in range(2))
        for name, leaf in first.items():
            np.testing.assert_array_equal(leaf, second[name])

    @by_mode
    def test_split_and_merge_give_a_source_that_reads_the_same(self, load: Load, mode: str) -> None:
        source = load(mode=mode)
        merged = nnx.merge(*nnx.split(source))
        for name, leaf in source.get_batch_at(1, 2).items():
            np.testing.assert_array_equal(merged.get_batch_at(1, 2)[name], leaf)
