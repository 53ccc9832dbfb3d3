"""A small slice of the digits, with what is expected of it: for `datarax validate`."""

from __future__ import annotations

from datarax.testing import KnownDataset
from sklearn import datasets

ROWS = slice(10, 34)


def known_digits() -> KnownDataset:
    """Return some rows of the digits as scikit-learn has them; no file is read for them."""
    digits = datasets.load_digits()
    return KnownDataset(
        uri="sklearn:digits",
        records=[
            {"image": image, "label": label}
            for image, label in zip(digits.images[ROWS], digits.target[ROWS], strict=True)
        ],
        options={"split": f"train[{ROWS.start}:{ROWS.stop}]"},
        reads_files=False,
    )
