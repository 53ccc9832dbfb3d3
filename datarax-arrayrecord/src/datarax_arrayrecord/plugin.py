"""The plugin behind the entry point `arrayrecord`: light until a dataset is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datarax.registry import INDEXED, DatasetInfo, PluginInfo, SourceURI, hookimpl
from datarax_arrayrecord.config import ArrayRecordSourceConfig

if TYPE_CHECKING:
    from datarax.testing import KnownDataset


class ArrayRecordPlugin:
    """Shards of ArrayRecord files: `arrayrecord:data/train-*.array_record`."""

    @hookimpl
    def describe(self) -> PluginInfo:
        return PluginInfo(
            summary="ArrayRecord shards on this machine: a file, a folder or a glob.",
            config=ArrayRecordSourceConfig,
            capabilities=INDEXED,
            target_option="path",
        )

    @hookimpl
    def open(self, config: ArrayRecordSourceConfig, rngs: Any) -> Any:
        from datarax_arrayrecord.source import ArrayRecordSource

        return ArrayRecordSource(config, rngs=rngs)

    @hookimpl
    def inspect(self, uri: SourceURI, config: ArrayRecordSourceConfig) -> DatasetInfo:
        from datarax_arrayrecord.inspection import inspect_shards

        return inspect_shards(str(uri), config)

    @hookimpl
    def sample(self, folder: str) -> KnownDataset:
        from pathlib import Path

        from datarax_arrayrecord.sample import write_sample

        return write_sample(Path(folder))


plugin = ArrayRecordPlugin()
