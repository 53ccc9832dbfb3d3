"""From a name to a source: URIs, the catalogue of plugins, the hooks that plugins implement."""

from __future__ import annotations

from datarax.registry.info import DatasetInfo, Fetched, SourceInfo, SplitInfo
from datarax.registry.plugin import (
    ENTRY_POINT_GROUP,
    INDEXED,
    PLUGIN_API_VERSION,
    Capability,
    PluginInfo,
    hookimpl,
)
from datarax.registry.uri import SourceURI, parse_uri

__all__ = [
    "ENTRY_POINT_GROUP",
    "INDEXED",
    "PLUGIN_API_VERSION",
    "Capability",
    "DatasetInfo",
    "Fetched",
    "PluginInfo",
    "SourceInfo",
    "SourceURI",
    "SplitInfo",
    "hookimpl",
    "parse_uri",
]
