"""`KnownDataset`: a small dataset and the answer that is expected of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class KnownDataset:
    """What a plugin's fixture gives the contract.

    Attributes:
        uri: What to load.
        records: The records expected, in storage order, as host values; 5 to 50 of them, at least
            two of which differ in their arrays, with at least one field that becomes an array.
        options: Keywords of `load` that the dataset needs.
        miss: A URI and keywords that name nothing on this machine, for which `load` with
            `local_files_only=True` must raise CacheMissError; None where nothing can be missing.
        corrupt: A URI and keywords that name a damaged copy, of which loading or reading every
            record must raise CorruptDataError; None where there are no files to damage.
        part: Removes one of the files that were fetched; for plugins that declare FETCHES.
        first: The split expression of the record stored first alone, such as `train[:1]`; needed
            only where `options` has a split that is not a name or `name[i:j]`.
        reads_files: Whether records come from files, which can be damaged; then `corrupt` is due.
    """

    uri: str
    records: Sequence[Mapping[str, Any]]
    options: Mapping[str, Any] = field(default_factory=dict)
    miss: tuple[str, Mapping[str, Any]] | None = None
    corrupt: tuple[str, Mapping[str, Any]] | None = None
    part: Callable[[], None] | None = None
    first: str | None = None
    reads_files: bool = True

    def split_of(self, count: int) -> str:
        """Return a split expression of the first `count` records, 0 or 1."""
        split = self.first or self.options.get("split") or self._only_split()
        match = re.fullmatch(r"(?P<name>[^\[\]+%]+)(\[(?P<begin>\d*):(?P<end>\d*)\])?", split)
        if match is None:
            raise ValueError(
                f"the first record alone cannot be told from split={split!r}; "
                "give KnownDataset(first=...)"
            )
        begin = int(match["begin"] or 0)
        return f"{match['name']}[{begin}:{begin + count}]"

    def _only_split(self) -> str:
        import datarax

        splits = list(datarax.inspect(self.uri, **self.options).splits)
        return splits[0] if len(splits) == 1 else "train"


def check_element(element: Mapping[str, Any], record: Mapping[str, Any], spec: Any) -> None:
    """Assert that an element is the record, its arrays as the spec declares them."""
    assert set(element) == set(record)
    for name, value in record.items():
        found = element[name]
        if name in spec:
            check_leaf(name, found, value, spec[name])
        else:
            assert same_host_value(found, value), f"{name}: {found!r} is not {value!r}"


def check_leaf(name: str, found: Any, expected: Any, spec: Any) -> None:
    """Assert that an array has the declared shape and dtype, and the expected values."""
    import jax

    assert isinstance(found, jax.Array), f"{name} is {type(found)}, not a jax.Array"
    assert found.shape == tuple(spec.shape), f"{name}: shape {found.shape}, spec {spec.shape}"
    assert found.dtype == spec.dtype, f"{name}: dtype {found.dtype}, spec {spec.dtype}"
    assert not found.weak_type, f"{name} is weakly typed"
    np.testing.assert_array_equal(
        np.asarray(found), np.asarray(expected).astype(spec.dtype), err_msg=name
    )


def rows_of(records: Sequence[Mapping[str, Any]], spec: Any, indices: Any) -> dict[str, Any]:
    """Return the batch of the records at `indices`, as host arrays."""
    return {
        name: np.stack([np.asarray(records[i][name]).astype(leaf.dtype) for i in indices])
        if len(indices)
        else np.zeros((0, *leaf.shape), leaf.dtype)
        for name, leaf in spec.items()
    }


def check_batch(batch: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Assert that a batch holds exactly the expected arrays."""
    import jax

    assert set(batch) == set(expected)
    for name, rows in expected.items():
        assert isinstance(batch[name], jax.Array), f"{name} is {type(batch[name])}"
        assert batch[name].dtype == rows.dtype, f"{name}: {batch[name].dtype}, not {rows.dtype}"
        np.testing.assert_array_equal(np.asarray(batch[name]), rows, err_msg=name)


def same_host_value(found: Any, expected: Any) -> bool:
    """Return whether two host values are equal, arrays by content."""
    if isinstance(expected, Mapping):
        return (
            isinstance(found, Mapping)
            and found.keys() == expected.keys()
            and all(same_host_value(found[key], value) for key, value in expected.items())
        )
    if isinstance(found, np.ndarray) or isinstance(expected, np.ndarray):
        return np.shape(found) == np.shape(expected) and bool(np.array_equal(found, expected))
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(same_host_value, found, expected))
    return bool(found == expected)
