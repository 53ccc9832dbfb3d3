"""The contract of state: small, checked, and gone on from exactly."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from datarax.errors import StateMismatchError
from datarax.registry.plugin import Capability
from datarax.testing.base import (
    ContractBase,
    Load,
    by_every_mode,
    by_mode,
    by_order,
    expected_batch,
)
from datarax.testing.known import KnownDataset, check_batch, stacked
from datarax.testing.refusals import needs

STATE_BYTES = 2048
GROWTH = 128
"""Bytes by which fingerprints may differ: the digits of N and the text of the split."""


class ResumeContract(ContractBase):
    """Promises of `get_state`, `set_state`, `clone`, `copy` and pickling."""

    @by_mode
    @by_order
    @needs(Capability.EXACT_RESUME)
    def test_a_restored_source_goes_on_exactly_with_another_batch_size(
        self, load: Load, dataset: KnownDataset, mode: str, shuffle: bool
    ) -> None:
        source = load(mode=mode, shuffle=shuffle, seed=self.seed)
        batches = source.batches(2, epochs=2)
        next(batches)
        state = json.loads(json.dumps(source.get_state()))
        restored = load(mode=mode, shuffle=shuffle, seed=self.seed)
        restored.set_state(state)
        spec, size = source.element_spec(), len(dataset.records)
        rest = list(restored.batches(3, remainder="keep"))
        check_batch(
            {name: jnp.concatenate([batch[name] for batch in rest]) for name in spec},
            expected_batch(dataset, spec, 2, size - 2, seed=self.drawn(shuffle)),
        )
        check_batch(
            next(iter(restored.batches(3))),
            expected_batch(dataset, spec, size, 3, seed=self.drawn(shuffle)),
        )

    @by_mode
    @needs(Capability.EXACT_RESUME)
    def test_a_state_goes_on_in_another_mode(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        other = "lazy" if mode == "eager" else "eager"
        pairs = [(other, True)]
        if Capability.STREAMING in self.capabilities:
            pairs.append(("streaming", False))  # shuffled, its order is another one
        for other, shuffle in pairs:
            source, restored = (
                load(mode=each, shuffle=shuffle, seed=self.seed) for each in (mode, other)
            )
            next(source)
            restored.set_state(source.get_state())
            spec = restored.element_spec()
            check_batch(
                stacked([next(restored)], spec),
                expected_batch(dataset, spec, 1, 1, seed=self.drawn(shuffle)),
            )

    @by_mode
    @needs(Capability.EXACT_RESUME)
    def test_an_iterator_of_batches_restores_its_epochs_too(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        source = load(mode=mode, shuffle=True, seed=self.seed)
        batches = source.batches(2, epochs=3)
        next(batches)
        state = json.loads(json.dumps(batches.get_state()))
        left = list(batches)
        other = load(mode=mode, shuffle=True, seed=self.seed).batches(2, epochs=1)
        other.set_state(state)
        assert len(other) == len(left)
        for found, expected in zip(other, left, strict=True):
            check_batch(found, _on_host(expected))

    @by_mode
    @needs(Capability.EXACT_RESUME)
    def test_scan_epoch_goes_on_from_a_restored_state(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        source = load(mode=mode, shuffle=True, seed=self.seed)
        next(source)
        restored = load(mode=mode, shuffle=True, seed=self.seed)
        restored.set_state(source.get_state())
        spec, size = source.element_spec(), len(dataset.records)
        _, batches = restored.scan_epoch(lambda c, b: (c, b), 0, batch_size=2)
        count = (size - 1) // 2
        check_batch(
            {name: leaf.reshape(-1, *leaf.shape[2:]) for name, leaf in batches.items()},
            expected_batch(dataset, spec, 1, count * 2, seed=self.seed),
        )
        assert restored.get_state()["cursor"]["epoch"] == 1

    @by_every_mode
    def test_a_state_is_small_json_and_holds_no_data(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        source = load(mode=mode)
        next(source)
        state = source.get_state()
        assert json.loads(_text(state)) == state, "the state is not what JSON gives back"
        assert len(_text(state).encode()) < STATE_BYTES
        whole, single = (
            load(mode=mode, **options).get_state()
            for options in ({}, {"split": dataset.split_of(1)})
        )
        sizes = [len(_text(each.pop("fingerprint", None))) for each in (whole, single)]
        assert whole == single, "a state depends on the records, of which it was to hold none"
        assert abs(sizes[0] - sizes[1]) < GROWTH, "a state's fingerprint grows with the records"

    @by_mode
    @needs(Capability.EXACT_RESUME)
    def test_a_state_of_something_else_is_refused_and_changes_nothing(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        source = load(mode=mode, shuffle=True, seed=self.seed)
        next(source)
        before = source.get_state()
        wrong: list[tuple[Any, str]] = [
            (load(mode=mode, shuffle=True, seed=self.seed ^ 1).get_state(), "order"),
            (load(mode=mode).get_state(), "order"),
            ({**before, "version": 0}, "version"),
            ({key: value for key, value in before.items() if key != "cursor"}, "cursor"),
            ({**before, "cursor": {**before["cursor"], "offset": len(dataset.records)}}, "offset"),
            ({**before, "cursor": {**before["cursor"], "epoch": -1}}, "epoch"),
            ({**before, "fingerprint": {**before["fingerprint"], "records": 3}}, "records"),
            ({**before, "cursor": {**before["cursor"], "extra": 1}}, "extra"),
            ({}, "format"),
        ]
        for state, word in wrong:
            with pytest.raises(StateMismatchError, match=word):
                source.set_state(state)
            assert source.get_state() == before
        with pytest.raises(TypeError, match="dict"):
            source.set_state([])

    @by_every_mode
    @by_order
    @needs(Capability.EXACT_RESUME)
    def test_clones_and_pickles_keep_the_place_and_move_alone(
        self, load: Load, mode: str, shuffle: bool
    ) -> None:
        source = load(mode=mode, shuffle=shuffle, seed=self.seed)
        spec = source.element_spec()
        third = stacked(list(source)[2:3], spec)
        source = load(mode=mode, shuffle=shuffle, seed=self.seed)
        next(source)
        next(source)
        before = source.get_state()["cursor"]
        twins = [source.clone(), copy.copy(source), pickle.loads(pickle.dumps(source))]
        for twin in twins:
            check_batch(stacked([next(twin)], spec), _on_host(third))
            twin.close()
        assert source.get_state()["cursor"] == before, "a twin moved the cursor of the first"
        check_batch(stacked([next(source)], spec), _on_host(third))

    @by_mode
    def test_a_copy_starts_afresh_with_what_was_replaced(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        source = load(mode=mode, shuffle=True, seed=self.seed)
        next(source)
        copied = source.copy(name="other")
        assert copied.name == "other"
        spec = copied.element_spec()
        check_batch(
            next(iter(copied.batches(3))),
            expected_batch(dataset, spec, 0, 3, seed=self.seed),
        )
        copied.close()


def _on_host(batch: Any) -> dict[str, Any]:
    return {name: np.asarray(leaf) for name, leaf in batch.items()}


def _text(state: Any) -> str:
    try:
        return json.dumps(state)
    except (TypeError, ValueError) as error:
        pytest.fail(f"the state is not JSON: {error}")
