"""The contract of access: length, elements, what they hold, bounds, batches at a position."""

from __future__ import annotations

import json
from typing import Any

import jax
import numpy as np
import pytest

from datarax.testing.base import SEED, ContractBase, Load, by_mode, by_order, expected_batch
from datarax.testing.known import KnownDataset, check_batch, check_element


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

    @by_mode
    def test_the_spec_is_of_shape_dtype_structs_and_says_which_fields_are_arrays(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        spec = load(mode=mode).element_spec()
        assert spec
        assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in spec.values())
        assert set(spec) <= set(dataset.records[0])

    @by_mode
    @by_order
    def test_a_batch_is_the_records_at_its_positions(
        self, load: Load, dataset: KnownDataset, mode: str, shuffle: bool
    ) -> None:
        source = load(mode=mode, shuffle=shuffle, seed=SEED)
        spec, size = source.element_spec(), len(dataset.records)
        for start in (0, 1, size - 1, 3 * size + 2, 2**40 * size + 1):
            check_batch(
                source.get_batch_at(start, 4),
                expected_batch(dataset, spec, start, 4, shuffle=shuffle),
            )

    @by_mode
    @by_order
    def test_a_batch_goes_on_into_the_epochs_that_follow(
        self, load: Load, dataset: KnownDataset, mode: str, shuffle: bool
    ) -> None:
        source = load(mode=mode, shuffle=shuffle, seed=SEED)
        count = 2 * len(dataset.records) + 3
        check_batch(
            source.get_batch_at(2, count),
            expected_batch(dataset, source.element_spec(), 2, count, shuffle=shuffle),
        )

    @by_mode
    def test_a_shuffled_epoch_holds_each_record_once_and_epochs_and_seeds_differ(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        size = len(dataset.records)
        seen = set()
        for seed in (0, 1):
            source = load(mode=mode, shuffle=True, seed=seed)
            for epoch in (0, 1):
                rows = _rows(source.get_batch_at(epoch * size, size))
                assert sorted(rows) == sorted(_rows(load(mode=mode).get_batch_at(0, size)))
                seen.add(tuple(rows))
        assert len(seen) > 1, "neither seed nor epoch changes the order"

    @by_mode
    def test_a_key_replaces_the_seed_when_shuffled_and_changes_nothing_when_not(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        shuffled = load(mode=mode, shuffle=True, seed=SEED)
        spec, size = shuffled.element_spec(), len(dataset.records)
        for key in (jax.random.key(5), jax.random.PRNGKey(5)):
            check_batch(
                shuffled.get_batch_at(1, size, key=key),
                expected_batch(dataset, spec, 1, size, shuffle=True, seed=5),
            )
        check_batch(
            load(mode=mode).get_batch_at(1, size, key=jax.random.key(5)),
            expected_batch(dataset, spec, 1, size, shuffle=False),
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

    def test_the_reader_hands_out_the_records_on_the_host(
        self, load: Load, dataset: KnownDataset
    ) -> None:
        source = load(mode="lazy")
        reader, size = source.reader, len(dataset.records)
        assert len(reader) == size
        together = reader.__getitems__([size - 1, 0, 0])
        for found, index in ((reader[0], 0), (reader[-1], size - 1), (together[0], size - 1)):
            assert not any(isinstance(value, jax.Array) for value in found.values())
            for name in source.element_spec():
                np.testing.assert_array_equal(found[name], dataset.records[index][name])
        assert reader.__getitems__([]) == []
        with pytest.raises(IndexError):
            reader[size]


def _rows(batch: Any) -> list[bytes]:
    leaves = [np.asarray(batch[name]) for name in sorted(batch)]
    return [b"".join(leaf[row].tobytes() for leaf in leaves) for row in range(len(leaves[0]))]
