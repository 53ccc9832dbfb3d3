"""Prepared TensorFlow Datasets as JAX arrays, without TensorFlow: the source `tfds`.

Importing this package imports neither jax nor tensorflow_datasets; names come on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datarax_tfds.config import TFDSSourceConfig as TFDSSourceConfig
    from datarax_tfds.reader import TFDSReader as TFDSReader
    from datarax_tfds.source import TFDSSource as TFDSSource

__version__ = "0.2.0"

__all__ = ["TFDSReader", "TFDSSource", "TFDSSourceConfig", "__version__"]

_MODULES = {
    "TFDSReader": "datarax_tfds.reader",
    "TFDSSource": "datarax_tfds.source",
    "TFDSSourceConfig": "datarax_tfds.config",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
