"""Whether an installed plugin was made for this version of datarax-core, by its metadata alone."""

from __future__ import annotations


def core_requirement_broken(distribution: str | None) -> str | None:
    """Return what is wrong with a distribution's requirement on datarax-core, or None."""
    if distribution is None or distribution == "datarax-core":
        return None
    import importlib_metadata
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    from datarax import __version__

    try:
        lines = importlib_metadata.requires(distribution) or []
    except importlib_metadata.PackageNotFoundError:
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
