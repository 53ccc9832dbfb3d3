"""The contract of tracing: `get_batch_at` under jit, vmap, scan and NNX, in every indexed mode."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from datarax.registry.plugin import Capability
from datarax.testing.base import ContractBase, Load, by_mode, by_order, expected_batch
from datarax.testing.known import KnownDataset, check_batch
from datarax.testing.refusals import needs

SIZE = 3


class TracedContract(ContractBase):
    """Promises of `get_batch_at` inside compiled code."""

    @by_mode
    @needs(Capability.TRACED_ACCESS)
    @by_order
    def test_a_traced_start_gives_the_same_batch_under_jit(
        self, load: Load, dataset: KnownDataset, mode: str, shuffle: bool
    ) -> None:
        source = load(mode=mode, shuffle=shuffle, seed=self.seed)
        read = jax.jit(lambda start: source.get_batch_at(start, SIZE))
        for start in (0, len(dataset.records) - 1, 2**31 - 1):
            check_batch(
                read(jnp.int32(start)),
                expected_batch(
                    dataset, source.element_spec(), start, SIZE, seed=self.drawn(shuffle)
                ),
            )

    @by_mode
    @needs(Capability.TRACED_ACCESS)
    @by_order
    def test_vmap_over_start_gives_a_batch_for_each(
        self, load: Load, dataset: KnownDataset, mode: str, shuffle: bool
    ) -> None:
        source = load(mode=mode, shuffle=shuffle, seed=self.seed)
        starts = jnp.arange(4, dtype=jnp.int32) * 2
        batches = jax.vmap(lambda start: source.get_batch_at(start, SIZE))(starts)
        for row, start in enumerate(starts.tolist()):
            check_batch(
                jax.tree.map(lambda leaf, row=row: leaf[row], batches),
                expected_batch(
                    dataset, source.element_spec(), start, SIZE, seed=self.drawn(shuffle)
                ),
            )

    @by_mode
    @needs(Capability.TRACED_ACCESS)
    def test_vmap_over_keys_gives_an_order_for_each(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        source = load(mode=mode, shuffle=True)
        keys = jnp.stack([jax.random.PRNGKey(seed) for seed in (1, 2)])
        batches = jax.jit(jax.vmap(lambda key: source.get_batch_at(0, SIZE, key=key)))(keys)
        for row, seed in enumerate((1, 2)):
            check_batch(
                jax.tree.map(lambda leaf, row=row: leaf[row], batches),
                expected_batch(dataset, source.element_spec(), 0, SIZE, seed=seed),
            )

    @by_mode
    @needs(Capability.TRACED_ACCESS)
    @by_order
    def test_scan_over_positions_gives_the_same_batches(
        self, load: Load, dataset: KnownDataset, mode: str, shuffle: bool
    ) -> None:
        source = load(mode=mode, shuffle=shuffle, seed=self.seed)

        @nnx.jit
        def run(source: Any) -> Any:
            @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=(nnx.Carry, 0))
            def step(carry: Any, i: Any) -> Any:
                return carry + 1, source.get_batch_at(i * SIZE, SIZE)

            return step(jnp.int32(0), jnp.arange(4, dtype=jnp.int32))

        carry, batches = run(source)
        assert int(carry) == 4
        for row in range(4):
            check_batch(
                jax.tree.map(lambda leaf, row=row: leaf[row], batches),
                expected_batch(
                    dataset, source.element_spec(), row * SIZE, SIZE, seed=self.drawn(shuffle)
                ),
            )

    @by_mode
    @needs(Capability.TRACED_ACCESS)
    def test_nnx_jit_takes_a_source_and_does_not_retrace_as_its_cursor_moves(
        self, load: Load, mode: str
    ) -> None:
        source = load(mode=mode)
        traces = 0

        @nnx.jit
        def read(source: Any, start: Any) -> Any:
            nonlocal traces
            traces += 1
            return source.get_batch_at(start, SIZE)

        first = read(source, jnp.int32(0))
        next(source)
        next(source)
        again = read(source, jnp.int32(0))
        assert traces == 1
        check_batch(again, {name: np.asarray(leaf) for name, leaf in first.items()})

    @by_mode
    @needs(Capability.TRACED_ACCESS)
    def test_a_traced_start_that_is_no_integer_scalar_is_refused(
        self, load: Load, mode: str
    ) -> None:
        source = load(mode=mode)
        for start in (jnp.float32(1), jnp.arange(2)):
            with pytest.raises(TypeError, match="position"):
                jax.jit(lambda start: source.get_batch_at(start, SIZE))(start)
        with pytest.raises(TypeError, match="static"):
            jax.jit(lambda size: source.get_batch_at(0, size))(SIZE)

    @by_mode
    @needs(Capability.TRACED_ACCESS)
    def test_padded_fields_are_the_same_under_nnx_jit_as_without(
        self, load: Load, mode: str
    ) -> None:
        """The width comes in a dict in the config, which a graph definition holds."""
        fields = load(mode=mode).reader.fields
        pad = {name: 40 for name, field in fields.items() if field.ragged}

        @nnx.jit
        def read(source: Any, start: Any) -> Any:
            return source.get_batch_at(start, SIZE)

        for _ in range(2):
            source = load(mode=mode, pad=pad or None, overflow="cut")
            expected = source.get_batch_at(1, SIZE)
            batch = read(source, jnp.int32(1))
            check_batch(batch, {name: np.asarray(leaf) for name, leaf in expected.items()})
