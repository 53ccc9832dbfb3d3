"""A plugin that was imported: its hooks checked against the hookspecs, and called one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pluggy

from datarax.core.config import StructuralConfig
from datarax.errors import SourceBrokenError, SourceIncompatibleError
from datarax.registry.plugin import (
    OLDEST_PLUGIN_API_VERSION,
    PLUGIN_API_VERSION,
    PROJECT,
    REQUIRED_HOOKS,
    PluginInfo,
    SourceHooks,
)


@dataclass(frozen=True)
class LoadedPlugin:
    """A plugin with validated hooks.

    Attributes:
        scheme: The scheme it answers to.
        plugin: The object behind the entry point.
        info: What `describe` returned.
        hooks: Its hooks alone, to be called by keyword.
        offered_by: The distribution and version, or how it was registered.
    """

    scheme: str
    plugin: Any
    info: PluginInfo
    hooks: Any
    offered_by: str

    def implements(self, hook: str) -> bool:
        """Return whether the plugin implements a hook."""
        return bool(getattr(self.hooks, hook).get_hookimpls())


def check_plugin(scheme: str, plugin: Any, offered_by: str) -> LoadedPlugin:
    """Return the plugin with its hooks validated and its description read.

    Raises:
        SourceBrokenError: If a hook's signature is wrong, a required one is missing, or `describe`
            fails or returns something else.
        SourceIncompatibleError: If it was written for a plugin interface that is newer or dropped.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(SourceHooks)
    try:
        implementation = plugin() if isinstance(plugin, type) else plugin
    except Exception as error:
        raise SourceBrokenError(
            f"the source {scheme!r} ({offered_by}) is a class, {plugin!r}, and making one failed "
            f"with {type(error).__name__}: {error}"
        ) from error
    try:
        manager.register(implementation, name=scheme)
    except (pluggy.PluginValidationError, ValueError) as error:
        raise SourceBrokenError(
            f"the source {scheme!r} ({offered_by}) has a hook that datarax cannot call: {error}"
        ) from error
    for name in REQUIRED_HOOKS:
        if not getattr(manager.hook, name).get_hookimpls():
            raise SourceBrokenError(
                f"the source {scheme!r} ({offered_by}) implements no hook {name!r}; "
                f"{plugin!r} must have methods describe and open marked with "
                "datarax.registry.hookimpl"
            )
    try:
        info = manager.hook.describe()
    except Exception as error:
        raise SourceBrokenError(
            f"the source {scheme!r} ({offered_by}) failed to describe itself with "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(info, PluginInfo) or not _is_config(info.config):
        raise SourceBrokenError(
            f"the source {scheme!r} ({offered_by}) must describe itself with a PluginInfo whose "
            f"config is a StructuralConfig class, got {info!r}"
        )
    if info.api_version > PLUGIN_API_VERSION:
        raise SourceIncompatibleError(
            f"the source {scheme!r} ({offered_by}) was written for plugin interface "
            f"{info.api_version}, and this datarax-core has {PLUGIN_API_VERSION}; "
            "run: pip install --upgrade datarax-core"
        )
    if info.api_version < OLDEST_PLUGIN_API_VERSION:
        raise SourceIncompatibleError(
            f"the source {scheme!r} ({offered_by}) was written for plugin interface "
            f"{info.api_version}, and this datarax-core has dropped those before "
            f"{OLDEST_PLUGIN_API_VERSION}; upgrade the plugin, or install an older datarax-core"
        )
    return LoadedPlugin(scheme, plugin, info, manager.hook, offered_by)


def unknown_hooks(loaded: LoadedPlugin) -> tuple[str, ...]:
    """Return the hooks that a plugin implements and this core does not know, save optional ones.

    They are never called: a plugin made for a later minor release, or a name misspelt.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(SourceHooks)
    plugin = loaded.plugin
    implementation = plugin() if isinstance(plugin, type) else plugin
    manager.register(implementation)
    return tuple(
        sorted(
            caller.name
            for caller in manager.get_hookcallers(implementation) or ()
            if not caller.has_spec()
            and not any(found.optionalhook for found in caller.get_hookimpls())
        )
    )


def _is_config(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, StructuralConfig)
