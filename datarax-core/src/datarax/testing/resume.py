"""The contract of state: small, checked, and gone on from exactly."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import jax.numpy as jnp
import pytest

from datarax.errors import StateMismatchError
from datarax.testing.base import SEED, ContractBase, Load, by_mode, by_order, expected_batch
from datarax.testing.known import KnownDataset, check_batch

STATE_BYTES = 2048


class ResumeContract(ContractBase):
    """Promises of `get_state`, `set_state`, `clone`, `copy` and pickling."""

    @by_mode
    @by_order
    def test_a_restored_source_goes_on_exactly_with_another_batch_size(
        self, load: Load, dataset: KnownDataset, mode: str, shuffle: bool
    ) -> None:
        source = load(mode=mode, shuffle=shuffle, seed=SEED)
        batches = source.batches(2, epochs=2)
        next(batches)
        state = json.loads(json.dumps(source.get_state()))
        restored = load(mode=mode, shuffle=shuffle, seed=SEED)
        restored.set_state(state)
        spec, size = source.element_spec(), len(dataset.records)
        rest = list(restored.batches(3, remainder="keep"))
        check_batch(
            {name: jnp.concatenate([batch[name] for batch in rest]) for name in spec},
            expected_batch(dataset, spec, 2, size - 2, shuffle=shuffle),
        )
        check_batch(
            next(iter(restored.batches(3))),
            expected_batch(dataset, spec, size, 3, shuffle=shuffle),
        )

    def test_a_state_goes_on_in_another_mode(self, load: Load, dataset: KnownDataset) -> None:
        eager, lazy = (load(mode=mode, shuffle=True, seed=SEED) for mode in ("eager", "lazy"))
        next(eager)
        lazy.set_state(eager.get_state())
        element = next(lazy)
        spec = lazy.element_spec()
        check_batch(
            {name: element[name][None] for name in spec},
            expected_batch(dataset, spec, 1, 1, shuffle=True),
        )

    @by_mode
    def test_an_iterator_of_batches_restores_its_epochs_too(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        source = load(mode=mode, shuffle=True, seed=SEED)
        batches = source.batches(2, epochs=3)
        next(batches)
        state = json.loads(json.dumps(batches.get_state()))
        left = list(batches)
        other = load(mode=mode, shuffle=True, seed=SEED).batches(2, epochs=1)
        other.set_state(state)
        assert len(other) == len(left)
        for found, expected in zip(other, left, strict=True):
            check_batch(found, {name: _host(leaf) for name, leaf in expected.items()})

    @by_mode
    def test_scan_epoch_goes_on_from_a_restored_state(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        source = load(mode=mode, shuffle=True, seed=SEED)
        next(source)
        restored = load(mode=mode, shuffle=True, seed=SEED)
        restored.set_state(source.get_state())
        spec, size = source.element_spec(), len(dataset.records)
        _, batches = restored.scan_epoch(lambda c, b: (c, b), 0, batch_size=2)
        count = (size - 1) // 2
        check_batch(
            {name: leaf.reshape(-1, *leaf.shape[2:]) for name, leaf in batches.items()},
            expected_batch(dataset, spec, 1, count * 2, shuffle=True),
        )
        assert restored.get_state()["cursor"]["epoch"] == 1

    @by_mode
    def test_a_state_is_small_and_json(self, load: Load, mode: str) -> None:
        text = json.dumps(load(mode=mode, shuffle=True).get_state())
        assert len(text.encode()) < STATE_BYTES

    @by_mode
    def test_a_state_of_something_else_is_refused_and_changes_nothing(
        self, load: Load, mode: str
    ) -> None:
        source = load(mode=mode, shuffle=True, seed=SEED)
        next(source)
        before = source.get_state()
        wrong: list[tuple[Any, str]] = [
            (load(mode=mode, shuffle=True, seed=SEED + 1).get_state(), "order"),
            (load(mode=mode).get_state(), "order"),
            ({**before, "version": 0}, "version"),
            ({key: value for key, value in before.items() if key != "cursor"}, "cursor"),
            ({**before, "cursor": {**before["cursor"], "offset": len(source)}}, "offset"),
            ({**before, "cursor": {**before["cursor"], "extra": 1}}, "extra"),
            ({}, "format"),
        ]
        for state, word in wrong:
            with pytest.raises(StateMismatchError, match=word):
                source.set_state(state)
            assert source.get_state() == before
        with pytest.raises(TypeError, match="dict"):
            source.set_state([])

    @by_mode
    @by_order
    def test_clones_and_pickles_keep_the_place_and_move_alone(
        self, load: Load, dataset: KnownDataset, mode: str, shuffle: bool
    ) -> None:
        source = load(mode=mode, shuffle=shuffle, seed=SEED)
        next(source)
        twins = [source.clone(), copy.copy(source), pickle.loads(pickle.dumps(source))]
        before = source.get_state()["cursor"]
        spec = source.element_spec()
        for twin in twins:
            element = next(twin)
            check_batch(
                {name: element[name][None] for name in spec},
                expected_batch(dataset, spec, 1, 1, shuffle=shuffle),
            )
            twin.close()
        assert source.get_state()["cursor"] == before
        next(source)

    @by_mode
    def test_a_copy_starts_afresh_with_what_was_replaced(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        source = load(mode=mode, shuffle=True, seed=SEED)
        next(source)
        copied = source.copy(name="other")
        assert copied.name == "other"
        spec = copied.element_spec()
        check_batch(
            next(iter(copied.batches(3))),
            expected_batch(dataset, spec, 0, 3, shuffle=True),
        )
        copied.close()


def _host(leaf: Any) -> Any:
    import numpy as np

    return np.asarray(leaf)
