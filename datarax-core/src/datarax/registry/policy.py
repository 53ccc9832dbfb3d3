"""Policies: hooks around every load, by which a company's own plugin audits or forbids.

A policy is an object behind an entry point of the group `datarax.policies`, or one registered by
hand. All of them are asked, about every URI. Where one cannot be imported nothing is loaded: a
rule that does not run forbids everything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pluggy

from datarax.errors import PolicyBrokenError, PolicyConflictError, UnknownPolicyError, listing
from datarax.registry.metadata import about
from datarax.registry.plugin import PROJECT, hookimpl, hookspec
from datarax.registry.uri import SourceURI

if TYPE_CHECKING:
    from datarax.core.data_source import DataSourceModule

POLICY_GROUP = "datarax.policies"

Action = Literal["load", "inspect", "fetch", "verify", "save"]


class PolicyHooks:
    """The hooks of a policy. An implementation may leave out arguments it does not need."""

    @staticmethod
    @hookspec
    def before_load(uri: SourceURI, options: Mapping[str, Any], action: Action) -> None:
        """Refuse by raising, before the plugin opens anything.

        Args:
            uri: What is asked for.
            options: The options given, by URI or keyword, as typed values, and what
                `local_files_only` comes to with the environment's answer.
            action: "load", "inspect", "fetch", "verify" or "save".
        """

    @staticmethod
    @hookspec(firstresult=True)
    def around_load(
        uri: SourceURI, options: Mapping[str, Any], proceed: Callable[[], Any]
    ) -> DataSourceModule:
        """Wrap a load, to time it for instance: implemented with `hookimpl(wrapper=True)` only."""
        raise NotImplementedError

    @staticmethod
    @hookspec
    def after_load(uri: SourceURI, options: Mapping[str, Any], source: DataSourceModule) -> None:
        """See the source that is about to be returned; raising closes it and refuses it."""


@dataclass(frozen=True)
class PolicyInfo:
    """One policy: its name, and the distribution and version that bring it, None by hand."""

    name: str
    distribution: str | None = None
    version: str | None = None


class _Proceed:
    @hookimpl
    def around_load(self, proceed: Callable[[], Any]) -> Any:
        return proceed()


class Policies:
    """The policies of one process; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._registered: dict[str, Any] = {}
        self._hooks: Any = None

    def known(self) -> tuple[PolicyInfo, ...]:
        """Return every policy that is asked, sorted by name; imports none."""
        with self._lock:
            found = [_info(point) for point in _entry_points()]
            found += [PolicyInfo(name) for name in self._registered]
        return tuple(sorted(found, key=lambda info: info.name))

    def register(self, name: str, policy: Any) -> None:
        """Ask `policy` too, in this process.

        Raises:
            PolicyConflictError: If another object has that name.
            PolicyBrokenError: If it has a hook that datarax cannot call, or none.
        """
        with self._lock:
            held = self._registered.get(name)
            if held is not None and held is not policy:
                raise PolicyConflictError(
                    f"a policy {name!r} is registered already, {held!r}; "
                    f"datarax.registry.unregister_policy({name!r}) first"
                )
            _add(_manager(), name, policy, "registered by hand")
            self._registered[name] = policy
            self._hooks = None

    def unregister(self, name: str) -> None:
        """Undo `register`.

        Raises:
            UnknownPolicyError: If nothing is registered by that name.
        """
        with self._lock:
            if self._registered.pop(name, None) is None:
                raise UnknownPolicyError(
                    f"no policy {name!r} is registered; registered are "
                    f"{listing(sorted(self._registered))}"
                )
            self._hooks = None

    def refresh(self) -> None:
        """Forget what was imported; the next load looks anew."""
        with self._lock:
            self._hooks = None

    def check(self) -> None:
        """Import every policy.

        Raises:
            PolicyBrokenError: If one cannot be asked.
        """
        self._asked()

    def ask(self, uri: SourceURI, options: Mapping[str, Any], action: Action) -> None:
        """Let every policy refuse."""
        self._asked().before_load(uri=uri, options=options, action=action)

    def loaded(
        self, uri: SourceURI, options: Mapping[str, Any], proceed: Callable[[], DataSourceModule]
    ) -> DataSourceModule:
        """Return the source that `proceed` loads, with every policy asked before and after."""
        hooks = self._asked()
        hooks.before_load(uri=uri, options=options, action="load")
        source: DataSourceModule = hooks.around_load(uri=uri, options=options, proceed=proceed)
        try:
            hooks.after_load(uri=uri, options=options, source=source)
        except BaseException:
            source.close()
            raise
        return source

    def _asked(self) -> Any:
        with self._lock:
            if self._hooks is None:
                self._hooks = self._gathered().hook
            return self._hooks

    def _gathered(self) -> pluggy.PluginManager:
        found = [
            (f"{point.name} ({_who(point)})", point.load, _who(point)) for point in _entry_points()
        ]
        found += [
            (name, lambda policy=policy: policy, "registered by hand")
            for name, policy in self._registered.items()
        ]
        manager = _manager()
        for name, load, offered_by in sorted(found, key=lambda item: item[0], reverse=True):
            try:
                policy = load()
            except Exception as error:
                raise PolicyBrokenError(
                    f"the policy {name!r} is installed ({offered_by}), but importing it failed "
                    f"with {type(error).__name__}: {error}; nothing is loaded without it: mend "
                    "it, or uninstall it"
                ) from error
            _add(manager, name, policy, offered_by)
        return manager


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(PolicyHooks)
    manager.register(_Proceed(), name="datarax-core")
    return manager


def _add(manager: pluggy.PluginManager, name: str, policy: Any, offered_by: str) -> None:
    who = f"the policy {name!r} ({offered_by})"
    implementation = policy() if isinstance(policy, type) else policy
    try:
        manager.register(implementation, name=name)
        manager.check_pending()
    except (pluggy.PluginValidationError, ValueError) as error:
        raise PolicyBrokenError(f"{who} has a hook that datarax cannot call: {error}") from error
    callers = manager.get_hookcallers(implementation) or []
    if not callers:
        raise PolicyBrokenError(
            f"{who} implements no hook; {policy!r} must have methods before_load, around_load or "
            "after_load marked with datarax.registry.hookimpl"
        )
    for implemented in manager.hook.around_load.get_hookimpls():
        if implemented.plugin is implementation and not implemented.wrapper:
            raise PolicyBrokenError(
                f"{who} implements around_load without wrapping it; mark it with "
                "hookimpl(wrapper=True) and return what its one yield gives"
            )


def _entry_points() -> list[Any]:
    import importlib_metadata

    return list(importlib_metadata.entry_points(group=POLICY_GROUP))


def _info(point: Any) -> PolicyInfo:
    _, name, version = about(point.dist)
    return PolicyInfo(point.name, name, version)


def _who(point: Any) -> str:
    info = _info(point)
    return f"{info.distribution or 'a distribution without a name'} {info.version or ''}".strip()


POLICIES = Policies()
list_policies = POLICIES.known
register_policy = POLICIES.register
unregister_policy = POLICIES.unregister
