"""The plugin behind the entry point `hf`. It is light: the backend comes with `open`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datarax.registry import INDEXED, Capability, PluginInfo, hookimpl
from datarax_hf.cache import cached_datasets, hub_cache
from datarax_hf.config import HFSourceConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from datarax.registry import DatasetInfo, Fetched, SourceURI, Verified
    from datarax.testing import KnownDataset
    from datarax_hf.source import HFSource


class HFPlugin:
    """What `hf:` answers to."""

    @hookimpl
    def describe(self) -> PluginInfo:
        """Return what the plugin is."""
        return PluginInfo(
            summary="Datasets of the Hugging Face Hub",
            config=HFSourceConfig,
            capabilities=INDEXED
            | {Capability.FETCHES, Capability.STREAMING, Capability.WINDOW_SHUFFLE},
            target_option="name",
            revision_option="revision",
        )

    @hookimpl
    def open(self, config: HFSourceConfig, rngs: Any) -> HFSource:
        """Return the source that `config` describes."""
        from datarax_hf.source import HFSource

        return HFSource(config, rngs=rngs)

    @hookimpl
    def inspect(self, uri: SourceURI, config: HFSourceConfig) -> DatasetInfo:
        """Return what is known of a dataset; only its card is ever downloaded for it."""
        from datarax_hf.inspection import inspect

        return inspect(str(uri), config)

    @hookimpl
    def fetch(self, config: HFSourceConfig) -> Fetched:
        """Fill the cache with all that `load` would read, and return the folder to carry."""
        from datarax_hf.carry import fetch

        return fetch(config)

    @hookimpl
    def verify(self, config: HFSourceConfig) -> Verified:
        """Compare the local files that `load` would read with the hashes the Hub publishes."""
        from datarax_hf.verifying import verify

        return verify(config)

    @hookimpl
    def datasets(self) -> Iterable[str]:
        """Return the names of the datasets in the cache."""
        return cached_datasets()

    @hookimpl
    def caches(self) -> Mapping[str, str]:
        """Return the folders of what was downloaded and of what was made from it."""
        from datarax_hf.derived import derived_folders

        return {"downloads": str(hub_cache(None)), "derived": str(derived_folders(None, None)[0])}

    @hookimpl
    def sample(self, folder: str) -> KnownDataset:
        """Return a small dataset that a Hub of this machine serves, whose cache is in `folder`."""
        from pathlib import Path

        from datarax_hf.sample import sample

        return sample(Path(folder))


plugin = HFPlugin()
