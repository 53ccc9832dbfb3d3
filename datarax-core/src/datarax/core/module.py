"""`DataraxModule`: the NNX module that all others extend.

It counts operations, keeps statistics, copies itself, and saves and restores its state. State is
what a checkpoint needs and no more: `nnx.Variable`s, never `nnx.data`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.errors import TraceContextError

from datarax.core.checks import check_rngs
from datarax.core.config import DataraxModuleConfig
from datarax.core.state import OptionalVariable, pack, restore
from datarax.transfer import to_device


class OperationCount(nnx.Variable[Any]):
    """A counter of operations: an int32 scalar, so that it can move under NNX transforms."""


def _zero() -> jax.Array:
    """Return a count of nothing: moved from the host, where `jnp.zeros` would compile a program."""
    return to_device({"count": np.int32(0)})["count"]


class HostCache(dict[Any, Any]):
    """What a cacheable module keeps on the host: a dict that NNX compares by identity."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # dict sets it to None

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other


class DataraxModule(nnx.Module):
    """The base of all modules.

    Args:
        config: How the module behaves; already validated, frozen.
        rngs: Random number generators, for modules that draw.
        name: A name for messages and `repr`.

    Attributes:
        config: As given.
        rngs: As given.
        name: As given.

    Raises:
        TypeError: If `config` is not a `DataraxModuleConfig`, or `rngs` not an `nnx.Rngs`.
    """

    def __init__(
        self,
        config: DataraxModuleConfig,
        *,
        rngs: nnx.Rngs | None = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(config, DataraxModuleConfig):
            raise TypeError(
                f"{type(self).__name__} takes a DataraxModuleConfig, "
                f"got {type(config).__name__} {config!r}"
            )
        check_rngs(rngs, type(self).__name__)
        self.config = config
        self.rngs = rngs
        self.name = name
        self.applied_count = OperationCount(_zero())
        self.skipped_count = OperationCount(_zero())
        self._computed_stats = OptionalVariable(None)
        self._stats_reset = OptionalVariable(None)
        self._cache = HostCache() if config.cacheable else None

    # Operation statistics

    def get_operation_stats(self) -> dict[str, int]:
        """Return how often the module was applied, and what it passed over.

        Returns:
            `applied_count` and `skipped_count`, as Python ints.
        """
        return {
            "applied_count": int(self.applied_count[...]),
            "skipped_count": int(self.skipped_count[...]),
        }

    def reset_operation_stats(self) -> None:
        """Reset operation statistics to zero, with new JAX arrays."""
        self.applied_count.set_value(_zero())
        self.skipped_count.set_value(_zero())

    def count_operation(self, *, applied: int = 0, skipped: int = 0) -> None:
        """Add to the operation statistics.

        A module that a JAX transformation only closes over cannot change there, and counts
        nothing.
        """
        try:
            for counter, amount in ((self.applied_count, applied), (self.skipped_count, skipped)):
                if amount:
                    counter.set_value(counter[...] + jnp.int32(amount))
        except TraceContextError:
            return

    # Statistics

    def compute_statistics(self, data: Any) -> dict[str, Any] | None:
        """Compute statistics of `data` with the config's `batch_stats_fn`, and keep them.

        Args:
            data: What the function takes, such as a batch.

        Returns:
            What the function returned, or None where the config has none.
        """
        function = self.config.batch_stats_fn
        if function is None:
            return None
        statistics = function(data)
        self.set_statistics(statistics)
        return statistics

    def get_statistics(self) -> dict[str, Any] | None:
        """Return the statistics that were set or computed last, else the precomputed ones.

        Returns:
            The statistics, or None: where there are none, or after `reset_statistics`.
        """
        held = self._computed_stats.get_value()
        if held is not None:
            return dict(held)
        if self._stats_reset.get_value() is not None or self.config.precomputed_stats is None:
            return None
        return dict(self.config.precomputed_stats)

    def set_statistics(self, stats: dict[str, Any]) -> None:
        """Keep `stats` as the module's statistics.

        They are NNX variables: what is no number or array, such as text, does not pass through
        `nnx.jit`.

        Raises:
            TypeError: If they are not a mapping, or the names in one cannot be sorted, as JAX does.
        """
        if not isinstance(stats, Mapping):
            raise TypeError(
                f"statistics are a dict of names to values, got {type(stats).__name__} {stats!r}"
            )
        _check_names(stats)
        self._computed_stats.set_value(dict(stats))
        self._stats_reset.set_value(None)

    def reset_statistics(self) -> None:
        """Reset all statistics to None, the precomputed ones too, until new ones are set."""
        self._computed_stats.set_value(None)
        self._stats_reset.set_value({"precomputed": jnp.asarray(True)})

    # Cache

    def reset_cache(self) -> None:
        """Empty what a cacheable module keeps on the host."""
        if self._cache is not None:
            self._cache.clear()

    # Copies

    def copy(
        self,
        *,
        config: DataraxModuleConfig | None = None,
        rngs: nnx.Rngs | None = None,
        name: str | None = None,
    ) -> Self:
        """Return a new module built as this one was, with what is given replaced.

        Constructor arguments of a subclass are taken from the attribute of the same name, or of
        that name behind an underscore. State starts afresh; `clone` keeps it.

        Args:
            config: A new config; None keeps the current one.
            rngs: New generators; None keeps the current ones, shared with this module.
            name: A new name; None keeps the current one.

        Raises:
            TypeError: If a constructor argument is not kept in an attribute, or one that is given
                is not taken by the constructor.
        """
        given = {"config": config, "rngs": rngs, "name": name}
        current = {"config": self.config, "rngs": self.rngs, "name": self.name}
        parameters = dict(inspect.signature(type(self).__init__).parameters)
        parameters.pop(next(iter(parameters)))  # self
        for word, value in given.items():
            if value is not None and word not in parameters:
                raise TypeError(
                    f"{type(self).__name__}.copy: the constructor takes no {word!r} to replace"
                )
        positional: list[Any] = []
        keywords: dict[str, Any] = {}
        for word, parameter in parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise TypeError(
                    f"{type(self).__name__}.copy: cannot tell what *{word} was given; "
                    "override copy() to say how it is copied"
                )
            if word in given:
                value = current[word] if given[word] is None else given[word]
            else:
                value = self._constructor_argument(word)
            if parameter.kind is parameter.POSITIONAL_ONLY:
                positional.append(value)
            else:
                keywords[word] = value
        return type(self)(*positional, **keywords)

    def _constructor_argument(self, word: str) -> Any:
        for attribute in (word, f"_{word}"):
            if hasattr(self, attribute):
                return getattr(self, attribute)
        raise TypeError(
            f"{type(self).__name__}.copy: the constructor's argument {word!r} is kept neither as "
            f"self.{word} nor as self._{word}, and would be lost; keep it there or override copy()"
        )

    def clone(self) -> Self:
        """Return a new instance with the same state as this module."""
        clone = nnx.clone(self)
        clone._cache = HostCache() if self.config.cacheable else None
        return clone

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return self.clone()

    # State

    def get_state(self) -> dict[str, Any]:
        """Return what a checkpoint needs: every `nnx.Variable`, and the statistics.

        Returns:
            A tree of dicts with string keys and array leaves; typed PRNG keys as their key data.
            Orbax's PyTree and Standard handlers take it as it is.
        """
        return pack(nnx.state(self, nnx.Variable))

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned. Nothing changes unless all of it fits.

        Raises:
            TypeError: If `state` is not a dict.
            ValueError: If a key is missing or is one too many, or a shape or dtype differs; the
                text names the path of the first mismatch.
        """
        if not isinstance(state, dict):
            raise TypeError(f"a state is a dict, got {type(state).__name__} {state!r}")
        current = nnx.state(self, nnx.Variable)
        restore(current, state)
        nnx.update(self, current)

    # RNG streams

    def requires_rng_streams(self) -> list[str] | None:
        """Return the names of the RNG streams that this module draws from, or None."""
        return None

    def ensure_rng_streams(self, stream_names: Sequence[str]) -> None:
        """Check that each required RNG stream is among the available ones.

        Args:
            stream_names: The names of the available streams.

        Raises:
            ValueError: If a required stream is not available.
        """
        for required in self.requires_rng_streams() or ():
            if required not in stream_names:
                raise ValueError(
                    f"{type(self).__name__} draws from the RNG stream {required!r}, which is not "
                    f"available; available are {list(stream_names)!r}"
                )


def _check_names(tree: Any) -> None:
    """Raise TypeError where a mapping in `tree` has names of kinds that have no common order."""
    if isinstance(tree, Mapping):
        try:
            sorted(tree)
        except TypeError:
            raise TypeError(
                f"statistics have names of one kind, since JAX sorts them, got {list(tree)!r}; "
                "name them all with strings"
            ) from None
        tree = list(tree.values())
    if isinstance(tree, list | tuple):
        for item in tree:
            _check_names(item)
