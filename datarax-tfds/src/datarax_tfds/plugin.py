"""The plugin behind the entry point `tfds`: light until a dataset is opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from datarax.registry import INDEXED, DatasetInfo, PluginInfo, SourceURI, hookimpl
from datarax_tfds.config import TFDSSourceConfig

if TYPE_CHECKING:
    from datarax.testing import KnownDataset


class TFDSPlugin:
    """Datasets that TensorFlow Datasets prepared on this machine: `tfds:mnist:3.0.1`."""

    @hookimpl
    def describe(self) -> PluginInfo:
        return PluginInfo(
            summary="Datasets that TensorFlow Datasets prepared, read without TensorFlow.",
            config=TFDSSourceConfig,
            capabilities=INDEXED,
            target_option="name",
        )

    @hookimpl
    def open(self, config: TFDSSourceConfig, rngs: Any) -> Any:
        from datarax_tfds.source import TFDSSource

        return TFDSSource(config, rngs=rngs)

    @hookimpl
    def inspect(self, uri: SourceURI, config: TFDSSourceConfig) -> DatasetInfo:
        from datarax_tfds.inspection import inspect_dataset

        return inspect_dataset(str(uri), config)

    @hookimpl
    def datasets(self) -> Iterable[str]:
        from datarax_tfds.prepared import datasets

        return tuple(datasets(TFDSSourceConfig(name="any").folder))

    @hookimpl
    def sample(self, folder: str) -> KnownDataset:
        from pathlib import Path

        from datarax_tfds.sample import write_sample

        return write_sample(Path(folder))

    @hookimpl
    def caches(self) -> Mapping[str, str]:
        return {"prepared datasets": str(TFDSSourceConfig(name="any").folder)}


plugin = TFDSPlugin()
