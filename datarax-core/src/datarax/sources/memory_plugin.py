"""The built-in plugin of `memory:`, which takes its data by keyword."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from datarax.errors import UnknownOptionError
from datarax.registry.info import DatasetInfo, SplitInfo
from datarax.registry.plugin import INDEXED, Capability, PluginInfo, hookimpl
from datarax.registry.uri import SourceURI
from datarax.sources.memory_reader import MemoryReader, MemorySourceConfig
from datarax.sources.splits import choose_split

if TYPE_CHECKING:
    from datarax.testing import KnownDataset


class MemoryPlugin:
    """`datarax.load("memory:", data=...)`."""

    @hookimpl
    def describe(self) -> PluginInfo:
        return PluginInfo(
            summary="Arrays and records in memory.",
            config=MemorySourceConfig,
            capabilities=INDEXED | {Capability.STREAMING, Capability.WINDOW_SHUFFLE},
            data_options=("data",),
            needs_target=False,
        )

    @hookimpl
    def open(self, config: MemorySourceConfig, rngs: Any, data: Mapping[str, Any]) -> Any:
        from datarax.sources.memory import MemorySource

        return MemorySource(config, _given(data), rngs=rngs)

    @hookimpl
    def inspect(
        self, uri: SourceURI, config: MemorySourceConfig, data: Mapping[str, Any]
    ) -> DatasetInfo:
        reader = MemoryReader(_given(data))
        size = len(reader)
        terms = choose_split(config.split, ("train",), dataset="memory:")
        records = sum(stop - start for start, stop in (term.range(size) for term in terms))
        return DatasetInfo(
            uri=str(uri),
            splits={"train": SplitInfo("train", size)},
            fields=dict(reader.fields),
            records=records,
            local=True,
        )

    @hookimpl
    def sample(self) -> KnownDataset:
        from datarax.testing import KnownDataset

        records = [{"x": row / 4, "label": row % 3, "text": "ab" * row} for row in range(11)]
        return KnownDataset("memory:", records, options={"data": records}, reads_files=False)


def _given(data: Mapping[str, Any]) -> Any:
    if "data" not in data:
        raise UnknownOptionError(
            "'memory:' needs its data by keyword: datarax.load('memory:', data={'x': array}) or "
            "data=[{'x': 1}, {'x': 2}]"
        )
    return data["data"]


plugin = MemoryPlugin()
