"""`datarax validate` and `datarax new-plugin`: for those who publish a plugin."""

import json
import subprocess
import sys

import pytest

from datarax.cli.validate import answer_of
from datarax.registry import INDEXED
from datarax.testing import SourceContract, matrix_of
from datarax.testing.validate import ValidationReport

ENDS = """
from datarax.registry import PluginInfo, hookimpl
from datarax.sources import SourceConfig


class Plugin:
    @hookimpl
    def describe(self):
        return PluginInfo(summary="toys", config=SourceConfig, needs_target=False)

    @hookimpl
    def open(self):
        raise ValueError("it never opens")

    @hookimpl
    def sample(self, folder):
        import os

        os._exit(3)


plugin = Plugin()
"""


# validate


def test_a_plugin_that_breaks_its_promises_is_answered_with_no(publish, command_line):
    publish("toy", ENDS)
    code, out, err = command_line("validate", "datarax-toy", "--json")
    told = json.loads(out)
    assert (code, err) == (1, "")
    assert (told["distribution"], told["scheme"], told["passed"]) == ("datarax-toy", "toy", False)
    assert "ended early" in told["failures"][0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["datarax-toi"], "Did you mean 'datarax-toy'?"),
        (["datarax-toy"], "implement the optional hook sample(folder)"),
        (["datarax-toy", "--scheme", "tow"], "Did you mean 'toy'?"),
    ],
)
def test_what_cannot_be_validated_is_a_mistake(publish, command_line, arguments, said):
    publish("toy")
    code, out, err = command_line("validate", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize("failures", [(), ("test_order: it is broken",)])
def test_the_matrix_is_a_table_of_every_promise(failures):
    matrix = matrix_of(type("Toy", (SourceContract,), {"capabilities": INDEXED}))
    report = ValidationReport("datarax-toy", "1.0", "toy", not failures, 9, failures, matrix)
    answer = answer_of(report)
    lines = answer.text(100).splitlines()
    assert answer.yes is not bool(failures)
    assert max(map(len, lines)) <= 100
    assert lines[0].split() == ["PART", "EAGER", "LAZY", "STREAMING", "ANY", "VERDICT", "PROMISE"]
    text = " ".join(answer.text(None).split())
    for row in matrix.rows:
        assert row.promise in text
    assert f"9 ran, {len(failures)} failures" in text
    assert all(failure in text for failure in failures)
    assert json.loads(json.dumps(answer.data))["matrix"]["count"] == matrix.count


@pytest.mark.parametrize("line", ["validate datarax-core", "new-plugin toy"])
def test_without_the_extra_its_pip_line_is_said(line, tmp_path):
    code = (
        "import sys; sys.modules['pytest'] = None; from datarax.cli import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *line.split()],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "datarax: datarax.testing needs pytest; run: pip install 'datarax-core[testing]'\n"
    )
    assert list(tmp_path.iterdir()) == []


# new-plugin


def test_a_new_plugin_is_written_and_its_files_are_told(command_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = command_line("new-plugin", "squares")
    assert (code, err) == (0, "")
    files = sorted(path for path in (tmp_path / "datarax-squares").rglob("*") if path.is_file())
    assert len(files) > 10
    told, _, then = out.partition("\n\n")
    assert told.splitlines() == [str(path.relative_to(tmp_path)) for path in files]
    assert "  cd datarax-squares\n" in then
    assert then.endswith("  datarax validate datarax-squares\n")
    (tmp_path / "elsewhere").mkdir()
    code, out, err = command_line("new-plugin", "cubes", "--into", "elsewhere", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["name"] == "cubes"
    assert "elsewhere/datarax-cubes/pyproject.toml" in told["files"]


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        (["Squares!"], "ValueError", "write 'squares'"),
        (["hf"], "ValueError", "'hf' is taken, by datarax-hf"),
        (["squares", "--into", "nowhere"], "FileNotFoundError", "nowhere is no folder"),
        (["taken"], "FileExistsError", "is there already; move it away"),
    ],
)
def test_a_name_or_a_place_that_will_not_do_is_a_mistake(
    command_line, tmp_path, monkeypatch, arguments, kind, said
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "datarax-taken").mkdir()
    code, out, err = command_line("new-plugin", *arguments, "--json")
    assert code == 2
    assert json.loads(out)["error"]["type"] == kind
    assert said in err
    assert "--debug" not in err
