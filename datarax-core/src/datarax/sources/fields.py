"""What a record holds: one `Field` for each name, as the reader stores it.

A field with a shape becomes an array; one without is host-only: it is in elements as a Python or
NumPy value, and not in the spec. Free of JAX: readers and worker processes use it. NumPy comes with
the first field that has a dtype, so that listing plugins does without it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

Ragged = Literal["text", "bytes", "sequence"]


@dataclass(frozen=True)
class Field:
    """One field of a record, as stored.

    Attributes:
        shape: The shape of one value, or None where values differ in shape (host-only).
        dtype: The dtype of the stored values; None for host-only fields without one.
        ragged: For a host-only field, how `pad=` can make it an array: "text" (str, as UTF-8
            bytes), "bytes", "sequence" (a list of numbers, of `dtype`); None where it cannot.
        reason: For a host-only field, why it is one, as a clause: "images differ in size".
        class_names: The names of the classes that integer labels count, in order.
        description: What a reader wishes to say of the field in `inspect`.
    """

    shape: tuple[int, ...] | None
    dtype: np.dtype[Any] | None
    ragged: Ragged | None = None
    reason: str | None = None
    class_names: tuple[str, ...] | None = field(default=None, repr=False)
    description: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.dtype is not None:
            object.__setattr__(self, "dtype", _dtype(self.dtype))
        if self.shape is not None:
            if self.dtype is None:
                raise TypeError("a field with a shape needs a dtype")
            object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        if self.class_names is not None:
            object.__setattr__(self, "class_names", tuple(self.class_names))

    @classmethod
    def array(
        cls,
        dtype: Any,
        shape: tuple[int, ...] = (),
        *,
        class_names: tuple[str, ...] | None = None,
        description: str | None = None,
    ) -> Field:
        """Return a field whose every value is an array of this dtype and shape."""
        return cls(shape, _dtype(dtype), class_names=class_names, description=description)

    @classmethod
    def host_only(
        cls,
        reason: str,
        *,
        ragged: Ragged | None = None,
        dtype: Any = None,
        description: str | None = None,
    ) -> Field:
        """Return a field that stays on the host, and why."""
        return cls(
            None,
            None if dtype is None else _dtype(dtype),
            ragged=ragged,
            reason=reason,
            description=description,
        )

    @classmethod
    def text(cls, description: str | None = None) -> Field:
        """Return the field of a string."""
        return cls.host_only("text has no fixed length", ragged="text", description=description)

    @property
    def is_array(self) -> bool:
        """Whether values have one shape, and so become arrays."""
        return self.shape is not None

    @property
    def nbytes(self) -> int | None:
        """Bytes of one value as stored; None where values differ in shape."""
        if self.shape is None or self.dtype is None:
            return None
        return math.prod(self.shape) * self.dtype.itemsize


def _dtype(value: Any) -> np.dtype[Any]:
    import numpy as np

    dtype: np.dtype[Any] = np.dtype(value)
    return dtype
