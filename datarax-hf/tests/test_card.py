"""Features of a card: every type that it may name, and those that nobody knows."""

from __future__ import annotations

import json
import warnings

import pytest

import datarax
from datarax.errors import CacheMissError, NotSupportedError
from datarax.testing.offline import no_network
from datarax_hf.card import parse_card

MEDIA = {
    "audio": "Audio",
    "video": "Video",
    "pdf": "Pdf",
    "nifti": "Nifti",
    "mesh": "Mesh",
    "bio_sequence": "BioSequence",
    "bio_structure": "BioStructure",
}
ODD = {
    "{tomorrow: {a: 1}}": "is of the type 'tomorrow'",
    "tomorrow": "is of the type 'tomorrow'",
    "{list: {dtype: tomorrow}}": "is of the type 'tomorrow'",
    "{foo: bar}": "cannot be read ('foo' is followed by 'bar')",
    "{struct: [{name: y}]}": "cannot be read (it names no type)",
    "{struct: [{dtype: int8}]}": "cannot be read (a part of it has no name)",
    "null": "cannot be read (None names no type)",
    "{}": "cannot be read (it names no type)",
    "{class_label: {names: {'0': a, '2': b}}}": "cannot be read (its classes are numbered [0, 2])",
    "{class_label: {names: 5}}": "cannot be read (its names are 5)",
}


def card(x):
    return f"---\ndataset_info:\n  features:\n  - name: x\n    {x}\n  - {{name: y, dtype: int8}}\n---\n"


def loaded(folder, **options):
    """Return all records, and what was warned of."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with datarax.load(f"hf:{folder}", **options) as source:
            return [dict(record) for record in source], [str(one.message) for one in said]


@pytest.mark.parametrize(("word", "kind"), MEDIA.items())
@pytest.mark.parametrize("form", ["dtype: {}", "dtype: {{{}: {{decode: false}}}}"])
def test_media_of_a_card_are_bytes_and_path(tmp_path, make, word, kind, form):
    """With options or without; a path in JSON is one without bytes, as `datasets` has it."""
    (tmp_path / "README.md").write_text(card(form.format(word)))
    assert parse_card(card(form.format(word)), "a/b").features("default")["x"]["_type"] == kind
    (tmp_path / "train.jsonl").write_text('{"x": "a.bin", "y": 1}\n')
    records, said = loaded(tmp_path)
    assert records[0]["x"] == {"bytes": None, "path": "a.bin"}
    (tmp_path / "train.jsonl").unlink()
    stored = {"bytes": b"any", "path": "a.bin"}
    data = make.parquet({"x": [stored], "y": [1]}, types={"x": make.IMAGE})
    (tmp_path / "train.parquet").write_bytes(data)
    assert loaded(tmp_path)[0][0]["x"] == stored
    assert kind in datarax.inspect(f"hf:{tmp_path}").fields["x"].reason
    assert said == []


@pytest.mark.parametrize("mode", ["eager", "lazy", "streaming"])
@pytest.mark.parametrize(("dtype", "why"), ODD.items())
def test_what_a_card_says_and_nobody_knows_stops_no_load(tmp_path, dtype, why, mode):
    """The column is what it is stored as, the others are what the card says, and a note tells it."""
    (tmp_path / "README.md").write_text(card(f"dtype: {dtype}"))
    (tmp_path / "train.jsonl").write_text('{"x": 7, "y": 1}\n')
    records, said = loaded(tmp_path, mode=mode)
    assert int(records[0]["x"]) == 7
    assert records[0]["y"].dtype == "int8"
    assert [note for note in said if why in note and "'x'" in note]
    assert any(why in note for note in datarax.inspect(f"hf:{tmp_path}").notes)


def test_a_card_without_types_or_names_stops_no_load(tmp_path):
    """An entry without a type, and a list without names."""
    (tmp_path / "train.jsonl").write_text('{"x": 7, "y": 1}\n')
    for entry, why in (
        ("id: x", "the card's feature 'x' cannot be read (it names no type)"),
        ("dtype: int8\n  - dtype: int8", "no list of names and types; types are inferred"),
    ):
        (tmp_path / "README.md").write_text(card(entry))
        records, said = loaded(tmp_path)
        assert int(records[0]["x"]) == 7
        assert any(why in note for note in said)


@pytest.mark.parametrize("dtype", ODD)
def test_files_that_say_what_they_hold_need_no_card(tmp_path, make, dtype):
    """Then what a card says and nobody knows is not worth a word."""
    (tmp_path / "README.md").write_text(card(f"dtype: {dtype}"))
    features = {"x": make.labels("a", "b"), "y": make.value("int8")}
    (tmp_path / "train.parquet").write_bytes(make.parquet({"x": [1], "y": [2]}, features))
    records, said = loaded(tmp_path)
    assert int(records[0]["x"]) == 1
    assert said == []
    info = datarax.inspect(f"hf:{tmp_path}")
    assert info.fields["x"].class_names == ("a", "b")
    assert info.notes == ()


def test_what_is_not_here_is_told_of_with_what_nobody_knows(hub):
    """Before anything is downloaded."""
    hub.publish("a/b", {"README.md": card("dtype: tomorrow"), "train.jsonl": '{"x": 7, "y": 1}\n'})
    info = datarax.inspect("hf:a/b")
    assert list(info.fields) == ["x", "y"]
    assert any("'tomorrow'" in note for note in info.notes)
    assert hub.downloads() == []


@pytest.mark.parametrize("blank", ["\n", "  \r\n\r\n", "\ufeff\n"])
def test_a_card_may_begin_with_blanks(blank):
    """As the client of the Hub has it; lines are counted from the top of the file."""
    card = parse_card(f"{blank}---\nlicense: mit\n---\n", "a/b")
    assert card.text("license") == "mit"
    broken = parse_card(f"{blank}---\nx: [\n---\n", "a/b")
    assert f", line {2 + blank.count(chr(10))} " in broken.notes[0]


CONFIGS = {
    "{config_name: a, data_files: a.csv}": "it is {'config_name': 'a'",
    "[a.csv]": "its entry 'a.csv' is no mapping",
    "[{data_files: 3}]": "data_files is 3",
    "[{data_files: [{split: train}]}]": "{'split': 'train'} in data_files has no 'split' or no",
    "[{data_files: [{split: train, path: 3}]}]": "3 is neither a path nor a list of paths",
}


@pytest.mark.parametrize(("configs", "said"), CONFIGS.items())
def test_configs_that_cannot_be_read_say_why(tmp_path, configs, said):
    """And file names speak in their place."""
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "README.md").write_text(f"---\nconfigs: {configs}\n---\n")
    records, warned = loaded(tmp_path)
    assert records == [{"x": 1}]
    assert said in warned[0]
    assert "splits are from file names" in warned[0]


def test_a_card_that_cannot_be_opened_is_a_note(tmp_path):
    """A folder of its name."""
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "README.md").mkdir()
    records, warned = loaded(tmp_path)
    assert records == [{"x": 1}]
    assert "README.md cannot be read (Is a directory)" in warned[0]


STANDALONE = "configs:\n- {config_name: d, data_files: b.csv}\n"


def test_the_hubs_own_yaml_file_counts_before_the_card(tmp_path):
    """For each entry that it has; what it lacks is the card's."""
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "b.csv").write_text("x\n2\n")
    (tmp_path / "README.md").write_text(
        "---\nlicense: mit\nconfigs:\n- {config_name: d, data_files: a.csv}\n---\n"
    )
    assert loaded(tmp_path)[0] == [{"x": 1}]
    (tmp_path / ".huggingface.yaml").write_text(STANDALONE)
    assert loaded(tmp_path)[0] == [{"x": 2}]
    assert datarax.inspect(f"hf:{tmp_path}").licence == "mit"
    (tmp_path / ".huggingface.yaml").write_text("a: 1\nb: [\n")
    records, warned = loaded(tmp_path)
    assert records == [{"x": 1}]
    assert ".huggingface.yaml, line 3 cannot be read" in warned[0]


def test_the_hubs_own_yaml_file_is_fetched_carried_and_missed(hub, cache, tmp_path, monkeypatch):
    """As the card is."""
    from datarax.registry.loading import fetch

    hub.publish("a/b", {".huggingface.yaml": STANDALONE, "a.csv": "x\n1\n", "b.csv": "x\n2\n"})
    fetched = fetch("hf:a/b")
    assert any(name.endswith(".huggingface.yaml") for name in fetched.files)
    assert not any(name.endswith("a.csv") for name in fetched.files)
    with no_network():
        assert datarax.load("hf:a/b", local_files_only=True)[0]["x"] == 2
        next(cache.rglob(".huggingface.yaml")).unlink()
        with pytest.raises(CacheMissError, match=r"Missing:\n.*/\.huggingface\.yaml"):
            datarax.load("hf:a/b", local_files_only=True)


INFOS = {
    "[": "cannot be read (Expecting value",
    "[" * 100_000: "cannot be read (",
    "[1]": "is no object of infos by configuration",
    '{"a": 1}': "is no object of infos by configuration",
    '{"a": {"features": [1]}}': "the card's features are no list of names and types",
    '{"a": {"features": {"x": "int8"}}}': "feature 'x' cannot be read ('int8' names no type)",
    '{"a": {"features": {"x": {"_type": "Value"}}}}': "feature 'x' cannot be read ('dtype')",
    '{"a": {"features": {"x": {"_type": "New"}}}}': "feature 'x' is of the type 'New'",
    '{"a": {"splits": {"train": {"num_examples": 7}, "test": 3}}}': "the card says 7 records",
}


@pytest.mark.parametrize(("text", "said"), INFOS.items(), ids=range(len(INFOS)))
def test_old_infos_that_cannot_be_read_are_said_and_left_out(tmp_path, text, said):
    """They never stand in the way of the data."""
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "dataset_infos.json").write_text(text)
    records, warned = loaded(tmp_path)
    assert records == [{"x": 1}]
    assert len(warned) == 1
    assert said in warned[0]


def test_inspect_tells_what_old_infos_say(tmp_path):
    """Licence, citation and description, where the card says nothing of them."""
    (tmp_path / "a.csv").write_text("x\n1\n")
    infos = {"any": {"license": "mit", "citation": "@misc{a}", "description": "Numbers."}}
    (tmp_path / "dataset_infos.json").write_text(json.dumps(infos))
    info = datarax.inspect(f"hf:{tmp_path}")
    assert (info.licence, info.citation, info.description) == ("mit", "@misc{a}", "Numbers.")
    (tmp_path / "README.md").write_text("---\nlicense: cc0-1.0\n---\n")
    assert datarax.inspect(f"hf:{tmp_path}").licence == "cc0-1.0"


def test_a_card_of_aliases_to_aliases_is_a_card_that_cannot_be_read(tmp_path):
    """Some hundred bytes stand for more than memory holds."""
    lines = ["a0: &a0 [" + ", ".join("x" * 9) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, 12)]
    (tmp_path / "train.csv").write_text("a\n1\n")
    for last in ("configs: *a11", "license: *a11"):
        (tmp_path / "README.md").write_text("\n".join(["---", *lines, last, "---", ""]))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            info = datarax.inspect(f"hf:{tmp_path}")
        assert info.splits["train"].records == 1
        assert sum(len(str(one.message)) for one in told) + len(str(info)) < 20_000


@pytest.mark.parametrize("given", ["header: [0, 1]", "names: 5", "names: ab", "encoding: 8"])
def test_a_parameter_of_another_type_is_not_supported(tmp_path, given):
    """And says so in our words."""
    card = f"---\nconfigs:\n- config_name: default\n  data_files: train.csv\n  {given}\n---\n"
    (tmp_path / "README.md").write_text(card)
    (tmp_path / "train.csv").write_text("a,b\n1,2\n")
    with pytest.raises(NotSupportedError):
        datarax.load(f"hf:{tmp_path}")
