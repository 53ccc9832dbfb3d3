"""The contract of streaming: forward only, its own weaker order, resumed at the record.

A plugin that does not declare it must refuse the mode, naming those that it has. What holds of
every mode is tested in the other parts, in this one too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from datarax.errors import StateMismatchError
from datarax.registry.plugin import Capability
from datarax.testing.base import ContractBase, Load
from datarax.testing.known import KnownDataset, check_batch, check_element, padded_rows, rows_of
from datarax.testing.refusals import needs

SIZE = 3
WINDOW = 4


class StreamingContract(ContractBase):
    """Promises of mode "streaming", each demanded where it is declared and refused where not."""

    @needs(Capability.STREAMING)
    def test_a_stream_delivers_the_records_in_storage_order(
        self, load: Load, dataset: KnownDataset
    ) -> None:
        source = load(mode="streaming")
        spec = source.element_spec()
        for _ in range(2):
            elements = list(source)
            assert len(elements) == len(dataset.records)
            for element, record in zip(elements, dataset.records, strict=True):
                check_element(element, record, spec)

    @needs(Capability.STREAMING)
    def test_a_stream_has_no_indexed_access(self, load: Load) -> None:
        source = load(mode="streaming")
        assert not source.supports_indexed_access()
        with pytest.raises(NotImplementedError, match="lazy"):
            source.get_batch_at(0, 2)
        with pytest.raises(NotImplementedError, match="lazy"):
            source[0]

    @pytest.mark.parametrize("remainder", ["drop", "keep", "pad"])
    @needs(Capability.STREAMING)
    def test_batches_of_a_stream_are_the_same_sequence(
        self, load: Load, dataset: KnownDataset, remainder: str
    ) -> None:
        source = load(mode="streaming")
        spec, size = source.element_spec(), len(dataset.records)
        batches = list(source.batches(SIZE, epochs=2, remainder=remainder))
        starts = range(0, size - SIZE + 1 if remainder == "drop" else size, SIZE)
        assert len(batches) == 2 * len(starts)
        for batch, start in zip(batches, [*starts, *starts], strict=True):
            kept = range(start, min(size, start + SIZE))
            rows = rows_of(dataset.records, spec, kept)
            check_batch(batch, padded_rows(rows, SIZE) if remainder == "pad" else rows)

    @needs(Capability.STREAMING)
    def test_scan_epoch_of_a_stream_runs_its_full_batches(
        self, load: Load, dataset: KnownDataset
    ) -> None:
        source = load(mode="streaming")
        spec, count = source.element_spec(), len(dataset.records) // SIZE
        steps, batches = source.scan_epoch(lambda c, b: (c + 1, b), 0, batch_size=SIZE)
        assert int(steps) == count
        check_batch(
            {name: leaf.reshape(-1, *leaf.shape[2:]) for name, leaf in batches.items()},
            rows_of(dataset.records, spec, range(count * SIZE)),
        )
        assert source.get_state()["cursor"]["epoch"] == 1

    @needs(Capability.WINDOW_SHUFFLE)
    def test_a_window_shuffle_holds_each_record_once_and_is_a_function_of_seed_and_epoch(
        self, load: Load, dataset: KnownDataset
    ) -> None:
        options: dict[str, Any] = {"mode": "streaming", "shuffle": True, "shuffle_window": WINDOW}
        stored = _rows(load(mode="streaming"))
        orders = {}
        for seed in (self.seed, self.seed ^ 1, self.seed ^ 2):
            first, again = load(**options, seed=seed), load(**options, seed=seed)
            for epoch in range(3):
                rows = _rows(first)
                assert sorted(rows) == sorted(stored)
                assert rows == _rows(again)
                orders[seed, epoch] = tuple(rows)
        for key in (0, 1):
            groups: dict[int, set[Any]] = {}
            for place, rows_of_pass in orders.items():
                groups.setdefault(place[key], set()).add(rows_of_pass)
            said = "the epoch" if key == 0 else "the seed"
            assert all(len(group) > 1 for group in groups.values()), f"{said} is ignored"
        if Capability.INDEXED_ACCESS in self.capabilities:
            with pytest.raises(ValueError, match="shuffle_window"):
                load(mode="lazy", shuffle=True, shuffle_window=WINDOW)

    @needs(Capability.STREAMING)
    def test_a_stream_is_resumed_at_the_record(self, load: Load) -> None:
        self._resumes(load, {"mode": "streaming"})

    @needs(Capability.WINDOW_SHUFFLE)
    def test_a_shuffled_stream_is_resumed_at_the_record(self, load: Load) -> None:
        options = {"mode": "streaming", "shuffle": True, "seed": self.seed}
        self._resumes(load, {**options, "shuffle_window": WINDOW})
        state = load(**options, shuffle_window=WINDOW).get_state()
        for other in ({"shuffle_window": WINDOW + 1}, {"mode": "lazy"}, {"shuffle": False}):
            if other.get("mode") != "lazy" or Capability.INDEXED_ACCESS in self.capabilities:
                with pytest.raises(StateMismatchError, match="order"):
                    load(**{**options, **other}).set_state(state)

    def _resumes(self, load: Load, options: dict[str, Any]) -> None:
        first = load(**options)
        whole = [*_rows(first), *_rows(first)]
        size = len(whole) // 2
        for taken in (1, WINDOW - 1, WINDOW, size - 1, size + 1):
            source, restored = load(**options), load(**options)
            for _ in range(taken):
                next_of(source)
            restored.set_state(source.get_state())
            left = whole[taken:size] if taken < size else whole[taken:]
            assert _rows(restored) == left, f"resumed after {taken} records"
        source, restored = load(**options), load(**options)
        next(source.batches(2))
        restored.set_state(source.get_state())
        assert _batch_rows(restored.batches(3, remainder="keep")) == whole[2:size]


def next_of(source: Any) -> Any:
    """Return the next element, of the next pass where one has just ended."""
    try:
        return next(source)
    except StopIteration:
        return next(source)


def _rows(source: Any) -> list[bytes]:
    spec = source.element_spec()
    return [
        b"".join(np.asarray(element[name]).tobytes() for name in sorted(spec)) for element in source
    ]


def _batch_rows(batches: Any) -> list[bytes]:
    return [
        b"".join(np.asarray(batch[name][row]).tobytes() for name in sorted(batch))
        for batch in batches
        for row in range(len(next(iter(batch.values()))))
    ]
