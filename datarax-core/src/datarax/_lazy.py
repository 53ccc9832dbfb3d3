"""Deferred names: a package lists where its public names live and imports a module on first use.

`import datarax` must not import jax, and `datarax.sources` must let a worker process unpickle a
reader without it. The one invariant: a name is looked up in the module that defines it, once.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def attach(
    package: str, names: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for `package`, whose `names` maps a name to its module.

    A module path equal to `package.name` makes the name that submodule itself.
    """

    def get_name(name: str) -> Any:
        try:
            module_name = names[name]
        except KeyError:
            raise AttributeError(f"module {package!r} has no attribute {name!r}") from None
        module = importlib.import_module(module_name)
        value = module if module_name == f"{package}.{name}" else getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    def list_names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *names})

    return get_name, list_names
