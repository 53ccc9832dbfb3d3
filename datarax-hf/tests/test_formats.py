"""Formats: CSV, JSON, text, Arrow and image folders give the records that parquet gives."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import datarax
from datarax.errors import (
    CorruptDataError,
    NotSupportedError,
    UnknownDatasetError,
    UnknownSplitError,
)
from datarax_hf.config import HFSourceConfig
from datarax_hf.formats.form import DECLINED
from datarax_hf.locate import locate
from datarax_hf.reader import open_reader

ROWS = [
    {"n": i, "x": i / 4, "ok": i % 3 == 0, "text": f"word {i}, {i}" * (i % 4)} for i in range(9)
]
TABLE = pa.Table.from_pylist(ROWS)


def csv_bytes(separator=","):
    quoted = [
        separator.join([str(row["n"]), str(row["x"]), str(row["ok"]), f'"{row["text"]}"'])
        for row in ROWS
    ]
    return "\n".join([separator.join(ROWS[0]), *quoted, ""]).encode()


def framed(data):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "lz4") as file:
        file.write(data)
    return bytes(sink.getvalue())


def arrow_bytes(table=TABLE, writer=pa.ipc.new_file):
    out = io.BytesIO()
    with writer(out, table.schema) as file:
        file.write_table(table, max_chunksize=4)
    return out.getvalue()


def lines(rows=ROWS):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def folder(tmp_path, cache):
    """A folder to write a repository in."""
    path = tmp_path / "repo"
    path.mkdir()
    return path


@pytest.fixture
def write(folder):
    """Write files into the folder and return its name."""

    def write_(files):
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return str(folder)

    return write_


@pytest.fixture
def read(write):
    """Write files and open their reader."""

    def read_(files, name="", **options):
        config = HFSourceConfig(name=write(files) + name, **options)
        return open_reader(locate(config), config)

    return read_


def records(reader):
    return [reader[index] for index in range(len(reader))]


def card(features="", **options):
    entries = "".join(f"  {key}: {json.dumps(value)}\n" for key, value in options.items())
    configs = f"configs:\n- config_name: default\n{entries}" if options else ""
    return f"---\n{configs}{features}---\n"


CLASSES = """dataset_info:
  features:
  - {name: n, dtype: int16}
  - name: label
    dtype: {class_label: {names: {'0': cat, '1': dog}}}
"""

SAME = {
    "csv": {"a.csv": csv_bytes()},
    "csv.gz": {"a.csv.gz": gzip.compress(csv_bytes())},
    "csv.bz2": {"a.csv.bz2": bz2.compress(csv_bytes())},
    "csv.xz": {"a.csv.xz": lzma.compress(csv_bytes())},
    "csv.zst": {"a.csv.zst": pa.compress(csv_bytes(), "zstd", asbytes=True)},
    "tsv": {"a.tsv": csv_bytes("\t")},
    "semicolons": {"a.csv": csv_bytes(";"), "README.md": card(data_files="a.csv", sep=";")},
    "jsonl": {"a.jsonl": lines()},
    "csv.lz4": {"a.csv.lz4": framed(csv_bytes())},
    "jsonl.gz": {"a.jsonl.gz": gzip.compress(lines().encode())},
    "json": {"a.json": json.dumps(ROWS, indent=1)},
    "json field": {
        "a.json": json.dumps({"data": ROWS}),
        "README.md": card(data_files="a.json", field="data"),
    },
    "arrow file": {"a.arrow": arrow_bytes()},
    "arrow stream": {"a.arrow": arrow_bytes(writer=pa.ipc.new_stream)},
}


@pytest.mark.parametrize("files", SAME.values(), ids=SAME)
def test_every_format_gives_the_records_of_parquet(read, make, files):
    """The same values; of text that is missing CSV knows no empty one."""
    got = records(read(files))
    assert [{**row, "text": row["text"] or ""} for row in got] == ROWS


@pytest.mark.parametrize("mode", ["eager", "lazy"])
@pytest.mark.parametrize("files", [SAME["csv"], SAME["jsonl"], SAME["arrow stream"]])
def test_sources_load_every_format(write, mode, files):
    """Eager and lazy, whole and a slice, by the usual call."""
    uri = f"hf:{write(files)}"
    with datarax.load(uri, split="train[2:7]", mode=mode, exclude_keys={"text", "ok"}) as source:
        batch = next(iter(source.batches(5)))
        assert batch["n"].tolist() == [2, 3, 4, 5, 6]
        assert batch["x"].tolist() == [row["x"] for row in ROWS[2:7]]


def test_one_file_is_a_dataset(read):
    """It is the split train, whatever its name says, and a card beside it does not matter."""
    files = {
        "test[1].csv": csv_bytes(),
        "README.md": card(data_files="other.csv"),
        "b.csv": "n\n1\n",
    }
    reader = read(files, name="/test[1].csv")
    assert reader.identity["split"] == "train"
    assert [row["n"] for row in records(reader)] == list(range(9))


def test_a_path_that_leads_nowhere_or_to_no_data_is_said(read, write):
    """The error names what is read."""
    with pytest.raises(UnknownDatasetError, match="is no folder and no file of this machine"):
        read({}, name="/nothing.csv")
    with pytest.raises(UnknownDatasetError, match=r"is a file of no format that is read; read are"):
        read({"a.foo": "x"}, name="/a.foo")
    with pytest.raises(UnknownDatasetError, match="audio folder files; read are parquet, Arrow"):
        read({"a/x.wav": "x", "metadata.csv": "file_name\na/x.wav\n"})


def test_lists_and_objects_of_json_are_read(read):
    """Lists of numbers are ragged, an object is a struct, and what is missing is null."""
    rows = [{"l": [1, 2], "o": {"a": 1, "b": "x"}}, {"l": [], "o": {"a": 2}}, {"o": None}]
    got = records(read({"a.jsonl": lines(rows)}))
    assert [None if row["l"] is None else row["l"].tolist() for row in got] == [[1, 2], [], None]
    assert [row["o"] for row in got] == [{"a": 1, "b": "x"}, {"a": 2, "b": None}, None]


def test_types_hold_for_the_whole_file(read, monkeypatch):
    """What the first block looks like gives way to what later ones hold."""
    for module in ("characters", "json_documents", "comma_text"):
        monkeypatch.setattr(f"datarax_hf.formats.{module}.BLOCK", 64)
    wide = [{"a": i, "b": None, "t": "2020-01-01 00:00:00"} for i in range(40)]
    wide += [{"a": 0.5, "b": 7, "t": "never", "late": [{"z": 1}]}, {"a": 2, "late": []}]
    got = records(read({"a.jsonl": lines(wide)}))
    assert [row["a"] for row in got] == [float(row["a"]) for row in wide]
    assert [row["b"] for row in got] == [row.get("b") for row in wide]
    assert [row["t"] for row in got] == [row.get("t") for row in wide]
    assert [row["late"] for row in got[-2:]] == [[{"z": 1}], []]
    text = "a,b,c\n" + "1,,x\n" * 40 + f"{2**64 - 1},true,y\n2,,\n"
    got = records(read({"b/a.csv": text}, name="/b"))
    assert [row["a"] for row in got] == [1] * 40 + [2**64 - 1, 2]
    assert [row["b"] for row in got] == [None] * 40 + [True, None]
    assert [row["c"] for row in got] == ["x"] * 40 + ["y", None]


def test_values_of_several_kinds_are_kept_as_json(read):
    """A column that no type holds is text of JSON, in all files if in one."""
    rows = [{"a": 1, "n": 1}, {"a": "x", "n": 2}, {"a": [1, {"b": 2}], "n": 3}, {"a": None, "n": 4}]
    files = {"train-0.jsonl": lines(rows), "train-1.jsonl": lines([{"a": 5, "n": 5}])}
    column = read(files).read(np.arange(5), ["a", "n"])
    assert column["a"] == [1, "x", [1, {"b": 2}], None, 5]
    assert column["n"].tolist() == [1, 2, 3, 4, 5]


def test_files_of_one_split_may_differ_in_what_is_inferred(read):
    """Whole numbers and fractions, nothing and something, keys that some lack."""
    files = {
        "a.jsonl": lines([{"a": 1, "n": None, "o": {"x": 1}, "l": [{"p": 1}]}, {"l": []}, {}]),
        "b.jsonl": lines([{"a": 0.5, "n": 3, "o": {"x": 1, "y": "z"}, "more": "m"}])
        + lines([{"l": [{"p": 0.5, "q": 1}, None]}]),
        "c.jsonl": lines([{"a": 2}]),
    }
    got = records(read(files))
    assert [row["a"] for row in got] == [1.0, None, None, 0.5, None, 2.0]
    assert [row["n"] for row in got] == [None, None, None, 3, None, None]
    assert [row["more"] for row in got] == [None, None, None, "m", None, None]
    assert [row["o"] for row in got[:2]] == [{"x": 1, "y": None}, None]
    assert [row["o"] for row in got[2:4]] == [None, {"x": 1, "y": "z"}]
    assert [row["l"] for row in got[:3]] == [[{"p": 1.0, "q": None}], [], None]
    assert [row["l"] for row in got[3:]] == [None, [{"p": 0.5, "q": 1}, None], None]


@pytest.mark.parametrize(
    "files",
    [
        {"a.csv": "x,y\n1,2\n", "b.csv": "x,z\n1,2\n"},
        {"a.csv": "x\n1\n", "b.csv": "x\nword\n"},
        {"a.jsonl": '{"x": 1}\n', "b.jsonl": '{"x": "word"}\n'},
    ],
)
def test_files_that_differ_in_columns_are_named(read, files):
    """Both files, the columns and their types."""
    with pytest.raises(CorruptDataError, match=r"do not have the same columns: .*") as caught:
        read(files)
    assert all(name in str(caught.value) for name in files)


@pytest.mark.parametrize(
    "files",
    [
        {"a.csv": "n,label\n1,dog\n2,cat\n3,1\n"},
        {
            "a.jsonl": lines(
                [{"label": "dog", "n": 1}, {"label": "cat", "n": 2}, {"label": "1", "n": 3}]
            )
        },
        {"a.jsonl": lines([{"label": 1, "n": 1}, {"label": 0, "n": 2}, {"label": 1, "n": 3}])},
    ],
)
def test_the_features_of_the_card_decide_types_and_classes(read, files):
    """Class names become their numbers, and numbers have the width the card gives them."""
    reader = read({**files, "README.md": card(CLASSES)})
    assert reader.fields["label"].class_names == ("cat", "dog")
    assert reader.fields["n"].dtype == np.int16
    got = reader.read(np.arange(3), ["n", "label"])
    assert got["label"].tolist() == [1, 0, 1]
    assert got["n"].tolist() == [1, 2, 3]


def test_what_contradicts_the_card_is_said(read):
    """The file, the column and the value are named."""
    with pytest.raises(CorruptDataError, match=r"a\.csv.*'label'.*'cow' is none of the classes"):
        read({"a.csv": "n,label\n1,cow\n", "README.md": card(CLASSES)})
    with pytest.raises(CorruptDataError, match=r"a\.csv.*column 'n'.*'many'"):
        read({"a.csv": "n,label\nmany,dog\n"})


def test_parameters_of_the_card_are_honoured_or_refused(read):
    """Names, missing values, what is skipped; one that would be dropped is an error."""
    given = card(
        data_files="a.csv", names=["p", "q"], header=0, skiprows=1, na_values="-", comment_on="this"
    )
    got = records(read({"a.csv": "made by hand\nx,y\n1,-\n2,b\n", "README.md": given}))
    assert got == [{"p": 1, "q": None}, {"p": 2, "q": "b"}]
    with pytest.raises(NotSupportedError, match="'thousands', which is not honoured; honoured are"):
        read({"README.md": card(data_files="a.csv", thousands=",")})
    with pytest.raises(NotSupportedError, match="sep='::'"):
        read({"README.md": card(data_files="a.csv", sep="::")})


def test_parameters_that_are_as_they_are_anyway_say_nothing(read):
    """Those of pandas that are not honoured may stand in a card with what they are by default."""
    usual = {**DECLINED, "quoting": 0, "doublequote": True, "header": "infer"}
    got = records(read({"a.csv": "x\n1\n", "README.md": card(data_files="a.csv", **usual)}))
    assert got == [{"x": 1}]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"quoting": "x"}, "quoting='x'"),
        ({"quoting": 4}, "quoting=4"),
        ({"doublequote": "no"}, "doublequote='no'"),
        ({"skip_blank_lines": 3}, "skip_blank_lines=3"),
        ({"na_filter": False}, "'na_filter', which is not honoured"),
        ({"skipfooter": 1}, "'skipfooter', which is not honoured"),
        ({"encoding": "base64"}, "encoding='base64'.*no text"),
        ({"encoding": "nope"}, "encoding='nope'.*no text"),
        ({"encoding": 5}, "encoding=5.*no text"),
        ({"encoding_errors": "wrong"}, "encoding_errors='wrong'.*no text"),
    ],
    ids=str,
)
def test_parameters_that_cannot_be_are_named(read, given, said):
    with pytest.raises(NotSupportedError, match=said):
        read({"a.csv": "x\n1\n", "README.md": card(data_files="a.csv", **given)})


def test_a_file_of_names_alone_has_no_records(read):
    """Whether or not its line ends."""
    for text in ("x,y", "x,y\n"):
        reader = read({"a.csv": text})
        assert len(reader) == 0
        assert list(reader.fields) == ["x", "y"]


def test_text_is_a_record_for_each_line(read):
    """Of any line ends; an empty line is an empty record."""
    assert [row["text"] for row in records(read({"a.txt": "\ufeffone\r\n\ntwö\rlast"}))] == [
        "one",
        "",
        "twö",
        "last",
    ]


@pytest.mark.parametrize(
    ("files", "labels"),
    [
        (["cat/0.png", "dog/1.png", "cat/2.png"], [0, 0, 1]),
        (["train/cat/0.png", "train/dog/1.png", "test/dog/2.png"], [0, 1]),
        (["0.png", "1.png"], None),
        (["cat/0.png", "1.png"], None),
    ],
)
def test_image_folders_name_classes_by_folder(read, make, files, labels):
    """Where there are several, and all images lie equally deep."""
    pixels = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    data = {name: make.png(pixels[int(name[-5])])["bytes"] for name in files}
    reader = read(data)
    first = sorted(name for name in files if not name.startswith("test"))
    got = reader.read(np.arange(len(reader)), list(reader.fields))
    np.testing.assert_array_equal(got["image"], [pixels[int(name[-5])] for name in first])
    assert (got["label"].tolist() if labels else None) == labels
    if labels is not None:
        assert reader.fields["label"].class_names == ("cat", "dog")


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_metadata_files_describe_images(read, make, kind):
    """A record for each of their rows; the file's name becomes the image."""
    table = pa.table({"file_name": ["x/1.png", "0.png"], "caption": ["one", "none"]})
    out = io.BytesIO()
    pq.write_table(table, out)
    metadata = {
        "jsonl": lines(table.to_pylist()),
        "csv": "file_name,caption\nx/1.png,one\n0.png,none\n",
        "parquet": out.getvalue(),
    }[kind]
    pixels = np.arange(2 * 4 * 5, dtype=np.uint8).reshape(2, 4, 5)
    images = {"0.png": make.png(pixels[0])["bytes"], "x/1.png": make.png(pixels[1])["bytes"]}
    reader = read({f"metadata.{kind}": metadata, **images, "more.png": images["0.png"]})
    got = records(reader)
    np.testing.assert_array_equal([row["image"] for row in got], pixels[::-1])
    assert [row["caption"] for row in got] == ["one", "none"]


NESTED = [
    {"s": {"file_name": "0.png", "n": 1}, "l": [{"a_file_name": "1.png", "n": 2}]},
    {"s": {"file_name": None, "n": None}, "l": []},
    {"s": None, "l": [{"a_file_name": "", "n": 3}, None]},
]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_names_of_images_may_lie_within_structs_and_lists(read, make, kind):
    """As deep as they lie, and with a struct's parts as fields of their own."""
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(NESTED), out)
    pixels = np.arange(2 * 4 * 5, dtype=np.uint8).reshape(2, 4, 5)
    files = {f"{number}.png": make.png(image)["bytes"] for number, image in enumerate(pixels)}
    files[f"metadata.{kind}"] = lines(NESTED) if kind == "jsonl" else out.getvalue()
    got = records(read(files))
    np.testing.assert_array_equal(got[0]["s"].pop("image"), pixels[0])
    np.testing.assert_array_equal(got[0]["l"][0].pop("a"), pixels[1])
    assert [row["s"] for row in got] == [{"n": 1}, {"image": None, "n": None}, None]
    assert [row["l"] for row in got] == [[{"n": 2}], [], [{"a": None, "n": 3}, None]]
    for options in ({}, {"image_mode": "L", "image_size": (4, 5)}):
        reader = read(files, flatten=True, **options)
        flat = reader.read(np.arange(3), ["s.image", "s.n"])
        np.testing.assert_array_equal(flat["s.image"][0], pixels[0])
        assert flat["s.image"][1:] == [None, None]
        assert flat["s.n"] == [1, None, None]


def test_names_within_structs_cannot_lead_out_of_the_dataset(read, make, folder):
    image = make.png(np.zeros((2, 2), np.uint8))["bytes"]
    (folder.parent / "secret.png").write_bytes(image)
    with pytest.raises(CorruptDataError, match="not among the files of the split"):
        read({"metadata.jsonl": lines([{"l": [{"file_name": "../secret.png"}]}]), "a.png": image})


@pytest.mark.parametrize("options", [{}, {"drop_labels": False}])
def test_metadata_that_is_dropped_leaves_the_images_alone(read, make, options):
    """Their folders name no classes, as for `datasets`."""
    image = make.png(np.zeros((2, 2), np.uint8))["bytes"]
    reader = read(
        {
            "cat/0.png": image,
            "dog/1.png": image,
            "metadata.csv": "file_name,n\ncat/0.png,1\n",
            "README.md": card(data_files="**", drop_metadata=True, **options),
        }
    )
    assert len(reader) == 2
    assert list(reader.fields) == ["image"]


def test_metadata_files_of_two_formats_are_refused(read, make):
    """Each of their rows would be a record, so that each image came twice."""
    image = make.png(np.zeros((2, 2), np.uint8))["bytes"]
    files = {
        "0.png": image,
        "metadata.csv": "file_name,n\n0.png,1\n",
        "metadata.jsonl": lines([{"file_name": "0.png", "n": 1}]),
    }
    with pytest.raises(CorruptDataError, match=r"'metadata.csv' .* and so does 'metadata.jsonl'"):
        read(files)


@pytest.mark.parametrize("rows", ["file_name,n\n7,1\n", "name,n\n7.png,1\n"])
def test_metadata_without_names_of_images_says_what_it_has(read, make, rows):
    """Numbers are no names."""
    image = make.png(np.zeros((2, 2), np.uint8))["bytes"]
    with pytest.raises(
        CorruptDataError, match=r"no column 'file_name' of texts .*\((int64|string)\)"
    ):
        read({"7.png": image, "metadata.csv": rows})


@pytest.mark.parametrize(
    "named", ["../secret.png", "/etc/secret.png", "file:///secret.png", "gone.png"]
)
def test_metadata_files_cannot_lead_out_of_the_dataset(read, make, folder, named):
    """Only files of the split are images, however they are spelled."""
    image = make.png(np.zeros((2, 2), np.uint8))["bytes"]
    (folder.parent / "secret.png").write_bytes(image)
    with pytest.raises(CorruptDataError, match="not among the files of the split") as caught:
        read({"metadata.csv": f"file_name\n{named}\n", "a.png": image})
    assert named in str(caught.value)


def test_images_that_are_empty_or_pointers_are_named(read, make):
    """The very file, before any decoder sees it."""
    image = make.png(np.zeros((2, 2), np.uint8))["bytes"]
    for bad, said in (
        (b"", "'b.png' is empty"),
        (b"version https://git-lfs", "'b.png' is a git-lfs"),
    ):
        with pytest.raises(CorruptDataError, match=said):
            read({"a.png": image, "b.png": bad})


def test_parsed_files_are_kept_and_may_be_deleted(read, write, cache, monkeypatch):
    """A file is parsed once; what is kept of it is made again where it is gone."""
    reader = read({"a.csv": "x\n1\n2\n"})
    kept = list((cache.parent / "datarax").rglob("*.arrow"))
    assert len(kept) == 1
    stamp = kept[0].stat().st_ino
    config = HFSourceConfig(name=write({}))
    assert len(open_reader(locate(config), config)) == 2
    assert kept[0].stat().st_ino == stamp
    sent = pickle.dumps(reader)
    kept[0].unlink()
    assert pickle.loads(sent)[1] == {"x": 2}


@pytest.mark.parametrize("limit", [0, None])
def test_parsed_files_need_no_derived_cache(read, cache, monkeypatch, limit):
    """Refused, or in a place that cannot be written, they go with the process."""
    if limit is None:
        (cache.parent / "none").write_text("no folder")
        monkeypatch.setenv("DATARAX_CACHE", str(cache.parent / "none"))
    reader = read({"a.csv": "x\n1\n2\n"}, derived_limit=limit)
    assert records(reader) == [{"x": 1}, {"x": 2}]
    assert not list(cache.parent.rglob("*.arrow"))


def test_a_file_that_changed_is_parsed_again(read, folder):
    """And so is one that the card describes in another way."""
    assert records(read({"a.csv": "x\n1\n"})) == [{"x": 1}]
    assert records(read({"a.csv": "x\n12\n"})) == [{"x": 12}]
    given = card("dataset_info: {features: [{name: x, dtype: string}]}\n")
    assert records(read({"README.md": given})) == [{"x": "12"}]


def test_inspect_tells_splits_of_every_format(write):
    """Their records and their bytes, each split in a format of its own."""
    files = {"train.csv": "x,y\n1,a\n2,b\n", "test.jsonl": '{"x": 3, "y": "c"}\n'}
    info = datarax.inspect(f"hf:{write(files)}")
    assert {name: split.records for name, split in info.splits.items()} == {"train": 2, "test": 1}
    assert info.splits["test"].bytes == len(files["test.jsonl"])
    assert list(info.fields) == ["x", "y"]


def test_splits_of_two_formats_are_one_dataset(read):
    """A sum of splits joins them."""
    files = {"train.csv": "x,y\n1,a\n2,b\n", "test.jsonl": '{"x": 3, "y": "c"}\n'}
    reader = read(files, split="train+test[:1]+train[1:]")
    assert [(row["x"], row["y"]) for row in records(reader)] == [
        (1, "a"),
        (2, "b"),
        (3, "c"),
        (2, "b"),
    ]


def test_what_a_card_says_wrongly_is_warned_of_once(write):
    """The files are trusted: their records are counted, and names speak where YAML does not."""
    files = {"train.csv": "x\n1\n2\n", "test.csv": "x\n1\n"}
    counts = (
        "dataset_info: {splits: [{name: train, num_examples: 9}, {name: test, num_examples: 9}]}\n"
    )
    uri = f"hf:{write({**files, 'README.md': card(counts)})}"
    with pytest.warns(UserWarning, match="says 9 records of 'train', its files hold 2") as told:
        assert len(datarax.load(uri, split="train[:1]")) == 1
    assert len(told) == 1
    write({"README.md": "---\nconfigs:\n- [\n---\n"})
    with pytest.warns(
        UserWarning, match="README.md, line 3 cannot be read .*; configs and splits are"
    ):
        assert len(datarax.load(uri, split="test")) == 1


AUDIO = """---
configs:
- config_name: words
  data_files: words.csv
  default: true
- config_name: sounds
  data_files: [{split: train, path: "sounds/*"}, {split: test, path: words.csv}]
- config_name: only
  data_files: "sounds/*"
---
"""


def test_a_config_of_another_format_is_read_from_the_converted_branch(hub, make, open_reader):
    """The others are read as they are; where a split is not read, that is said."""
    hub.publish("a/b", {"README.md": AUDIO, "words.csv": "x\n1\n", "sounds/a.wav": "x"})
    converted = {f"only/train/000{i}.parquet": make.parquet({"y": [i]}) for i in range(2)}
    hub.publish("a/b", converted, "refs/convert/parquet")
    assert records(open_reader("a/b")) == [{"x": 1}]
    assert records(open_reader("a/b", config="only")) == [{"y": 0}, {"y": 1}]
    with pytest.raises(
        UnknownSplitError, match="'train' of the config 'sounds' has no files of a .*audio"
    ):
        open_reader("a/b", config="sounds", split="train")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "image"])
def test_lazy_epochs_in_any_order_follow_the_files(write, make, kind):
    """Also where columns were laid out before the files were changed."""

    def files(shift):
        values = [(7 * i + shift) % 100 for i in range(40)]
        images = {
            f"{i:02d}.png": make.png(np.full((2, 2), value, np.uint8))["bytes"]
            for i, value in enumerate(values)
        }
        written = {
            "csv": {"a.csv": "image\n" + "".join(f"{value}\n" for value in values)},
            "jsonl": {"a.jsonl": lines([{"image": value} for value in values])},
            "image": images,
        }
        return values, written[kind]

    for shift in (0, 1):
        values, written = files(shift)
        with datarax.load(f"hf:{write(written)}", mode="lazy", shuffle=True) as source:
            seen = [
                int(np.asarray(b["image"]).reshape(10, -1)[i, 0])
                for b in source.batches(10)
                for i in range(10)
            ]
        assert sorted(seen) == sorted(values)
        assert seen != values


@pytest.mark.parametrize("mode", ["eager", "lazy", "streaming"])
@pytest.mark.parametrize("split", ["train+test", "test+train", "all"])
def test_images_of_a_folder_are_not_read_with_records_of_another_format(
    tmp_path, make, split, mode
):
    """Those were left out in silence; each split by itself is whole."""
    files = "[{split: train, path: train.parquet}, {split: test, path: images/**}]"
    card = f"---\nconfigs:\n- config_name: default\n  data_files: {files}\n---\n"
    (tmp_path / "README.md").write_text(card)
    (tmp_path / "train.parquet").write_bytes(make.parquet({"x": [1, 2]}))
    (tmp_path / "images").mkdir()
    for number in range(3):
        picture = make.png(np.eye(3, dtype=np.uint8))["bytes"]
        (tmp_path / "images" / f"{number}.png").write_bytes(picture)
    with pytest.raises(NotSupportedError, match=r"images/0\.png', and records of 'train\.parquet'"):
        datarax.load(f"hf:{tmp_path}", split=split, mode=mode)
    for single, records in (("train", 2), ("test", 3)):
        with datarax.load(f"hf:{tmp_path}", split=single, mode=mode) as source:
            assert len(list(source)) == records
