"""scikit-learn's own datasets as a datarax source: `datarax.load("sklearn:digits")`.

No network is needed: the data comes with scikit-learn. Importing this package imports neither
scikit-learn nor jax.
"""

from __future__ import annotations

from datarax_sklearn.plugin import DATASETS

__all__ = ["DATASETS"]
