"""Whether jax arrays may be 64 bits wide; told without importing jax where nothing has yet."""

from __future__ import annotations

import os
import sys
from typing import Any

_TRUE = {"y", "yes", "t", "true", "on", "1"}  # as jax reads its environment when it is imported


def x64_enabled() -> bool:
    """Return whether jax arrays may be 64 bits wide."""
    config: Any = getattr(sys.modules.get("jax"), "config", None)
    if config is None:
        return os.environ.get("JAX_ENABLE_X64", "").lower() in _TRUE
    return bool(config.jax_enable_x64)
