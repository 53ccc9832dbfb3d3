"""`StructuralModule`: modules that arrange data and have no parameters.

Batchers, samplers, sharders, splitters and sources. They change how data is arranged, never its
values.
"""

from __future__ import annotations

from typing import Any

from flax import nnx

from datarax.core.config import StructuralConfig
from datarax.core.module import DataraxModule


class StructuralModule(DataraxModule):
    """The base of modules that arrange data.

    Args:
        config: How it behaves; frozen.
        rngs: Random number generators; required where the config is stochastic.
        name: A name for messages and `repr`.

    Attributes:
        stochastic: Whether it draws random numbers, as its config says.
        stream_name: The stream of `rngs` that it draws from, or None.

    Raises:
        ValueError: If the config is stochastic and `rngs` is None, or lacks the stream.
        TypeError: If the config is not a `StructuralConfig`.
    """

    config: StructuralConfig

    def __init__(
        self,
        config: StructuralConfig,
        *,
        rngs: nnx.Rngs | None = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(config, StructuralConfig):
            raise TypeError(
                f"{type(self).__name__} takes a StructuralConfig, "
                f"got {type(config).__name__} {config!r}"
            )
        super().__init__(config, rngs=rngs, name=name)
        self.stochastic = config.stochastic
        self.stream_name = config.stream_name
        if not config.stochastic:
            return
        if rngs is None:
            raise ValueError(
                f"{type(self).__name__} is stochastic and needs rngs; "
                f"pass rngs=nnx.Rngs({config.stream_name}=seed)"
            )
        if "default" not in rngs:
            self.ensure_rng_streams(list(rngs))

    def requires_rng_streams(self) -> list[str] | None:
        """Return the stream that a stochastic module draws from, or None."""
        return [self.stream_name] if self.stream_name is not None else None

    def process(self, input: Any, *args: Any, **kwargs: Any) -> Any:
        """Arrange `input` anew; its values stay as they are. Subclasses define it.

        What goes in and comes out depends on the module: a batcher makes batches of elements, a
        sampler indices of a dataset's size, a sharder sharded batches of batches, a splitter
        datasets of a dataset.

        Raises:
            NotImplementedError: On the base class.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not define process(input, *args, **kwargs)"
        )

    def __call__(self, input: Any, *args: Any, **kwargs: Any) -> Any:
        """Return `process(input, *args, **kwargs)`, and count the operation."""
        output = self.process(input, *args, **kwargs)
        self.count_operation(applied=1)
        return output
