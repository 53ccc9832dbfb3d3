"""The protocol: configs, modules, sources, order, batches. Configs and order are free of JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datarax._lazy import attach
from datarax.core.config import DataraxModuleConfig, FrozenInstanceError, StructuralConfig

if TYPE_CHECKING:
    from datarax.core.batch import Batch as Batch
    from datarax.core.data_source import DataSourceModule as DataSourceModule
    from datarax.core.data_source import LocalFilesOnlyMixin as LocalFilesOnlyMixin
    from datarax.core.module import DataraxModule as DataraxModule
    from datarax.core.structural import StructuralModule as StructuralModule

__getattr__, __dir__ = attach(
    __name__,
    {
        "Batch": "datarax.core.batch",
        "DataSourceModule": "datarax.core.data_source",
        "DataraxModule": "datarax.core.module",
        "LocalFilesOnlyMixin": "datarax.core.data_source",
        "StructuralModule": "datarax.core.structural",
    },
)

__all__ = [
    "Batch",
    "DataSourceModule",
    "DataraxModule",
    "DataraxModuleConfig",
    "FrozenInstanceError",
    "LocalFilesOnlyMixin",
    "StructuralConfig",
    "StructuralModule",
]
