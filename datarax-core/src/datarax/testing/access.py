"""The contract of access: length, elements, what they hold, bounds, batches at a position."""

from __future__ import annotations

import json
from typing import Any

import jax
import numpy as np
import pytest

from datarax.registry.plugin import Capability
from datarax.testing.base import (
    ContractBase,
    Load,
    by_every_mode,
    by_mode,
    by_order,
    expected_batch,
)
from datarax.testing.known import (
    KnownDataset,
    check_batch,
    check_element,
    check_leaf,
    check_spec,
    same_host_value,
)
from datarax.testing.refusals import needs

SIZE = 3


class AccessContract(ContractBase):
    """Promises of `len`, `s[i]`, `element_spec` and `get_batch_at`."""

    @by_mode
    def test_length_is_the_number_of_records(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        assert len(load(mode=mode)) == len(dataset.records)

    @by_mode
    @by_order
    def test_element_i_is_record_i_whatever_the_order(
        self, load: Load, dataset: KnownDataset, mode: str, shuffle: bool
    ) -> None:
        source = load(mode=mode, shuffle=shuffle)
        spec = source.element_spec()
        for index, record in enumerate(dataset.records):
            check_element(source[index], record, spec)

    @by_mode
    def test_negative_indices_count_from_the_end(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        source = load(mode=mode)
        size = len(dataset.records)
        for index in (-1, -size):
            check_element(source[index], dataset.records[index], source.element_spec())

    @by_mode
    def test_an_index_out_of_range_is_an_index_error(self, load: Load, mode: str) -> None:
        source = load(mode=mode)
        for index in (len(source), -len(source) - 1):
            with pytest.raises(IndexError, match=str(index)):
                source[index]
        for wrong in ("0", 1.0, None):
            with pytest.raises(TypeError, match="integer"):
                source[wrong]

    @by_every_mode
    def test_the_spec_is_of_shape_dtype_structs_and_says_which_fields_are_arrays(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        spec = load(mode=mode).element_spec()
        check_spec(spec)
        assert set(spec) <= set(dataset.records[0])
        assert spec == load().element_spec(), "the spec depends on the mode"
        for name, leaf in spec.items():
            for record in dataset.records:
                assert np.shape(record[name]) == leaf.shape, f"{name} of {record!r}"

    @by_every_mode
    def test_every_leaf_of_elements_batches_and_scan_batches_is_as_declared(
        self, load: Load, mode: str
    ) -> None:
        source = load(mode=mode)
        spec = source.element_spec()

        def check(leaves: Any, *lead: int) -> None:
            for name, leaf in spec.items():
                check_leaf(name, leaves[name], (*lead, *leaf.shape), leaf.dtype)

        for element in source:
            check(element)
        check(next(source))
        for size, batch in zip((SIZE, SIZE), source.batches(SIZE), strict=False):
            assert set(batch) == set(spec)
            check(batch, size)
        for batch in source.batches(SIZE, remainder="pad"):
            assert set(batch) == {*spec, "valid_mask"}
            check(batch, SIZE)
            check_leaf("valid_mask", batch["valid_mask"], (SIZE,), bool)

        def step(carry: Any, batch: Any) -> Any:
            assert set(batch) == set(spec)
            for name, leaf in spec.items():
                check_traced(name, batch[name], (SIZE, *leaf.shape), leaf.dtype)
            return carry, batch

        _, ys = source.scan_epoch(step, None, batch_size=SIZE)
        check(ys, next(iter(ys.values())).shape[0], SIZE)
        if mode != "streaming":
            check(source[0])
            check(source.get_batch_at(1, SIZE), SIZE)

    @by_mode
    @by_order
    def test_a_batch_is_the_records_at_its_positions(
        self, load: Load, dataset: KnownDataset, mode: str, shuffle: bool
    ) -> None:
        source = load(mode=mode, shuffle=shuffle, seed=self.seed)
        spec, size = source.element_spec(), len(dataset.records)
        for start in (0, 1, size - 1, 3 * size + 2, 2**40 * size + 1):
            check_batch(
                source.get_batch_at(start, 4),
                expected_batch(dataset, spec, start, 4, seed=self.drawn(shuffle)),
            )

    @by_mode
    @by_order
    def test_a_batch_goes_on_into_the_epochs_that_follow(
        self, load: Load, dataset: KnownDataset, mode: str, shuffle: bool
    ) -> None:
        source = load(mode=mode, shuffle=shuffle, seed=self.seed)
        count = 2 * len(dataset.records) + 3
        check_batch(
            source.get_batch_at(2, count),
            expected_batch(dataset, source.element_spec(), 2, count, seed=self.drawn(shuffle)),
        )

    @by_mode
    def test_a_shuffled_epoch_holds_each_record_once(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        size = len(dataset.records)
        stored = sorted(_rows(load(mode=mode).get_batch_at(0, size)))
        source = load(mode=mode, shuffle=True, seed=self.seed)
        for epoch in range(3):
            assert sorted(_rows(source.get_batch_at(epoch * size, size))) == stored

    @by_mode
    def test_each_epoch_and_each_seed_has_an_order_of_its_own(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        size = len(dataset.records)
        orders = {}
        for seed in range(4):
            source = load(mode=mode, shuffle=True, seed=seed)
            for epoch in range(4):
                orders[seed, epoch] = tuple(_rows(source.get_batch_at(epoch * size, size)))
        for seed in range(4):
            assert len({orders[seed, epoch] for epoch in range(4)}) > 1, "the epoch is ignored"
        for epoch in range(4):
            assert len({orders[seed, epoch] for seed in range(4)}) > 1, "the seed is ignored"
        swapped = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
        assert any(orders[i, j] != orders[j, i] for i, j in swapped), (
            "seed and epoch are joined so that they stand for one another"
        )

    @by_mode
    def test_a_key_replaces_the_seed_when_shuffled_and_changes_nothing_when_not(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        shuffled = load(mode=mode, shuffle=True, seed=self.seed)
        spec, size = shuffled.element_spec(), len(dataset.records)
        for key in (jax.random.key(5), jax.random.PRNGKey(5)):
            check_batch(
                shuffled.get_batch_at(1, size, key=key),
                expected_batch(dataset, spec, 1, size, seed=5),
            )
        check_batch(
            load(mode=mode).get_batch_at(1, size, key=jax.random.key(5)),
            expected_batch(dataset, spec, 1, size, seed=None),
        )

    @by_mode
    @by_order
    def test_reading_at_a_position_moves_nothing(
        self, load: Load, mode: str, shuffle: bool
    ) -> None:
        source = load(mode=mode, shuffle=shuffle)
        before = json.dumps(source.get_state())
        first = source.get_batch_at(1, 3)
        source[0]
        check_batch(source.get_batch_at(1, 3), {k: np.asarray(v) for k, v in first.items()})
        assert json.dumps(source.get_state()) == before

    @by_mode
    def test_a_bad_start_size_or_key_is_refused(self, load: Load, mode: str) -> None:
        source = load(mode=mode, shuffle=True)
        refused: list[tuple[Any, Any, type[Exception]]] = [
            (-1, 2, ValueError),
            (0.5, 2, TypeError),
            ("0", 2, TypeError),
            (0, 0, ValueError),
            (0, -3, ValueError),
            (0, 1.5, TypeError),
        ]
        for start, size, error in refused:
            with pytest.raises(error, match=r"position|number of elements"):
                source.get_batch_at(start, size)
        with pytest.raises(TypeError, match="PRNG key"):
            source.get_batch_at(0, 2, key=7)

    @needs(Capability.INDEXED_ACCESS)
    def test_the_reader_hands_out_the_records_on_the_host(
        self, load: Load, dataset: KnownDataset
    ) -> None:
        source = load(mode="lazy")
        reader, size = source.reader, len(dataset.records)
        assert len(reader) == size
        together = reader.__getitems__([size - 1, 0, 0])
        for found, index in ((reader[0], 0), (reader[-1], size - 1), (together[0], size - 1)):
            assert not any(isinstance(value, jax.Array) for value in found.values())
            for name, value in dataset.records[index].items():
                assert same_host_value(found[name], value), f"{name} of record {index}"
        assert reader.__getitems__([]) == []
        for index in (size, -size - 1):
            with pytest.raises(IndexError):
                reader[index]

    @needs(Capability.INDEXED_ACCESS)
    def test_a_record_handed_out_is_the_callers_own(
        self, load: Load, dataset: KnownDataset
    ) -> None:
        for options in ({}, {"cacheable": True}):
            reader = load(mode="lazy", **options).reader
            first, second = reader[0], reader[1]
            for name, value in dataset.records[0].items():
                assert same_host_value(first[name], value), f"{name} changed as another was read"
            for record in (first, second, *reader.__getitems__([0, 0, 1])):
                for value in record.values():
                    if isinstance(value, np.ndarray) and value.flags.writeable:
                        value[...] = np.zeros_like(value)
                record.clear()
            for index in (0, 1):
                found = reader[index]
                for name, value in dataset.records[index].items():
                    assert same_host_value(found.get(name), value), f"{name} was written to"


def check_traced(name: str, found: Any, shape: tuple[int, ...], dtype: Any) -> None:
    """Assert that a traced array has this shape and dtype, and is strongly typed."""
    assert found.shape == shape, f"{name}: shape {found.shape}, declared {shape}"
    assert found.dtype == dtype, f"{name}: dtype {found.dtype}, declared {dtype}"
    assert not found.weak_type, f"{name} is weakly typed"


def _rows(batch: Any) -> list[bytes]:
    leaves = [np.asarray(batch[name]) for name in sorted(batch)]
    return [b"".join(leaf[row].tobytes() for leaf in leaves) for row in range(len(leaves[0]))]
