"""Hugging Face Hub datasets as JAX arrays: the datarax source `hf`.

Importing the package imports neither jax, pyarrow nor huggingface_hub; names come on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datarax_hf.config import HFSourceConfig as HFSourceConfig
    from datarax_hf.derived import prune as prune
    from datarax_hf.errors import CacheWriteError as CacheWriteError
    from datarax_hf.errors import HubAccessError as HubAccessError
    from datarax_hf.errors import HubConnectionError as HubConnectionError
    from datarax_hf.errors import HubTokenError as HubTokenError
    from datarax_hf.reader import HFReader as HFReader
    from datarax_hf.source import HFSource as HFSource

__version__ = "0.2.0"

_HOMES = {
    "CacheWriteError": "datarax_hf.errors",
    "HFReader": "datarax_hf.reader",
    "HFSource": "datarax_hf.source",
    "HFSourceConfig": "datarax_hf.config",
    "HubAccessError": "datarax_hf.errors",
    "HubConnectionError": "datarax_hf.errors",
    "HubTokenError": "datarax_hf.errors",
    "prune": "datarax_hf.derived",
}

__all__ = [
    "CacheWriteError",
    "HFReader",
    "HFSource",
    "HFSourceConfig",
    "HubAccessError",
    "HubConnectionError",
    "HubTokenError",
    "__version__",
    "prune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
