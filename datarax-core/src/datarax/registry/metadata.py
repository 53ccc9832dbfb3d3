"""What a distribution's metadata says of its plugin, read without importing it."""

from __future__ import annotations

import warnings
from typing import Any

KEYWORD = "datarax"


def about(distribution: Any) -> tuple[Any, str | None, str | None]:
    """Return the metadata of a distribution, its name and its version.

    An uninstallation that was broken off leaves entry points without metadata: that is empty then,
    and name and version are those of the folder.
    """
    if distribution is None:  # an entry point made by hand
        return {}, None, None
    try:
        metadata = distribution.metadata
    except FileNotFoundError:  # importlib-metadata 8.5 returns an empty one instead
        metadata = None
    if metadata is None or not metadata.get("Name"):
        folder = getattr(getattr(distribution, "_path", None), "name", "")
        name, _, version = folder.rpartition(".")[0].partition("-")
        return {}, name or None, version or None
    return metadata, metadata.get("Name"), metadata.get("Version")


def homepage(metadata: Any) -> str | None:
    """Return the homepage that the metadata names, or None."""
    home = metadata.get("Home-page")
    if home or not hasattr(metadata, "get_all"):
        return home or None
    for line in metadata.get_all("Project-URL") or ():
        label, _, url = str(line).partition(",")
        if label.strip().lower() in ("homepage", "home", "source", "repository"):
            return url.strip()
    return None


def capabilities(metadata: Any, scheme: str) -> frozenset[str] | None:
    """Return the capabilities that the keywords declare for a scheme, None where they do not.

    A keyword `datarax:hf=exact_resume+indexed_access` declares those of `hf`. Keywords stand
    between commas (core metadata 2.1); older tools wrote spaces.
    """
    for word in str(metadata.get("Keywords") or "").replace(",", " ").split():
        name, mark, declared = word.partition("=")
        if mark and name.lower() == f"{KEYWORD}:{scheme}":
            return frozenset(part for part in declared.split("+") if part)
    return None


def requirement_broken(distribution: str | None) -> str | None:
    """Return what is wrong with a distribution's requirement on datarax-core, or None."""
    if distribution is None or distribution == "datarax-core":
        return None
    import importlib_metadata
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    from datarax import __version__

    try:
        lines = importlib_metadata.requires(distribution) or []
    except (importlib_metadata.PackageNotFoundError, FileNotFoundError):
        return None
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if canonicalize_name(requirement.name) != "datarax-core":
            continue
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if not requirement.specifier.contains(__version__, prereleases=True):
            return (
                f"was made for datarax-core{requirement.specifier}, and {__version__} is "
                f"installed; run: pip install --upgrade {distribution} datarax-core"
            )
    return None


def old_distribution() -> str | None:
    """Return what is wrong where the older distribution `datarax` lies beside datarax-core."""
    import importlib_metadata

    try:
        old = importlib_metadata.distribution("datarax")
    except importlib_metadata.PackageNotFoundError:
        return None
    return (
        f"the distribution datarax {old.version} is installed beside datarax-core; both own the "
        "import package 'datarax', and each overwrites files of the other; run: "
        "pip uninstall datarax, then: pip install --force-reinstall --no-deps datarax-core"
    )


def warn_of_old_distribution() -> None:
    """Warn, once a scan, where the older distribution is there."""
    problem = old_distribution()
    if problem is not None:
        warnings.warn(problem, OldDistributionWarning, stacklevel=2)


class OldDistributionWarning(UserWarning):
    """The distribution `datarax` 0.1 is installed beside datarax-core."""
