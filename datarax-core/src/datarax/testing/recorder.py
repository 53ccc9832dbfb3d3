"""A pytest plugin for `validate`: the sample first, then what became of each test, as JSON.

It runs in the process that pytest runs in, which is not the one that asked. Nothing is read off
pytest's text: the file that the option `--datarax-report` names holds all there is to know.
"""

from __future__ import annotations

import json
import tempfile
import traceback
from pathlib import Path
from typing import Any

import pytest

from datarax.errors import SourceBrokenError
from datarax.registry.catalogue import CATALOGUE
from datarax.testing.known import KnownDataset

MODULE = '''"""The contract of sources, on the sample of {scheme!r}."""

import pytest

from datarax.registry.catalogue import CATALOGUE
from datarax.testing import SourceContract
from datarax.testing.recorder import sample


class TestContract(SourceContract):
    capabilities = CATALOGUE.find({scheme!r}).info.capabilities

    @pytest.fixture
    def dataset(self, tmp_path):
        folder = tmp_path / "sample"
        folder.mkdir()
        return sample({scheme!r}, folder)
'''
"""The test module that a scheme is validated by."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--datarax-report", type=Path)
    parser.addoption("--datarax-scheme")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(
        Recorder(config.getoption("--datarax-report"), config.getoption("--datarax-scheme"))
    )


class Recorder:
    """Writes what became of the sample, how many tests ran, and which failed with what message."""

    def __init__(self, path: Path, scheme: str) -> None:
        self._path = path
        self._scheme = scheme
        self._sample: dict[str, str] | None = None
        self._reads_files = True
        self._ran: set[str] = set()
        self._failures: dict[str, str] = {}

    def pytest_collection(self, session: pytest.Session) -> None:
        """Make the sample once before any test, so that its error is one error."""
        try:
            with tempfile.TemporaryDirectory(dir=self._path.parent) as folder:
                self._reads_files = sample(self._scheme, Path(folder)).reads_files
        except Exception as error:
            trace = "".join(traceback.format_exception(error))
            self._sample = {"text": f"{type(error).__name__}: {error}", "trace": trace}
            session.shouldfail = "there is no sample"
            raise pytest.UsageError("there is no sample") from error

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what did not pass: a skipped test keeps no promise."""
        self._ran.add(report.nodeid)
        if not report.passed:
            self._failures.setdefault(report.nodeid, _message(report))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._failures.setdefault(report.nodeid, str(report.longrepr))

    def pytest_sessionfinish(self) -> None:
        said = {
            "sample": self._sample,
            "reads_files": self._reads_files,
            "count": len(self._ran),
            "failures": [[name.rpartition("::")[2], text] for name, text in self._failures.items()],
        }
        self._path.write_text(json.dumps(said), "utf-8")


def sample(scheme: str, folder: Path) -> KnownDataset:
    """Return the sample dataset that the plugin of a scheme makes in `folder`.

    Raises:
        SourceBrokenError: If it makes something else.
    """
    plugin = CATALOGUE.find(scheme)
    made = plugin.hooks.sample(folder=str(folder))
    if not isinstance(made, KnownDataset):
        raise SourceBrokenError(
            f"the hook 'sample' of {scheme!r} ({plugin.offered_by}) returns a "
            f"datarax.testing.KnownDataset, got {type(made).__name__} {made!r}"
        )
    return made


def _message(report: Any) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return crash.message if crash is not None else str(report.longrepr)
