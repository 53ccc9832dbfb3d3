"""What README and docs show is run, in the order of the page; what they link to exists."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from datarax.core.config import StructuralConfig
from datarax.sources import SourceConfig

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "datarax-core" / "README.md",
    ROOT / "examples" / "datarax-sklearn" / "README.md",
]
FENCE = re.compile(r"^```(?P<kind>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\]\((?!https?:)(?P<target>[^)#]+)\)")


def blocks(page, kind):
    return [match["code"] for match in FENCE.finditer(page.read_text()) if match["kind"] == kind]


def name(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name)
def test_the_code_of_a_page_runs(page, tmp_path):
    code = "\n".join(blocks(page, "python"))
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=name)
def test_the_links_of_a_page_lead_somewhere(page):
    for match in LINK.finditer(CODE.sub("", FENCE.sub("", page.read_text()))):
        assert (page.parent / match["target"]).exists(), match["target"]


def test_the_table_of_options_has_every_option_of_every_source():
    page = (ROOT / "docs" / "sources.md").read_text()
    table = page.split("\n## Options of every source\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    listed = {word for row in rows for word in row.split("`")}
    own = {field.name for field in dataclasses.fields(SourceConfig)}
    inherited = {field.name for field in dataclasses.fields(StructuralConfig)} - {"cacheable"}
    assert {word for word in listed if word.isidentifier()} == own - inherited


@pytest.mark.parametrize("heading", ["Run it", "Test it"])
def test_a_section_of_the_readme_is_one_command(heading):
    section = (ROOT / "README.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    (block,) = FENCE.finditer(section)
    (command,) = block["code"].splitlines()
    assert command.startswith("python3 -m venv .venv/")


def test_ci_runs_the_command_of_the_readme():
    script = (ROOT / ".ci" / "run").read_text()
    pattern = re.search(r"sed -n '(.*)' README.md", script)[1]
    shown = subprocess.run(
        ["sed", "-n", pattern, "README.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    readme = (ROOT / "README.md").read_text()
    assert shown == FENCE.search(readme.split("\n## Test it\n")[1])["code"]


def test_every_environment_that_contributing_names_exists():
    named = re.findall(r"`tox -[ef] ([\w,]+)", (ROOT / "CONTRIBUTING.md").read_text())
    ini = (ROOT / "tox.ini").read_text()
    pythons = re.search(r"\[testenv:py\{([\d,]+)\}-\{([\w,]+)\}", ini)
    known = {f"py{python}" for python in pythons[1].split(",")}
    known |= {f"{python}-{short}" for python in known for short in pythons[2].split(",")}
    known |= set(re.findall(r"^\[testenv:(\w+)\]", ini, re.MULTILINE))
    assert named
    assert {env for names in named for env in names.split(",")} <= known
