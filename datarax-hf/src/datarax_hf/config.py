"""The options of `hf:`, checked once, free of JAX."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import SupportsIndex

from datarax.errors import InvalidURIError
from datarax.sources import SourceConfig
from datarax.sources.config import environment_switch
from datarax_hf.names import LONGEST, is_dataset_name, is_local, meant_name
from datarax_hf.tokens import checked_token

IMAGE_MODES = ("L", "LA", "RGB", "RGBA")
_HUB_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
"""The switches by which what is built on the Hub's client stays offline."""


@dataclass(frozen=True, kw_only=True)
class HFSourceConfig(SourceConfig):
    """Options of a Hugging Face dataset.

    Attributes:
        name: The dataset: "mnist", "ylecun/mnist", or the path of a folder laid out as a
            repository, which begins with "./", "../", "~" or "/".
        config: One of the dataset's configurations; None is the only one, or the default one.
        revision: A branch, a tag, a commit (in full, or as a prefix where the commit is cached)
            or a ref such as "refs/convert/parquet"; None is "main".
        cache_dir: The cache folder; None is HF_HUB_CACHE, else `hub` under HF_HOME.
        token: An access token; None is the one huggingface_hub finds, False is none.
        image_mode: Convert images to this mode: "L", "LA", "RGB" or "RGBA".
        image_size: Resize images to (height, width), bilinear with antialiasing.
        flatten: Whether the parts of structs are columns of their own, named "struct.part".
        fill_nulls: The numbers that stand for nulls, by column: a column of numbers is an array
            only where none of them is null.
        derived_dir: The folder of files made from the Hub's, such as flat layouts for random
            access; None is that of DATARAX_CACHE, else `datarax` beside the hub cache.
        derived_limit: Bytes that those may take on the disk, 0 to make none; None is what
            DATARAX_CACHE_LIMIT says, else half of what the disk has free.
        verify: Whether every file that is read is compared with the hash that the Hub publishes
            for it, before anything is read.

    Raises:
        InvalidURIError: If `name` or `revision` cannot be one. It is a ValueError.
        TypeError: For a value of another type.
        ValueError: For a value out of range.
    """

    name: str
    config: str | None = None
    revision: str | None = None
    cache_dir: str | os.PathLike[str] | None = None
    token: str | bool | None = field(default=None, repr=False)
    image_mode: str | None = None
    image_size: tuple[int, int] | None = None
    flatten: bool = False
    fill_nulls: Mapping[str, bool | int | float] | None = None
    derived_dir: str | os.PathLike[str] | None = None
    derived_limit: int | None = None
    verify: bool = False

    def __post_init__(self) -> None:
        for option in ("cache_dir", "derived_dir"):
            if isinstance(getattr(self, option), os.PathLike):
                object.__setattr__(self, option, os.fspath(getattr(self, option)))
        super().__post_init__()
        if not isinstance(self.name, str):
            raise TypeError(f"name is a string, got {type(self.name).__name__} {self.name!r}")
        for option in ("config", "revision", "cache_dir", "image_mode", "derived_dir"):
            value = getattr(self, option)
            if value is not None and (not isinstance(value, str) or not value):
                raise TypeError(f"{option} is a string that is not empty, or None; got {value!r}")
        if not isinstance(self.verify, bool):
            raise TypeError(f"verify is True or False, got {self.verify!r}")
        if self.token is not None and not isinstance(self.token, str | bool):
            raise TypeError(f"token is a string, a bool or None; got {type(self.token).__name__}")
        if isinstance(self.token, str):
            object.__setattr__(self, "token", checked_token(self.token, "token="))
        if not is_local(self.name) and not is_dataset_name(self.name):
            raise InvalidURIError(
                f"{self.name!r} cannot be a dataset on the Hub; write 'dataset' or "
                "'namespace/dataset' in letters, digits, '.', '_' and '-', each of up to "
                f"{LONGEST} characters and without '.git' at the end, or './folder' for a folder "
                f"of this machine{meant_name(self.name)}"
            )
        if self.revision is not None and not _is_ref(self.revision):
            raise InvalidURIError(
                f"revision {self.revision!r} cannot be a branch, a tag or a commit: it is a "
                "relative path without '..'"
            )
        if self.image_mode is not None and self.image_mode not in IMAGE_MODES:
            raise ValueError(f"image_mode is one of {IMAGE_MODES}, got {self.image_mode!r}")
        if self.derived_limit is not None:
            object.__setattr__(self, "derived_limit", _bytes("derived_limit", self.derived_limit))
        if self.image_size is not None:
            object.__setattr__(self, "image_size", _size(self.image_size))
        if not isinstance(self.flatten, bool):
            raise TypeError(f"flatten is True or False, got {self.flatten!r}")
        if self.fill_nulls is not None:
            _check_fills(self.fill_nulls)

    @property
    def offline(self) -> bool:
        """Whether no socket may be opened: as every source has it, or by a switch of the Hub's."""
        return super().offline or any(map(environment_switch, _HUB_OFFLINE))

    @property
    def offline_by(self) -> str:
        """What keeps a load offline, in words: the option, or the environment variable."""
        if not self.local_files_only:
            for name in ("DATARAX_OFFLINE", *_HUB_OFFLINE):
                if environment_switch(name):
                    return f"{name}={os.environ[name]}"
        return "local_files_only=True"


def _is_ref(revision: str) -> bool:
    parts = revision.split("/")
    return all(part not in {"", ".", ".."} for part in parts) and not set(revision) & set("\\:\0 ")


def _bytes(option: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise TypeError(f"{option} is a number of bytes, got {value!r}")
    if operator.index(value) < 0:
        raise ValueError(f"{option} is a number of bytes, 0 or more; got {value!r}")
    return operator.index(value)


def _size(value: object) -> tuple[int, int]:
    try:
        height, width = (operator.index(side) for side in value)  # type: ignore[attr-defined]  # any iterable
    except (TypeError, ValueError):
        raise TypeError(f"image_size is (height, width), got {value!r}") from None
    if height < 1 or width < 1:
        raise ValueError(f"image_size is two sizes of 1 or more, got {value!r}")
    return height, width


def _check_fills(value: object) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(f"fill_nulls maps a column to a number, got {value!r}")
    for name, number in value.items():
        if not isinstance(name, str) or not isinstance(number, bool | int | float):
            raise TypeError(f"fill_nulls maps a column to a number, got {name!r}: {number!r}")
