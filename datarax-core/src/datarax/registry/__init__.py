"""From a name to a source: URIs, the catalogue of plugins, the hooks that plugins implement."""

from __future__ import annotations

from datarax.registry.info import DatasetInfo, Fetched, SourceInfo, SplitInfo, Verified
from datarax.registry.plugin import (
    ENTRY_POINT_GROUP,
    INDEXED,
    PLUGIN_API_VERSION,
    Capability,
    PluginInfo,
    hookimpl,
)
from datarax.registry.policy import (
    POLICY_GROUP,
    PolicyInfo,
    list_policies,
    register_policy,
    unregister_policy,
)
from datarax.registry.uri import SourceURI, parse_uri

__all__ = [
    "ENTRY_POINT_GROUP",
    "INDEXED",
    "PLUGIN_API_VERSION",
    "POLICY_GROUP",
    "Capability",
    "DatasetInfo",
    "Fetched",
    "PluginInfo",
    "PolicyInfo",
    "SourceInfo",
    "SourceURI",
    "SplitInfo",
    "Verified",
    "hookimpl",
    "list_policies",
    "parse_uri",
    "register_policy",
    "unregister_policy",
]
