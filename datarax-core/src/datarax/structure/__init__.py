"""Structural processors: sampler, batcher, sharder, splitter. Imported only when asked for.

Each is a thin face over what sources use: `core.order`, `sources.layout`, `transfer`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datarax._lazy import attach

if TYPE_CHECKING:
    from datarax.structure.batcher import Batcher as Batcher
    from datarax.structure.batcher import BatcherConfig as BatcherConfig
    from datarax.structure.sampler import Sampler as Sampler
    from datarax.structure.sampler import SamplerConfig as SamplerConfig
    from datarax.structure.sharder import Sharder as Sharder
    from datarax.structure.sharder import SharderConfig as SharderConfig
    from datarax.structure.splitter import Splitter as Splitter
    from datarax.structure.splitter import SplitterConfig as SplitterConfig

_MODULES = {
    "Batcher": "batcher",
    "BatcherConfig": "batcher",
    "Sampler": "sampler",
    "SamplerConfig": "sampler",
    "Sharder": "sharder",
    "SharderConfig": "sharder",
    "Splitter": "splitter",
    "SplitterConfig": "splitter",
}

__getattr__, __dir__ = attach(
    __name__, {name: f"{__name__}.{module}" for name, module in _MODULES.items()}
)

__all__ = [
    "Batcher",
    "BatcherConfig",
    "Sampler",
    "SamplerConfig",
    "Sharder",
    "SharderConfig",
    "Splitter",
    "SplitterConfig",
]
