"""Configurations of modules: frozen, checked at construction, hashable, free of JAX.

A config says how a module behaves and holds no arrays; data goes beside it, as a constructor
argument. Mappings and lists given to a config are frozen (`FrozenDict`, tuple), since NNX hashes
the config as part of a module's graph definition; NumPy's integers become Python's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError, dataclass, fields
from typing import Any

from datarax.core.frozen import freeze, holds_array, plain

__all__ = ["DataraxModuleConfig", "FrozenInstanceError", "StructuralConfig"]


@dataclass(frozen=True)
class DataraxModuleConfig:
    """Configuration that every module has.

    Attributes:
        cacheable: Keep results on the host for reuse; `reset_cache()` empties what is kept. A
            source keeps its decoded records.
        batch_stats_fn: Called with data by `compute_statistics`; returns a dict of statistics.
        precomputed_stats: Statistics known beforehand, returned by `get_statistics`.

    Raises:
        ValueError: If both `batch_stats_fn` and `precomputed_stats` are given.
        TypeError: If `batch_stats_fn` cannot be called, `precomputed_stats` is not a mapping, or
            a field holds an array.
    """

    cacheable: bool = False
    batch_stats_fn: Callable[[Any], dict[str, Any]] | None = None
    precomputed_stats: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.batch_stats_fn is not None and self.precomputed_stats is not None:
            raise ValueError(
                f"{type(self).__name__}: batch_stats_fn and precomputed_stats exclude each other; "
                "give the function to compute statistics, or the values known beforehand"
            )
        if self.batch_stats_fn is not None and not callable(self.batch_stats_fn):
            raise TypeError(
                f"{type(self).__name__}: batch_stats_fn must be callable, "
                f"got {type(self.batch_stats_fn).__name__}"
            )
        if self.precomputed_stats is not None and not isinstance(self.precomputed_stats, Mapping):
            raise TypeError(
                f"{type(self).__name__}: precomputed_stats must be a mapping of names to values, "
                f"got {type(self.precomputed_stats).__name__}"
            )
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "precomputed_stats":  # whose values keep their dtypes
                value = plain(value)
            if holds_array(value):
                raise TypeError(
                    f"{type(self).__name__}.{field.name} holds an array; configs hold no arrays: "
                    "pass data to the module beside its config"
                )
            object.__setattr__(self, field.name, freeze(value))


@dataclass(frozen=True)
class StructuralConfig(DataraxModuleConfig):
    """Configuration of a module that arranges data and has no parameters.

    Attributes:
        stochastic: Whether the module draws random numbers; it then needs `rngs`.
        stream_name: The stream of `rngs` that it draws from.

    Raises:
        ValueError: If `stochastic` lacks a `stream_name`, or a `stream_name` is given without it.
    """

    stochastic: bool = False
    stream_name: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stochastic and self.stream_name is None:
            raise ValueError(
                f"{type(self).__name__}: stochastic=True needs stream_name, "
                "the stream of rngs to draw from"
            )
        if not self.stochastic and self.stream_name is not None:
            raise ValueError(
                f"{type(self).__name__}: stream_name={self.stream_name!r} has no meaning with "
                "stochastic=False; leave it out or set stochastic=True"
            )
