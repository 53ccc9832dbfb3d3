"""`KnownDataset`: a small dataset and the answer that is expected of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

FEWEST, MOST = 5, 50

_SPLIT = re.compile(r"(?P<name>[^\[\]+%]+)(\[(?P<begin>\d*):(?P<end>\d*)\])?")


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
        target: A URI and keywords that `save` may write to, and from which `load` then reads; for
            plugins that declare SAVE.
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
    target: tuple[str, Mapping[str, Any]] | None = None
    first: str | None = None
    reads_files: bool = True

    def split_of(self, count: int) -> str:
        """Return a split expression of the first `count` records, 0 or 1."""
        split = self.first or self.options.get("split") or self._only_split()
        match = _SPLIT.fullmatch(split)
        if match is None:
            raise ValueError(
                f"the first record alone cannot be told from split={split!r}; "
                "give KnownDataset(first=...)"
            )
        begin = int(match["begin"] or 0)
        return f"{match['name']}[{begin}:{begin + count}]"

    @property
    def split_name(self) -> str:
        """The name of the stored split that the records are of."""
        split = self.first or self.options.get("split") or self._only_split()
        return str(re.split(r"[\[+]", split)[0])

    def _only_split(self) -> str:
        import datarax

        splits = list(datarax.inspect(self.uri, **self.options).splits)
        return splits[0] if len(splits) == 1 else "train"


def check_known(dataset: KnownDataset) -> None:
    """Assert that a dataset shows enough for the contract to mean something."""
    size = len(dataset.records)
    assert FEWEST <= size <= MOST, f"KnownDataset has {FEWEST} to {MOST} records, got {size}"
    fields = set(dataset.records[0])
    assert all(set(record) == fields for record in dataset.records), "records differ in fields"
    seen = {
        name
        for name in fields
        if any(
            not same_host_value(record[name], dataset.records[0][name])
            for record in dataset.records
        )
    }
    assert seen, "all records of KnownDataset are the same: no order could be told from another"


def check_spec(spec: Any) -> None:
    """Assert that a spec is a dict of shapes and dtypes."""
    import jax

    assert isinstance(spec, dict), f"element_spec() is a {type(spec).__name__}, not a dict"
    assert spec, "element_spec() is empty: no field becomes an array"
    for name, leaf in spec.items():
        assert isinstance(leaf, jax.ShapeDtypeStruct), f"{name} is {leaf!r}"


def check_element(element: Mapping[str, Any], record: Mapping[str, Any], spec: Any) -> None:
    """Assert that an element is the record, its arrays as the spec declares them."""
    assert set(element) == set(record), f"fields {sorted(element)}, not {sorted(record)}"
    for name, value in record.items():
        found = element[name]
        if name in spec:
            check_leaf(name, found, spec[name].shape, spec[name].dtype)
            np.testing.assert_array_equal(
                np.asarray(found), as_declared(name, value, spec[name].dtype), err_msg=name
            )
        else:
            assert same_host_value(found, value), f"{name}: {found!r} is not {value!r}"


def check_leaf(name: str, found: Any, shape: tuple[int, ...], dtype: Any) -> None:
    """Assert that an array is one of JAX, of this shape and dtype, and strongly typed."""
    import jax

    assert isinstance(found, jax.Array), f"{name} is {type(found)}, not a jax.Array"
    assert found.shape == tuple(shape), f"{name}: shape {found.shape}, declared {tuple(shape)}"
    assert found.dtype == dtype, f"{name}: dtype {found.dtype}, declared {dtype}"
    assert not found.weak_type, f"{name} is weakly typed"


def as_declared(name: str, value: Any, dtype: Any) -> Any:
    """Return a known value as an array of the declared dtype, which must hold it."""
    known = np.asarray(value)
    cast = known.astype(dtype)
    if known.dtype.kind in "iub":
        assert np.array_equal(known, cast), f"{name}: {known!r} does not fit the declared {dtype}"
    return cast


def rows_of(records: Sequence[Mapping[str, Any]], spec: Any, indices: Any) -> dict[str, Any]:
    """Return the batch of the records at `indices`, as host arrays."""
    return {
        name: np.stack([as_declared(name, records[i][name], leaf.dtype) for i in indices])
        if len(indices)
        else np.zeros((0, *leaf.shape), leaf.dtype)
        for name, leaf in spec.items()
    }


def padded_rows(rows: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Return the rows of a batch with zeros up to `size`, and the mask that tells them apart."""
    count = len(next(iter(rows.values())))
    padded = {
        name: np.concatenate([column, np.zeros((size - count, *column.shape[1:]), column.dtype)])
        for name, column in rows.items()
    }
    return {**padded, "valid_mask": np.arange(size) < count}


def check_batch(batch: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Assert that a batch holds exactly the expected arrays."""
    assert set(batch) == set(expected), f"leaves {sorted(batch)}, not {sorted(expected)}"
    for name, rows in expected.items():
        check_leaf(name, batch[name], rows.shape, rows.dtype)
        np.testing.assert_array_equal(np.asarray(batch[name]), rows, err_msg=name)


def stacked(elements: Sequence[Mapping[str, Any]], spec: Any) -> dict[str, Any]:
    """Return elements as one batch of device arrays."""
    import jax.numpy as jnp

    return {
        name: jnp.asarray(np.stack([np.asarray(element[name]) for element in elements]))
        for name in spec
    }


def names_a_path(text: str, *, exists: bool) -> bool:
    """Return whether a message names an absolute path, of a file that is there if `exists`."""
    words = re.split(r"[\s'\"()<>,;]+", text)
    paths = [Path(word.rstrip(".:")) for word in words if word.strip("/\\")]
    return any(path.is_absolute() and (path.is_file() or not exists) for path in paths)


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
