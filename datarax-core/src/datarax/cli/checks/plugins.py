"""Sources and policies: each is imported through the catalogue, in this process, and told of.

A plugin that fails is a problem of its own and hides no other. What it prints while it is imported
goes to standard error.
"""

from __future__ import annotations

import time
from typing import Any

from datarax.cli.checks.problem import Problem
from datarax.cli.sources import source_json
from datarax.errors import DataraxError, SourceIncompatibleError, nearest
from datarax.registry.catalogue import CATALOGUE
from datarax.registry.info import SourceInfo
from datarax.registry.loaded import LoadedPlugin, unknown_hooks
from datarax.registry.plugin import SourceHooks
from datarax.registry.policy import POLICIES


def check_sources() -> tuple[list[dict[str, Any]], list[Problem]]:
    """Return every source, as it is once imported, and what is wrong with it."""
    told: dict[str, dict[str, Any]] = {}
    problems = []
    for info in CATALOGUE.known():
        told[info.scheme] = {"imported": None, "seconds": None, "datasets": None}
        if info.status in ("conflict", "incompatible"):
            problems.append(Problem.of(_about(info), str(info.detail)))
        elif info.status != "disabled" and info.distribution != "datarax-core":
            told[info.scheme], found = _tried(info)
            problems += found
    return [{**source_json(info), **told[info.scheme]} for info in CATALOGUE.known()], problems


def check_policies() -> tuple[list[dict[str, Any]], list[Problem]]:
    """Return every policy, and the first that cannot be asked."""
    shown = [
        {"name": info.name, "distribution": info.distribution, "version": info.version}
        for info in POLICIES.known()
    ]
    try:
        POLICIES.check()
    except DataraxError as error:
        return shown, [Problem.of("policies", str(error))]
    return shown, []


def _tried(info: SourceInfo) -> tuple[dict[str, Any], list[Problem]]:
    begun = time.perf_counter()
    try:
        plugin = CATALOGUE.find(info.scheme, strict=False)
    except DataraxError as error:
        seconds = round(time.perf_counter() - begun, 3)
        return {"imported": False, "seconds": seconds, "datasets": None}, [_failed(info, error)]
    seconds = round(time.perf_counter() - begun, 3)
    datasets, problems = _listed(plugin, info)
    problems += _unknown_hooks(plugin, info) + _undeclared(plugin, info)
    return {"imported": True, "seconds": seconds, "datasets": datasets}, problems


def _failed(info: SourceInfo, error: DataraxError) -> Problem:
    if isinstance(error, SourceIncompatibleError):
        return Problem.of(_about(info), str(error))
    text = str(error).partition("; mend that, or reinstall")[0]
    return Problem(_about(info), text, _remedy(info, error.__cause__ or error))


def _listed(plugin: LoadedPlugin, info: SourceInfo) -> tuple[int | None, list[Problem]]:
    """Return how many datasets a plugin can open without a network, where it tells."""
    if not plugin.implements("datasets"):
        return None, []
    try:
        return len(list(plugin.hooks.datasets())), []
    except Exception as error:  # noqa: BLE001  # a plugin may raise anything
        said = f"its hook 'datasets' failed with {type(error).__name__}: {error}"
        return None, [Problem(_about(info), said, _remedy(info, error))]


def _unknown_hooks(plugin: LoadedPlugin, info: SourceInfo) -> list[Problem]:
    known = [name for name in vars(SourceHooks) if not name.startswith("_")]
    return [
        Problem(
            _about(info),
            f"it implements the hook {name!r}, which this datarax-core does not know and never "
            f"calls.{nearest(name, known)}",
            "if the plugin is newer than datarax-core: pip install --upgrade datarax-core; else "
            "its author should mend the name, or mark it hookimpl(optionalhook=True)",
        )
        for name in unknown_hooks(plugin)
    ]


def _undeclared(plugin: LoadedPlugin, info: SourceInfo) -> list[Problem]:
    """Return what a distribution's keywords say of capabilities against the plugin's own word."""
    found = frozenset(map(str, plugin.info.capabilities))
    if info.capabilities is None or info.capabilities == found:
        return []
    own = "+".join(sorted(found))
    return [
        Problem(
            _about(info),
            f"its metadata declares {'+'.join(sorted(info.capabilities))}, and the plugin {own}",
            f"its author should write the keyword 'datarax:{info.scheme}={own}'",
        )
    ]


def _remedy(info: SourceInfo, error: BaseException) -> str:
    name = info.distribution or info.scheme
    if isinstance(error, ModuleNotFoundError) and error.name:
        return (
            f"the module {error.name!r} is missing: install what brings it, or run: "
            f"pip install --force-reinstall {name}"
        )
    where = f", or tell its authors: {info.homepage}" if info.homepage else ""
    return f"run: pip install --upgrade {name}{where}"


def _about(info: SourceInfo) -> str:
    who = f"{info.distribution} {info.version}" if info.distribution else "registered by hand"
    return f"{info.scheme} ({who})"
