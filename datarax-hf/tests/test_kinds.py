"""Which format a file has, where its name has several extensions: chosen and read as the same."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

import datarax
from datarax.errors import DataraxError

CSV = "x,y\n1,2\n"
TABS = "x\ty\n1\t2\n"
JSON = '{"x": 1, "y": 2}\n'

NAMES = {
    "train.csv.txt": CSV,
    "train.csv.TXT": CSV,
    "train.txt.csv": CSV,
    "train.json.txt": JSON,
    "train.jsonl.txt": JSON,
    "train.json.csv": JSON,
    "train.csv.bak": CSV,
    "train.tsv.csv": CSV,
    "train.csv.zip": CSV,
    "train.tsv.zip": TABS,
    "train.ndjson.zip": JSON,
    "train.zip.csv": CSV,
}
"""Names, and what files of these names hold."""

IMAGES = [".cur", ".dcx", ".fits", ".fli", ".ftc", ".gbr", ".iim", ".msp", ".pcd", ".pxr", ".Png"]
"""Some extensions of images."""


@pytest.fixture
def read(tmp_path, cache):
    """Write files and return their records, without arrays, in a mode."""

    def read_(files, mode):
        for name, data in files.items():
            (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        with datarax.load(f"hf:{tmp_path}", mode=mode, split="train") as source:
            return [{k: np.asarray(v).tolist() for k, v in row.items()} for row in source]

    return read_


def zipped(name, data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize("mode", ["lazy", "streaming"])
@pytest.mark.parametrize("name", NAMES)
def test_of_several_extensions_the_one_that_datasets_prefers_decides(read, name, mode):
    """CSV that is called text in the end is CSV."""
    data = NAMES[name]
    held = zipped(name.removesuffix(".zip"), data) if name.endswith(".zip") else data
    assert read({name: held}, mode) == [{"x": 1, "y": 2}]


@pytest.mark.parametrize("mode", ["lazy", "streaming"])
def test_parquet_may_end_in_another_extension(read, make, mode):
    """It is told by the one that datasets prefers."""
    assert read({"train.parquet.csv": make.parquet({"x": [1]})}, mode) == [{"x": 1}]


@pytest.mark.parametrize("mode", ["lazy", "streaming"])
def test_text_in_an_archive_is_text(read, mode):
    """An archive of one file is read in place."""
    assert read({"train.txt.zip": zipped("train.txt", "a\nb\n")}, mode) == [
        {"text": "a"},
        {"text": "b"},
    ]


@pytest.mark.parametrize("mode", ["lazy", "streaming"])
def test_files_of_one_split_are_of_one_format_by_all_their_names(read, mode):
    """Two that are CSV, one of which is also called text."""
    assert read({"train-0.csv.txt": CSV, "train-1.csv": CSV}, mode) == [{"x": 1, "y": 2}] * 2


@pytest.mark.parametrize("mode", ["lazy", "streaming"])
def test_texts_that_are_named_after_images_leave_them_images(read, make, mode):
    """They describe them, and are no images."""
    image = make.png(np.full((2, 2), 7, np.uint8))["bytes"]
    files = {"0.png": image, "0.png.txt": "a cat", "1.png": image, "1.png.txt": "a dog"}
    assert read(files, mode) == [{"image": [[7, 7], [7, 7]]}] * 2


@pytest.mark.parametrize("extension", IMAGES)
def test_images_may_have_any_extension_that_pillow_decodes(read, make, extension):
    """The bytes tell the form, the extension only that it is an image."""
    image = make.png(np.full((2, 2), 7, np.uint8))["bytes"]
    assert read({f"0{extension}": image}, "lazy") == [{"image": [[7, 7], [7, 7]]}]


def test_a_zip_archive_of_parquet_is_said_to_be_one(read, make):
    """It is no damaged file of another format."""
    with pytest.raises(DataraxError, match="zip files") as caught:
        read({"train.parquet.zip": zipped("train.parquet", make.parquet({"x": [1]}))}, "lazy")
    assert "train.parquet.zip" in str(caught.value)
