"""The source of `arrayrecord:`, as `datarax.load` returns it and as it is built from its config."""

from __future__ import annotations

from typing import Any

from datarax.core.data_source import LocalFilesOnlyMixin
from datarax.registry import SourceURI
from datarax.sources import ReaderSource
from datarax_arrayrecord.config import ArrayRecordSourceConfig
from datarax_arrayrecord.reader import open_reader


class ArrayRecordSource(LocalFilesOnlyMixin, ReaderSource):
    """ArrayRecord shards on this machine as a source; nothing is ever fetched.

    Args:
        config: What to read and how.
        rngs: Supplies the seed of a shuffled order where the config gives none.
        name: The module's name.

    Raises:
        CacheMissError: If the files, or some shards of a set, are lacking; the text names each.
        CorruptDataError: If a file is not a whole ArrayRecord file.
        ValueError: If no spec was given, or a folder holds several sets.

    Example:
        config = ArrayRecordSourceConfig(path="data/digits", spec={"image": "uint8[8,8]"})
        source = ArrayRecordSource(config)
    """

    def __init__(
        self, config: ArrayRecordSourceConfig, *, rngs: Any = None, name: str | None = None
    ) -> None:
        reader = open_reader(config)
        uri = str(SourceURI("arrayrecord", config.path))
        super().__init__(config, reader, uri=uri, rngs=rngs, name=name)
        self.local_files_only = config.offline
