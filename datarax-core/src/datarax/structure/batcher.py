"""`Batcher`: elements to batches, with the remainders and the padding that sources have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from flax import nnx

from datarax.core.batch import Batch, check_elements
from datarax.core.checks import check_size
from datarax.core.config import StructuralConfig
from datarax.core.module import HostCache
from datarax.core.spec import batched, layout_spec, struct
from datarax.core.structural import StructuralModule
from datarax.core.x64 import x64_enabled
from datarax.errors import HostOnlyFieldError, UnknownFieldError
from datarax.sources.config import check_pad, unknown_field
from datarax.sources.fields import Field
from datarax.sources.layout import Layout
from datarax.sources.memory_reader import MemoryReader
from datarax.staging import MASK
from datarax.transfer import pad_rows, to_device


@dataclass(frozen=True, kw_only=True)
class BatcherConfig(StructuralConfig):
    """How elements become batches.

    Attributes:
        batch_size: Elements of each batch.
        remainder: What becomes of the last elements where they do not fill a batch: "drop", "keep"
            as a smaller batch, or "pad" with zeros, each batch then having the boolean leaf
            `valid_mask`.
        pad: Widths, by field, that make text, bytes and ragged sequences arrays with a companion
            `<field>_length`.
        overflow: What happens to a value longer than its width: "error" or "cut", counted in the
            batcher's `cuts`.

    Raises:
        ValueError: For a value out of range.
        TypeError: For a value of another type.
    """

    batch_size: int
    remainder: Literal["drop", "keep", "pad"] = "keep"
    pad: Mapping[str, int] | None = None
    overflow: Literal["error", "cut"] = "error"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self.batch_size, "batch_size")
        if self.remainder not in ("drop", "keep", "pad"):
            raise ValueError(f"remainder is 'drop', 'keep' or 'pad', got {self.remainder!r}")
        if self.overflow not in ("error", "cut"):
            raise ValueError(f"overflow is 'error' or 'cut', got {self.overflow!r}")
        if self.pad is not None:
            check_pad(self.pad)


class Batcher(StructuralModule):
    """Batches of a list of elements.

    Example:
        >>> batches = Batcher(BatcherConfig(batch_size=2))([{"x": 1}, {"x": 2}, {"x": 3}])
        >>> [batch["x"].tolist() for batch in batches]
        [[1, 2], [3]]
    """

    config: BatcherConfig

    def __init__(
        self,
        config: BatcherConfig,
        *,
        rngs: nnx.Rngs | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(config, rngs=rngs, name=name)
        self._cuts = HostCache()
        self._dtypes = HostCache()

    @property
    def cuts(self) -> Mapping[str, int]:
        """How many values were cut to their `pad` width so far, by field; see `overflow="cut"`."""
        return dict(self._cuts)

    def clone(self) -> Self:
        """Return a new instance with the same state as this module, its `cuts` included."""
        clone = super().clone()
        clone._cuts, clone._dtypes = HostCache(self._cuts), HostCache(self._dtypes)
        return clone

    def process(self, input: Sequence[Mapping[str, Any]], *args: Any, **kwargs: Any) -> list[Batch]:
        """Return the batches of the elements `input`, in their order.

        Raises:
            UnknownFieldError: If `pad` names a field that elements do not have or that is neither
                text, bytes nor a sequence, or a field bears the name of the mask.
            HostOnlyFieldError: If no field is an array.
            TypeError: If they are no sequence of mappings with string keys.
            ValueError: If elements differ in their fields, shapes or dtypes, or a value is longer
                than its width.
        """
        if args or kwargs:
            raise TypeError(f"Batcher.process takes elements alone, got also {args!r} {kwargs!r}")
        check_elements(input)
        size, remainder = self.config.batch_size, self.config.remainder
        elements = self._padded(input) if self.config.pad and input else input
        batches = []
        for begin in range(0, len(elements), size):
            chunk = elements[begin : begin + size]
            if len(chunk) < size and remainder == "drop":
                break
            batch = Batch.from_elements(chunk)
            if not batch.size:
                raise HostOnlyFieldError(
                    f"a batch was asked of elements with the fields {sorted(chunk[0])}, none of "
                    "which is an array; pad={field: width} makes arrays of text and sequences"
                )
            if remainder == "pad":
                _check_no_mask(batch)
                batch = Batch(pad_rows(batch, size, MASK))
            batches.append(batch)
        return batches

    def batch_spec(self, spec: Any, fields: Mapping[str, Field] | None = None) -> Any:
        """Return the spec of a full batch of elements of `spec`.

        Args:
            spec: The spec of an element, as `source.element_spec()`.
            fields: The stored fields, as `source.reader.fields`; where `pad` makes arrays of some
                that are host-only, and so are not in `spec`.

        Raises:
            UnknownFieldError: If `pad` names a field that is in neither.
        """
        pad = self.config.pad or {}
        known = {
            **{name: Field.array(leaf.dtype, leaf.shape) for name, leaf in spec.items()},
            **(fields or {}),
        }
        for name in pad:
            if name not in known:
                raise unknown_field(name, tuple(known), dataset="the elements", option="pad")
        held = {name: leaf for name, leaf in spec.items() if name not in pad}
        if self.config.remainder == "pad":
            _check_no_mask(held)
        element = {**held, **layout_spec(self._layout({name: known[name] for name in pad}))}
        whole = dict(batched(element, self.config.batch_size))
        if self.config.remainder == "pad":
            whole[MASK] = struct((self.config.batch_size,), np.bool_)
        return whole

    def _padded(self, elements: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        pad = self.config.pad or {}
        for name in pad:
            for element in elements:
                if name not in element:
                    raise unknown_field(name, tuple(element), dataset="the elements", option="pad")
        reader = MemoryReader([{name: element[name] for name in pad} for element in elements])
        layout = self._layout(
            {
                name: self._typed(name, field, [element[name] for element in elements])
                for name, field in reader.fields.items()
            }
        )
        columns = to_device(layout.read(reader, np.arange(len(elements), dtype=np.int64)))
        for name, count in layout.cuts.items():
            self._cuts[name] = self._cuts.get(name, 0) + count
        return [
            {
                **{name: value for name, value in element.items() if name not in pad},
                **{name: column[row] for name, column in columns.items()},
            }
            for row, element in enumerate(elements)
        ]

    def _typed(self, name: str, field: Field, values: Sequence[Any]) -> Field:
        """Return a field with the dtype that earlier calls had, where all its sequences are empty.

        What no sequence holds has no type of its own.
        """
        field = _ragged(field)
        if field.ragged != "sequence":
            return field
        if not any(len(value) for value in values if value is not None):
            return replace(field, dtype=self._dtypes.get(name, field.dtype))
        self._dtypes[name] = field.dtype
        return field

    def _layout(self, fields: Mapping[str, Field]) -> Layout:
        return Layout.of(
            {name: _ragged(field) for name, field in fields.items()},
            tuple(fields),
            x64=x64_enabled(),
            pad=self.config.pad,
            overflow=self.config.overflow,
        )


def _check_no_mask(fields: Mapping[str, Any]) -> None:
    if MASK in fields:
        raise UnknownFieldError(
            f"remainder='pad' adds the field {MASK!r}, and the elements have one of that name; "
            "leave it out, or take another remainder"
        )


def _ragged(field: Field) -> Field:
    """Return the field as one that can be padded: sequences may happen to have one length."""
    if field.shape is not None and len(field.shape) == 1:
        return Field.host_only("its sequences are padded", ragged="sequence", dtype=field.dtype)
    return field
