"""`Batcher`: elements to batches, with the remainders and the padding that sources have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from datarax.core.batch import Batch
from datarax.core.config import StructuralConfig
from datarax.core.data_source import check_size
from datarax.core.spec import batched, layout_spec, struct, x64_enabled
from datarax.core.structural import StructuralModule
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
        overflow: What happens to a value longer than its width: "error" or "cut".

    Raises:
        ValueError: For a value out of range.
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
        for field, width in (self.pad or {}).items():
            check_size(width, f"pad[{field!r}]")


class Batcher(StructuralModule):
    """Batches of a list of elements.

    Example:
        >>> batches = Batcher(BatcherConfig(batch_size=2))([{"x": 1}, {"x": 2}, {"x": 3}])
        >>> [batch["x"].tolist() for batch in batches]
        [[1, 2], [3]]
    """

    config: BatcherConfig

    def process(self, input: Sequence[Mapping[str, Any]], *args: Any, **kwargs: Any) -> list[Batch]:
        """Return the batches of the elements `input`, in their order.

        Raises:
            ValueError: If elements differ in their fields, shapes or dtypes.
        """
        if args or kwargs:
            raise TypeError(f"Batcher.process takes elements alone, got also {args!r} {kwargs!r}")
        size = self.config.batch_size
        elements = self._padded(input) if self.config.pad and input else input
        batches = []
        for begin in range(0, len(elements), size):
            batch = Batch.from_elements(elements[begin : begin + size])
            if batch.size < size and self.config.remainder == "drop":
                break
            if self.config.remainder == "pad":
                batch = Batch(pad_rows(batch, size, MASK))
            batches.append(batch)
        return batches

    def batch_spec(self, spec: Any) -> Any:
        """Return the spec of a full batch of elements of `spec`."""
        size = self.config.batch_size
        whole = dict(batched(spec, size))
        for field, width in (self.config.pad or {}).items():
            held = spec.get(field)
            dtype = np.dtype(np.uint8) if held is None else held.dtype
            whole[field] = struct((size, width), dtype)
            whole[f"{field}_length"] = struct((size,), np.int32)
        if self.config.remainder == "pad":
            whole[MASK] = struct((size,), np.bool_)
        return whole

    def _padded(self, elements: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        names = [name for name in self.config.pad or {} if name in elements[0]]
        reader = MemoryReader([{name: element[name] for name in names} for element in elements])
        fields = {name: _ragged(field) for name, field in reader.fields.items()}
        layout = Layout.of(
            fields, names, x64=x64_enabled(), pad=self.config.pad, overflow=self.config.overflow
        )
        columns = to_device(layout.read(reader, np.arange(len(elements), dtype=np.int64)))
        leaves = layout_spec(layout)
        return [
            {
                **{name: value for name, value in element.items() if name not in names},
                **{name: columns[name][row] for name in leaves},
            }
            for row, element in enumerate(elements)
        ]


def _ragged(field: Field) -> Field:
    """Return the field as one that can be padded: sequences may happen to have one length."""
    if field.shape is not None and len(field.shape) == 1:
        return Field.host_only("its sequences are padded", ragged="sequence", dtype=field.dtype)
    return field
