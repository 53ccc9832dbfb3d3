"""Tables of numbers as a datarax source: `datarax.load("newname:fruit")`.

No network is needed: a table comes with the package. Importing this package imports no jax.
"""

from __future__ import annotations

from datarax_newname.config import NewnameConfig

__all__ = ["NewnameConfig"]
