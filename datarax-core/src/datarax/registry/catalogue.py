"""The catalogue: which plugin answers to a scheme, found without importing any other.

Entry points are scanned once and again on a miss, so that a plugin installed while the process
runs is found. A plugin is imported when its scheme is asked for, and one that fails disturbs no
other: its error is raised to whoever asks for it.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from datarax import errors
from datarax.registry import failures
from datarax.registry.info import SourceInfo
from datarax.registry.loaded import LoadedPlugin, check_plugin
from datarax.registry.metadata import (
    about,
    capabilities,
    homepage,
    requirement_broken,
    warn_of_old_distribution,
)
from datarax.registry.plugin import ENTRY_POINT_GROUP, INDEXED, Capability
from datarax.registry.policy import POLICIES
from datarax.registry.uri import is_scheme

KNOWN = {
    "arrayrecord": "datarax-arrayrecord",
    "hf": "datarax-hf",
    "tfds": "datarax-tfds",
}
"""Schemes with a distribution of their own, which need not be installed."""


@dataclass(frozen=True)
class Entry:
    """One plugin as its entry point says, not imported.

    Attributes:
        info: What its metadata says.
        load: Imports it.
        installation: What tells this installation from any other, or None.
    """

    info: SourceInfo
    load: Callable[[], Any]
    installation: str | None = None


class Catalogue:
    """The plugins of one process; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._entries: dict[str, list[Entry]] | None = None
        self._registered: dict[str, LoadedPlugin] = {}
        self._loaded: dict[str, LoadedPlugin] = {}
        self._failed: dict[str, str] = {}

    def known(self) -> tuple[SourceInfo, ...]:
        """Return every scheme known to this process, sorted; imports no plugin."""
        with self._lock:
            found = {scheme: self._info(entries) for scheme, entries in self._scan().items()}
            for scheme, plugin in self._registered.items():
                found[scheme] = _described(
                    SourceInfo(scheme, None, None, plugin.info.summary), plugin
                )
        return tuple(found[scheme] for scheme in sorted(found))

    def find(self, scheme: str, *, strict: bool | None = None) -> LoadedPlugin:
        """Return the plugin of a scheme, imported now if it was not.

        Args:
            scheme: The scheme.
            strict: Whether any other plugin that is broken is an error too; None is the answer of
                DATARAX_STRICT_PLUGINS.

        Raises:
            DataraxError: The error of `datarax.errors` that says why there is none.
        """
        with self._lock:
            if _on("DATARAX_STRICT_PLUGINS") if strict is None else strict:
                for name in self._scan():
                    if self._status(self._scan()[name])[0] != "disabled":
                        self._find(name)
            return self._find(scheme)

    def register(self, scheme: str, plugin: Any) -> None:
        """Let `plugin` answer to `scheme` in this process, before any installed one.

        Raises:
            InvalidURIError: If the scheme is not a word.
            SourceConflictError: If another object was registered for it.
            SourceBrokenError: If the object is not a plugin.
        """
        if not is_scheme(scheme):
            raise errors.InvalidURIError(
                f"a scheme is a word of letters, digits, '-' and '_', got {scheme!r}"
            )
        scheme = scheme.lower()
        with self._lock:
            held = self._registered.get(scheme)
            if held is not None and held.plugin is not plugin:
                raise errors.SourceConflictError(
                    f"{scheme!r} is registered already, to {held.plugin!r}; "
                    f"datarax.unregister({scheme!r}) first"
                )
            if held is None:
                self._registered[scheme] = check_plugin(scheme, plugin, "registered by hand")

    def unregister(self, scheme: str) -> None:
        """Undo `register`.

        Raises:
            UnknownSourceError: If nothing is registered for the scheme.
        """
        with self._lock:
            if self._registered.pop(scheme.lower(), None) is None:
                raise errors.UnknownSourceError(
                    f"nothing is registered for {scheme!r}; registered are "
                    f"{errors.listing(sorted(self._registered))}"
                )

    def refresh(self) -> None:
        """Forget the scan and what was imported; the next question scans anew."""
        with self._lock:
            self._forget_scan()
            self._loaded.clear()
            self._failed.clear()
            POLICIES.refresh()

    def _find(self, scheme: str) -> LoadedPlugin:
        if scheme in self._registered:
            return self._registered[scheme]
        entries = self._scan().get(scheme)
        if entries is None:
            self._forget_scan()
            entries = self._scan().get(scheme)
        if entries is None:
            raise self._unknown(scheme)
        status, detail = self._status(entries)
        if status == "disabled":
            raise errors.SourceDisabledError(detail)
        if status == "conflict":
            raise errors.SourceConflictError(detail)
        if status == "incompatible":
            raise errors.SourceIncompatibleError(detail)
        entry = _chosen(scheme, entries)
        who = _who(entry.info)
        held = self._loaded.get(scheme)
        if held is not None and held.offered_by == who:
            return held
        try:
            plugin = entry.load()
        except (Exception, SystemExit) as error:
            self._note(entry, f"{type(error).__name__}: {error}")
            raise errors.SourceBrokenError(
                f"the source {scheme!r} is installed ({who}), but importing it failed with "
                f"{type(error).__name__}: {error}; mend that, or reinstall {who}"
            ) from error
        try:
            loaded = check_plugin(scheme, plugin, who)
        except errors.DataraxError as error:
            self._note(entry, str(error))
            raise
        self._note(entry, None)
        self._loaded[scheme] = loaded
        return loaded

    def _note(self, entry: Entry, failure: str | None) -> None:
        self._loaded.pop(entry.info.scheme, None)
        self._failed.pop(entry.info.scheme, None)
        if failure is not None:
            self._failed[entry.info.scheme] = failure
        failures.note(entry.installation, failure)

    def _forget_scan(self) -> None:
        importlib.invalidate_caches()  # what was installed within the clock tick of a listing
        self._entries = None

    def _scan(self) -> dict[str, list[Entry]]:
        if self._entries is None:
            warn_of_old_distribution()
            self._entries = {"memory": [_memory()]}
            for entry in _entry_points():
                self._entries.setdefault(entry.info.scheme, []).append(entry)
        return self._entries

    def _info(self, entries: list[Entry]) -> SourceInfo:
        scheme = entries[0].info.scheme
        status, detail = self._status(entries)
        entry = entries[0] if status == "conflict" else _chosen(scheme, entries)
        if status != "ok":
            return replace(entry.info, status=status, detail=detail)
        held = self._loaded.get(scheme)
        if held is not None and held.offered_by == _who(entry.info):
            return _described(entry.info, held)
        failure = self._failed.get(scheme) or failures.last(entry.installation)
        if failure is not None:
            return replace(entry.info, status="broken", detail=f"when last tried: {failure}")
        return entry.info

    def _status(self, entries: list[Entry]) -> tuple[Any, str | None]:
        scheme = entries[0].info.scheme
        allowed = [entry for entry in entries if _allowed(entry.info)]
        if not allowed:
            return "disabled", (
                f"the source {scheme!r} ({_who(entries[0].info)}) is switched off by the "
                "environment: "
                f"DATARAX_DISABLE_PLUGIN_AUTOLOAD={_env('DATARAX_DISABLE_PLUGIN_AUTOLOAD')!r}, "
                f"DATARAX_PLUGINS={_env('DATARAX_PLUGINS')!r}; "
                f"add {scheme!r} to DATARAX_PLUGINS, or unset both"
            )
        if len(allowed) > 1 and _pin(scheme) is None:
            whos = " and ".join(_who(entry.info) for entry in allowed)
            return "conflict", (
                f"the source {scheme!r} is offered by {whos}; choose with "
                f"DATARAX_PLUGINS={scheme}={allowed[0].info.distribution}, or uninstall one"
            )
        chosen = _chosen(scheme, entries)
        broken = requirement_broken(chosen.info.distribution)
        if broken is not None:
            return "incompatible", f"the source {scheme!r} ({_who(chosen.info)}) {broken}"
        return "ok", None

    def _unknown(self, scheme: str) -> errors.DataraxError:
        known = {*self._scan(), *self._registered, *KNOWN}
        if scheme in KNOWN:
            return errors.SourceNotInstalledError(
                f"the source {scheme!r} is offered by {KNOWN[scheme]}, which is not installed; "
                f"run: pip install {KNOWN[scheme]}"
            )
        close = errors.nearest(scheme, known)
        installed = sorted({*self._scan(), *self._registered})
        hint = next(
            (
                f" To install it: pip install {name}"
                for word, name in KNOWN.items()
                if f"{word!r}" in close and word not in installed
            ),
            "",
        )
        return errors.UnknownSourceError(
            f"no source answers to {scheme!r}; installed are {errors.listing(installed)}."
            f"{close}{hint}"
        )


CATALOGUE = Catalogue()
list_sources = CATALOGUE.known
register = CATALOGUE.register
unregister = CATALOGUE.unregister
refresh = CATALOGUE.refresh


def _memory() -> Entry:
    from datarax import __version__

    def load() -> Any:
        from datarax.sources.memory_plugin import plugin

        return plugin

    info = SourceInfo(
        "memory",
        "datarax-core",
        __version__,
        "Arrays and records in memory.",
        capabilities=INDEXED | {Capability.STREAMING, Capability.WINDOW_SHUFFLE},
    )
    return Entry(info, load)


def _entry_points() -> Iterable[Entry]:
    import importlib_metadata

    for point in importlib_metadata.entry_points(group=ENTRY_POINT_GROUP):
        distribution = point.dist
        metadata, name, version = about(distribution)
        info = SourceInfo(
            scheme=point.name.lower(),
            distribution=name,
            version=version,
            summary=metadata.get("Summary") or "",
            homepage=homepage(metadata),
            capabilities=capabilities(metadata, point.name.lower()),
        )
        yield Entry(info, point.load, failures.installation(distribution))


def _described(info: SourceInfo, plugin: LoadedPlugin) -> SourceInfo:
    return replace(info, capabilities=frozenset(map(str, plugin.info.capabilities)))


def _chosen(scheme: str, entries: list[Entry]) -> Entry:
    allowed = [entry for entry in entries if _allowed(entry.info)] or entries
    pin = _pin(scheme)
    for entry in allowed:
        if pin is not None and _same_name(entry.info.distribution, pin):
            return entry
    return allowed[0]


def _allowed(info: SourceInfo) -> bool:
    listed = [word for word in _words("DATARAX_PLUGINS") if "=" not in word]
    named = any(
        word.lower() == info.scheme or _same_name(info.distribution, word) for word in listed
    )
    pin = _pin(info.scheme)
    if pin is not None:
        return _same_name(info.distribution, pin)
    if _is_built_in(info):
        return True
    if _on("DATARAX_DISABLE_PLUGIN_AUTOLOAD") or listed:
        return named
    return True


def _is_built_in(info: SourceInfo) -> bool:
    return info.scheme == "memory" and info.distribution == "datarax-core"


def _pin(scheme: str) -> str | None:
    for word in _words("DATARAX_PLUGINS"):
        name, mark, distribution = word.partition("=")
        if mark and name.strip().lower() == scheme:
            return distribution.strip()
    return None


def _words(name: str) -> list[str]:
    return [word.strip() for word in _env(name).split(",") if word.strip()]


def _env(name: str) -> str:
    return os.environ.get(name, "")


def _on(name: str) -> bool:
    from datarax.sources.config import environment_switch

    return environment_switch(name)


def _same_name(left: str | None, right: str) -> bool:
    from packaging.utils import canonicalize_name

    return left is not None and canonicalize_name(left) == canonicalize_name(right)


def _who(info: SourceInfo) -> str:
    return f"{info.distribution or 'a distribution without a name'} {info.version or ''}".strip()
