"""`validate`: the contract against an installed plugin, on the sample that the plugin makes.

pytest runs in a process of its own, without the user's pytest plugins and settings, so that the
verdict is the plugin's alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import importlib_metadata
from packaging.utils import canonicalize_name

from datarax.errors import (
    NotSupportedError,
    SourceBrokenError,
    SourceConflictError,
    SourceNotInstalledError,
    UnknownSourceError,
    listing,
    nearest,
)
from datarax.registry.catalogue import CATALOGUE
from datarax.registry.loaded import LoadedPlugin
from datarax.registry.plugin import ENTRY_POINT_GROUP
from datarax.testing.contract import SourceContract
from datarax.testing.matrix import Matrix, matrix_of
from datarax.testing.recorder import MODULE


@dataclass(frozen=True)
class ValidationReport:
    """What became of the contract on one plugin.

    Attributes:
        distribution: The distribution, as it spells itself.
        version: Its version.
        scheme: The scheme of its plugin.
        passed: Whether every test of the contract ran and passed.
        count: How many tests ran.
        failures: For each test that did not pass its name and why.
        matrix: What was promised, in which mode.
        output: The text of the test run.
    """

    distribution: str
    version: str
    scheme: str
    passed: bool
    count: int
    failures: tuple[str, ...]
    matrix: Matrix
    output: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        held = {name: value for name, value in asdict(self).items() if name != "matrix"}
        return {**held, "failures": list(self.failures), "matrix": self.matrix.as_dict()}


def validate(distribution: str, *, scheme: str | None = None) -> ValidationReport:
    """Run the contract against the plugin of an installed distribution.

    Args:
        distribution: The distribution, such as "datarax-hf".
        scheme: Which of its schemes; needed only where it offers several.

    Returns:
        What became of it; a broken promise is a failure in it, not an error.

    Raises:
        SourceNotInstalledError: If the distribution is not installed.
        UnknownSourceError: If it offers no source, none of that scheme, or several and none was
            chosen.
        NotSupportedError: A NotImplementedError, if its plugin makes no sample.
        SourceBrokenError: If the plugin cannot be imported, or its sample cannot be made; the other
            errors of `datarax.load` say why it cannot be asked.
    """
    name, version, schemes = _offered(distribution)
    scheme = _chosen(name, schemes, scheme)
    plugin = _plugin(name, scheme)
    if not plugin.implements("sample"):
        raise NotSupportedError(
            f"the source {scheme!r} ({plugin.offered_by}) makes no sample to validate it on; "
            "implement the optional hook sample(folder) in its plugin: it writes a small dataset "
            "into the folder and returns a datarax.testing.KnownDataset with the records expected"
        )
    with tempfile.TemporaryDirectory(prefix="datarax-validate-") as folder:
        said, output = _run(Path(folder), scheme)
    matrix = _matrix(plugin, reads_files=said is None or said["reads_files"])
    if said is None:
        failures = [f"the process of the tests ended early: {output[-2000:].strip()}"]
        return ValidationReport(name, version, scheme, False, 0, tuple(failures), matrix, output)
    if said["sample"] is not None:
        broken = SourceBrokenError(
            f"the source {scheme!r} ({plugin.offered_by}) failed to make its sample with "
            f"{said['sample']['text']}; mend its hook 'sample'"
        )
        broken.add_note(said["sample"]["trace"])
        raise broken
    failures = [f"{test}: {text}" for test, text in said["failures"]]
    if said["count"] != matrix.count:
        failures.append(f"{said['count']} tests ran, and the contract has {matrix.count}")
    return ValidationReport(
        name, version, scheme, not failures, said["count"], tuple(failures), matrix, output
    )


def _offered(distribution: str) -> tuple[str, str, list[str]]:
    """Return the name, the version and the schemes of an installed distribution."""
    try:
        found = importlib_metadata.distribution(distribution)
    except (importlib_metadata.PackageNotFoundError, ValueError) as error:
        known = {info.distribution for info in CATALOGUE.known() if info.distribution}
        raise SourceNotInstalledError(
            f"the distribution {distribution!r} is not installed, and only what is installed can "
            f"be validated; installed with sources are {listing(sorted(known))}."
            f"{nearest(distribution, known)} To install it: pip install {distribution}"
        ) from error
    schemes = [
        point.name.lower() for point in found.entry_points if point.group == ENTRY_POINT_GROUP
    ]
    name = found.metadata["Name"]
    built_in = [
        info.scheme
        for info in CATALOGUE.known()
        if canonicalize_name(name) == "datarax-core" == info.distribution
    ]
    return name, found.version, sorted({*schemes, *built_in})


def _chosen(name: str, schemes: list[str], asked: str | None) -> str:
    if not schemes:
        raise UnknownSourceError(
            f"{name} is installed and offers no source: it has no entry point in the group "
            f"{ENTRY_POINT_GROUP!r}"
        )
    if asked is None and len(schemes) > 1:
        raise UnknownSourceError(
            f"{name} offers the sources {listing(schemes)}; say which with scheme="
        )
    if asked is not None and asked not in schemes:
        raise UnknownSourceError(
            f"{name} offers no source {asked!r}; it offers {listing(schemes)}."
            f"{nearest(asked, schemes)}"
        )
    return asked or schemes[0]


def _plugin(name: str, scheme: str) -> LoadedPlugin:
    """Return the plugin of a scheme, which must be the distribution's own."""
    plugin = CATALOGUE.find(scheme)
    (info,) = (info for info in CATALOGUE.known() if info.scheme == scheme)
    if info.distribution is None or canonicalize_name(info.distribution) != canonicalize_name(name):
        raise SourceConflictError(
            f"{scheme!r} is answered here by {info.distribution or 'a plugin registered by hand'}, "
            f"not by {name}; choose with DATARAX_PLUGINS={scheme}={name}, or unregister the other"
        )
    return plugin


def _matrix(plugin: LoadedPlugin, *, reads_files: bool) -> Matrix:
    declared = {"capabilities": plugin.info.capabilities, "reads_files": reads_files}
    return matrix_of(type("Contract", (SourceContract,), declared))


def _run(folder: Path, scheme: str) -> tuple[Any, str]:
    """Return what the recorder said, None if it could not, and pytest's text."""
    report, module = folder / "report.json", folder / "test_contract.py"
    module.write_text(MODULE.format(scheme=scheme), "utf-8")
    settings = folder / "pytest.ini"
    settings.write_text("[pytest]\n", "utf-8")
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", str(module), "-q", "-c", str(settings)),
            *("-p", "datarax.testing.recorder", "-p", "no:cacheprovider"),
            f"--rootdir={folder}",
            f"--basetemp={folder / 'tmp'}",
            "--import-mode=importlib",
            f"--datarax-report={report}",
            f"--datarax-scheme={scheme}",
        ],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    said = json.loads(report.read_text("utf-8")) if report.is_file() else None
    return said, run.stdout + run.stderr


def _environment() -> dict[str, str]:
    """Return this process's environment and path, without what would bend pytest."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return {**kept, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
