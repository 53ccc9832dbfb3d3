"""ArrayRecord shards as JAX arrays: the datarax source `arrayrecord`.

Importing this package imports neither jax nor array_record; what is named here comes on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datarax_arrayrecord.config import ArrayRecordSourceConfig as ArrayRecordSourceConfig
    from datarax_arrayrecord.reader import ArrayRecordReader as ArrayRecordReader
    from datarax_arrayrecord.source import ArrayRecordSource as ArrayRecordSource

__version__ = "0.2.0"

__all__ = ["ArrayRecordReader", "ArrayRecordSource", "ArrayRecordSourceConfig", "__version__"]

_MODULES = {
    "ArrayRecordReader": "datarax_arrayrecord.reader",
    "ArrayRecordSource": "datarax_arrayrecord.source",
    "ArrayRecordSourceConfig": "datarax_arrayrecord.config",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
