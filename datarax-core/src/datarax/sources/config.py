"""The options that every source takes, checked once, free of JAX.

A plugin's config extends `SourceConfig` with the options of its own. An option left out is told
from one given by its default of None wherever the difference matters (`seed`, `split`).
"""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from datarax.core.config import StructuralConfig
from datarax.errors import UnknownFieldError, listing, nearest

Mode = Literal["auto", "eager", "lazy", "streaming"]
MODES: tuple[Mode, ...] = ("auto", "eager", "lazy", "streaming")

_OFF = {"", "0", "false", "no", "off"}


def environment_switch(name: str) -> bool:
    """Return whether the environment variable `name` is on; '', 0, false, no and off are off."""
    return os.environ.get(name, "").strip().lower() not in _OFF


@dataclass(frozen=True, kw_only=True)
class SourceConfig(StructuralConfig):
    """Options of every source.

    Attributes:
        split: The split to read; None is the only one, else `train`. Slices such as
            `train[:80%]`, sums such as `train+test`, and `all` are understood.
        mode: "eager" (decoded once into JAX arrays), "lazy" (rows read when asked for),
            "streaming" (forward only) or "auto" (eager where the split fits `eager_limit`).
        shuffle: Whether order is a fresh bijection for each epoch instead of storage order.
        seed: What the order is drawn from, in [0, 2**32); None is 0, or drawn from `rngs`.
        local_files_only: True opens no socket; None is the answer of DATARAX_OFFLINE.
        include_keys: The only fields to read.
        exclude_keys: Fields to leave unread.
        eager_limit: Bytes, on each device, up to which mode "auto" is eager.
        placement: A `jax.Device` or `jax.sharding.Sharding` for eager data.
        pad: Widths, by field, that make text, bytes and ragged fields arrays.
        overflow: What happens to a value longer than its `pad` width: "error" or "cut".
        shuffle_window: Records that are permuted together when a stream is shuffled; None is
            10,000. Other modes shuffle fully and refuse it.
        cache_limit: Bytes of decoded records that `cacheable=True` keeps on the host.

    Raises:
        ValueError: For a value out of range, or both `include_keys` and `exclude_keys`.
        TypeError: For a value of another type.
    """

    split: str | None = None
    mode: Mode = "auto"
    shuffle: bool = False
    seed: int | None = None
    local_files_only: bool | None = None
    include_keys: tuple[str, ...] | None = None
    exclude_keys: tuple[str, ...] | None = None
    eager_limit: int = 2**30
    placement: Any = None
    pad: Mapping[str, int] | None = None
    overflow: Literal["error", "cut"] = "error"
    shuffle_window: int | None = None
    cache_limit: int = 2**30

    def __post_init__(self) -> None:
        for name in ("include_keys", "exclude_keys"):
            object.__setattr__(self, name, _names(name, getattr(self, name)))
        super().__post_init__()
        if self.split is not None and not isinstance(self.split, str):
            raise TypeError(f"split is a string, got {type(self.split).__name__} {self.split!r}")
        if self.mode not in MODES:
            raise ValueError(f"mode is one of {listing(MODES)}, got {self.mode!r}")
        for name in ("shuffle", "cacheable"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} is True or False, got {getattr(self, name)!r}")
        if self.local_files_only is not None and not isinstance(self.local_files_only, bool):
            raise TypeError(
                f"local_files_only is True, False or None, got {self.local_files_only!r}"
            )
        if self.seed is not None:
            object.__setattr__(self, "seed", check_seed(self.seed))
        for name in ("eager_limit", "cache_limit"):
            limit = _integer(name, getattr(self, name))
            if limit < 0:
                raise ValueError(f"{name} is a number of bytes, 0 or more, got {limit}")
            object.__setattr__(self, name, limit)
        if self.shuffle_window is not None and _integer("shuffle_window", self.shuffle_window) < 1:
            raise ValueError(f"shuffle_window is 1 record or more, got {self.shuffle_window}")
        if self.include_keys is not None and self.exclude_keys is not None:
            raise ValueError(
                f"include_keys={self.include_keys!r} and exclude_keys={self.exclude_keys!r} "
                "exclude each other; give the fields to read, or those to leave out"
            )
        if self.overflow not in ("error", "cut"):
            raise ValueError(f"overflow is 'error' or 'cut', got {self.overflow!r}")
        if self.pad is not None:
            check_pad(self.pad)

    @property
    def offline(self) -> bool:
        """Whether no socket may be opened: `local_files_only`, else DATARAX_OFFLINE."""
        if self.local_files_only is None:
            return environment_switch("DATARAX_OFFLINE")
        return self.local_files_only

    def select(self, names: tuple[str, ...], *, dataset: str) -> tuple[str, ...]:
        """Return which of the stored fields `names` are read, in stored order.

        Raises:
            UnknownFieldError: If an option names a field that is not stored.
        """
        for option in ("include_keys", "exclude_keys", "pad"):
            for name in getattr(self, option) or ():
                if name not in names:
                    raise unknown_field(name, names, dataset=dataset, option=option)
        if self.include_keys is not None:
            chosen = tuple(name for name in names if name in self.include_keys)
        else:
            chosen = tuple(name for name in names if name not in (self.exclude_keys or ()))
        for name in self.pad or ():
            if name not in chosen:
                raise UnknownFieldError(
                    f"{dataset}: pad names {name!r}, which include_keys or exclude_keys leaves "
                    "unread; leave it out of pad too"
                )
        return chosen


def unknown_field(
    name: str, names: tuple[str, ...], *, dataset: str, option: str
) -> UnknownFieldError:
    """Return the error for a field that `dataset` does not have."""
    return UnknownFieldError(
        f"{dataset}: {option} names the field {name!r}, which it does not have; "
        f"its fields are {listing(names)}.{nearest(name, names)}"
    )


def check_seed(value: Any) -> int:
    """Return a seed as an int.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is not in [0, 2**32).
    """
    seed = _integer("seed", value)
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is in [0, 2**32), got {seed}")
    return seed


def check_pad(value: Any) -> None:
    """Check that `value` maps names of fields to widths.

    Raises:
        TypeError: If it does not.
        ValueError: If a width is below 1.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"pad maps a field to a width, got {type(value).__name__} {value!r}")
    for name, width in value.items():
        if not isinstance(name, str):
            raise TypeError(f"pad maps a field's name to a width, got the name {name!r}")
        if _integer(f"pad[{name!r}]", width) < 1:
            raise ValueError(f"pad[{name!r}] is a width of 1 or more, got {width}")


def _integer(name: str, value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError(f"{name} is an integer, got {value!r}")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is an integer, got {type(value).__name__} {value!r}") from None


def _names(option: str, value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str):
        raise TypeError(f"{option} is a sequence of field names, got the string {value!r}")
    if not isinstance(value, Iterable):
        raise TypeError(
            f"{option} is a sequence of field names, got {type(value).__name__} {value!r}"
        )
    names = tuple(value)
    if not names:
        raise ValueError(f"{option} is empty; leave it out to read every field")
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{option} is a sequence of field names, got {name!r} in it")
    return names
