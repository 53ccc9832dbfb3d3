"""The contract of streaming: forward only, its own weaker order, resumed at the record.

A plugin that does not declare it must refuse the mode, naming those that it has.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from datarax.registry.plugin import Capability
from datarax.testing.base import ContractBase, Load
from datarax.testing.known import KnownDataset, check_batch, check_element, rows_of
from datarax.testing.pinning import needs

SIZE = 3
WINDOW = 4


class StreamingContract(ContractBase):
    """Promises of mode "streaming", each demanded where it is declared and refused where not."""

    @property
    def _streams(self) -> bool:
        return Capability.STREAMING in self.capabilities

    def _refused(self, load: Load, **options: Any) -> None:
        with pytest.raises(ValueError, match="lazy"):
            load(mode="streaming", **options)

    @needs(Capability.STREAMING)
    def test_a_stream_delivers_the_records_in_storage_order(
        self, load: Load, dataset: KnownDataset
    ) -> None:
        if not self._streams:
            self._refused(load)
            return
        source = load(mode="streaming")
        spec = source.element_spec()
        for _ in range(2):
            elements = list(source)
            assert len(elements) == len(dataset.records)
            for element, record in zip(elements, dataset.records, strict=True):
                check_element(element, record, spec)

    @needs(Capability.STREAMING)
    def test_a_stream_has_no_indexed_access(self, load: Load) -> None:
        if not self._streams:
            self._refused(load)
            return
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
        if not self._streams:
            self._refused(load)
            return
        source = load(mode="streaming")
        spec, size = source.element_spec(), len(dataset.records)
        batches = list(source.batches(SIZE, epochs=2, remainder=remainder))
        starts = range(0, size - SIZE + 1 if remainder == "drop" else size, SIZE)
        assert len(batches) == 2 * len(starts)
        for batch, start in zip(batches, [*starts, *starts], strict=True):
            kept = range(start, min(size, start + SIZE))
            rows = rows_of(dataset.records, spec, kept)
            if remainder == "pad":
                short = SIZE - len(kept)
                rows = {
                    name: np.concatenate([r, np.zeros((short, *r.shape[1:]), r.dtype)])
                    for name, r in rows.items()
                }
                rows["valid_mask"] = np.arange(SIZE) < len(kept)
            check_batch(batch, rows)

    @needs(Capability.STREAMING)
    def test_scan_epoch_of_a_stream_runs_its_full_batches(
        self, load: Load, dataset: KnownDataset
    ) -> None:
        if not self._streams:
            self._refused(load)
            return
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
        if Capability.WINDOW_SHUFFLE not in self.capabilities:
            self._refused(load, shuffle=True)
            return
        options: dict[str, Any] = {"mode": "streaming", "shuffle": True, "shuffle_window": WINDOW}
        stored = _rows(load(mode="streaming"))
        seen = set()
        for seed in (0, 1):
            first, again = load(**options, seed=seed), load(**options, seed=seed)
            for _ in range(2):
                rows = _rows(first)
                assert sorted(rows) == sorted(stored)
                assert rows == _rows(again)
                seen.add(tuple(rows))
        assert len(seen) > 1, "neither seed nor epoch changes the order"
        with pytest.raises(ValueError, match="shuffle_window"):
            load(mode="lazy", shuffle=True, shuffle_window=WINDOW)

    @pytest.mark.parametrize("shuffle", [False, True], ids=["stored", "shuffled"])
    @needs(Capability.STREAMING)
    def test_a_stream_is_resumed_at_the_record(
        self, load: Load, dataset: KnownDataset, shuffle: bool
    ) -> None:
        declared = Capability.WINDOW_SHUFFLE if shuffle else Capability.STREAMING
        if declared not in self.capabilities:
            self._refused(load, shuffle=shuffle)
            return
        options: dict[str, Any] = {"mode": "streaming", "shuffle": shuffle}
        if shuffle:
            options["shuffle_window"] = WINDOW
        whole = _rows(load(**options))
        for taken in range(1, len(whole)):
            source, restored = load(**options), load(**options)
            for _ in range(taken):
                next(source)
            restored.set_state(source.get_state())
            assert _rows(restored) == whole[taken:]
        source, restored = load(**options), load(**options)
        next(source.batches(2))
        restored.set_state(source.get_state())
        rest = list(restored.batches(3, remainder="keep"))
        count = sum(len(next(iter(batch.values()))) for batch in rest)
        assert count == len(whole) - 2
        assert _batch_rows(rest) == whole[2:]


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
