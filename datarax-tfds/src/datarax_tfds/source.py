"""The source of `tfds:`, as `datarax.load` returns it and as it is built from its config."""

from __future__ import annotations

from typing import Any

from datarax.core.data_source import LocalFilesOnlyMixin
from datarax.registry import SourceURI
from datarax.sources import ReaderSource
from datarax_tfds.config import TFDSSourceConfig
from datarax_tfds.prepared import find
from datarax_tfds.reader import open_reader


class TFDSSource(LocalFilesOnlyMixin, ReaderSource):
    """A dataset that TFDS prepared on this machine as a source; nothing is ever fetched.

    Args:
        config: What to read and how.
        rngs: Supplies the seed of a shuffled order where the config gives none.
        name: The module's name.

    Raises:
        CacheMissError: If the dataset, or shards of a split that is read, are not there.
        UnknownConfigError: If a choice among several configurations was not made.
        UnknownSplitError: If a split does not exist.
        CorruptDataError: If the dataset's metadata cannot be read.
        ValueError: If it was prepared in another file format than array_record.

    Example:
        config = TFDSSourceConfig(name="mnist", split="train[:80%]", shuffle=True)
        source = TFDSSource(config)
    """

    def __init__(
        self, config: TFDSSourceConfig, *, rngs: Any = None, name: str | None = None
    ) -> None:
        prepared = find(config)
        uri = str(SourceURI("tfds", prepared.title))
        super().__init__(config, open_reader(config, prepared), uri=uri, rngs=rngs, name=name)
        self.local_files_only = config.offline
