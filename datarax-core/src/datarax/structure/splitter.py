"""`Splitter`: a dataset to disjoint parts, each record's part decided by the record alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datarax.core.config import StructuralConfig
from datarax.core.structural import StructuralModule
from datarax.errors import NotSupportedError
from datarax.sources.config import check_seed, unknown_field
from datarax.sources.hashing import hash_integers, hash_values
from datarax.sources.reader import Reader
from datarax.sources.splits import read_columns
from datarax.sources.subset import SubsetReader

PIECE = 65_536


@dataclass(frozen=True, kw_only=True)
class SplitterConfig(StructuralConfig):
    """How a dataset is parted.

    Attributes:
        fractions: The share of each part, by name, of a sum of 1.
        by: The field whose value decides a record's part, so that equal values stay together;
            None is the record's index.
        seed: Another seed parts otherwise.

    Raises:
        ValueError: If the fractions are not shares of one whole, or the seed is out of range.
        TypeError: For a value of another type.
    """

    fractions: Mapping[str, float]
    by: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.fractions, Mapping):
            raise TypeError(
                f"fractions map the name of a part to its share, got {self.fractions!r}"
            )
        shares = list(self.fractions.values())
        given: Mapping[Any, Any] = self.fractions
        for name, share in given.items():
            if not isinstance(name, str) or not isinstance(share, int | float | np.floating):
                raise TypeError(
                    f"fractions map the name of a part to its share, got {name!r}: {share!r}"
                )
        if not shares or min(shares) <= 0 or not math.isclose(sum(shares), 1.0, abs_tol=1e-9):
            raise ValueError(
                f"fractions are shares above 0 with a sum of 1, got {dict(self.fractions)!r}"
            )
        if self.by is not None and not isinstance(self.by, str):
            raise TypeError(f"by is the name of a field, got {type(self.by).__name__} {self.by!r}")
        check_seed(self.seed)


class Splitter(StructuralModule):
    """Disjoint parts of a dataset that together are all of it.

    A record's part is drawn from a hash of its index or of a field, so that appending records
    moves none of the earlier ones.
    """

    config: SplitterConfig

    def process(self, input: Any, *args: Any, **kwargs: Any) -> tuple[SubsetReader, ...]:
        """Return a reader for each part, in the order of `fractions`.

        `input` is a source over a reader, or a reader, which the parts read from and which stays
        open. A part is a reader as any other: `ReaderSource(SourceConfig(shuffle=True), part)` is
        a source over it.

        Raises:
            UnknownFieldError: If `by` names no field.
            NotSupportedError: If the dataset goes forward only.
            TypeError: If a value of that field has no hash that is the same everywhere.
        """
        if args or kwargs:
            raise TypeError(f"Splitter.process takes one dataset, got also {args!r} {kwargs!r}")
        reader: Reader = getattr(input, "reader", input)
        if not isinstance(reader, Reader):
            raise NotSupportedError(
                f"parts are read by index, and {type(reader).__name__} is no reader that is; "
                "load the dataset with mode='lazy' or 'eager'"
            )
        part = self._parts(reader)
        return tuple(
            SubsetReader(reader, np.flatnonzero(part == number), name)
            for number, name in enumerate(self.config.fractions)
        )

    def _parts(self, reader: Reader) -> NDArray[np.int64]:
        bounds = np.cumsum(list(self.config.fractions.values()))[:-1]
        size = len(reader)
        parts = np.empty(size, np.int64)
        for begin in range(0, size, PIECE):
            indices = np.arange(begin, min(size, begin + PIECE), dtype=np.int64)
            drawn = self._drawn(reader, indices)
            parts[begin : begin + len(indices)] = np.searchsorted(bounds, drawn, side="right")
        return parts

    def _drawn(self, reader: Reader, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        by = self.config.by
        if by is None:
            hashes = hash_integers(indices.astype(np.uint64), self.config.seed)
        else:
            names: Sequence[str] = tuple(reader.fields)
            if by not in names:
                raise unknown_field(by, tuple(names), dataset="the dataset", option="by")
            hashes = hash_values(read_columns(reader, indices, (by,))[by], self.config.seed)
        return hashes / 2.0**64
