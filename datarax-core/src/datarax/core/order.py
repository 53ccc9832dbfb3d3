"""The one order: (seed or key, N, epoch, offset) to the index of a stored record.

Every access path calls this module: `get_batch_at`, iteration, `batches`, `scan_epoch`, the
samplers. Order is storage order, or for each epoch a bijection of [0, N) that is never
materialised: a Feistel network over Z_a x Z_b, a about sqrt(N) and even, b = ceil(N / a), its
halves joined by addition modulo a or b, cycle-walking where the result is not below N. Since
a * b - N < a, about one index in sqrt(N) walks at the most, at any N; and a is chosen to leave
next to none.

The same arithmetic runs in NumPy and under JAX tracing and gives the same numbers: 32-bit unsigned
throughout, with 64 bits only on the host and only where N needs them (N >= 2**31, which tracing
refuses). Feistel networks over Z_a x Z_b and cycle walking: Black and Rogaway, "Ciphers with
Arbitrary Finite Domains", CT-RSA 2002. The round function's mixer: the 32-bit finalizers of
C. Wellons's hash-prospector and of MurmurHash3.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ORDER_VERSION = 1
TRACED_LIMIT = 2**31
SIDES_TRIED = 64

EPOCHS_ALONE = 4
"""Runs over more epochs than these have the keys of all hashed at once, on the host."""

POSITIONS_AT_ONCE = 2**14

Words = NDArray[np.uint32]
"""What an order is drawn from: uint32 words, (0, seed) or a PRNG key's data."""


def seed_words(seed: int) -> Words:
    """Return the words of a seed in [0, 2**32): those of `jax.random.key(seed)` (threefry)."""
    return np.array([0, seed], np.uint32)


def indices(words: Words, size: int, epoch: int, offsets: NDArray[np.integer[Any]]) -> Any:
    """Return the shuffled indices at `offsets` of one epoch, on the host.

    Args:
        words: uint32[k], what the order is drawn from.
        size: N, the number of records, at least 1.
        epoch: The epoch, 0 or more, of any magnitude below 2**64.
        offsets: Integers in [0, N), of any shape.

    Returns:
        int64 indices in [0, N), of the shape of `offsets`; a bijection over the epoch.
    """
    wide = size >= TRACED_LIMIT
    kind = np.uint64 if wide else np.uint32
    keys = _host_keys(tuple(np.asarray(words, np.uint32).tolist()), size, epoch)
    x = np.asarray(offsets).astype(kind).reshape(-1)
    y = _permute(np, keys, size, x)
    while (outside := np.flatnonzero(y >= size)).size:
        y[outside] = _permute(np, keys, size, y[outside])
    return y.astype(np.int64).reshape(np.shape(offsets))


def positions(words: Words | None, size: int, epoch: int, offset: int, count: int) -> Any:
    """Return the indices of `count` positions from (epoch, offset) on, epochs following on.

    Args:
        words: What the order is drawn from; None is storage order.
        size: N.
        epoch: The epoch of the first position.
        offset: Its offset in that epoch, in [0, N).
        count: How many positions, 0 or more.

    Returns:
        int64[count].
    """
    if words is not None and count > EPOCHS_ALONE * size:
        return _positions_of_many_epochs(words, size, epoch, offset, count)
    pieces = []
    while True:
        taken = min(count, size - offset)
        span = np.arange(offset, offset + taken, dtype=np.int64)
        pieces.append(span if words is None else indices(words, size, epoch, span))
        count -= taken
        if not count:
            return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        epoch, offset = epoch + 1, 0


def _positions_of_many_epochs(words: Words, size: int, epoch: int, offset: int, count: int) -> Any:
    """Return what `positions` does, the keys of all epochs being hashed at once."""
    out = np.empty(count, np.int64)
    constants = [_constant(np, word) for word in np.asarray(words, np.uint32).tolist()]
    first = np.uint64(epoch & 0xFFFFFFFFFFFFFFFF)
    for begin in range(0, count, POSITIONS_AT_ONCE):
        end = min(count, begin + POSITIONS_AT_ONCE)
        later, offsets = np.divmod(np.arange(offset + begin, offset + end), size)
        epochs = first + later.astype(np.uint64)  # modulo 2**64, as everywhere
        halves = (epochs & np.uint64(0xFFFFFFFF), epochs >> np.uint64(32))
        keys = round_keys(np, constants, size, *(half.astype(np.uint32) for half in halves))
        y = _permute(np, keys, size, offsets.astype(np.uint32))
        while (outside := np.flatnonzero(y >= size)).size:
            y[outside] = _permute(np, keys[:, outside], size, y[outside])
        out[begin:end] = y
    return out


def traced_positions(
    words: Sequence[Any] | None, size: int, low: Any, high: Any, offset: Any, count: int
) -> Any:
    """Return what `positions` does, under tracing: int32[count].

    Args:
        words: uint32 scalars; None is storage order.
        size: N, below 2**31.
        low: The epoch's low 32 bits, uint32 scalar.
        high: The epoch's high 32 bits, uint32 scalar.
        offset: The first position's offset, uint32 scalar in [0, N).
        count: How many positions, below 2**31.
    """
    import jax.numpy as jnp

    check_traceable(size)
    bound = jnp.uint32(size)
    offsets = offset + jnp.arange(count, dtype=jnp.uint32)
    if words is None:
        return (offsets % bound).astype(jnp.int32)
    if count <= size:  # at most two epochs: their keys are scalars, chosen for each position
        later = offsets >= bound
        next_low = low + jnp.uint32(1)
        next_high = high + (next_low == 0).astype(jnp.uint32)
        now = round_keys(jnp, words, size, low, high)
        after = round_keys(jnp, words, size, next_low, next_high)
        keys = jnp.where(later, after[:, None], now[:, None])
        return traced_indices(keys, size, jnp.where(later, offsets - bound, offsets))
    lows = low + offsets // bound
    highs = high + (lows < low).astype(jnp.uint32)
    return traced_indices(round_keys(jnp, words, size, lows, highs), size, offsets % bound)


@functools.lru_cache(maxsize=256)
def _host_keys(words: tuple[int, ...], size: int, epoch: int) -> NDArray[np.uint32]:
    """Return an epoch's round keys, kept: hashing them in NumPy costs what 10**4 indices do."""
    keys: NDArray[np.uint32] = round_keys(
        np, [_constant(np, word) for word in words], size, *_halves(epoch)
    )
    return keys


def traced_indices(keys: Any, size: int, offsets: Any) -> Any:
    """Return the shuffled indices at `offsets`, under tracing or not.

    Args:
        keys: `round_keys(jnp, ...)` of the epoch.
        size: N, below 2**31.
        offsets: uint32 in [0, N), of any shape.

    Returns:
        int32 indices in [0, N), of the shape of `offsets`.
    """
    import jax.numpy as jnp
    from jax import lax

    check_traceable(size)

    def walk(state: Any) -> Any:
        y, outside = state
        y = jnp.where(outside, _permute(jnp, keys, size, y), y)
        return y, y >= jnp.uint32(size)

    begin = offsets, jnp.ones(jnp.shape(offsets), jnp.bool_)
    y, _ = lax.while_loop(lambda state: jnp.any(state[1]), walk, begin)
    return y.astype(jnp.int32)


def check_traceable(size: int) -> None:
    """Raise ValueError where N is too large for the int32 indices that tracing has."""
    if size >= TRACED_LIMIT:
        raise ValueError(
            f"{size} records: an order under tracing is over fewer than 2**31; "
            "read such a source in lazy mode, whose order is computed on the host"
        )


def round_keys(xp: Any, words: Sequence[Any], size: int, low: Any, high: Any) -> Any:
    """Return the network's round keys by hashing words, N and epoch.

    Args:
        xp: `numpy` or `jax.numpy`.
        words: uint32 scalars.
        size: N.
        low: The epoch's low 32 bits, uint32, a scalar or one for each offset.
        high: The epoch's high 32 bits, alike.

    Returns:
        uint32[rounds, ...], a key for each round, behind it the shape of `low`.
    """
    n_low, n_high = (_constant(xp, part) for part in (size & 0xFFFFFFFF, size >> 32))
    left, right = _constant(xp, 0x9E3779B9), _constant(xp, 0x243F6A88)
    for word in (*words, n_low, n_high, low, high):
        left = _mix(xp, left ^ word)
        right = _mix_again(xp, right + word) ^ left
    turns = np.arange(1, _rounds(size) + 1, dtype=np.uint64).reshape(-1, *[1] * left.ndim)
    first, second = (
        xp.asarray((turns * np.uint64(factor)).astype(np.uint32))
        for factor in (0x9E3779B9, 0x85EBCA6B)
    )
    return _mix(xp, left + first) ^ _mix_again(xp, right + second)


def place_words(words: Words | None, epoch: int, offset: int) -> NDArray[np.uint32]:
    """Return (epoch, offset) and the order's words as one uint32 array, to pass to a program."""
    place = [epoch & 0xFFFFFFFF, (epoch >> 32) & 0xFFFFFFFF, offset]
    return np.array([*place, *([] if words is None else words.tolist())], np.uint32)


def split_place(place: Any, *, shuffled: bool) -> tuple[Any, Any, Any, Any]:
    """Return what `place_words` joined: words or None, the epoch's two halves, the offset."""
    words = [place[i] for i in range(3, place.shape[0])] if shuffled else None
    return words, place[0], place[1], place[2]


def _rounds(size: int) -> int:
    """Return how many rounds N needs: small domains mix slowly.

    Measured as chi-square over all permutations (N <= 8, 10**5 seeds and more) and over all pairs
    (N <= 144, 3 * 10**5 seeds): 8 rounds are uniform from N = 50, 12 from N = 9, 24 at any N.
    """
    return 24 if size <= 64 else 12 if size <= 1024 else 8


@functools.lru_cache(maxsize=1024)
def _sides(size: int) -> tuple[int, int]:
    """Return a and b: a even, a * b the least that is not below N, among nearly square ones.

    With both sides odd every round would be an even permutation, and half of all would be lost.
    """
    root = math.isqrt(size - 1) + 1 if size > 1 else 2
    first = root + root % 2
    last = first if size <= 1024 else min(first + 2 * SIDES_TRIED, first + first // 4)
    return min(
        ((a, -(-size // a)) for a in range(first, last + 1, 2)),
        key=lambda sides: (sides[0] * sides[1], sides[0]),
    )


def _permute(xp: Any, keys: Any, size: int, x: Any) -> Any:
    """Return the network's value at `x`, below a * b; in JAX its rounds are a loop."""
    a, b = _sides(size)
    kind = x.dtype.type

    def two_rounds(i: Any, halves: tuple[Any, Any]) -> tuple[Any, Any]:
        left, right = halves
        left = _add(xp, left, _scaled(xp, _mix(xp, _narrow(xp, right) ^ keys[2 * i]), a, kind), a)
        odd = keys[2 * i + 1]
        right = _add(xp, right, _scaled(xp, _mix(xp, _narrow(xp, left) ^ odd), b, kind), b)
        return left, right

    halves = x // kind(b), x % kind(b)
    if xp is np:
        for i in range(len(keys) // 2):
            halves = two_rounds(i, halves)
    else:
        from jax import lax

        # Unrolled, the rounds took seconds to compile where N is small, and ran no faster.
        halves = lax.fori_loop(0, keys.shape[0] // 2, two_rounds, halves)
    return halves[0] * kind(b) + halves[1]


def _add(xp: Any, x: Any, y: Any, modulus: int) -> Any:
    total = x + y
    return xp.minimum(total, total - total.dtype.type(modulus))  # below the modulus it wraps


def _scaled(xp: Any, h: Any, bound: int, kind: Any) -> Any:
    """Return floor(h * bound / 2**32) without a product beyond 32 bits while bound <= 2**16."""
    if bound > 2**16:
        return (h.astype(kind) * kind(bound)) >> kind(32)
    factor, half, mask = xp.uint32(bound), xp.uint32(16), xp.uint32(0xFFFF)
    scaled = ((h >> half) * factor + (((h & mask) * factor) >> half)) >> half
    return scaled if kind is np.uint32 else scaled.astype(kind)


def _narrow(xp: Any, x: Any) -> Any:
    return x if x.dtype == np.uint32 else x.astype(xp.uint32)


def _mix(xp: Any, x: Any) -> Any:
    x = (x ^ (x >> xp.uint32(16))) * xp.uint32(0x7FEB352D)
    x = (x ^ (x >> xp.uint32(15))) * xp.uint32(0x846CA68B)
    return x ^ (x >> xp.uint32(16))


def _mix_again(xp: Any, x: Any) -> Any:
    x = (x ^ (x >> xp.uint32(16))) * xp.uint32(0x85EBCA6B)
    x = (x ^ (x >> xp.uint32(13))) * xp.uint32(0xC2B2AE35)
    return x ^ (x >> xp.uint32(16))


def _constant(xp: Any, value: int) -> Any:
    return np.array([value], np.uint32) if xp is np else xp.uint32(value)


def _halves(epoch: int) -> tuple[Any, Any]:
    return _constant(np, epoch & 0xFFFFFFFF), _constant(np, (epoch >> 32) & 0xFFFFFFFF)
