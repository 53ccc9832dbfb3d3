"""Where an order's randomness comes from: a seed, `nnx.Rngs` that supply one, or a PRNG key."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from datarax.core.checks import check_rngs
from datarax.sources.config import SourceConfig


def with_seed(config: SourceConfig, rngs: nnx.Rngs | None) -> SourceConfig:
    """Return the config with the seed that `rngs` supplies, once, where it needs one.

    A stochastic config needs `rngs` for its stream, and may give a seed beside them.

    Raises:
        TypeError: If `rngs` is no `nnx.Rngs`.
        ValueError: If both give a seed.
    """
    check_rngs(rngs, type(config).__name__)
    if rngs is None:
        return config
    if config.seed is not None and not config.stochastic:
        raise ValueError(f"seed={config.seed} and rngs both give a seed; leave one of them out")
    if not config.shuffle or config.seed is not None:
        return config
    stream = config.stream_name or "shuffle"
    drawn = jax.random.bits(rngs[stream](), (), jnp.uint32)
    return dataclasses.replace(config, seed=int(drawn))


def key_words(key: Any) -> Any:
    """Return the uint32 words of a PRNG key, typed or raw.

    Raises:
        TypeError: If it is no PRNG key.
    """
    dtype = getattr(key, "dtype", None)
    if dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key):
        words = jax.random.key_data(key)
    elif dtype == jnp.uint32:
        words = key
    else:
        raise TypeError(
            f"key is a PRNG key such as jax.random.key(0), got {type(key).__name__} {key!r}"
        )
    if words.ndim != 1:
        raise TypeError(f"key is one PRNG key, got an array of shape {list(key.shape)}")
    return words
