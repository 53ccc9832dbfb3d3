"""`info`, `head`, `fetch` and `verify`: a dataset by its URI, as text and as JSON."""

import argparse
import base64
import json
import subprocess

import numpy as np
import pytest

import datarax
from datarax.cli.arguments import add_uri, asked_for
from datarax.errors import InvalidURIError
from datarax.registry import Capability, PluginInfo, hookimpl
from datarax.sources import Field, SourceConfig


@pytest.fixture
def answer(vault, command_line):
    """Return a command's JSON, which it must answer with code 0."""

    def ask(*arguments):
        code, out, err = command_line(*arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    return ask


# info


def test_info_has_everything_that_inspect_has(answer):
    told = answer("info", "vault:pets")
    info = datarax.inspect("vault:pets")
    assert set(told) == set(vars(info))
    assert told["records"] == info.records
    assert told["splits"] == {
        "train": {"records": 4, "bytes": 2048},
        "test": {"records": None, "bytes": None},
    }
    assert told["fields"]["label"] == {
        "shape": [],
        "dtype": "int64",
        "ragged": None,
        "reason": None,
        "class_names": ["cat", "dog"],
        "description": "who it is",
    }
    assert told["fields"]["text"]["reason"] == "text has no fixed length"
    assert told["plan"] == {
        "mode": "eager",
        "bytes": info.plan.bytes,
        "bytes_per_device": info.plan.bytes_per_device,
        "why": info.plan.why,
    }
    assert told["configs"] == ["small", "large"]
    assert len(told["files"]) == 12
    assert told["notes"] == ["read from another branch"]


def test_info_reads_well(vault, command_line, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = command_line("info", "vault:pets@v2", "--split", "train[:50%]")
    assert (code, err) == (0, "")
    assert "revision     v2\n" in out
    assert "licence      CC0-1.0\n" in out
    assert "records      2\n" in out
    assert "plan         eager, 16 B (within the limit of 1.0 GiB a device)\n" in out
    assert "train        4  2.0 KiB\n" in out
    assert "image  uint8[2,2]\n" in out
    assert "label  int64[]     2 classes: cat, dog; who it is\n" in out
    assert "pad={'text': width} makes an array" in out
    assert "… and 2 more; --json lists all" in out
    assert "note  read from another branch" in out
    assert "citation  @misc{pets}" in out
    assert max(map(len, out.splitlines())) <= 80


def test_options_are_typed_by_the_plugin_however_they_are_given(answer):
    asked = [
        ("vault:pets?size=2&mode=lazy",),
        ("vault:pets", "-o", "size=2", "--option", "mode=lazy"),
        ("vault:pets?size=2", "-o", "mode=lazy", "-o", "size=2"),
    ]
    told = [answer("info", *arguments) for arguments in asked]
    assert {(one["records"], one["plan"]["mode"]) for one in told} == {(2, "lazy")}


def test_an_option_may_hold_what_a_query_escapes(answer):
    told = answer("info", "vault:pets", "-o", "split=train[:50%]", "-o", 'pad={"text": 8}')
    assert told["records"] == 2
    assert told["plan"]["bytes"] == 2 * (4 + 4 + 8 + 4)


def test_a_token_that_is_an_option_is_not_in_the_uri():
    """Which is printed, and pasted on other machines."""
    given = ["-o", "token=hf_secret", "-o", "size=2"]
    parser = argparse.ArgumentParser()
    add_uri(parser)
    args = parser.parse_args(["vault:pets", *given])
    assert asked_for(args) == ("vault:pets?size=2", {"token": "hf_secret"})
    args = parser.parse_args(["vault:pets", *given, "-o", "token=hf_other"])
    with pytest.raises(InvalidURIError, match="'token' is given twice") as caught:
        asked_for(args)
    assert "hf_" not in str(caught.value)


# head


def test_head_has_the_first_records_as_they_are_stored(answer):
    told = answer("head", "vault:pets", "-n", "2")
    assert told["total"] == 4
    assert list(told["fields"]) == ["image", "label", "text", "raw"]
    assert told["records"] == [
        {
            "image": [[row, row], [row, row]],
            "label": row,
            "text": f"pet\nnumber {row}",
            "raw": {"base64": base64.b64encode(bytes([0, row])).decode()},
        }
        for row in range(2)
    ]


def test_head_shows_ten_records_unless_told(answer):
    assert len(answer("head", "vault:pets", "-o", "size=30")["records"]) == 10
    assert len(answer("head", "vault:pets")["records"]) == 4
    assert answer("head", "vault:pets", "-n", "0")["records"] == []


def test_head_reads_the_split_and_the_fields_asked_for(answer):
    told = answer("head", "vault:pets", "--split", "train[2:]", "-o", "include_keys=label")
    assert told["records"] == [{"label": 0}, {"label": 1}]
    assert told["total"] == 2


def test_head_is_a_table_with_short_values(vault, command_line):
    code, out, err = command_line("head", "vault:pets", "-n", "1")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "#  IMAGE               LABEL    TEXT           RAW",
        "0  uint8[2,2] 0 0 0 0  0 (cat)  pet\\nnumber 0  bytes[2] 0000",
        "",
        "1 of 4 records",
    ]


def test_on_a_narrow_terminal_each_record_has_lines_of_its_own(vault, command_line, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    out = command_line("head", "vault:pets", "-n", "2")[1]
    assert "record 1\nimage  uint8[2,2] 1 1 1 1\nlabel  1 (dog)\n" in out
    assert max(map(len, out.splitlines())) <= 30


class Forward:
    """A reader that goes forward only, and counts what it was asked for."""

    def __init__(self):
        self.fields = {"x": Field.array(np.int32)}
        self.shards = (3, None)
        self.pieces = 0

    def stream(self, shard, offset, names):
        for begin in range(offset, 3, 2):
            self.pieces += 1
            rows = np.arange(begin, min(begin + 2, 3), dtype=np.int32)
            yield dict.fromkeys(names, rows + 10 * shard)

    def close(self):
        self.closed = True


def test_head_streams_a_source_that_streams_and_reads_no_more_than_it_shows(answer):
    reader = Forward()

    class Streams:
        @hookimpl
        def describe(self):
            able = frozenset({Capability.STREAMING})
            return PluginInfo("forward", config=SourceConfig, capabilities=able, needs_target=False)

        @hookimpl
        def open(self):
            return reader

    datarax.register("forward", Streams())
    told = answer("head", "forward:", "-n", "5")
    assert told["records"] == [{"x": 0}, {"x": 1}, {"x": 2}, {"x": 10}, {"x": 11}]
    assert told["total"] is None
    assert reader.pieces == 3
    assert reader.closed


def test_head_of_a_module_without_a_reader_shows_its_elements(publish, answer):
    publish("page", MODULE)
    told = answer("head", "page:", "-n", "2")
    assert told["records"] == [{"value": 0.0}, {"value": 1.0}]
    assert told["fields"] == {}


MODULE = """
import jax.numpy as jnp

from datarax import DataSourceModule
from datarax.core import StructuralConfig
from datarax.registry import PluginInfo, hookimpl


class Page(DataSourceModule):
    def __iter__(self):
        return iter([{"value": jnp.float32(i)} for i in range(3)])

    def __len__(self):
        return 3


class Plugin:
    @hookimpl
    def describe(self):
        return PluginInfo("a page", config=StructuralConfig, needs_target=False)

    @hookimpl
    def open(self, config):
        return Page(config)


plugin = Plugin()
"""


# fetch


def test_fetch_says_what_lies_here_and_what_to_copy(answer):
    told = answer("fetch", "vault:pets")
    assert told["folder"] == "/vault/pets"
    assert told["bytes"] == 12 * 1024
    assert told["files"]["train-03.bin"] == 1024
    assert told["setup"] == {"VAULT_HOME": "{folder}/of it"}


def test_the_lines_of_fetch_are_for_a_shell(vault, command_line):
    code, out, err = command_line("fetch", "vault:pets", "--split", "train[:50%]")
    assert (code, err) == (0, "")
    assert "bytes   12,288 (12.0 KiB)\n" in out
    assert "  /vault/pets\n" in out
    exports = [line.strip() for line in out.splitlines() if "FOLDER=" in line or "export" in line]
    script = "\n".join([exports[0], *exports[1:], 'printf %s "$VAULT_HOME"'])
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "/where/it/lies/of it"
    assert out.endswith("  datarax head vault:pets --split 'train[:50%]' --local-files-only\n")
    _, out, _ = command_line("fetch", "vault:pets")
    assert out.endswith("  datarax info vault:pets --local-files-only\n")


# verify


def test_verify_answers_yes_where_nothing_is_wrong(answer):
    assert answer("verify", "vault:pets") == {
        "uri": "vault:pets",
        "ok": True,
        "folder": "/vault",
        "counts": {"damaged": 0, "missing": 0, "unknown": 1, "ok": 1},
        "files": {"a.bin": "ok", "b.bin": "unknown"},
        "remedy": None,
    }


def test_verify_answers_no_where_a_file_is_damaged(vault, command_line):
    code, out, err = command_line("verify", "vault:broken")
    assert (code, err) == (1, "")
    assert out.splitlines()[:2] == ["VERDICT  FILE", "damaged  c.bin"]
    assert "files    1 damaged, 1 unknown, 1 ok\n" in out
    assert "remedy   run: datarax fetch vault:pets\n" in out
    code, out, err = command_line("verify", "vault:broken", "--json")
    assert (code, json.loads(out)["ok"]) == (1, False)
