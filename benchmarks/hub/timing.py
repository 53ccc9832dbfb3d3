"""Rows per second, and what an epoch delivers."""

from __future__ import annotations

import statistics
import time
from collections import deque

BATCH = 128

REPEATS = 3

ENOUGH_SECONDS = 60


def rates(epoch, rows):
    """Return the rows per second of the first epoch, of the median of those after, and of all."""
    times = []
    for _ in range(REPEATS + 1):
        begin = time.perf_counter()
        epoch()
        times.append(time.perf_counter() - begin)
        if len(times) > 1 and sum(times) > ENOUGH_SECONDS:
            break
    return {
        "first": rows / times[0],
        "rate": rows / statistics.median(times[1:]),
        "all": rows * len(times) / sum(times),
    }


def delivered(rows):
    """Return how many of an epoch's rows come in whole batches."""
    return rows - rows % BATCH


def consumed(batches):
    """Take every batch, and wait for the last one."""
    import jax

    last = deque(batches, maxlen=1)
    jax.block_until_ready(last[0])
