"""The contract of passes: iteration, `batches` and `scan_epoch` over one cursor, one order."""

from __future__ import annotations

from typing import Any

import jax
import pytest

from datarax.errors import StalePassError
from datarax.testing.base import (
    ContractBase,
    Load,
    by_every_mode,
    by_mode,
    by_order,
    expected_batch,
)
from datarax.testing.known import KnownDataset, check_batch, padded_rows, stacked

SIZE = 3
EPOCHS = 2


class PassesContract(ContractBase):
    """Promises of everything that moves the cursor."""

    @by_mode
    @by_order
    def test_iteration_delivers_each_epoch_in_order(
        self, load: Load, dataset: KnownDataset, mode: str, shuffle: bool
    ) -> None:
        source = load(mode=mode, shuffle=shuffle, seed=self.seed)
        spec, size = source.element_spec(), len(dataset.records)
        for epoch in range(EPOCHS):
            elements = list(source)
            assert len(elements) == size
            check_batch(
                stacked(elements, spec),
                expected_batch(dataset, spec, epoch * size, size, seed=self.drawn(shuffle)),
            )

    @by_mode
    @by_order
    @pytest.mark.parametrize("remainder", ["drop", "keep", "pad"])
    def test_batches_are_the_same_sequence_and_never_mix_epochs(
        self, load: Load, dataset: KnownDataset, mode: str, shuffle: bool, remainder: str
    ) -> None:
        source = load(mode=mode, shuffle=shuffle, seed=self.seed)
        spec, size = source.element_spec(), len(dataset.records)
        batches = source.batches(SIZE, epochs=EPOCHS, remainder=remainder)
        expected: list[tuple[int, int]] = []
        for epoch in range(EPOCHS):
            for offset in range(0, size, SIZE):
                count = min(SIZE, size - offset)
                if count == SIZE or remainder != "drop":
                    expected.append((epoch * size + offset, count))
        assert len(batches) == len(expected)
        delivered = list(batches)
        assert len(delivered) == len(expected)
        for batch, (start, count) in zip(delivered, expected, strict=True):
            rows = expected_batch(dataset, spec, start, count, seed=self.drawn(shuffle))
            check_batch(batch, padded_rows(rows, SIZE) if remainder == "pad" else rows)

    @by_mode
    @by_order
    def test_scan_epoch_runs_the_same_batches_in_compiled_code(
        self, load: Load, dataset: KnownDataset, mode: str, shuffle: bool
    ) -> None:
        source = load(mode=mode, shuffle=shuffle, seed=self.seed)
        spec, size = source.element_spec(), len(dataset.records)
        for epoch in range(EPOCHS):
            steps, batches = source.scan_epoch(_count_and_keep, 0, batch_size=SIZE)
            assert int(steps) == size // SIZE
            for row in range(size // SIZE):
                check_batch(
                    jax.tree.map(lambda leaf, row=row: leaf[row], batches),
                    expected_batch(
                        dataset,
                        spec,
                        epoch * size + row * SIZE,
                        SIZE,
                        seed=self.drawn(shuffle),
                    ),
                )

    @by_mode
    def test_epochs_of_plain_loops_follow_one_another(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        source = load(mode=mode, shuffle=True, seed=self.seed)
        spec, size = source.element_spec(), len(dataset.records)
        for epoch in range(3):
            if epoch == 1:  # a pass that is broken off, and begun anew by the next one
                next(source.batches(1))
            batches = list(source.batches(SIZE, remainder="keep"))
            check_batch(
                batches[0],
                expected_batch(dataset, spec, epoch * size, SIZE, seed=self.seed),
            )

    @by_every_mode
    def test_the_cursor_moves_as_batches_are_delivered(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        source = load(mode=mode)
        size = len(dataset.records)
        batches = source.batches(SIZE)
        places = []
        for _ in batches:
            cursor = source.get_state()["cursor"]
            places.append((cursor["epoch"], cursor["offset"]))
        full = size // SIZE
        assert places == [*[(0, SIZE * (i + 1)) for i in range(full - 1)], (1, 0)]

    @by_every_mode
    def test_next_goes_on_with_the_pass_or_begins_one(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        source = load(mode=mode)
        spec, size = source.element_spec(), len(dataset.records)
        iterator = iter(source)
        elements = [next(iterator), next(source), *iterator]
        check_batch(
            stacked(elements, spec),
            expected_batch(dataset, spec, 0, size, seed=None),
        )
        elements = [next(source) for _ in range(size)]
        with pytest.raises(StopIteration):
            next(source)
        assert source.get_state()["cursor"]["epoch"] == 2

    @by_every_mode
    def test_a_pass_continued_after_a_newer_one_began_is_an_error(
        self, load: Load, mode: str
    ) -> None:
        source = load(mode=mode)
        stale, stale_batches = iter(source), source.batches(SIZE)
        next(stale)
        next(stale_batches)
        with pytest.raises(StalePassError, match="clone"):
            next(stale)
        next(iter(source))
        with pytest.raises(StalePassError, match="clone"):
            next(stale_batches)

    @by_every_mode
    def test_scan_epoch_refuses_to_run_inside_jit(self, load: Load, mode: str) -> None:
        source = load(mode=mode)
        with pytest.raises(RuntimeError, match="get_batch_at"):
            jax.jit(lambda c: source.scan_epoch(_count_and_keep, c, batch_size=SIZE))(0)
        assert source.get_state()["cursor"]["epoch"] == 0

    @by_every_mode
    def test_bad_arguments_of_batches_are_refused(self, load: Load, mode: str) -> None:
        source = load(mode=mode)
        refused: list[dict[str, Any]] = [
            {"batch_size": 0},
            {"batch_size": 2, "epochs": 0},
            {"batch_size": 2, "remainder": "wrap"},
            {"batch_size": 2, "prefetch": -1},
        ]
        for arguments in refused:
            with pytest.raises(ValueError, match=r"or more|remainder"):
                source.batches(**arguments)
        with pytest.raises(TypeError, match="number of elements"):
            source.batches(2.5)


def _count_and_keep(carry: Any, batch: Any) -> Any:
    return carry + 1, batch
