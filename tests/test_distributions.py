"""What the distributions of the repository have in common, and what sets them apart."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from datarax.registry.metadata import capabilities

ROOT = Path(__file__).resolve().parents[1]
FIRST_PARTY = sorted(path.parent for path in ROOT.glob("datarax-*/pyproject.toml"))
ALL = [*FIRST_PARTY, ROOT / "examples" / "datarax-sklearn"]
BACKENDS = {
    "huggingface_hub",
    "pyarrow",
    "datasets",
    "tensorflow_datasets",
    "array_record",
    "sklearn",
}


def project(folder):
    return tomllib.loads((folder / "pyproject.toml").read_text())["project"]


def name(folder):
    return folder.name


def test_there_are_four_distributions():
    assert [folder.name for folder in FIRST_PARTY] == [
        "datarax-arrayrecord",
        "datarax-core",
        "datarax-hf",
        "datarax-tfds",
    ]


@pytest.mark.parametrize("folder", ALL, ids=name)
def test_a_distribution_is_whole(folder):
    about = project(folder)
    (package,) = (folder / "src").glob("datarax*")
    assert about["name"] == folder.name
    assert about["requires-python"] == ">=3.11"
    assert (package / "py.typed").is_file()
    assert (folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert (folder / "README.md").read_text().startswith(f"# {folder.name}\n")
    assert list((folder / "tests").glob("test_*.py"))


@pytest.mark.parametrize("folder", [f for f in ALL if f.name != "datarax-core"], ids=name)
def test_a_plugin_depends_on_core_and_registers_one_scheme(folder):
    about = project(folder)
    assert any(line.startswith("datarax-core>=") for line in about["dependencies"])
    assert list(about["entry-points"]["datarax.sources"]) == [folder.name.removeprefix("datarax-")]


@pytest.mark.parametrize("folder", [f for f in ALL if f.name != "datarax-core"], ids=name)
def test_a_plugin_states_its_range_of_core_and_declares_its_capabilities(folder):
    about = project(folder)
    (core,) = (Requirement(line) for line in about["dependencies"] if "datarax-core" in line)
    assert {clause.operator for clause in core.specifier} == {">=", "<"}
    scheme = folder.name.removeprefix("datarax-")
    declared = capabilities({"Keywords": ",".join(about["keywords"])}, scheme)
    module = next((folder / "src").glob("datarax*")).name
    describe = (
        f"import {module}.plugin as p; print('+'.join(sorted(p.plugin.describe().capabilities)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", describe], capture_output=True, text=True, check=True
    )
    assert declared == set(run.stdout.strip().split("+"))


def test_core_depends_on_no_backend():
    needed = {
        line.split(">")[0].split("[")[0] for line in project(ROOT / "datarax-core")["dependencies"]
    }
    assert needed == {"flax", "importlib-metadata", "jax", "numpy", "packaging", "pluggy"}


@pytest.mark.parametrize("folder", FIRST_PARTY, ids=name)
def test_the_version_that_a_package_states_is_its_distributions(folder):
    (package,) = (folder / "src").glob("datarax*")
    code = f"import {package.name}; print({package.name}.__version__)"
    stated = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert stated.stdout.strip() == project(folder)["version"]


def imported_after(statement):
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_listing_what_is_installed_imports_neither_jax_nor_a_plugin():
    modules = imported_after("import datarax; assert len(datarax.list_sources()) == 5")
    assert not modules & {"jax", "flax", *BACKENDS}
    assert not {module for module in modules if module.startswith("datarax_")}


def test_that_check_can_fail():
    assert {"jax", "datarax_sklearn"} <= imported_after(
        "import datarax; datarax.load('sklearn:iris')"
    )
