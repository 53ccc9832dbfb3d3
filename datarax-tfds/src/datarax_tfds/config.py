"""The options of `tfds:`, checked once, free of JAX and of tensorflow_datasets."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from datarax.sources import SourceConfig

_NAME = re.compile(
    r"(?P<dataset>[A-Za-z_][A-Za-z0-9_]*)"
    r"(?:/(?P<config>[A-Za-z0-9_][A-Za-z0-9_.=+-]*))?"
    r"(?::(?P<version>(?:\d+|\*)\.(?:\d+|\*)\.(?:\d+|\*)))?"
)
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, kw_only=True)
class TFDSSourceConfig(SourceConfig):
    """Options of a source over a dataset that TensorFlow Datasets prepared on this machine.

    Attributes:
        name: `name[/config][:version]`: "mnist", "mnist:3.0.1", "glue/cola", "mnist:3.*.*".
            Without a version, the latest prepared one is read; a star stands for any number.
        data_dir: The folder that holds prepared datasets; None is the environment's
            TFDS_DATA_DIR, else `~/tensorflow_datasets`, as TFDS has it.

    Raises:
        ValueError: If the name does not follow this grammar, or the folder is remote.
        TypeError: For a value of another type.
    """

    name: str
    data_dir: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"name is a string, got {type(self.name).__name__} {self.name!r}")
        if _NAME.fullmatch(self.name) is None:
            raise ValueError(
                f"{self.name!r} does not name a dataset of TFDS; it is written as "
                "name[/config][:version], for example 'mnist', 'mnist:3.0.1' or 'glue/cola'"
            )
        if self.data_dir is not None:
            object.__setattr__(self, "data_dir", os.fspath(self.data_dir))
        if _REMOTE.match(str(self.root)):
            raise ValueError(
                f"data_dir={str(self.data_dir or os.environ.get('TFDS_DATA_DIR'))!r} is remote, "
                "and tfds: reads files of this machine only; copy the prepared dataset to a local "
                "folder and give that"
            )
        super().__post_init__()

    @property
    def dataset(self) -> str:
        """The dataset's name alone."""
        return self._part("dataset") or ""

    @property
    def builder_config(self) -> str | None:
        """The configuration that was asked for, such as "cola"."""
        return self._part("config")

    @property
    def version(self) -> str | None:
        """The version that was asked for, such as "3.0.1" or "3.*.*"."""
        return self._part("version")

    @property
    def root(self) -> str:
        """The folder that holds prepared datasets, as given or as TFDS has it."""
        return self.data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"

    @property
    def folder(self) -> Path:
        """`root` as a path of this machine."""
        return Path(os.path.expanduser(self.root))  # noqa: PTH111  # `~nobody` stays

    def _part(self, name: str) -> str | None:
        match = _NAME.fullmatch(self.name)
        return match[name] if match else None
