"""Damaged and hostile files of every format: an error that names the file and the place."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pyarrow as pa
import pytest

import datarax
from datarax.errors import CorruptDataError
from datarax_hf.config import HFSourceConfig
from datarax_hf.locate import locate
from datarax_hf.reader import open_reader

SHA = "a" * 40
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"
EXTENSIONS = ["parquet", "arrow", "csv", "tsv", "jsonl", "json", "txt"]


def arrow(writer, rows=40):
    out = io.BytesIO()
    words = [f"word {number}" for number in range(rows)]
    table = pa.table({"a": np.arange(rows), "s": words, "l": [[0] * 5] * rows})
    with writer(out, table.schema) as file:
        file.write_table(table, max_chunksize=10)
    return out.getvalue()


@pytest.fixture
def read(tmp_path, cache):
    """Write one file and read all its records."""

    def read_(name, data):
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        config = HFSourceConfig(name=str(path))
        reader = open_reader(locate(config), config)
        return [reader[index] for index in range(len(reader))]

    return read_


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize(("data", "said"), [(b"", "is empty"), (POINTER, "is a git-lfs pointer")])
def test_an_empty_file_or_a_pointer_is_named(cache, make, offline, extension, data, said):
    """With where it lies, and the command that fetches it again."""
    name = f"train.{extension}"
    folder = make.snapshot(cache, "a/b", {name: data})
    with pytest.raises(CorruptDataError) as caught:
        offline("a/b")
    again = f"hf download a/b --repo-type dataset --revision {SHA} --include {name}"
    for text in (said, str(folder / name), again, "--force-download"):
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.arrow", b"no arrow at all", r"is no Arrow file or stream: it begins with b'no arr'"),
        ("a.arrow", arrow(pa.ipc.new_stream)[:-200], "is truncated or damaged"),
        ("a.arrow", arrow(pa.ipc.new_file)[:-200], "is truncated or damaged"),
        ("a.csv", "x,y\n1,2\n3,4,5\n", "has 3 fields in line 3, and 2 are due"),
        ("a.csv", 'x,y\n1,2\n3,"4\n5,6\n', "begins with '\"' in line 3 or after it and is never"),
        ("a.csv", b"x,y\n1,\xe9\n", r"is not utf-8 at byte 6 of its text \(b'\\xe9\\n'.*encoding"),
        ("a.csv", "x\n1\n".encode("utf-16"), "is not utf-8 at byte 0"),
        ("a.jsonl", '{"x": 1}\n{"x": }\n', r"in line 2 is no JSON: Expecting value.*'\{\"x\": \}'"),
        ("a.jsonl", '{"x": 1}\n\n{"x": 1, "y', "in line 3 is no JSON: Unterminated string"),
        ("a.jsonl", '{"x": 1}\n[2]\n', r"in line 2 holds '\[2\]', which is no object"),
        ("a.jsonl", '{"x": 1}\n<html>', "in line 2 is no JSON"),
        ("a.json", '[{"x": 1},\n{"x": 2}', "in line 2 ends within its array"),
        ("a.json", '[{"x": 1},\n{"x": ', "in line 2 is no JSON: Expecting value"),
        ("a.json", '[{"x": 1},\n{"x": 2}]\n{}', "in line 3 has '{' after its array"),
        ("a.json", '[{"x": 1}\n{"x": 2}]', r"in line 2 has '\{' where ',' or '\]' is due"),
        ("a.json", '{\n"x": 1\n', "in line 3 is no JSON"),
        ("a.txt", b"one\n\xff\n", "is not utf-8 at byte 4"),
        ("a.txt.gz", gzip.compress(b"words " * 999, mtime=0)[:-9], "cannot be decompressed beyond"),
        (
            "a.csv.gz",
            gzip.compress(b"x\n1\n", mtime=0)[:-6] + b"\0" * 6,
            "cannot be decompressed beyond",
        ),
        ("a.jsonl.gz", b"\x1f\x8b no gzip", "cannot be decompressed beyond"),
    ],
)
def test_damage_is_said_with_its_place(read, name, data, said):
    """The line, the row or the byte."""
    with pytest.raises(CorruptDataError, match=f"'{name}' .*{said}.*replace it by a good copy"):
        read(name, data)


@pytest.mark.parametrize("writer", [pa.ipc.new_stream, pa.ipc.new_file])
def test_every_cut_of_an_arrow_file_is_an_error_or_whole_batches(read, writer):
    """A stream that ends between two batches cannot be told from one that was closed there."""
    data = arrow(writer, 20)
    for end in range(8, len(data), 61):
        try:
            found = read("a.arrow", data[:end])
        except CorruptDataError:
            continue
        assert writer is pa.ipc.new_stream
        assert len(found) in {0, 10, 20}


def test_an_arrow_file_cut_behind_a_batch_is_not_streamed_as_a_whole_one(tmp_path):
    """Wherever its footer is cut off."""
    whole = arrow(pa.ipc.new_file)
    mark = whole.index(b"\xff\xff\xff\xff\0\0\0\0")  # behind the last batch
    for end in (mark, mark + 8, mark + 20, len(whole) - 1, len(whole)):
        (tmp_path / "train.arrow").write_bytes(whole[:end])
        with datarax.load(f"hf:{tmp_path}", mode="streaming") as source:
            if end == len(whole):
                assert [int(element["a"]) for element in source] == list(range(40))
                continue
            with pytest.raises(CorruptDataError, match="cut off"):
                list(iter(source))


@pytest.mark.parametrize("offsets", [[0, 6, 12], [0, 5, 10]])
@pytest.mark.parametrize("wrong", [2**30, -1])
def test_arrow_data_is_validated_before_it_is_read(read, offsets, wrong):
    """Offsets of text and of lists that lead out of the buffers are no crash."""
    data = bytearray(arrow(pa.ipc.new_stream, 10))
    at = data.index(np.array(offsets, np.int32).tobytes())
    data[at + 4 : at + 8] = np.array([wrong], np.int32).tobytes()
    with pytest.raises(CorruptDataError, match=r"'a\.arrow' cannot be read in its record batch 0"):
        read("a.arrow", bytes(data))


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
@pytest.mark.parametrize(
    "deep", [b'{"a":' * 9999 + b"1" + b"}" * 9999, b'{"a":' + b"[" * 99 + b"]" * 99 + b"}"]
)
def test_json_that_is_nested_deeply_is_an_error(read, name, deep):
    """It ends no process; brackets within strings are no nesting."""
    data = deep if name == "a.jsonl" else b"[" + deep + b"]"
    with pytest.raises(CorruptDataError, match="in line 1 is nested|is nested"):
        read(name, data)
    assert read("b.jsonl", '{"a": "' + "[{" * 99 + '"}\n') == [{"a": "[{" * 99}]


def test_a_bomb_is_refused_before_it_has_grown(read, monkeypatch):
    """Compressed text may grow by a factor, and no more."""
    monkeypatch.setattr("datarax_hf.formats.characters.FREE_BYTES", 2**20)
    monkeypatch.setattr("datarax_hf.formats.characters.BLOCK", 2**16)
    with pytest.raises(CorruptDataError, match="grows beyond .* when it is decompressed"):
        read("a.txt.gz", gzip.compress(b"\n" * 2**24))


def test_a_line_without_an_end_is_refused(read, monkeypatch):
    """Neither text, JSON nor CSV is read into memory as one line."""
    for module, limit in (("characters", "LARGEST_LINE"), ("comma_text", "LARGEST_ROW")):
        monkeypatch.setattr(f"datarax_hf.formats.{module}.{limit}", 2**12)
    for module in ("characters", "comma_text", "json_documents"):
        monkeypatch.setattr(f"datarax_hf.formats.{module}.BLOCK", 2**10)
    for name in ("a.txt", "a.jsonl"):
        with pytest.raises(CorruptDataError, match="has a line 1 of more than 4,096 bytes"):
            read(name, b'{"x": "' + b"a" * 2**14)
    with pytest.raises(CorruptDataError, match="a row has more than 4,096 bytes"):
        read("a.csv", b"x\n" + b"a" * 2**14 + b"\n")


@pytest.mark.parametrize("options", [{}, {"image_mode": "L", "image_size": (5, 4)}], ids=str)
@pytest.mark.parametrize("mode", ["eager", "lazy", "streaming"])
@pytest.mark.parametrize("described", [False, True])
@pytest.mark.parametrize(
    ("damage", "said"),
    [(lambda data: b"x" + data, "no format that Pillow"), (lambda data: data[:-20], "truncated")],
    ids=["no image", "cut"],
)
def test_a_damaged_image_of_a_folder_is_named(
    tmp_path, make, described, mode, options, damage, said
):
    """The image, and neither the first of its folder nor the metadata alone."""
    names = [f"{'ab'[number % 2]}/{number:02}.png" for number in range(20)]
    for name in names:
        path = tmp_path / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make.png(np.eye(5, 4, dtype=np.uint8))["bytes"])
    path = tmp_path / "train" / names[17]
    path.write_bytes(damage(path.read_bytes()))
    if described:
        (tmp_path / "train" / "metadata.csv").write_text("\n".join(["file_name", *names]))
    with pytest.raises(CorruptDataError, match=f"train/b/17.png'.*{said}") as caught:
        list(datarax.load(f"hf:{tmp_path}", mode=mode, **options))
    assert "train/a/00.png" not in str(caught.value)
    assert ("row 17 of file 'train/metadata.csv'" in str(caught.value)) == described
