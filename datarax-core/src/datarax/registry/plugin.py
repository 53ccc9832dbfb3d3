"""What a source plugin is: the hooks it implements and what it says of itself.

A plugin is a light object behind an entry point of the group `datarax.sources`; the entry's name
is the scheme. It imports neither jax nor its backend: those come with `open`. Only the plugin that
was asked for is called, never all of them.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pluggy

from datarax.registry.uri import SourceURI

if TYPE_CHECKING:
    from datarax.core.config import StructuralConfig
    from datarax.core.data_source import DataSourceModule
    from datarax.registry.info import DatasetInfo, Fetched, Verified
    from datarax.sources.reader import Reader
    from datarax.testing.known import KnownDataset

PROJECT = "datarax"
ENTRY_POINT_GROUP = "datarax.sources"
PLUGIN_API_VERSION = 1
"""The version of the interface of core and plugins; docs/plugin-api.md says what changes it."""
OLDEST_PLUGIN_API_VERSION = 1
"""The oldest version that plugins may have been written for."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Capability(enum.StrEnum):
    """What the sources of a plugin can do. Each is checked both ways by the contract suite."""

    INDEXED_ACCESS = "indexed_access"
    """Records by index: modes eager and lazy, `s[i]`, `get_batch_at`, the full shuffle."""
    TRACED_ACCESS = "traced_access"
    """`get_batch_at` under jit, vmap and scan."""
    EXACT_RESUME = "exact_resume"
    """A restored source goes on with exactly the elements that were left."""
    STREAMING = "streaming"
    """Forward-only reading, without a full local copy."""
    WINDOW_SHUFFLE = "window_shuffle"
    """`shuffle=True` while streaming, through a window."""
    SAVE = "save"
    """`datarax.save` writes datasets."""
    FETCHES = "fetches"
    """Datasets may come over a network, and are then held in a local cache."""


INDEXED = frozenset({Capability.INDEXED_ACCESS, Capability.TRACED_ACCESS, Capability.EXACT_RESUME})
"""The capabilities of every plugin whose `open` returns a `Reader`."""


@dataclass(frozen=True)
class PluginInfo:
    """What a plugin says of itself.

    Attributes:
        summary: One line for `list_sources` and the command line.
        config: The class of its options: `SourceConfig` or a subclass, or for a plugin that
            returns modules of its own any `StructuralConfig`.
        capabilities: What its sources can do.
        target_option: The config's field that takes the URI's target; None where `open` reads
            it from the URI.
        revision_option: The config's field that takes the URI's revision; None where the URI of
            this scheme has none.
        data_options: Keywords of `load` that are data, not configuration: handed to `open` beside
            the config, and never in a URI.
        needs_target: Whether an empty target is an error.
        api_version: The version of this plugin interface it was written for.
    """

    summary: str
    config: type[StructuralConfig]
    capabilities: frozenset[Capability] = field(default=INDEXED)
    target_option: str | None = None
    revision_option: str | None = None
    data_options: tuple[str, ...] = ()
    needs_target: bool = True
    api_version: int = PLUGIN_API_VERSION


class SourceHooks:
    """The hooks of a source plugin. An implementation may leave out arguments it does not need."""

    @staticmethod
    @hookspec(firstresult=True)
    def describe() -> PluginInfo:
        """Return what the plugin is. Required. Imports no backend."""
        raise NotImplementedError

    @staticmethod
    @hookspec(firstresult=True)
    def open(
        uri: SourceURI, config: Any, rngs: Any, data: Mapping[str, Any]
    ) -> Reader | DataSourceModule:
        """Open what `uri` names, as `config` says. Required.

        Args:
            uri: The parsed URI; its query is already merged into `config`.
            config: An instance of the described config class.
            rngs: The `nnx.Rngs` given to `load`, unless they already supplied `config.seed`.
            data: The values of the described `data_options` that were given.

        Returns:
            A reader, which core makes a source of, or a `DataSourceModule` of the plugin's own.
        """
        raise NotImplementedError

    @staticmethod
    @hookspec(firstresult=True)
    def inspect(uri: SourceURI, config: Any, data: Mapping[str, Any]) -> DatasetInfo:
        """Return what is known of a dataset without reading its records. Optional."""
        raise NotImplementedError

    @staticmethod
    @hookspec(firstresult=True)
    def datasets() -> Iterable[str]:
        """Return the targets that this machine can open without a network. Optional."""
        raise NotImplementedError

    @staticmethod
    @hookspec(firstresult=True)
    def caches() -> Mapping[str, str]:
        """Return the folders the plugin keeps data in, by what each holds. Optional.

        For `datarax doctor`: `{"downloads": "~/.cache/..."}`, as the environment has them;
        they need not exist yet.
        """
        raise NotImplementedError

    @staticmethod
    @hookspec(firstresult=True)
    def save(source: DataSourceModule, uri: SourceURI, config: Any) -> None:
        """Write the records of `source` to `uri`, whole or not at all. Optional."""
        raise NotImplementedError

    @staticmethod
    @hookspec(firstresult=True)
    def fetch(uri: SourceURI, config: Any) -> Fetched:
        """Bring all that `load` would read onto this machine, decoding none of it. Optional.

        For plugins with the capability `FETCHES`. Returns what lies here now, and what to carry to
        a machine that has no network.
        """
        raise NotImplementedError

    @staticmethod
    @hookspec(firstresult=True)
    def verify(uri: SourceURI, config: Any) -> Verified:
        """Compare the local files that `load` would read with the hashes published. Optional."""
        raise NotImplementedError

    @staticmethod
    @hookspec(firstresult=True)
    def sample(folder: str) -> KnownDataset:
        """Make a small dataset with a known answer, for `datarax validate`. Optional.

        Args:
            folder: An empty folder to write to. Whatever else it needs, it brings along.

        Returns:
            A `datarax.testing.KnownDataset`; import it inside the hook, since it needs the extra
            `testing`.
        """
        raise NotImplementedError


REQUIRED_HOOKS = ("describe", "open")
