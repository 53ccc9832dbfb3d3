"""Any dataset by name, as JAX arrays: `datarax.load("hf:ylecun/mnist")`.

Importing datarax imports neither jax nor any plugin; what is named here is imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datarax import errors
from datarax._lazy import attach

if TYPE_CHECKING:
    from datarax import sources as sources
    from datarax import testing as testing
    from datarax.core.data_source import DataSourceModule as DataSourceModule
    from datarax.registry.catalogue import list_sources as list_sources
    from datarax.registry.catalogue import refresh as refresh
    from datarax.registry.catalogue import register as register
    from datarax.registry.catalogue import unregister as unregister
    from datarax.registry.info import DatasetInfo as DatasetInfo
    from datarax.registry.info import SourceInfo as SourceInfo
    from datarax.registry.loading import inspect as inspect
    from datarax.registry.loading import load as load
    from datarax.registry.loading import save as save

__version__ = "0.2.0"

__getattr__, __dir__ = attach(
    __name__,
    {
        "DataSourceModule": "datarax.core.data_source",
        "DatasetInfo": "datarax.registry.info",
        "SourceInfo": "datarax.registry.info",
        "inspect": "datarax.registry.loading",
        "list_sources": "datarax.registry.catalogue",
        "load": "datarax.registry.loading",
        "refresh": "datarax.registry.catalogue",
        "register": "datarax.registry.catalogue",
        "save": "datarax.registry.loading",
        "sources": "datarax.sources",
        "testing": "datarax.testing",
        "unregister": "datarax.registry.catalogue",
    },
)

__all__ = [
    "DataSourceModule",
    "DatasetInfo",
    "SourceInfo",
    "__version__",
    "errors",
    "inspect",
    "list_sources",
    "load",
    "refresh",
    "register",
    "save",
    "sources",
    "testing",
    "unregister",
]
