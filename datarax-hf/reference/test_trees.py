"""Made-up trees of features, written by `datasets` in several files, have the values that it reads.

`DATARAX_TREES` is how many are tried, 30 unless it is set; each is drawn from its own number.
"""

from __future__ import annotations

import datetime as dt
import decimal
import io
import os
import random
import string

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from datasets import (
    Array2D,
    Array3D,
    Array4D,
    Array5D,
    ClassLabel,
    Features,
    Image,
    Json,
    LargeList,
    List,
    Sequence,
    Translation,
    TranslationVariableLanguages,
    Value,
)
from PIL import Image as Pillow

import datarax

TRIES = int(os.environ.get("DATARAX_TREES", "30"))
ARRAYS = (Array2D, Array3D, Array4D, Array5D)
INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32)]
FLOATS = ("float16", "float32", "float64")
TIMES = (
    *("date32", "date64", "time32[ms]", "time64[us]", "duration[us]", "duration[s]"),
    *("timestamp[ms]", "timestamp[us]", "timestamp[us, tz=UTC]"),
    *("timestamp[ms, tz=Asia/Tokyo]",),
)
"""Times of day and dates in seconds are left out: parquet has none, and `datasets` then takes no word
of the features of such a column."""

TEXTS = ("string", "large_string", "binary", "large_binary")
DECIMALS = ("decimal128(7, 2)", "decimal256(50, 2)")
EPOCH = dt.datetime(2000, 1, 1)  # noqa: DTZ001  # some types have no zone


class Tree:
    """A feature and its values, drawn at random.

    Args:
        seed: What they are drawn from.
    """

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.nulls = self.random.choice((0.0, 0.0, 0.3))

    def feature(self, depth=0):
        kinds = [self.value, self.value, self.labels, self.array, self.image, self.json]
        if depth < 3:
            kinds += [self.lists, self.lists, self.fixed, self.struct, self.struct]
            kinds += [self.sequence, self.translation]
        kind = self.random.choice(kinds)
        leaf = kind in (self.value, self.labels, self.array, self.image, self.json)
        return kind() if leaf else kind(depth + 1)

    def value(self):
        dtypes = (*INTEGERS, "int64", *FLOATS, *TIMES, *TEXTS, *DECIMALS, "bool", "bool")
        return Value(self.random.choice(dtypes))

    def labels(self):
        return ClassLabel(names=["cat", "dog", "é"])

    def array(self):
        kind = self.random.choice(ARRAYS)
        shape = [self.random.randint(1, 3) for _ in range(ARRAYS.index(kind) + 2)]
        if self.random.random() < 0.2:
            shape[0] = None
        dtype = self.random.choice((*INTEGERS, "int64", "float32", "float64", "bool"))
        return kind(shape=tuple(shape), dtype=dtype)

    def image(self):
        mode = self.random.choice((None, None, "L", "RGB", "RGBA"))
        return Image(mode=mode, decode=self.random.random() < 0.85)

    def json(self):
        return Json()

    def lists(self, depth):
        return self.random.choice((List, LargeList))(self.inner(depth))

    def inner(self, depth):
        """Return what a list may hold.

        Lists of lists are left out where there is something to decode: `datasets` looks at the
        first one alone, and decodes none where that holds nothing.
        """
        while True:
            feature = self.feature(depth)
            listed = isinstance(feature, List | LargeList)
            if not (listed and any(kind in str(feature) for kind in ("Image", "Json"))):
                return feature

    def fixed(self, depth):
        feature = self.inner(depth)
        while any(kind in str(feature) for kind in ("Json", "Array")):
            # Which the writer of `datasets` cannot always put there.
            feature = self.inner(depth)
        return List(feature, length=self.random.randint(1, 3))

    def struct(self, depth):
        names = self.random.sample(("a", "b", "path", "bytes", "list", "é", "x y"), 3)
        return {name: self.feature(depth) for name in names[: self.random.randint(1, 3)]}

    def sequence(self, depth):
        return Sequence({name: self.inner(depth) for name in self.struct(depth)})

    def translation(self, depth):  # as the others
        kind = self.random.choice((Translation, TranslationVariableLanguages))
        return kind(languages=["de", "en"])

    def drawn(self, feature):
        """Return a value of a feature, as one gives it to `datasets`."""
        if self.random.random() < self.nulls and not isinstance(feature, ARRAYS):
            return None
        if isinstance(feature, dict):
            return {name: self.drawn(part) for name, part in feature.items()}
        if isinstance(feature, List | LargeList):
            length = getattr(feature, "length", -1)
            count = self.random.randint(0, 3) if length < 0 else length
            return [self.drawn(feature.feature) for _ in range(count)]
        return getattr(self, f"drawn_{type(feature).__name__.lower()[:5]}")(feature)

    def drawn_value(self, feature):
        dtype = feature.dtype
        if "int" in dtype:
            bounds = np.iinfo(dtype)
            bits = 2**31 - 1  # what JAX holds
            return self.random.randint(max(bounds.min, -bits), min(bounds.max, bits))
        if "float" in dtype:
            return float(np.dtype(dtype).type(self.random.choice((0.5, -2.0, 1e3, float("inf")))))
        if dtype == "bool":
            return self.random.random() < 0.5
        if "string" in dtype:
            return "".join(self.random.choices(string.ascii_letters + "é日 ", k=3))
        if "binary" in dtype:
            return self.random.randbytes(2)
        if "decimal" in dtype:
            return decimal.Decimal(self.random.randint(-9999, 9999)) / 100
        when = EPOCH + dt.timedelta(seconds=self.random.randint(0, 10**8))
        if "date" in dtype:
            return when.date()
        if "duration" in dtype:
            return when - EPOCH
        return when.time() if dtype.startswith("time") and "stamp" not in dtype else when

    def drawn_class(self, feature):  # of three classes
        return self.random.randint(-1, 2)

    def drawn_array(self, feature):
        shape = [self.random.randint(1, 3) if size is None else size for size in feature.shape]
        values = np.array([self.random.randint(0, 9) for _ in range(int(np.prod(shape)))])
        return values.astype(feature.dtype).reshape(shape).tolist()

    drawn_array2d = drawn_array3d = drawn_array4d = drawn_array5d = drawn_array

    def drawn_image(self, feature):  # all alike
        size = (self.random.randint(1, 3), self.random.randint(1, 3))
        mode = self.random.choice(("L", "RGB", "RGBA", "LA"))
        out = io.BytesIO()
        colour = tuple(self.random.randint(0, 255) for _ in mode)
        Pillow.new(mode, size, colour if len(colour) > 1 else colour[0]).save(out, "PNG")
        return {"bytes": out.getvalue(), "path": None}

    def drawn_json(self, feature):  # all alike
        return self.random.choice(({"a": [1, None]}, [1, "x"], "text", {"b": {"c": 0.5}}))

    def drawn_trans(self, feature):
        if isinstance(feature, Translation):
            return {"de": "ja", "en": "yes"}
        return {"de": ["ja", "doch"], "en": "yes"}


def plain(value):
    """Return a value of either reader in one form."""
    if isinstance(value, Pillow.Image):
        value = np.asarray(value)
    if isinstance(value, pd.Timestamp):
        value = value.to_pydatetime()
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return "nan" if isinstance(value, float) and value != value else value


def write(folder, dataset, kind):
    """Write a dataset as three files, each of several row groups, the last of them alone."""
    folder.mkdir()
    for number in range(3):
        part = dataset.shard(3, number, contiguous=True)
        path = folder / f"train-{number}.{kind}"
        if kind == "parquet":
            part.to_parquet(path, batch_size=2)
            continue
        table = part.with_format("arrow")[:]
        with pa.ipc.new_stream(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=2)


def ours(folder, mode, **options):
    with datarax.load(f"hf:{folder}", mode=mode, **options) as source:
        return [plain(element) for element in source]


@pytest.mark.parametrize("seed", range(TRIES))
def test_values_of_made_up_features_are_those_that_datasets_gives(tmp_path, monkeypatch, seed):
    """From both formats, in every mode, in order and shuffled, with its structs whole and flat."""
    monkeypatch.setenv("DATARAX_CACHE", str(tmp_path / "kept"))
    tree = Tree(seed)
    features = Features(
        {name: tree.feature() for name in ("x", "y", "z")} | {"row": Value("int32")}
    )
    rows = [
        {name: tree.drawn(feature) for name, feature in features.items() if name != "row"}
        | {"row": number}
        for number in range(11)
    ]
    dataset = datasets.Dataset.from_list(rows, features=features)
    for kind in ("parquet", "arrow"):
        folder = tmp_path / kind
        write(folder, dataset, kind)
        read = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
        expected = [plain(row) for row in read]
        for mode in ("lazy", "eager", "streaming"):
            options = {}
            if mode == "streaming" and kind == "arrow" and tree.nulls:
                # Its later files may hold the first null of a column of numbers.
                told = [name for name, feature in features.items() if not numbers(feature)]
                options = {"include_keys": [*told, "row"]}
            got = ours(folder, mode, **options)
            wanted = options.get("include_keys", list(features))
            assert got == [{name: row[name] for name in wanted} for row in expected], (kind, mode)
        shuffled = ours(folder, "lazy", shuffle=True, seed=seed)
        assert sorted(shuffled, key=lambda row: row["row"]) == expected, kind
        flat = [ours(folder, mode, flatten=True) for mode in ("lazy", "eager")]
        assert flat[0] == flat[1]


@pytest.mark.parametrize("mode", ["lazy", "eager", "streaming"])
def test_null_lists_of_arrays_are_read_beside_the_types_of_datasets(tmp_path, mode):
    """Its extension types are known to Arrow once it is imported; null lists of them stay null."""
    features = Features({"x": List({"a": Array3D(shape=(1, 1, 2), dtype="int16")})})
    rows = [{"x": None}, {"x": [{"a": [[[1, 2]]]}]}, {"x": []}]
    dataset = datasets.Dataset.from_list(rows, features=features)
    write(tmp_path / "arrow", dataset, "arrow")
    assert ours(tmp_path / "arrow", mode) == rows


def numbers(feature):
    """Return whether a feature becomes an array where none of its values is null."""
    while isinstance(feature, List) and feature.length >= 0:
        feature = feature.feature
    if isinstance(feature, Value):
        return feature.dtype in (*INTEGERS, "int64", *FLOATS, "bool")
    return isinstance(feature, (ClassLabel, *ARRAYS))
