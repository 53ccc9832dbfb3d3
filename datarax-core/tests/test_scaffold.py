"""`new_plugin`: a whole distribution under the name asked for, or nothing at all.

That it builds, installs, and passes its own tests is tests/test_new_plugin.py of the repository.
"""

import errno
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import datarax
from datarax.registry.metadata import capabilities
from datarax.registry.plugin import INDEXED
from datarax.testing.scaffold import new_plugin
from datarax.testing.scaffold.plugin import LONGEST

FILES = {
    ".github/workflows/ci.yml",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "src/datarax_my_lab/__init__.py",
    "src/datarax_my_lab/config.py",
    "src/datarax_my_lab/data/fruit/test.csv",
    "src/datarax_my_lab/data/fruit/train.csv",
    "src/datarax_my_lab/plugin.py",
    "src/datarax_my_lab/py.typed",
    "src/datarax_my_lab/reader.py",
    "src/datarax_my_lab/sample.py",
    "tests/test_contract.py",
    "tests/test_my_lab.py",
    "tox.ini",
}


def within(folder):
    return {
        path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()
    }


def listing(folder):
    return [path.name for path in folder.iterdir()]


def test_a_whole_distribution_is_written_and_its_files_are_returned(tmp_path):
    written = new_plugin("my-lab", tmp_path)
    assert set(within(tmp_path / "datarax-my-lab")) == FILES
    assert written == tuple(sorted(within(tmp_path).values()))
    assert listing(tmp_path) == ["datarax-my-lab"]


def test_it_bears_its_name_and_no_trace_of_another(tmp_path):
    texts = [path.read_text("utf-8") for path in new_plugin("my-lab", tmp_path)]
    assert not [text for text in texts if "newname" in text.lower()]
    assert any("class MyLabReader(ColumnarReader)" in text for text in texts)
    assert any('datarax.load("my-lab:fruit")' in text for text in texts)


def test_its_metadata_says_what_datarax_asks_of_a_plugin(tmp_path):
    new_plugin("my-lab", tmp_path)
    folder = tmp_path / "datarax-my-lab"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "datarax-my-lab"
    assert project["entry-points"] == {
        "datarax.sources": {"my-lab": "datarax_my_lab.plugin:plugin"}
    }
    assert capabilities({"Keywords": ",".join(project["keywords"])}, "my-lab") == INDEXED
    (core,) = (Requirement(line) for line in project["dependencies"] if "datarax-core" in line)
    assert {clause.operator for clause in core.specifier} == {">=", "<"}
    assert core.specifier.contains(datarax.__version__)
    assert not core.specifier.contains("99")
    assert "Apache License" in (folder / "LICENSE").read_text()


def test_it_can_be_loaded_from_where_it_was_written(tmp_path):
    new_plugin("my-lab", tmp_path)
    code = (
        "import datarax, datarax_my_lab.plugin\n"
        "datarax.register('my-lab', datarax_my_lab.plugin.plugin)\n"
        "print(len(datarax.load('my-lab:fruit', split='train+test')))\n"
    )
    sources = tmp_path / "datarax-my-lab" / "src"
    path = os.pathsep.join([str(sources), *(entry for entry in sys.path if entry)])
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.strip() == "16", run.stderr


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "words of lower-case letters"),
        ("My_Lab", "write 'my-lab'"),
        ("datarax_my.lab", "write 'my-lab'"),
        ("datarax-my-lab", "write 'my-lab'"),
        ("my--lab", "write 'my-lab'"),
        ("-lab", "write 'lab'"),
        ("3d", "the first a letter"),
        ("läb", "words of lower-case letters"),
        ("../lab", "write 'lab'"),
        ("lab\n", "write 'lab'"),
        ("class", "a word of Python"),
        ("match", "a word of Python"),
        ("hf", "taken, by datarax-hf"),
        ("tfds", "taken, by datarax-tfds"),
        ("arrayrecord", "taken, by datarax-arrayrecord"),
        ("memory", "taken, by datarax-core"),
        ("core", "taken, by datarax-core"),
        ("a" * (LONGEST + 1), f"at most {LONGEST} letters"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused_and_nothing_is_written(tmp_path, name, text):
    with pytest.raises(ValueError, match=text):
        new_plugin(name, tmp_path)
    assert not listing(tmp_path)


def test_a_name_that_is_no_string_is_refused(tmp_path):
    with pytest.raises(TypeError, match="got int 3"):
        new_plugin(3, tmp_path)


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_what_is_there_already_is_left_alone(tmp_path, kind):
    target = tmp_path / "datarax-lab"
    if kind == "folder":
        target.mkdir()
    elif kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError, match="datarax-lab is there already"):
        new_plugin("lab", tmp_path)
    assert listing(tmp_path) == ["datarax-lab"]


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is no folder"):
        new_plugin("lab", tmp_path / "nowhere")
    assert not listing(tmp_path)


LIMITED = """
import resource, signal, sys
from pathlib import Path
from datarax.testing.scaffold import new_plugin

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))
try:
    new_plugin("lab", Path(sys.argv[1]))
except OSError as error:
    print(error)
"""


def test_nothing_is_left_where_writing_fails_midway(tmp_path):
    """A file larger than what the process may write: as on a full disk."""
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert "datarax-lab cannot be written: File too large" in run.stdout, run.stderr
    assert not listing(tmp_path)


def test_a_folder_that_may_not_be_written_to_is_named(tmp_path):
    """Permissions do not hold root back, and the kernel's own folders do."""
    folder = Path("/sys") if os.getuid() == 0 else tmp_path
    tmp_path.chmod(0o555)
    with pytest.raises(OSError, match="datarax-lab cannot be written: ") as caught:
        new_plugin("lab", folder)
    assert caught.value.errno in {errno.EACCES, errno.EPERM, errno.EROFS}
    assert "datarax-lab" not in listing(folder)
