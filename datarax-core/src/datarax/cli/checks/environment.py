"""The environment: Python, the platform, and the distributions that datarax needs, by metadata.

Nothing is imported but the metadata: a distribution that cannot be imported is still told of.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from datarax import __version__
from datarax.cli.checks.problem import Problem
from datarax.registry.metadata import about, old_distribution
from datarax.registry.plugin import ENTRY_POINT_GROUP
from datarax.registry.policy import POLICY_GROUP

CORE = "datarax-core"


def check_environment() -> tuple[dict[str, Any], list[Problem]]:
    """Return Python, the platform and the distributions with their requirements."""
    found = _relevant()
    problems = _of_core(found) + _shadowed(found)
    old = old_distribution()
    if old is not None:
        text, _, remedy = old.partition("; run: ")
        problems.append(Problem("datarax", text, f"run: {remedy}"))
    distributions = []
    for copies in found.values():
        first = copies[0]
        required = [_requirement(line) for line in _needed(first)]
        _, name, version = about(first)
        problems += _without_metadata(first) + _unmet(f"{name} {version}", required)
        distributions.append(
            {
                "name": name,
                "version": version,
                "location": _place(first),
                "requirements": required,
            }
        )
    data = {
        "python": {
            "version": platform.python_version(),
            "executable": sys.executable,
            "prefix": sys.prefix,
        },
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "package": _package(),
        "distributions": distributions,
    }
    return data, problems


def _relevant() -> dict[str, list[Any]]:
    """Return core and what brings sources or policies, by name; the copy in use comes first."""
    import importlib_metadata
    from packaging.utils import canonicalize_name

    groups = {ENTRY_POINT_GROUP, POLICY_GROUP}
    brings = [
        distribution
        for distribution in importlib_metadata.distributions()
        if any(point.group in groups for point in distribution.entry_points)
    ]
    found: dict[str, list[Any]] = {}
    for distribution in [*importlib_metadata.distributions(name=CORE), *brings]:
        copies = found.setdefault(canonicalize_name(_name(distribution)), [])
        if _place(distribution) not in map(_place, copies):
            copies.append(distribution)
    return {name: found[name] for name in sorted(found, key=lambda name: (name != CORE, name))}


def _of_core(found: dict[str, list[Any]]) -> list[Problem]:
    package = _package()
    if CORE not in found:
        return [
            Problem(
                CORE,
                f"{package} is imported, but no metadata of {CORE} is installed beside it",
                "install it: pip install --force-reinstall datarax-core; a frozen application "
                "must keep the metadata of its distributions",
            )
        ]
    version = about(found[CORE][0])[2]
    if version == __version__:
        return []
    return [
        Problem(
            CORE,
            f"{CORE} {__version__} is imported from {package}, and the metadata in "
            f"{_place(found[CORE][0])} says {version}",
            "run: pip install --force-reinstall datarax-core",
        )
    ]


def _shadowed(found: dict[str, list[Any]]) -> list[Problem]:
    problems = []
    for copies in found.values():
        if len(copies) > 1:
            used, *others = [f"{about(copy)[2]} in {_place(copy)}" for copy in copies]
            name = _name(copies[0])
            problems.append(
                Problem(
                    name,
                    f"{name} is installed {len(copies)} times: {used} is used, and hides "
                    f"{' and '.join(others)}",
                    f"keep one: pip uninstall {name}, until none is left, then install it again",
                )
            )
    return problems


def _without_metadata(distribution: Any) -> list[Problem]:
    metadata, name, _ = about(distribution)
    if metadata:
        return []
    return [
        Problem(
            str(name),
            f"{name} in {_place(distribution)} has entry points and no metadata, as an "
            "uninstallation that was broken off leaves it",
            f"run: pip install --force-reinstall {name}, or delete its .dist-info folder",
        )
    ]


def _needed(distribution: Any) -> Iterable[Any]:
    """Return the requirements that hold in this environment, without those of extras."""
    from packaging.requirements import InvalidRequirement, Requirement

    metadata, _, _ = about(distribution)
    for line in (distribution.requires or ()) if metadata else ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def _requirement(requirement: Any) -> dict[str, Any]:
    import importlib_metadata
    from packaging.version import InvalidVersion

    try:
        installed = importlib_metadata.version(requirement.name)
    except (importlib_metadata.PackageNotFoundError, FileNotFoundError, KeyError):
        installed = None  # or without metadata, or without a version in it
    try:
        met = installed is not None and requirement.specifier.contains(installed, prereleases=True)
    except InvalidVersion:
        met = False
    return {
        "name": requirement.name,
        "requirement": str(requirement.specifier),
        "installed": installed,
        "satisfied": met,
    }


def _unmet(who: str, required: list[dict[str, Any]]) -> list[Problem]:
    problems = []
    for line in required:
        if line["satisfied"]:
            continue
        wanted = f"{line['name']}{line['requirement']}"
        installed = line["installed"]
        state = "is not installed" if installed is None else f"is {installed} here"
        problems.append(
            Problem(
                who,
                f"{who} needs {wanted}, which {state}",
                f"run: pip install '{wanted}'",
            )
        )
    return problems


def _package() -> str:
    """Return the folder of the import package that runs."""
    return str(Path(__file__).resolve().parents[2])


def _name(distribution: Any) -> str:
    return str(about(distribution)[1] or "")


def _place(distribution: Any) -> str:
    return str(Path(str(distribution.locate_file(""))).resolve())
