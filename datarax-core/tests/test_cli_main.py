"""`datarax` and `python -m datarax`: exit codes, errors, flags, and what a start imports."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import datarax
from datarax.cli import main
from datarax.cli.main import COMMANDS

HEAVY = ("jax", "jaxlib", "flax", "pytest", "pandas", "pyarrow", "tensorflow")


def python(code, *arguments, folder, **options):
    """Run a command line in a process of its own, with the plugins of `folder`."""
    start = f"import sys; sys.path.insert(0, {str(folder)!r}); from datarax.cli import main\n"
    return subprocess.run(
        [sys.executable, "-c", start + code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


# Help and usage


def test_help_lists_every_command(command_line):
    code, out, err = command_line("--help")
    assert (code, err) == (0, "")
    for name in COMMANDS:
        assert re.search(rf"^  {name}  ", out, re.MULTILINE), name


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help_with_the_flags_of_all(command_line, name, flag):
    code, out, err = command_line(name, flag)
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: datarax {name}")
    assert "--json" in out
    assert "--debug" in out


def test_no_command_is_a_mistake_that_shows_the_commands(command_line):
    code, out, err = command_line()
    assert (code, out) == (2, "")
    assert "sources" in err
    assert err.endswith("datarax: which command?\n")


def test_the_version_is_told(command_line):
    assert command_line("--version") == (0, f"datarax-core {datarax.__version__}\n", "")
    assert json.loads(command_line("--version", "--json")[1]) == {
        "datarax-core": datarax.__version__
    }


def test_an_unknown_command_is_a_mistake_with_the_nearest_name(command_line):
    code, out, err = command_line("sorces")
    assert (code, out) == (2, "")
    assert "no command 'sorces'" in err
    assert "Did you mean 'sources'?" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sources", "--jsn"], "unexpected '--jsn'. Did you mean '--json'?"),
        (["sources", "hf"], "unexpected 'hf'."),
        (["info"], "the following arguments are required: URI"),
        (["info", "a:b", "c:d"], "unexpected 'c:d'."),
        (["info", "a:b", "--js"], "unexpected '--js'. Did you mean '--json'?"),
        (["info", "a:b", "-o", "size"], "'size' is not KEY=VALUE"),
        (["info", "a:b", "--split"], "argument --split: expected one argument"),
        (["head", "a:b", "-n", "-1"], "'-1' is not a number of records"),
        (["head", "a:b", "-n", "few"], "'few' is not a number of records"),
        (["--nonsense"], "unexpected '--nonsense'."),
    ],
)
def test_wrong_arguments_are_mistakes_that_show_the_usage(command_line, arguments, said):
    code, out, err = command_line(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("usage: datarax")


def test_flags_may_stand_before_the_command(command_line):
    assert command_line("--json", "sources") == command_line("sources", "--json")


# Errors


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["info", "mnist"], "'mnist' names no scheme"),
        (["info", "valt:pets"], "no source answers to 'valt'"),
        (["info", "vault:pet"], "Did you mean 'pets'?"),
        (["info", "vault:"], "'vault:' names no dataset"),
        (["info", "vault:pets", "--split", "tran"], "Did you mean 'train'?"),
        (["info", "vault:pets", "-o", "sizes=3"], "takes no option 'sizes'"),
        (["info", "vault:pets", "-o", "size=many"], "size='many' is not an integer"),
        (["info", "vault:pets?size=3", "-o", "size=4"], "'size' is given twice: '3' and '4'"),
        (["info", "vault:pets?split=test", "--split", "train"], "'split' is given twice"),
        (["head", "vault:pets", "-o", "shuffle=true"], "leave it out"),
        (["head", "memory:"], "needs its data by keyword"),
        (["fetch", "memory:"], "there is nothing to fetch"),
        (["verify", "memory:"], "implements no hook 'verify'"),
        (["verify", "vault:broken", "--local-files-only"], "is not on this machine: /vault/c.bin"),
    ],
)
def test_a_users_mistake_is_one_text_on_standard_error(vault, command_line, arguments, said):
    code, out, err = command_line(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("datarax: ")
    assert "Traceback" not in err
    assert err.count("\n") == 1


def test_debug_shows_the_traceback_of_a_mistake(vault, command_line):
    code, out, err = command_line("info", "vault:pet", "--debug")
    assert (code, out) == (2, "")
    assert err.startswith("Traceback (most recent call last)")
    assert "UnknownDatasetError" in err


def test_an_error_inside_a_plugin_is_one_line_that_tells_of_debug(vault, command_line):
    code, out, err = command_line("info", "vault:rude")
    assert (code, out) == (2, "")
    assert err == "datarax: ZeroDivisionError: no pets (--debug shows the traceback)\n"
    assert "in _check" in command_line("info", "vault:rude", "--debug")[2]


def test_with_json_an_error_is_an_object_too(vault, command_line):
    code, out, err = command_line("info", "vault:pet", "--json")
    assert code == 2
    assert json.loads(out)["error"]["type"] == "UnknownDatasetError"
    assert json.loads(out)["error"]["message"] in err
    assert json.loads(command_line("sorces", "--json")[1])["error"]["type"] == "UsageError"


def test_what_a_plugin_prints_is_no_part_of_the_answer(publish, command_line):
    publish("loud", "print('hello from the plugin')\nplugin = None")
    code, out, err = command_line("doctor", "--json")
    assert code == 1
    assert "hello from the plugin" not in out
    assert "hello from the plugin" in err
    json.loads(out)


def test_a_warning_is_one_line(publish, vault):
    publish("datarax", distribution="datarax", version="0.1.4", group="other")
    done = python("sys.exit(main())", "sources", folder=publish.folder)
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith("datarax: warning: the distribution datarax 0.1.4 is installed beside")


# The end of the process


def test_an_interruption_ends_with_130_and_no_traceback(vault, command_line):
    code, out, err = command_line("info", "vault:interrupted")
    assert (code, out, err) == (130, "", "datarax: interrupted\n")


def test_the_signal_of_ctrl_c_ends_a_process_with_130(publish):
    publish(
        "slow",
        "import os, signal\n"
        "class Plugin:\n"
        "    @property\n"
        "    def describe(self):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "plugin = Plugin()\n"
        "plugin.describe\n",
    )
    done = python("sys.exit(main())", "info", "slow:x", folder=publish.folder)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "datarax: interrupted\n")


def test_a_closed_pipe_ends_the_writing_without_an_error(publish):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "datarax", "sources"],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_answer_that_cannot_be_written_is_an_error_and_not_a_traceback():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "datarax", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("datarax: the answer could not be written: ")
    assert done.stderr.count("\n") == 1


def test_without_standard_output_or_error_nothing_is_written():
    for closed in (">&-", "2>&-", ">&- 2>&-"):
        done = subprocess.run(
            f'"{sys.executable}" -m datarax --version {closed}',
            shell=True,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), closed


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", "\\u2026"), ("utf-8", "…")])
def test_what_an_encoding_cannot_say_is_escaped(publish, encoding, shown):
    publish("toy", summary="word " * 3, distribution="datarax-with-quite-a-long-name")
    done = python(
        "sys.exit(main())",
        "sources",
        folder=publish.folder,
        env={**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "50"},
        encoding=encoding,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert shown in done.stdout


def test_control_characters_of_a_dataset_do_not_reach_the_terminal(vault, command_line):
    out = command_line("info", "vault:pets")[1]
    assert "\x1b" not in out
    assert r"Pets \x1b[31m of the neighbourhood." in out
    answer = json.loads(command_line("info", "vault:pets", "--json")[1])
    assert answer["description"] == "Pets \x1b[31m of the neighbourhood."


# Starting


def test_the_module_and_the_script_are_the_same_command_line():
    done = subprocess.run(
        [sys.executable, "-m", "datarax", "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"datarax-core {datarax.__version__}\n")
    (script,) = entry_points(group="console_scripts", name="datarax")
    assert script.load() is main


GUARD = f"""
code = main()
heavy = sorted(name for name in sys.modules if name.partition(".")[0] in {HEAVY!r})
assert not heavy, heavy[:5]
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("--help", 0),
        ("--version", 0),
        ("sorces", 2),
        ("sources", 0),
        ("doctor", 0),
        ("info vault:pets", 0),
        ("fetch vault:pets", 0),
        ("verify vault:pets", 0),
    ],
)
def test_what_needs_no_jax_imports_none(publish, vault, line, code):
    environment = {**os.environ, "DATARAX_PLUGINS": "vault"}
    done = python(GUARD, *line.split(), folder=publish.folder, env=environment)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_the_guard_can_fail(publish, vault):
    done = python(GUARD, "head", "vault:pets", folder=publish.folder)
    assert done.returncode == 1
    assert "AssertionError: ['flax" in done.stderr
