"""Values of CSV, JSON, text, Arrow and image folders: the same as `datasets` reads."""

from __future__ import annotations

import csv
import gc
import gzip
import io
import math
import random
import warnings

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from datarax_hf.config import HFSourceConfig
from datarax_hf.locate import locate
from datarax_hf.reader import open_reader

LABELS = """---
dataset_info:
  features:
  - {name: n, dtype: float32}
  - name: label
    dtype: {class_label: {names: {'0': cat, '1': dog}}}
---
"""


def card(**options):
    lines = "".join(f"  {key}: {value}\n" for key, value in options.items())
    return f"---\nconfigs:\n- config_name: default\n{lines}---\n"


def write(folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())


def theirs(folder, cache):
    """Return the records of each split that `datasets` reads."""
    with warnings.catch_warnings():
        # It leaves metadata files open.
        warnings.simplefilter("ignore", ResourceWarning)
        found = datasets.load_dataset(str(folder), cache_dir=str(cache))
        records = {str(split): [plain(row) for row in rows] for split, rows in found.items()}
        gc.collect()
    return records


def ours(folder, split):
    config = HFSourceConfig(name=str(folder), split=split, derived_dir=str(folder.parent / "kept"))
    reader = open_reader(locate(config), config)
    try:
        return [plain(reader[index]) for index in range(len(reader))]
    finally:
        reader.close()


def plain(value):
    """Return a value without NumPy, images as nested lists, NaN as None."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, Image.Image):
        return np.asarray(value).tolist()
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def png(shade, size=(4, 3)):
    out = io.BytesIO()
    Image.new("RGB", size, (shade, 2, 3)).save(out, "PNG")
    return out.getvalue()


def arrow(table, writer):
    out = io.BytesIO()
    with writer(out, table.schema) as file:
        file.write_table(table, max_chunksize=3)
    return out.getvalue()


TABLE = pa.table({"a": list(range(8)), "s": [f"x{number}" for number in range(8)]})

CASES = {
    "csv": {"train.csv": "x,y,z\n1,a,0.5\n2,b,1e3\n", "test.csv": "x,y,z\n3,c,2\n"},
    "csv of dates and booleans": {
        "a.csv": "d,t,b\n2020-01-01,12:00,True\n2021-02-03,13:01,False\n"
    },
    "csv of missing values": {"a.csv": 'x,y,z\n1,NA,\n,"",null\n3,None,n/a\n'},
    "csv without a name": {"a.csv": ",y\n0,a\n1,b\n"},
    "csv of quotes": {"a.csv": 'x,y\n"a ""b""","c\nd"\n" e",f\n'},
    "csv of short rows": {"a.csv": "x,y,z\n1,2,3\n4\n5,6\n"},
    "csv of CRLF": {"a.csv": b"\xef\xbb\xbfx,y\r\n1,a\r\n\r\n2,b"},
    "csv of large integers": {"a.csv": "x\n18446744073709551615\n1\n"},
    "csv of zeros": {"a.csv": "x,y\n007,1.50\n010,2\n"},
    "csv of two names": {"a.csv": "x,x,x\n1,2,3\n"},
    "csv compressed": {"a.csv.gz": gzip.compress(b"x\n1\n2\n")},
    "tsv": {"a.tsv": "x\ty\n1\ta,b\n"},
    "csv by the card": {
        "a.csv": "1;a\n2;b\n",
        "README.md": card(data_files="a.csv", sep="';'", names="[n, word]"),
    },
    "csv of latin-1": {
        "a.csv": "x\né\n".encode("latin-1"),
        "README.md": card(data_files="a.csv", encoding="latin-1"),
    },
    "csv of classes": {"a.csv": "n,label\n1,dog\n2,cat\n3,1\n", "README.md": LABELS},
    "json lines": {"train.jsonl": '{"a": 1, "b": [1, 2]}\n{"a": 2, "b": []}\n'},
    "json lines of objects": {"a.jsonl": '{"a": {"b": 1, "c": "x"}}\n{"a": {"b": 2, "c": null}}\n'},
    "json lines of missing keys": {"a.jsonl": '{"a": 1}\n{"b": "x"}\n'},
    "json lines of times": {"a.jsonl": '{"t": "2020-01-01 10:00:00"}\n{"t": null}\n'},
    "json lines of mixed numbers": {"a.jsonl": '{"a": 1}\n{"a": 2.5}\n'},
    "json lines of classes": {
        "a.jsonl": '{"n": 1, "label": "dog"}\n{"n": 2, "label": "cat"}\n',
        "README.md": LABELS,
    },
    "json array": {"a.json": '[{"a": 1},\n {"a": 2, "b": {"c": "x]"}}]'},
    "json array of text": {"a.json": '["u", "v"]'},
    "json fields of columns": {
        "a.json": '{"data": {"a": [1, 2], "b": ["x", "y"]}}',
        "README.md": card(data_files="a.json", field="data"),
    },
    "json on several lines": {"a.json": '{\n "a": 1,\n "b": "x"\n}\n{\n "a": 2,\n "b": "y"\n}'},
    "json of one object": {"a.json": '{\n "a": [1, 2],\n "b": ["x", "y"]\n}'},
    "json of one line": {"a.json": '{"a": [1, 2], "b": ["x", "y"]}'},
    "json field": {
        "a.json": '{"version": 1, "data": [{"a": 1}, {"a": 2}]}',
        "README.md": card(data_files="a.json", field="data"),
    },
    "text": {"train.txt": "one\r\ntwo\n\nthree", "test.txt": "four\n"},
    "text of paragraphs": {
        "a.txt": "one\ntwo\n\nthree\n\n\nfour\n",
        "README.md": card(data_files="a.txt", sample_by="paragraph"),
    },
    "text of documents": {
        "a.txt": "one\ntwo\n",
        "README.md": card(data_files="a.txt", sample_by="document"),
    },
    "text with line breaks": {
        "a.txt": "one\ntwo",
        "README.md": card(data_files="a.txt", keep_linebreaks="true"),
    },
    "arrow stream": {"a.arrow": arrow(TABLE, pa.ipc.new_stream)},
    "arrow file": {"a.arrow": arrow(TABLE, pa.ipc.new_file)},
    "images by folder": {"cat/a.png": png(1), "dog/b.png": png(2), "cat/c.png": png(3)},
    "images by folder and split": {
        "train/cat/a.png": png(1),
        "train/dog/b.png": png(2),
        "test/cat/c.png": png(3),
    },
    "images of one folder": {"a.png": png(1), "b.png": png(2)},
    "images at two depths": {"cat/a.png": png(1), "b.png": png(2)},
    "images with labels kept": {
        "cat/a.png": png(1),
        "README.md": card(drop_labels="false"),
    },
    "images without labels": {
        "cat/a.png": png(1),
        "dog/b.png": png(2),
        "README.md": card(drop_labels="true"),
    },
    "images and lines": {
        "metadata.jsonl": '{"file_name": "x/a.png", "t": "A"}\n{"file_name": "b.png", "t": "B"}\n',
        "x/a.png": png(1),
        "b.png": png(2),
        "unnamed.png": png(3),
    },
    "images and rows by split": {
        "train/metadata.csv": "file_name,n\nb.png,5\na.png,6\n",
        "train/a.png": png(1),
        "train/b.png": png(2),
        "test/metadata.csv": "file_name,n\n./c.png,7\n",
        "test/c.png": png(3),
    },
    "images named within structs": {
        "metadata.jsonl": '{"s": {"file_name": "a.png", "n": 1}}\n'
        '{"s": {"file_name": "b.png", "n": null}}\n',
        "a.png": png(1),
        "b.png": png(2),
    },
    "images named within lists of structs": {
        "metadata.jsonl": '{"k": 1, "l": [{"mask_file_name": "x/a.png", "t": {"file_name": "b.png"}}]}\n'
        '{"k": 2, "l": []}\n',
        "x/a.png": png(1),
        "b.png": png(2),
    },
    "lists of images within structs": {
        "metadata.jsonl": '{"s": {"more_file_names": ["b.png", "a.png"]}, "file_name": "a.png"}\n'
        '{"s": {"more_file_names": []}, "file_name": "b.png"}\n',
        "a.png": png(1),
        "b.png": png(2),
    },
    "images with no name": {
        "metadata.jsonl": '{"file_name": "a.png"}\n{"file_name": ""}\n{"file_name": null}\n',
        "a.png": png(1),
    },
    "images and lines that are dropped": {
        "cat/a.png": png(1),
        "dog/b.png": png(2),
        "metadata.csv": "file_name,n\ncat/a.png,5\n",
        "README.md": card(data_files="'**'", drop_metadata="true"),
    },
    "images and lines that are dropped, and labels not": {
        "cat/a.png": png(1),
        "dog/b.png": png(2),
        "metadata.csv": "file_name,n\ncat/a.png,5\n",
        "README.md": card(data_files="'**'", drop_metadata="true", drop_labels="false"),
    },
    "images of two columns": {
        "metadata.jsonl": '{"left_file_name": "a.png", "right_file_name": "b.png", "n": 1}\n',
        "a.png": png(1),
        "b.png": png(2),
    },
}


@pytest.mark.parametrize("files", CASES.values(), ids=CASES)
def test_records_are_those_of_datasets(tmp_path, files):
    """All splits, in the same order, with the same names of columns and the same values."""
    write(tmp_path / "repo", files)
    expected = theirs(tmp_path / "repo", tmp_path / "cache")
    assert {split: ours(tmp_path / "repo", split) for split in expected} == expected


CELLS = (
    ("1", "2", "-3", "007", " 5 "),
    ("1.5", "2", "1e3", ".5", "-inf", "Infinity", "NaN", "1.", "1d"),
    ("True", "False", "TRUE", "false", "true", "Yes"),
    ("", "NA", "null", "None", "<NA>", "n/a", "x"),
    ("a", "b c", '"q"', "x,y", "l1\nl2", "it's", "ü", " pad "),
    ("2020-01-01", "12:30", "2020-01-01 00:00:00", "2020"),
)


@pytest.mark.parametrize("seed", range(80))
def test_made_up_csv_is_read_as_pandas_reads_it(tmp_path, seed):
    """Types, quotes, missing values, line ends; numbers stay whole where some are missing."""
    rng = random.Random(seed)
    pools = [rng.sample(rng.choice(CELLS), rng.randint(1, 3)) for _ in range(rng.randint(1, 4))]
    pools = [[*pool, ""] if rng.random() < 0.3 else pool for pool in pools]
    out = io.StringIO(newline="")
    quoting = rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    writer = csv.writer(out, lineterminator=rng.choice(("\n", "\r\n")), quoting=quoting)
    writer.writerow([f"c{number}" for number in range(len(pools))])
    writer.writerows([[rng.choice(pool) for pool in pools] for _ in range(rng.randint(1, 6))])
    text = out.getvalue().rstrip() if rng.random() < 0.3 else out.getvalue()
    write(tmp_path / "repo", {"a.csv": text})
    frame = pd.read_csv(tmp_path / "repo" / "a.csv")
    table = pa.Table.from_pandas(frame, preserve_index=False)
    assert ours(tmp_path / "repo", "train") == [plain(row) for row in table.to_pylist()]
