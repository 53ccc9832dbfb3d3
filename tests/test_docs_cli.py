"""What docs/cli.md shows of the command line is run, against a Hub on the loopback interface."""

import importlib.util
import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from datarax.cli import main
from datarax.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "cli.md").read_text()
SHOWN = [
    shlex.split(line)[1:]
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
SECTIONS = dict(
    re.findall(r"^## `datarax ([\w-]+)`\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
)
CARD = "---\nlicense: mit\n---\n# Digits\n"


def beside(name):
    """Import a module that lies beside the tests of datarax-hf."""
    full = f"datarax_hf_tests_{name}"
    if full not in sys.modules:
        path = ROOT / "datarax-hf" / "tests" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(full, path)
        sys.modules[full] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full])
    return sys.modules[full]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub that has `ylecun/mnist`, an empty cache, and an empty folder to work in."""
    server = beside("loopback_hub").LoopbackHub()
    parts = {name: beside("repos").digits(count)[2] for name, count in (("train", 9), ("test", 4))}
    files = {f"data/{name}-00000-of-00001.parquet": data for name, data in parts.items()}
    server.publish("ylecun/mnist", {"README.md": CARD, **files})
    for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE", "DATARAX_OFFLINE", "DATARAX_PLUGINS", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    yield server
    server.close()


def test_every_command_has_its_section_and_stands_in_the_list():
    assert list(SECTIONS) == list(COMMANDS)
    for name in COMMANDS:
        assert f"](#datarax-{name})" in PAGE


@pytest.mark.parametrize("arguments", SHOWN, ids=" ".join)
def test_a_command_that_is_shown_does_what_it_says(hub, capsys, arguments):
    if arguments[0] == "verify":
        assert main(["fetch", *arguments[1:]]) == 0
        capsys.readouterr()
    code = main([*arguments, "--json"])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    told = json.loads(out)
    table = SECTIONS[arguments[0]].split("| key | meaning |\n")[1].split("\n\n")[0]
    keys = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert {key for row in keys for key in re.findall(r"`(\w+)`", row)} == set(told)


def test_a_dataset_that_was_fetched_is_read_where_it_was_copied_to(
    hub, capsys, tmp_path, monkeypatch
):
    """As the lines of `fetch` say, on a machine that has nothing but the folder."""
    assert main(["fetch", "hf:ylecun/mnist", "--json"]) == 0
    fetched = json.loads(capsys.readouterr().out)
    elsewhere = tmp_path / "elsewhere" / Path(fetched["folder"]).name
    elsewhere.parent.mkdir()
    Path(fetched["folder"]).rename(elsewhere)
    hub.close()
    monkeypatch.setenv("HF_HOME", str(tmp_path / "another home"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert main(["head", "hf:ylecun/mnist", "--local-files-only"]) == 2
    assert "datarax: " in capsys.readouterr().err
    for name, value in fetched["setup"].items():
        monkeypatch.setenv(name, value.replace("{folder}", str(elsewhere)))
    assert main(["head", "hf:ylecun/mnist", "--local-files-only", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total"] == 9


def test_verify_finds_damage_in_a_dataset_of_the_hub(hub, capsys):
    assert main(["fetch", "hf:ylecun/mnist", "--json"]) == 0
    fetched = json.loads(capsys.readouterr().out)
    (name,) = [name for name in fetched["files"] if "test-00000-of-00001" in name]
    path = (Path(fetched["folder"]) / name).resolve()
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    assert main(["verify", "hf:ylecun/mnist", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["counts"]["damaged"] == 1
    assert told["remedy"]
