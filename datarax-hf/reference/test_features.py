"""Features: every type of `datasets`, written by its writer, has the values that its reader gives.

Differences are deliberate and named here: images are pixels, palettes as the colours they show;
media are bytes and a path; nanoseconds are NumPy's.
"""

from __future__ import annotations

import datetime as dt
import decimal
import io
import pickle

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import (
    Array2D,
    Array3D,
    Array4D,
    Array5D,
    Audio,
    BioSequence,
    BioStructure,
    ClassLabel,
    Features,
    Image,
    Json,
    LargeList,
    List,
    Mesh,
    Nifti,
    Pdf,
    Sequence,
    Translation,
    TranslationVariableLanguages,
    Value,
    Video,
)
from datasets.features import features as theirs
from PIL import Image as Pillow

from datarax_hf.config import HFSourceConfig
from datarax_hf.locate import locate
from datarax_hf.reader import open_reader

MEDIA = (Audio, Video, Pdf, Nifti, Mesh, BioSequence, BioStructure)
INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
WHEN = dt.datetime(2021, 3, 4, 5, 6, 7)  # noqa: DTZ001  # some types have no zone
FILE = {"bytes": b"\x00\x01", "path": "a.bin"}


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def encoded(image, kind="PNG", mode=None, **options):
    image = Pillow.fromarray(image)
    out = io.BytesIO()
    (image.convert(mode) if mode else image).save(out, kind, **options)
    return {"bytes": out.getvalue(), "path": None}


def numbers():
    for dtype in INTEGERS:
        bounds = np.iinfo(dtype)
        yield dtype, Value(dtype), [bounds.min, 0, bounds.max]
        yield f"{dtype} with nulls", Value(dtype), [bounds.max, None, bounds.min]
    for dtype in ("float16", "float32", "float64"):
        yield dtype, Value(dtype), [0.5, -2.0, float("nan"), float("inf")]
        yield f"{dtype} with nulls", Value(dtype), [0.5, None, float("nan")]
    yield "bool", Value("bool"), [True, False, True]
    yield "bool with nulls", Value("bool"), [True, None, False]
    yield "null", Value("null"), [None, None]
    yield "labels", ClassLabel(names=["cat", "dog"]), [1, -1, 0]
    yield "labels with nulls", ClassLabel(names=["cat", "dog"]), [1, None, 0]


def texts():
    for dtype in ("string", "large_string", "string_view"):
        yield dtype, Value(dtype), ["héllo", None, ""]
    for dtype in ("binary", "large_binary", "binary_view"):
        yield dtype, Value(dtype), [b"\xff\x00", None, b""]
    yield "fixed binary", Value("fixed_size_binary[2]"), [b"ab", None, b"\x00\xff"]


def times():
    for unit in ("s", "ms", "us", "ns"):
        yield f"timestamp {unit}", Value(f"timestamp[{unit}]"), [WHEN, None]
        yield f"timestamp {unit} tz", Value(f"timestamp[{unit}, tz=UTC]"), [WHEN, None]
        yield f"duration {unit}", Value(f"duration[{unit}]"), [dt.timedelta(seconds=5), None]
    yield "nanoseconds", Value("timestamp[ns]"), [np.datetime64("2021-03-04T05:06:07.123456789")]
    for dtype in ("time32[s]", "time32[ms]", "time64[us]", "time64[ns]"):
        yield dtype, Value(dtype), [dt.time(1, 2, 3), None]
    for dtype in ("date32", "date64"):
        yield dtype, Value(dtype), [dt.date(2021, 3, 4), None]
    for dtype in ("decimal128(7, 2)", "decimal256(50, 2)"):
        yield dtype, Value(dtype), [decimal.Decimal("-12.34"), None]


def arrays():
    for kind, sizes in ((Array2D, 2), (Array3D, 3), (Array4D, 4), (Array5D, 5)):
        shape = (2, 3, 1, 2, 2)[:sizes]
        value = np.arange(np.prod(shape)).reshape(shape)
        yield kind.__name__, kind(shape=shape, dtype="int32"), [value.tolist(), (-value).tolist()]
        free = kind(shape=(None, *shape[1:]), dtype="float32")
        yield f"{kind.__name__} of any length", free, [value.tolist(), value[:1].tolist()]
    yield "Array2D of bool", Array2D(shape=(1, 2), dtype="bool"), [[[True, False]], [[False] * 2]]
    yield "Array2D of nothing", Array2D(shape=(0, 2), dtype="int8"), [np.zeros((0, 2), np.int8)] * 2
    yield "Array2D with nulls", Array2D(shape=(1, 2), dtype="int8"), [[[1, 2]], None]


def lists():
    words = Value("string")
    for kind in (List, LargeList, Sequence):
        name = kind.__name__
        yield f"{name} of numbers", kind(Value("int16")), [[1, 2], [], None, [3]]
        yield f"{name} of numbers with nulls", kind(Value("int16")), [[1, None], [None], [3]]
        yield f"{name} of words", kind(words), [["a", None], [], None]
        yield f"{name} of lists", kind(kind(Value("float32"))), [[[0.5], []], [], [[1.0, 2.0]]]
        yield f"{name} of labels", kind(ClassLabel(names=["a", "b"])), [[0, 1], [1]]
        yield f"{name} of structs", kind({"a": Value("int8"), "b": words}), kind_of_structs(kind)
    yield "fixed list", List(Value("int64"), length=2), [[1, 2], [3, 4]]
    yield "fixed list with nulls", List(Value("int64"), length=2), [[1, 2], None, [3, None]]
    yield "fixed lists of fixed lists", List(List(Value("int8"), length=2), length=1), [[[1, 2]]]
    yield "fixed labels", List(ClassLabel(names=["a", "b"]), length=2), [[0, 1], [1, 1]]
    yield "fixed structs", Sequence({"a": Value("int8")}, length=2), [{"a": [1, 2]}]


def kind_of_structs(kind):
    if kind is Sequence:
        return [{"a": [1, 2], "b": ["x", None]}, {"a": [], "b": []}]
    return [[{"a": 1, "b": "x"}, {"a": 2, "b": None}], []]


def structs():
    inner = {"n": Value("int32"), "deep": {"t": Value("string"), "l": List(Value("int8"))}}
    yield "struct", inner, [{"n": 1, "deep": {"t": "a", "l": [1]}}, {"n": None, "deep": None}, None]
    times_ = {"t": Value("timestamp[ns]"), "l": List(Value("duration[ns]"))}
    yield (
        "struct of times",
        times_,
        [{"t": WHEN, "l": [dt.timedelta(1), None]}, {"t": None, "l": []}],
    )
    yield "Translation", Translation(languages=["de", "en"]), [{"de": "ja", "en": "yes"}]
    several = TranslationVariableLanguages(languages=["de", "en"])
    yield (
        "TranslationVariableLanguages",
        several,
        [{"de": "ja", "en": ["yes", "aye"]}, {"en": "no"}],
    )
    yield "Json", Json(), [{"a": [1, None, {"b": 0.5}]}, None, [1, "x"], "text"]
    yield "List of Json", List(Json()), [[{"b": 0}, {"c": "x"}], []]
    yield "struct with Json", {"j": Json(), "n": Value("int8")}, [{"j": {"a": 1}, "n": 1}]


def images():
    grey, colour = drawn(5, 4), drawn(5, 4, 3)
    turned = Pillow.Exif()
    turned[0x0112] = 6
    yield "Image", Image(), [encoded(colour), encoded(drawn(5, 4, 3, seed=1))]
    yield "Image of JPEG", Image(), [encoded(colour, "JPEG"), encoded(grey, "JPEG")]
    yield "Image turned", Image(), [encoded(colour, "JPEG", exif=turned)]
    yield "Image of 16 bits", Image(), [encoded(grey.view(np.uint16))]
    yield "Image of CMYK", Image(), [encoded(colour, "JPEG", mode="CMYK")]
    yield "Image with a mode", Image(mode="RGB"), [encoded(grey), encoded(colour)]
    yield "Image of arrays", Image(), [grey, colour]
    yield "Image with nulls", Image(), [encoded(grey), None]
    yield "Image not decoded", Image(decode=False), [encoded(grey), encoded(colour)]
    yield "Image of palettes", Image(), [encoded(colour, mode="P")]
    yield "List of Image", List(Image()), [[encoded(grey), encoded(colour)], []]
    yield "struct with Image", {"i": Image(), "n": Value("int8")}, [{"i": encoded(grey), "n": 1}]
    yield "List of Image with a mode", List(Image(mode="L")), [[encoded(colour)], None]
    yield "struct with Image with a mode", {"i": Image(mode="L")}, [{"i": encoded(colour)}]
    several = Sequence({"i": Image(mode="RGBA")})
    yield "Sequence with Image with a mode", several, [{"i": [encoded(colour)]}]


def media():
    for kind in MEDIA:
        yield kind.__name__, kind(), [FILE, {"bytes": b"", "path": None}, None]
        yield f"List of {kind.__name__}", List(kind()), [[FILE], []]


CASES = {
    name: (feature, values)
    for make in (numbers, texts, times, arrays, lists, structs, images, media)
    for name, feature, values in make()
}


MEANS_MORE = {
    "Array2D of nothing",
    "Image with a mode",
    "Image not decoded",
    "Image with nulls",
    "List of Image",
    "struct with Image",
    "List of Image with a mode",
    "struct with Image with a mode",
    "Sequence with Image with a mode",
    "List of Json",
    "struct with Json",
}
"""What the Arrow types alone do not tell."""


def written(folder, feature, values):
    """Write a dataset of one column; return it as `datasets` reads it back."""
    features = Features({"x": feature})
    folder.mkdir(exist_ok=True)
    as_stored = is_media(feature) or "uint64" in str(feature)  # what its own writer cannot encode
    if as_stored:
        table = pa.table({"x": pa.array(values, features.arrow_schema.field("x").type)})
        dataset = datasets.Dataset(table.cast(features.arrow_schema))
    else:
        dataset = datasets.Dataset.from_dict({"x": values}, features=features)
    file = folder / "train.parquet"
    dataset.to_parquet(file)
    again = datasets.Dataset.from_parquet(str(file), cache_dir=str(folder / "cache"))
    return again.with_format("arrow")[:]["x"].to_pylist() if as_stored else again["x"][:]


def is_media(feature):
    return isinstance(getattr(feature, "feature", feature), MEDIA)


def ours(folder, **options):
    config = HFSourceConfig(name=str(folder), local_files_only=True, **options)
    return open_reader(locate(config), config)


def plain(value):
    """Return a value of either reader in one form."""
    if isinstance(value, Pillow.Image):
        if value.mode in {"P", "1"}:
            value = value.convert({"P": "RGB", "1": "L"}[value.mode])
        value = np.asarray(value)
    if isinstance(value, pd.Timestamp | pd.Timedelta):
        return int(value.value)
    if isinstance(value, np.datetime64 | np.timedelta64):
        return int(value.astype(np.int64))
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float) and value != value:
        return "nan"
    return value


def in_nanoseconds(value):
    """Return Python times as counts of nanoseconds, as NumPy has them."""
    if isinstance(value, dt.datetime):
        return int(value.replace(tzinfo=dt.UTC).timestamp()) * 10**9
    if isinstance(value, dt.timedelta):
        return int(value.total_seconds()) * 10**9
    if isinstance(value, dt.time):
        return (value.hour * 3600 + value.minute * 60 + value.second) * 10**9
    if isinstance(value, dict):
        return {name: in_nanoseconds(part) for name, part in value.items()}
    if isinstance(value, list):
        return [in_nanoseconds(part) for part in value]
    return value


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_that_datasets_gives(name, tmp_path):
    """With the features in the file, and from the Arrow types alone where they tell enough."""
    feature, values = CASES[name]
    expected = plain(written(tmp_path / "data", feature, values))
    reader = ours(tmp_path / "data")
    got = [reader[row]["x"] for row in range(len(reader))]
    found = plain(got)
    if "ns" in str(feature):
        expected = in_nanoseconds(expected)
    assert found == expected
    field = reader.fields["x"]
    for value in got if field.is_array else ():
        assert (np.shape(value), np.asarray(value).dtype) == (field.shape, field.dtype)
    assert plain(pickle.loads(pickle.dumps(reader))[0]["x"]) == expected[0]
    if name not in MEANS_MORE:
        table = pq.read_table(tmp_path / "data" / "train.parquet").replace_schema_metadata(None)
        pq.write_table(table, tmp_path / "data" / "train.parquet")
        bare = ours(tmp_path / "data")
        assert plain([bare[row]["x"] for row in range(len(bare))]) == expected


def test_every_type_of_datasets_is_tried():
    """A type that `datasets` adds fails here until it is looked at."""
    tried = {
        part
        for feature, _ in CASES.values()
        for part in (type(feature).__name__, type(getattr(feature, "feature", feature)).__name__)
    }
    assert set(theirs._FEATURE_TYPES) <= tried  # there is no public list
    assert {name for name in datasets.features.__all__ if name != "Features"} <= tried | {
        "Sequence"
    }


def test_flattened_fields_are_those_of_flattened_columns(tmp_path):
    """Names and values, parts of nulls included; a Translation it fails to flatten itself."""
    inner = {"n": Value("int32"), "deep": {"t": Value("string"), "l": List(Value("int8"))}}
    features = Features(
        {
            "s": inner,
            "x": Value("float32"),
            "i": Image(),
            "q": Sequence({"a": Value("int8"), "b": Value("string")}),
            "rows": List({"a": Value("int8")}),
        }
    )
    values = {
        "s": [{"n": 1, "deep": {"t": "a", "l": [1]}}, {"n": None, "deep": None}, None],
        "x": [0.5, 1.5, 2.5],
        "i": [encoded(drawn(5, 4, seed=seed)) for seed in range(3)],
        "q": [{"a": [1, 2], "b": ["x", None]}] * 3,
        "rows": [[{"a": 1}], [], [{"a": 2}, {"a": 3}]],
    }
    dataset = datasets.Dataset.from_dict(values, features=features)
    dataset.to_parquet(tmp_path / "train.parquet")
    flat = dataset.flatten()
    reader = ours(tmp_path, flatten=True)
    assert list(reader.fields) == flat.column_names
    assert [plain(reader[row]) for row in range(3)] == [plain(flat[row]) for row in range(3)]
