"""docs/guide.md, from nothing to checked distributions: each block is run, each file is written.

It is run as an outsider would, in a new environment with pip. The wheels of datarax lie where
DATARAX_WHEELS says; without it, datarax-core is built from the checkout.
"""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "guide.md"
EXAMPLE = ROOT / "examples" / "datarax-sklearn"
BLOCK = re.compile(
    r"(?:^`(?P<file>[\w/.-]+)`:\n\n)?^```(?P<kind>\w*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
RUN = {"sh", "py", "toml"}
SET_BY_PYTHON = {"python"}
"""Blocks that test_docs.py runs."""


def blocks(kind=None):
    found = [match.groupdict() for match in BLOCK.finditer(PAGE.read_text())]
    return [block for block in found if kind in (None, block["kind"])]


def with_toml(text, block):
    """Return a TOML text with the block in it: in place of its key, or at the end."""
    if block.startswith("["):
        return f"{text}\n{block}"
    key = re.escape(block.partition("=")[0])
    held = re.compile(rf"^{key}=(?: \[$.*?^\]$|.*?$)", re.MULTILINE | re.DOTALL)
    return held.sub(lambda _: block.strip(), text)


def script(folder):
    """Return the page as a shell script, with its files beside it in `folder`."""
    lines = ["set -eu"]
    for number, block in enumerate(blocks()):
        held = folder / str(number)
        held.write_text(block["code"])
        if block["kind"] == "sh":
            lines += [f"echo {shlex.quote('# ' + block['code'].splitlines()[0])}", block["code"]]
        elif block["kind"] == "py":
            lines.append(f"cp {held} {block['file']}")
        elif block["kind"] == "toml":
            lines.append(f"{shlex.quote(sys.executable)} {__file__} pyproject.toml {held}")
    return "\n".join(lines)


def environment(folder):
    """Return the variables of a shell in a new virtual environment, with nothing but pip."""
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("TOX_", "PYTEST_", "PYTHON", "DATARAX_"))
    }
    wheels = os.environ.get("DATARAX_WHEELS")
    if not wheels:
        wheels = str(folder / "wheels")
        pip = (folder / "venv" / "bin" / "python", "-m", "pip")
        core = ROOT / "datarax-core"
        subprocess.run([*pip, "wheel", "-q", "--no-deps", "-w", wheels, core], check=True)
    kept["PIP_FIND_LINKS"] = f"{wheels} {kept.get('PIP_FIND_LINKS', '')}".strip()
    path = os.pathsep.join([str(folder / "venv" / "bin"), kept["PATH"]])
    return {**kept, "PATH": path, "VIRTUAL_ENV": str(folder / "venv"), "JAX_PLATFORMS": "cpu"}


def test_every_block_is_run_and_every_file_has_a_name():
    assert {block["kind"] for block in blocks()} == RUN | SET_BY_PYTHON
    assert all(block["file"] for block in blocks("py"))
    assert not [block["file"] for block in blocks() if block["file"] and block["kind"] != "py"]
    assert PAGE.read_text().count("\n```") == 2 * len(blocks())


def test_the_example_is_what_the_guide_makes():
    files = {block["file"]: block["code"] for block in blocks("py")}
    sources = [name for name in files if name.startswith("src/")]
    assert {EXAMPLE / name for name in sources} == set(EXAMPLE.glob("src/*/*.py"))
    for name in sources:
        assert files[name] == (EXAMPLE / name).read_text(), name


@pytest.mark.timeout(2400)  # it makes two environments, and runs whole suites in them
def test_the_guide_ends_with_distributions_that_pass_their_checks(tmp_path):
    (tmp_path / "page").mkdir()
    run = subprocess.run(
        ["sh", "-c", script(tmp_path / "page")],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-8000:]
    made = tmp_path / "datarax-sklearn"
    assert {path.suffix for path in (made / "dist").iterdir()} == {".whl", ".gz"}
    assert re.search(r"verdict\s+passed", run.stdout)
    assert run.stdout.count("PASSED") == 2
    about = tomllib.loads((made / "pyproject.toml").read_text())
    stated = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())
    for key in ("dependencies", "description", "entry-points", "optional-dependencies"):
        assert about["project"][key] == stated["project"][key]
    assert about["build-system"] == stated["build-system"]
    assert about["tool"] == stated["tool"]
    for name in ("LICENSE", "tox.ini", ".gitignore", ".github/workflows/ci.yml"):
        assert (made / name).read_text() == (EXAMPLE / name).read_text(), name


def test_a_key_of_toml_is_replaced_and_a_table_added():
    text = 'a = "x"\nb = [\n    "y",\n]\nc = 1\n'
    assert tomllib.loads(with_toml(text, 'a = "z"\n')) == {"a": "z", "b": ["y"], "c": 1}
    assert tomllib.loads(with_toml(text, "b = [\n    2,\n]\n")) == {"a": "x", "b": [2], "c": 1}
    assert tomllib.loads(with_toml(text, "[d]\ne = 3\n"))["d"] == {"e": 3}


if __name__ == "__main__":
    file, block = map(Path, sys.argv[1:])
    file.write_text(with_toml(file.read_text(), block.read_text()))
