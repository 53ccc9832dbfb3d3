"""From stored fields to emitted leaves: which fields become arrays, of what dtype, how wide.

The one place where stored values are converted, and where a conversion that would lose something
is refused. Free of JAX: it runs on the host, in callbacks and in worker processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from datarax.errors import (
    CorruptDataError,
    HostOnlyFieldError,
    IntegerRangeError,
    UnknownFieldError,
    ValueTooLongError,
)
from datarax.sources.fields import Field, Ragged
from datarax.sources.reader import BufferReader, Columns, Indices, Reader
from datarax.sources.splits import read_columns

ALIGNMENT = 64
"""Bytes; a host buffer so aligned becomes a CPU device array without a copy."""

_NARROW: dict[str, type[Any]] = {
    "int64": np.int32,
    "uint64": np.uint32,
    "float64": np.float32,
    "complex128": np.complex64,
}


@dataclass(frozen=True)
class Leaf:
    """One array of an element: its name, shape and dtype, and the stored field it is made of."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    field: str
    kind: Literal["array", "padded", "length"] = "array"


@dataclass(frozen=True)
class Layout:
    """What elements hold: `leaves` become arrays, `host_only` fields stay as they are.

    Attributes:
        leaves: The arrays, in stored order.
        host_only: The names of fields without a shape, and why.
        stored: The stored fields that are read, by name.
        overflow: What happens to values longer than their padded width.
        cuts: How many values were cut so far, by field.
    """

    leaves: tuple[Leaf, ...]
    host_only: Mapping[str, str]
    stored: Mapping[str, Field]
    overflow: Literal["error", "cut"] = "error"
    cuts: dict[str, int] = field(default_factory=dict, compare=False)

    @classmethod
    def of(
        cls,
        fields: Mapping[str, Field],
        names: Sequence[str],
        *,
        x64: bool,
        pad: Mapping[str, int] | None = None,
        overflow: Literal["error", "cut"] = "error",
    ) -> Layout:
        """Return the layout of the fields `names`.

        Raises:
            UnknownFieldError: If `pad` names a field that cannot be padded, or the companion
                `<field>_length` is the name of another field.
        """
        leaves: list[Leaf] = []
        host_only: dict[str, str] = {}
        for name in names:
            stored = fields[name]
            if pad and name in pad:
                leaves.extend(_padded(name, stored, pad[name], names, x64=x64))
            elif stored.shape is None or stored.dtype is None:
                host_only[name] = stored.reason or "its values have no fixed shape"
            elif (dtype := emitted_dtype(stored.dtype, x64=x64)) is None:
                host_only[name] = f"jax has no dtype for {stored.dtype}"
            else:
                leaves.append(Leaf(name, stored.shape, dtype, name))
        return cls(tuple(leaves), host_only, {name: fields[name] for name in names}, overflow)

    @property
    def element_bytes(self) -> int:
        """Bytes of the arrays of one element."""
        return sum(_leaf_bytes(leaf) for leaf in self.leaves)

    def blank(self, *rows: int) -> dict[str, NDArray[Any]]:
        """Return new buffers of shape (*rows, *shape), uninitialised and aligned."""
        return {leaf.name: aligned_empty((*rows, *leaf.shape), leaf.dtype) for leaf in self.leaves}

    def read(self, reader: Reader, indices: Indices) -> dict[str, NDArray[Any]]:
        """Return the leaves of the records at `indices`, each of shape (len(indices), *shape).

        The buffers are new, aligned to 64 bytes and C-contiguous: they may be handed to a device
        without a copy, and must then not be written again.

        Raises:
            IntegerRangeError: If a stored integer does not fit the emitted dtype.
            CorruptDataError: If the reader returns another shape or dtype than it declares.
        """
        out = self.blank(len(indices))
        self.read_into(reader, indices, out)
        return out

    def read_into(self, reader: Reader, indices: Indices, out: Mapping[str, NDArray[Any]]) -> None:
        """Fill `out`, one C-contiguous buffer for each leaf, as `read` describes."""
        direct: dict[str, NDArray[Any]] = {}
        if isinstance(reader, BufferReader):
            direct = {
                leaf.name: out[leaf.name]
                for leaf in self.leaves
                if leaf.kind == "array" and leaf.dtype == self.stored[leaf.field].dtype
            }
            if direct:
                reader.read_into(indices, direct)
        rest = [leaf for leaf in self.leaves if leaf.name not in direct]
        wanted = tuple(dict.fromkeys(leaf.field for leaf in rest))
        if not wanted:
            return
        self.fill(read_columns(reader, indices, wanted), out, rest)

    def fill(
        self, columns: Columns, out: Mapping[str, NDArray[Any]], leaves: Sequence[Leaf]
    ) -> None:
        """Fill the buffers of `leaves` from stored columns, converted and checked."""
        widths = {leaf.field: leaf.shape[0] for leaf in self.leaves if leaf.kind == "padded"}
        for leaf in leaves:
            column = columns[leaf.field]
            if leaf.kind == "array":
                self._convert(leaf, column, out[leaf.name])
            elif leaf.kind == "padded":
                self._pad(leaf, column, out[leaf.name])
            else:
                field = self.stored[leaf.field]
                lengths = [len(_sequence(leaf.field, field, value)) for value in column]
                out[leaf.name][...] = np.minimum(lengths, widths[leaf.field])

    def host_values(self, reader: Reader, indices: Indices) -> Mapping[str, Sequence[Any]]:
        """Return the host-only fields of the records at `indices`, each as a sequence."""
        if not self.host_only:
            return {}
        return read_columns(reader, indices, tuple(self.host_only))

    def no_arrays(self, dataset: str) -> str:
        """Return the text of the error for a batch of fields none of which is an array."""
        return (
            f"a batch was asked of {dataset!r}, none of whose fields has a fixed shape "
            f"({self.explain_host_only()}); {self.how_to_pad()}"
        )

    def explain_host_only(self) -> str:
        """Return the host-only fields and why each is one, as a clause."""
        return ", ".join(f"{name!r}: {reason}" for name, reason in self.host_only.items())

    def how_to_pad(self) -> str:
        """Return how the host-only fields can be made arrays."""
        able = [name for name in self.host_only if self.stored[name].ragged]
        if not able:
            return "read them as elements, or leave them out with exclude_keys"
        widths = ", ".join(f"{name!r}: width" for name in able)
        return f"pad={{{widths}}} makes arrays of them"

    def _convert(self, leaf: Leaf, column: Any, out: NDArray[Any]) -> None:
        values = np.asarray(column)
        stored = self.stored[leaf.field].dtype
        if values.shape != out.shape or values.dtype != stored:
            raise CorruptDataError(
                f"the reader returned {values.dtype}{list(values.shape)} for {leaf.field!r}, "
                f"and declares {stored}{list(out.shape)}"
            )
        if values.dtype.kind in "iu" and values.dtype.itemsize > leaf.dtype.itemsize:
            _check_range(leaf, values)
        out[...] = values

    def _pad(self, leaf: Leaf, column: Any, out: NDArray[Any]) -> None:
        out[...] = 0
        stored, width = self.stored[leaf.field], leaf.shape[0]
        for row, value in enumerate(column):
            items = _sequence(leaf.field, stored, value)
            if len(items) > width and self.overflow == "error":
                raise ValueTooLongError(
                    f"{leaf.field!r} holds a value of length {len(items)}, beyond its pad width "
                    f"of {width}; give a greater width, or overflow='cut' to cut it"
                )
            if len(items) > width:
                self.cuts[leaf.field] = self.cuts.get(leaf.field, 0) + 1
            kept = items[:width]
            if stored.ragged == "sequence" and kept.dtype.kind in "iu":
                _check_range(leaf, kept)
            out[row, : len(kept)] = kept


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an uninitialised C-contiguous array whose data begins at a multiple of 64 bytes."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    raw = np.empty(size + ALIGNMENT, np.uint8)
    begin = -raw.ctypes.data % ALIGNMENT
    return raw[begin : begin + size].view(dtype).reshape(shape)


def emitted_dtype(stored: np.dtype[Any], *, x64: bool) -> np.dtype[Any] | None:
    """Return the dtype of jax arrays of `stored` values; None where jax has none."""
    if stored.kind in "OSUMmV" and not _is_extended_float(stored):
        return None
    native = stored.newbyteorder("=")
    if native.name in ("float128", "longdouble", "complex256", "clongdouble"):
        return None
    return native if x64 else np.dtype(_NARROW.get(native.name, native))


def _is_extended_float(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "V" and dtype.names is None and "float" in dtype.name


def _padded(
    name: str, field: Field, width: int, names: Sequence[str], *, x64: bool
) -> tuple[Leaf, Leaf]:
    dtype = _padded_dtype(field.ragged, field, x64=x64)
    if dtype is None:
        held = f"{field.dtype}{list(field.shape)}" if field.shape is not None else field.reason
        raise UnknownFieldError(
            f"pad names {name!r}, which is neither text, bytes nor a sequence of numbers ({held}); "
            "leave it out of pad"
        )
    length = f"{name}_length"
    if length in names:
        raise UnknownFieldError(
            f"pad makes {length!r} the companion of {name!r}, but the dataset has a field of that "
            f"name; leave one of them out with exclude_keys"
        )
    return (
        Leaf(name, (width,), dtype, name, "padded"),
        Leaf(length, (), np.dtype(np.int32), name, "length"),
    )


def _padded_dtype(ragged: Ragged | None, field: Field, *, x64: bool) -> np.dtype[Any] | None:
    if ragged is None:
        return None
    if ragged == "sequence":
        return None if field.dtype is None else emitted_dtype(field.dtype, x64=x64)
    return np.dtype(np.uint8)


def _sequence(name: str, field: Field, value: Any) -> NDArray[Any]:
    if value is None:
        return np.empty(0, field.dtype if field.ragged == "sequence" else np.uint8)
    if field.ragged == "sequence":
        if isinstance(value, list) and None in value:
            raise HostOnlyFieldError(
                f"{name!r} holds a list with a null in it, which no array of {field.dtype} can "
                "hold; leave it out of pad, or let the source fill its nulls"
            )
        return np.asarray(value, field.dtype)
    data = value.encode() if isinstance(value, str) else bytes(value)
    return np.frombuffer(data, np.uint8)


def _check_range(leaf: Leaf, values: NDArray[Any]) -> None:
    if not values.size or np.can_cast(values.dtype, leaf.dtype):
        return
    bounds = np.iinfo(leaf.dtype)
    low, high = int(values.min()), int(values.max())
    if low < bounds.min or high > bounds.max:
        worst = low if low < bounds.min else high
        raise IntegerRangeError(
            f"{leaf.field!r} holds {worst}, which does not fit {leaf.dtype}: jax arrays are 32 "
            "bits wide unless jax_enable_x64 is on; switch it on, or leave the field out with "
            "exclude_keys"
        )


def _leaf_bytes(leaf: Leaf) -> int:
    return int(np.prod(leaf.shape, dtype=np.int64)) * leaf.dtype.itemsize
