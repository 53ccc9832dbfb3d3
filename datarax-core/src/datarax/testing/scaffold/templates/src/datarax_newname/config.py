"""The options: those that every source takes, and where the tables lie. They are free of JAX."""

from __future__ import annotations

import os
from dataclasses import dataclass

from datarax.sources import SourceConfig


@dataclass(frozen=True, kw_only=True)
class NewnameConfig(SourceConfig):
    """Options of a table.

    Attributes:
        folder: The folder of the tables; None is the one that comes with this package.
    """

    folder: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        if self.folder is not None:
            object.__setattr__(self, "folder", os.fspath(self.folder))
        super().__post_init__()
