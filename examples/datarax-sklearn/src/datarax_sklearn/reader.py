"""The reader: one of scikit-learn's datasets as host columns, in scikit-learn's order and dtypes.

`fields`, `__len__` and `read` are all there is to write; core's `ColumnarReader` adds the rest.
Values are scikit-learn's own, bit for bit (float64 and int64); making them arrays that a device
takes is core's part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datarax.sources import ColumnarReader, Columns, Field, Indices
from numpy.typing import NDArray
from sklearn import datasets


class SklearnReader(ColumnarReader):
    """The rows of `sklearn.datasets.load_<name>()`.

    `digits` has `image` (8x8, integers from 0 to 16) and `label`; the other classification sets
    have `features` and `label`; `diabetes`, a regression, has `features` and `target`.
    """

    def __init__(self, name: str) -> None:
        bunch = getattr(datasets, f"load_{name}")()
        self.description: str = bunch.DESCR
        self._columns: dict[str, NDArray[Any]] = {}
        self._fields: dict[str, Field] = {}
        if name == "digits":
            self._add("image", bunch.images, description="ink of each pixel, from 0 to 16")
        else:
            self._add("features", bunch.data, description=", ".join(bunch.feature_names))
        if "target_names" in bunch:
            self._add("label", bunch.target, class_names=tuple(map(str, bunch.target_names)))
        else:
            self._add("target", bunch.target, description="the value to predict")

    @property
    def fields(self) -> Mapping[str, Field]:
        return self._fields

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def read(self, indices: Indices, names: Sequence[str], /) -> Columns:
        return {name: self._columns[name][indices] for name in names}

    def _add(self, name: str, column: NDArray[Any], **about: Any) -> None:
        self._columns[name] = column
        self._fields[name] = Field.array(column.dtype, column.shape[1:], **about)
