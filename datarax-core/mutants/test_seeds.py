"""The correct source keeps what hangs on the seed, over a hundred seeds and as many datasets."""

import numpy as np
import pytest

from datarax.testing import SourceContract
from mutants.shelf import EVERYTHING

ROUNDS = 100
SIZES = (5, 13, 32, 50)
"""Few of them, since an eager source compiles for each."""


class TestOverSeeds(SourceContract):
    """A seed for each round, and records drawn anew."""

    capabilities = EVERYTHING
    only = (
        "test_a_batch_is_the_records_at_its_positions[shuffled-eager]",
        "test_a_batch_is_the_records_at_its_positions[shuffled-lazy]",
        "test_a_batch_goes_on_into_the_epochs_that_follow[shuffled-lazy]",
        "test_a_shuffled_epoch_holds_each_record_once[eager]",
        "test_a_shuffled_epoch_holds_each_record_once[lazy]",
        "test_each_epoch_and_each_seed_has_an_order_of_its_own[lazy]",
        "test_a_key_replaces_the_seed_when_shuffled_and_changes_nothing_when_not[lazy]",
        "test_reading_at_a_position_moves_nothing[shuffled-lazy]",
        "test_iteration_delivers_each_epoch_in_order[shuffled-eager]",
        "test_iteration_delivers_each_epoch_in_order[shuffled-lazy]",
        "test_batches_are_the_same_sequence_and_never_mix_epochs[keep-shuffled-lazy]",
        "test_epochs_of_plain_loops_follow_one_another[lazy]",
        "test_a_restored_source_goes_on_exactly_with_another_batch_size[shuffled-lazy]",
        "test_an_iterator_of_batches_restores_its_epochs_too[lazy]",
        "test_clones_and_pickles_keep_the_place_and_move_alone[shuffled-lazy]",
        "test_a_copy_starts_afresh_with_what_was_replaced[lazy]",
        "test_a_window_shuffle_holds_each_record_once_and_is_a_function_of_seed_and_epoch",
        "test_a_shuffled_stream_is_resumed_at_the_record",
    )

    @pytest.fixture(params=range(ROUNDS), ids=lambda number: f"round{number}")
    def dataset(self, shelf, request):
        rng = np.random.default_rng(request.param)
        self.seed = int(rng.integers(2**32))
        return shelf(
            [
                {
                    "image": rng.integers(0, 256, (2, 3), dtype=np.uint8),
                    "label": rng.integers(-(2**31), 2**31),
                    "weight": rng.standard_normal(),
                    "text": "abcdefgh"[: rng.integers(9)],
                }
                for _ in range(SIZES[request.param % len(SIZES)])
            ]
        )
