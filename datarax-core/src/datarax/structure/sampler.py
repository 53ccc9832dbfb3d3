"""`Sampler`: a dataset's size to the indices to read, in the one order of `core.order`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from flax import nnx

from datarax.core import order
from datarax.core.checks import check_size
from datarax.core.config import StructuralConfig
from datarax.core.module import OperationCount
from datarax.core.spec import struct
from datarax.core.structural import StructuralModule
from datarax.sources.config import check_seed

_KIND_OF = {
    "seed": "shuffled",
    "start": "range",
    "stop": "range",
    "step": "range",
    "window": "window",
    "stride": "window",
}


@dataclass(frozen=True, kw_only=True)
class SamplerConfig(StructuralConfig):
    """Which indices a sampler gives.

    Attributes:
        kind: "sequential"; "shuffled", each call the next epoch of a source's order with the same
            seed; "range", start to stop by step; "window", overlapping runs of indices.
        num_samples: At most so many of them; None is all.
        seed: What a shuffled order is drawn from, in [0, 2**32). A stochastic sampler draws a key
            from its RNG stream for each call instead.
        start, stop, step: The range, as of Python's `range`; a stop of None is the dataset's end.
        window: Indices in each window.
        stride: From the start of one window to that of the next.

    Raises:
        ValueError: For a value out of range, or one that has no meaning for the kind.
        TypeError: For a value of another type.
    """

    kind: Literal["sequential", "shuffled", "range", "window"] = "sequential"
    num_samples: int | None = None
    seed: int = 0
    start: int = 0
    stop: int | None = None
    step: int = 1
    window: int = 1
    stride: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in ("sequential", "shuffled", "range", "window"):
            raise ValueError(
                f"kind is 'sequential', 'shuffled', 'range' or 'window', got {self.kind!r}"
            )
        if self.stochastic and self.kind != "shuffled":
            raise ValueError(f"kind={self.kind!r} draws nothing: leave stochastic out")
        self._refuse_what_has_no_meaning()
        check_seed(self.seed)
        for name in ("step", "window", "stride"):
            check_size(getattr(self, name), name)
        if self.num_samples is not None:
            check_size(self.num_samples, "num_samples")
        for name, value in (("start", self.start), ("stop", self.stop)):
            none = name == "stop" and value is None
            if isinstance(value, bool) or not (none or isinstance(value, int)):
                raise TypeError(f"{name} is an index, an integer, got {value!r}")
        if self.start < 0 or (self.stop is not None and self.stop < self.start):
            raise ValueError(f"start={self.start}, stop={self.stop} is no range")

    def _refuse_what_has_no_meaning(self) -> None:
        for field in fields(SamplerConfig):
            kind = _KIND_OF.get(field.name, self.kind)
            value = getattr(self, field.name)
            if kind != self.kind and value != field.default:
                raise ValueError(
                    f"{field.name}={value!r} is for kind={kind!r}, and this is {self.kind!r}: "
                    "leave it out"
                )
        if self.stochastic and self.seed:
            raise ValueError(
                f"seed={self.seed} and the stream {self.stream_name!r} both say what is drawn; "
                "leave one of them out"
            )


class Sampler(StructuralModule):
    """Indices of a dataset of a given size.

    A shuffled sampler counts its epochs in its state: call k gives epoch k, the sequence that a
    source with the same seed delivers in its epoch k. A stochastic one draws a key for each call:
    call k gives epoch k of that call's key.

    Example:
        >>> Sampler(SamplerConfig(kind="range", start=1, step=3))(10)
        [1, 4, 7]
    """

    config: SamplerConfig

    def __init__(
        self, config: SamplerConfig, *, rngs: nnx.Rngs | None = None, name: str | None = None
    ) -> None:
        super().__init__(config, rngs=rngs, name=name)
        self.epoch = OperationCount(jnp.zeros((), jnp.int32))

    def process(self, input: int, *args: Any, **kwargs: Any) -> list[Any]:
        """Return the indices for a dataset of `input` records; windows as lists of indices.

        Raises:
            TypeError, ValueError: If `input` is no number of records.
        """
        _take_nothing_else(self, args, kwargs)
        size = check_size(input, "the dataset's size")
        config = self.config
        if config.kind == "window":
            starts = range(0, size - config.window + 1, config.stride)[: config.num_samples]
            return [list(range(start, start + config.window)) for start in starts]
        if config.kind == "shuffled":
            count = min(size, config.num_samples or size)
            epoch = int(self.epoch[...])
            chosen = order.indices(self._words(), size, epoch, np.arange(count))
            self.epoch.set_value(self.epoch[...] + 1)
            taken: list[int] = chosen.tolist()
            return taken
        if config.kind == "range":
            stop = size if config.stop is None else min(size, config.stop)
            return list(range(config.start, stop, config.step)[: config.num_samples])
        return list(range(min(size, config.num_samples or size)))

    def index_spec(self, size: int) -> Any:
        """Return the spec of the indices for a dataset of `size` records.

        Their dtype is int32, and int64 from 2**31 records on.
        """
        config = self.config
        dtype = np.int32 if size <= 2**31 else np.int64
        if config.kind == "window":
            count = max(0, (size - config.window) // config.stride + 1)
            return struct((min(count, config.num_samples or count), config.window), dtype)
        count = size
        if config.kind == "range":
            stop = size if config.stop is None else min(size, config.stop)
            count = len(range(config.start, stop, config.step))
        return struct((min(count, config.num_samples or count),), dtype)

    def _words(self) -> Any:
        if not self.config.stochastic:
            return order.seed_words(self.config.seed)
        from datarax.sources.seeding import key_words

        assert self.rngs is not None
        assert self.stream_name is not None
        return np.asarray(key_words(self.rngs[self.stream_name]()))


def _take_nothing_else(module: StructuralModule, args: Any, kwargs: Any) -> None:
    if args or kwargs:
        raise TypeError(
            f"{type(module).__name__}.process takes one argument, got also {args!r} {kwargs!r}"
        )
