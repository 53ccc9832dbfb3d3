"""`datarax new-plugin`: what it writes passes its own tox, and the wheel of core brings all of it.

tox builds the wheel, installs it with what it depends on, and runs its tests, the contract among
them. The wheels of datarax lie where DATARAX_WHEELS says; without it, datarax-core is built from
the checkout.
"""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "datarax/testing/scaffold/templates"
TEMPLATES = ROOT / "datarax-core" / "src" / FOLDER


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """The folder of datarax's wheels."""
    given = os.environ.get("DATARAX_WHEELS")
    if given:
        return Path(given)
    folder = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "build", "-w", "-o", folder, ROOT / "datarax-core"]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def test_the_wheel_of_core_brings_every_template(wheels):
    (wheel,) = wheels.glob("datarax_core-*.whl")
    held = zipfile.ZipFile(wheel).namelist()
    written = [path.relative_to(TEMPLATES) for path in TEMPLATES.rglob("*") if path.is_file()]
    left_by_tools = [path for path in written if re.search(r"(^|/)(\.|__pycache__)", str(path))]
    templates = {f"{FOLDER}/{path}" for path in written if path not in left_by_tools}
    assert len(templates) > 10
    assert {name for name in held if name.startswith(FOLDER)} == templates


def test_a_new_plugin_passes_its_tox_as_it_is_written(wheels, tmp_path):
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("TOX_", "PYTEST_", "PYTHON", "DATARAX_", "VIRTUAL_ENV"))
    }
    links = f"{wheels} {kept.get('PIP_FIND_LINKS', '')}".strip()
    made = subprocess.run(
        [sys.executable, "-m", "datarax", "new-plugin", "my-lab"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    run = subprocess.run(
        [sys.executable, "-m", "tox", "-e", "lint,types,py"],
        cwd=tmp_path / "datarax-my-lab",
        env={**kept, "PIP_FIND_LINKS": links},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-8000:]
    for name in ("lint", "types", "py"):
        assert f"{name}: OK" in run.stdout
    assert "skipped" not in run.stdout
