"""The options of `arrayrecord:`, checked once, free of JAX and of array_record."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datarax.errors import listing, nearest
from datarax.sources import Field, SourceConfig
from datarax_arrayrecord.files import check_local
from datarax_arrayrecord.spec import normalise

DECODERS = ("raw",)


@dataclass(frozen=True, kw_only=True)
class ArrayRecordSourceConfig(SourceConfig):
    """Options of a source over ArrayRecord shards.

    Attributes:
        path: A file, a folder or a glob of shards on this machine.
        decode: How a record's bytes become fields. "raw": the fields of `spec` one after
            another, each in C order and little-endian, with nothing between them.
        spec: For each field, in stored order, its shape and dtype: `jax.ShapeDtypeStruct(shape,
            dtype)`, a pair (dtype, shape), or a string such as "uint8[28,28]". Held as a mapping
            of names to `datarax.sources.Field`. A URI has it as JSON: `{"image": "uint8[28,28]"}`.

    Raises:
        ValueError: For a remote path, an unknown `decode`, or a spec without raw bytes.
        TypeError: For a value of another type.
    """

    path: str
    decode: str = "raw"
    spec: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", check_local(os.fspath(self.path)))
        if self.decode not in DECODERS:
            raise ValueError(
                f"decode={self.decode!r} is not known; it is one of {listing(DECODERS)}."
                f"{nearest(str(self.decode), DECODERS)}"
            )
        if self.spec is not None:
            object.__setattr__(self, "spec", normalise(self.spec))
        super().__post_init__()

    @property
    def stored(self) -> Mapping[str, Field]:
        """The fields of a record, in stored order.

        Raises:
            ValueError: If no `spec` was given.
        """
        if self.spec is None:
            raise ValueError(
                f"arrayrecord:{self.path}: records are bytes, and decode={self.decode!r} needs "
                "spec to say what they hold: each field's shape and dtype in stored order, for "
                "example spec={'image': jax.ShapeDtypeStruct((28, 28), 'uint8'), "
                "'label': jax.ShapeDtypeStruct((), 'int32')}"
            )
        return self.spec
