"""Features: what each type becomes, from the features, from extension types, from Arrow alone."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import pickle

import numpy as np
import pyarrow as pa
import pytest

import datarax
from datarax.errors import (
    CorruptDataError,
    HostOnlyFieldError,
    IntegerRangeError,
    NotSupportedError,
    UnknownFieldError,
)
from datarax_hf.config import HFSourceConfig
from datarax_hf.features import MEDIA, fields_from, modern
from datarax_hf.structs import flat_features

ARROW = int(pa.__version__.partition(".")[0])
FIXED_WITH_NULLS = [pa.list_(pa.int64(), 2)] if ARROW >= 26 else []
"""What older releases of pyarrow cannot write into parquet, and so no file of theirs holds."""
VIEW = pa.string_view() if ARROW >= 26 else pa.string()


@pytest.fixture
def write(tmp_path, make):
    """Write one train file of columns, and return its folder."""

    def write_(columns, features=None, **options):
        (tmp_path / "data").mkdir(exist_ok=True)
        data = make.parquet(columns, features, **options)
        (tmp_path / "data" / "train.parquet").write_bytes(data)
        return str(tmp_path / "data")

    return write_


@pytest.fixture
def read(write, offline):
    """Write one train file of columns and open it."""

    def read_(columns, features=None, config=None, **options):
        return offline(write(columns, features, **options), **(config or {}))

    return read_


def column(reader, name="x"):
    return reader.read(np.arange(len(reader)), [name])[name]


def listed(feature, length=-1, kind="List"):
    return {"feature": feature, "length": length, "_type": kind}


# Nulls


@pytest.mark.parametrize(
    ("values", "fill", "dtype"),
    [
        ([1, None, 3], -1, pa.int8()),
        ([1, None, 2**64 - 1], 7, pa.uint64()),
        ([0.5, None, 1.5], float("inf"), pa.float32()),
        ([True, None, False], True, pa.bool_()),
    ],
)
def test_a_fill_makes_an_array_of_a_column_with_nulls(read, values, fill, dtype):
    """The number that is told stands for each null, in the column's own dtype."""
    columns = {"x": pa.array(values, dtype)}
    bare = read(columns)
    assert bare.fields["x"].reason.startswith("1 of its values are null; fill_nulls={'x'")
    assert column(bare) == values
    filled = read(columns, config={"fill_nulls": {"x": fill}})
    assert filled.fields["x"].shape == ()
    got = column(filled)
    assert got.dtype == pa.array([], dtype).to_numpy(zero_copy_only=False).dtype
    assert got.tolist() == [fill if value is None else value for value in values]


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), *FIXED_WITH_NULLS])
def test_a_fill_stands_for_whole_lists_of_a_fixed_length(read, make, kind):
    """A null list is as many fills as it is long."""
    columns = {"x": pa.array([[1, 2], None, [None, 3]], kind)}
    features = {"x": listed(make.value("int64"), 2)}
    assert column(read(columns, features)) == [[1, 2], None, [None, 3]]
    filled = read(columns, features, config={"fill_nulls": {"x": 9}})
    assert column(filled).tolist() == [[1, 2], [9, 9], [9, 3]]


def test_a_fill_stands_for_nulls_in_lists_of_any_length(read):
    """Without one such a list is a list, with one an array; a list that is null stays one."""
    columns = {"x": pa.array([[1, None], None, [], [3]], pa.list_(pa.int16()))}
    bare = column(read(columns))
    assert bare[0] == [1, None]
    assert bare[1] is None
    assert bare[3].dtype == np.int16
    filled = column(read(columns, config={"fill_nulls": {"x": 5}}))
    assert [None if value is None else value.tolist() for value in filled] == [
        [1, 5],
        None,
        [],
        [3],
    ]
    assert filled[0].dtype == np.int16


@pytest.mark.parametrize(
    ("fill", "dtype"),
    [(300, pa.int8()), (-1, pa.uint8()), (0.5, pa.int32()), (True, pa.int32()), (1, pa.bool_())],
)
def test_a_fill_that_the_column_cannot_hold_is_an_error(read, fill, dtype):
    with pytest.raises(ValueError, match=r"fill_nulls\['x'\] is .*, which a column of"):
        read(
            {"x": pa.array([None, 1 if dtype != pa.bool_() else True], dtype)},
            config={"fill_nulls": {"x": fill}},
        )


def test_a_fill_for_what_is_no_column_of_numbers_is_an_error(read):
    """And the nearest name is offered."""
    for name, said in (("wrods", "Did you mean 'words'"), ("words", "no column of numbers")):
        with pytest.raises(UnknownFieldError, match=said):
            read({"words": ["a", None]}, config={"fill_nulls": {name: 0}})
    for value in ({"x": "0"}, {1: 0}, [0]):
        with pytest.raises(TypeError, match="fill_nulls maps a column to a number"):
            HFSourceConfig(name="a/b", fill_nulls=value)


def test_an_integer_of_numpys_fills_as_one_of_pythons():
    """A fill is often what NumPy computed."""
    config = HFSourceConfig(name="a/b", fill_nulls={"x": np.int64(9)})
    assert repr(config.fill_nulls) == "{'x': 9}"


def test_a_null_in_a_padded_list_is_an_error_that_a_fill_mends(write):
    """Padding makes no number of it by itself."""
    folder = write({"x": pa.array([[1, None], [3]], pa.list_(pa.float32()))})
    with (
        datarax.load(f"hf:{folder}", pad={"x": 3}, mode="lazy") as source,
        pytest.raises(HostOnlyFieldError, match="'x' holds a list with a null in it"),
    ):
        source.get_batch_at(0, 2)
    with datarax.load(f"hf:{folder}", pad={"x": 3}, mode="lazy", fill_nulls={"x": 7}) as source:
        assert source.get_batch_at(0, 2)["x"].tolist() == [[1, 7, 0], [3, 0, 0]]


def test_a_fill_is_an_option_of_a_uri_and_of_every_mode(write):
    """It is JSON in a URI; a stream fills too."""
    folder = write({"x": [1, None, 3]})
    for mode in ("eager", "lazy", "streaming"):
        with datarax.load(f'hf:{folder}?fill_nulls={{"x": 0}}', mode=mode) as source:
            assert next(iter(source.batches(3)))["x"].tolist() == [1, 0, 3]


# What fits 32 bits


@pytest.mark.parametrize(
    ("value", "dtype", "fits"),
    [
        (2**31 - 1, "int64", True),
        (2**31, "int64", False),
        (-(2**31) - 1, "int64", False),
        (2**32 - 1, "uint64", True),
        (2**32, "uint64", False),
    ],
)
def test_64_bits_become_32_only_where_they_fit(write, value, dtype, fits):
    """Never a wrap: jax arrays have 32 bits unless it is told otherwise."""
    with datarax.load(f"hf:{write({'x': np.array([1, value], dtype)})}", mode="lazy") as source:
        assert source.element_spec()["x"].dtype == np.dtype(dtype.replace("64", "32"))
        if fits:
            assert int(source[1]["x"]) == value
        else:
            with pytest.raises(IntegerRangeError, match=str(value)):
                source.get_batch_at(0, 2)


# Host values


def test_times_are_pythons_and_nanoseconds_numpys(read):
    """No nanosecond is lost, and none asks for pandas."""
    when = dt.datetime(2021, 3, 4, 5, 6, 7, 89)  # noqa: DTZ001  # stored without a zone
    spent = dt.timedelta(days=1, microseconds=1)
    nanoseconds = 1614834367000000001
    columns = {
        "us": pa.array([when, None], pa.timestamp("us")),
        "tz": pa.array([0, None], pa.timestamp("ms", tz="UTC")),
        "ns": pa.array([nanoseconds, None], pa.timestamp("ns")),
        "date": pa.array([when.date(), None], pa.date32()),
        "time": pa.array([when.time(), None], pa.time64("us")),
        "time_ns": pa.array([1, None], pa.time64("ns")),
        "spent": pa.array([spent, None], pa.duration("us")),
        "spent_ns": pa.array([1, None], pa.duration("ns")),
        "many": pa.array([[nanoseconds, None], None], pa.list_(pa.timestamp("ns"))),
        "within": pa.array(
            [{"t": nanoseconds}, {"t": None}], pa.struct([("t", pa.timestamp("ns"))])
        ),
        "price": pa.array([decimal.Decimal("1.50"), None], pa.decimal128(5, 2)),
    }
    reader = read(columns)
    first, second = reader[0], reader[1]
    exact = np.datetime64(nanoseconds, "ns")
    assert first == {
        "us": when,
        "tz": dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
        "ns": exact,
        "date": when.date(),
        "time": when.time(),
        "time_ns": np.timedelta64(1, "ns"),
        "spent": spent,
        "spent_ns": np.timedelta64(1, "ns"),
        "many": [exact, None],
        "within": {"t": exact},
        "price": decimal.Decimal("1.50"),
    }
    assert first["ns"].dtype == np.dtype("datetime64[ns]")
    assert all(second[name] is None for name in set(columns) - {"within"})
    assert not any(field.is_array for field in reader.fields.values())


def test_a_time_beyond_pythons_is_an_error_that_names_the_column(read):
    reader = read({"x": pa.array([2**60], pa.timestamp("us"))})
    with pytest.raises(CorruptDataError, match="train.parquet.*'x' holds what Python has no value"):
        reader[0]


def test_json_is_parsed_wherever_it_stands(read):
    """As a column, in lists and in structs; what is no JSON is corrupt."""
    kind = {"_type": "Json"}
    columns = {
        "x": ['{"a": [1, null]}', None],
        "y": [['"s"', "2"], []],
        "z": [{"j": "3"}, {"j": None}],
    }
    features = {"x": kind, "y": listed(kind), "z": {"j": kind}}
    reader = read(columns, features)
    assert reader[0] == {"x": {"a": [1, None]}, "y": ["s", 2], "z": {"j": 3}}
    assert reader[1] == {"x": None, "y": [], "z": {"j": None}}
    assert reader.fields["x"].reason == "JSON has no fixed array form"
    assert pickle.loads(pickle.dumps(reader))[0] == reader[0]
    raw = read(columns, {**features, "x": {"decode": False, "_type": "Json"}})
    assert raw[0]["x"] == columns["x"][0]
    with pytest.raises(CorruptDataError, match="row 0, column 'x': it is no JSON"):
        read({"x": ["{"]}, {"x": kind})[0]


@pytest.mark.parametrize("kind", MEDIA)
def test_media_are_their_bytes_and_path(read, kind):
    """However they are stored; decoding is left to the user."""
    both = {"bytes": b"sound", "path": "a.wav"}
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {
        "x": pa.array([both, None], struct),
        "many": pa.array([[both], []], pa.list_(struct)),
        "bare": pa.array([b"sound", None]),
        "path": pa.array(["a.wav", None]),
    }
    feature = {"_type": kind}
    features = {"x": feature, "many": listed(feature), "bare": feature, "path": feature}
    reader = read(columns, features)
    assert reader[0] == {
        "x": both,
        "many": [both],
        "bare": {"bytes": b"sound", "path": None},
        "path": {"bytes": None, "path": "a.wav"},
    }
    assert reader[1] == {"x": None, "many": [], "bare": None, "path": None}
    assert f"{kind} is not decoded" in reader.fields["x"].reason


def test_images_within_lists_and_structs_are_decoded(read, make):
    """They are pixels there too, upright and in the mode asked for."""
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    columns = {
        "many": pa.array([[make.png(pixels), None], []], pa.list_(make.IMAGE)),
        "within": pa.array([{"i": make.png(pixels)}] * 2, pa.struct([("i", make.IMAGE)])),
    }
    features = {"many": listed(make.IMAGE_FEATURE), "within": {"i": make.IMAGE_FEATURE}}
    first = read(columns, features)[0]
    np.testing.assert_array_equal(first["many"][0], pixels)
    assert first["many"][1] is None
    np.testing.assert_array_equal(first["within"]["i"], pixels)
    assert read(columns, features, {"image_mode": "L"})[0]["within"]["i"].shape == (2, 4)


def nested_images(make, option):
    """Return a list and a struct of an image each, and features that ask the same of both."""
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    image = make.png(pixels)
    columns = {
        "many": pa.array([[image]], pa.list_(make.IMAGE)),
        "within": pa.array([{"i": image}], pa.struct([("i", make.IMAGE)])),
    }
    feature = {**option, **make.IMAGE_FEATURE}
    return image, columns, {"many": listed(feature), "within": {"i": feature}}


@pytest.mark.parametrize("mode", ["lazy", "eager", "streaming"])
def test_the_mode_of_a_feature_holds_within_lists_and_structs(write, make, mode):
    """The option, where it is given, goes before it."""
    _, columns, features = nested_images(make, {"mode": "L"})
    folder = write(columns, features)
    for option, shape in ((None, (2, 4)), ("RGBA", (2, 4, 4))):
        with datarax.load(f"hf:{folder}", mode=mode, image_mode=option) as source:
            element = next(iter(source))
        assert element["many"][0].shape == element["within"]["i"].shape == shape


def test_encoded_images_within_lists_and_structs_are_decoded_where_it_is_asked_for(read, make):
    image, columns, features = nested_images(make, {"decode": False})
    assert read(columns, features)[0] == {"many": [image], "within": {"i": image}}
    asked = read(columns, features, {"image_size": (3, 5)})[0]
    assert asked["many"][0].shape == asked["within"]["i"].shape == (3, 5, 3)


def test_an_image_that_is_not_to_be_decoded_is_its_bytes_unless_it_is_asked_for(read, make):
    """Its feature says so, and an image option says otherwise."""
    images = [make.png(np.zeros((2, 4), np.uint8))]
    columns, features = (
        {"x": pa.array(images, make.IMAGE)},
        {"x": {"decode": False, "_type": "Image"}},
    )
    reader = read(columns, features)
    assert reader[0]["x"] == images[0]
    assert "image_mode='RGB' decodes it" in reader.fields["x"].reason
    assert read(columns, features, {"image_mode": "L"}).fields["x"].shape == (2, 4)


# Lists, arrays and structs


def test_older_words_for_lists_mean_what_they_meant():
    """A list of one feature is a List; a Sequence of a struct is a struct of Lists."""
    word, number = {"dtype": "string", "_type": "Value"}, {"dtype": "int8", "_type": "Value"}
    assert modern([word]) == listed(word)
    assert modern({"a": [[word]]}) == {"a": listed(listed(word))}
    assert modern(listed(number, 3, "Sequence")) == listed(number, 3, "Sequence")
    assert modern(listed({"a": word, "b": [number]}, 2, "Sequence")) == {
        "a": listed(word, 2),
        "b": listed(listed(number), 2),
    }
    assert modern(listed({"a": word})) == listed({"a": word})


def test_a_sequence_of_a_struct_is_a_dict_of_lists(read, make):
    """As older versions wrote it, with the answers of a question in mind."""
    answers = {"text": ["a", "b"], "start": [1, 2]}
    kind = pa.struct([("text", pa.list_(pa.string())), ("start", pa.list_(pa.int32()))])
    parts = {"text": make.value("string"), "start": make.value("int32")}
    reader = read({"x": pa.array([answers], kind)}, {"x": listed(parts, kind="Sequence")})
    assert reader[0]["x"] == answers
    assert reader.fields["x"].reason.startswith("struct<")


def test_arrays_of_any_first_dimension_are_host_arrays(read):
    """Each is an array of its own shape, in the dtype that the feature says."""
    values = [np.ones((2, 3)), np.ones((1, 3)), np.ones((0, 3))]
    stored = pa.array([value.tolist() for value in values], pa.list_(pa.list_(pa.float32())))
    feature = {"shape": [None, 3], "dtype": "float32", "_type": "Array2D"}
    reader = read({"x": stored}, {"x": feature})
    assert reader.fields["x"].reason == "its arrays differ in their first dimension"
    got = column(reader)
    assert [value.dtype for value in got] == [np.float32] * 3
    assert [value.shape for value in got[:2]] == [(2, 3), (1, 3)]


@pytest.mark.parametrize("mode", ["lazy", "eager", "streaming"])
def test_a_fixed_shape_may_hold_nothing(write, mode):
    """Of parquet files, which count a list that is empty as a null, too."""
    numbers = pa.list_(pa.list_(pa.int32()))
    columns = {"a": pa.array([[], []], numbers), "l": pa.array([[[], []]] * 2, numbers)}
    features = {
        "a": {"shape": [0, 2], "dtype": "int32", "_type": "Array2D"},
        "l": listed(listed({"dtype": "int32", "_type": "Value"}, 0), 2),
    }
    folder = write(columns, features)
    with datarax.load(f"hf:{folder}", mode=mode) as source:
        assert {name: value.shape for name, value in next(iter(source)).items()} == {
            "a": (0, 2),
            "l": (2, 0),
        }
        batch = next(iter(source.batches(2)))
    assert {name: value.shape for name, value in batch.items()} == {"a": (2, 0, 2), "l": (2, 2, 0)}


def test_a_null_among_fixed_shapes_of_nothing_is_a_null(read):
    columns = {"x": pa.array([[], None, []], pa.list_(pa.int16()))}
    reader = read(columns, {"x": listed({"dtype": "int16", "_type": "Value"}, 0)})
    assert reader.fields["x"].reason.startswith("1 of its values are null")
    assert column(reader) == [[], None, []]


def test_an_extension_type_says_the_shape_where_no_features_do(read):
    """`datasets` leaves it in the Arrow schema, whether or not it is imported."""
    storage = pa.array([[[1, 2]], [[3, 4]]], pa.list_(pa.list_(pa.int32())))
    told = {
        "ARROW:extension:name": "datasets.features.features.Array2DExtensionType",
        "ARROW:extension:metadata": json.dumps([[1, 2], "int32"]),
    }
    table = pa.table([storage], pa.schema([pa.field("x", storage.type, metadata=told)]))
    assert read_schema(table.schema)["x"].field.shape == (1, 2)
    untold = {**told, "ARROW:extension:metadata": "?"}
    table = pa.table([storage], pa.schema([pa.field("x", storage.type, metadata=untold)]))
    assert not read_schema(table.schema)["x"].field.is_array
    words = pa.field("j", pa.string(), metadata={"ARROW:extension:name": "arrow.json"})
    assert read_schema(pa.schema([words]))["j"].field.reason == "JSON has no fixed array form"


def read_schema(schema):
    from datarax_hf.features import describe

    return describe(schema, None)


def test_a_type_of_tomorrow_is_what_it_is_stored_as(read):
    """An unknown `_type` takes nothing away from what Arrow tells."""
    columns = {"x": [1, 2], "y": [{"bytes": b"b", "path": None}] * 2, "z": [[1], [2, 3]]}
    features = {name: {"_type": "Hologram"} for name in columns}
    reader = read(columns, features)
    assert column(reader, "x").tolist() == [1, 2]
    assert reader[0]["y"] == {"bytes": b"b", "path": None}
    assert reader[1]["z"].tolist() == [2, 3]


def test_features_alone_promise_what_files_hold(read, make):
    """`inspect` says the same of a field before and after its files are here."""
    columns = {
        "n": np.arange(2, dtype=np.int16),
        "label": [0, 1],
        "text": ["a", "b"],
        "raw": [b"a", b"b"],
        "tokens": pa.array([[1], [2, 3]], pa.list_(pa.int32())),
        "pair": pa.array([[1, 2]] * 2, pa.list_(pa.float32())),
        "grid": pa.array([[[1, 2]]] * 2, pa.list_(pa.list_(pa.int8()))),
        "sound": pa.array([{"bytes": b"", "path": ""}] * 2, make.IMAGE),
        "json": ["1", "2"],
    }
    features = {
        "n": make.value("int16"),
        "label": make.labels("a", "b"),
        "text": make.value("large_string"),
        "raw": make.value("binary"),
        "tokens": [make.value("int32")],
        "pair": listed(make.value("float32"), 2),
        "grid": {"shape": [1, 2], "dtype": "int8", "_type": "Array2D"},
        "sound": {"_type": "Audio"},
        "json": {"_type": "Json"},
    }
    assert dict(read(columns, features).fields) == fields_from(features)


def test_views_and_nested_dictionaries_are_read_as_plain_ones(read):
    """How a column is laid out in memory is no part of what it holds."""
    columns = {"d": pa.array([["x"], ["y", "x"]]), "s": pa.array(["p", "q"], VIEW)}
    kind = pa.list_(pa.dictionary(pa.int32(), pa.string()))
    columns["d"] = pa.array([["x"], ["y", "x"]], kind)
    reader = read(columns)
    assert column(reader, "d") == [["x"], ["y", "x"]]
    assert column(reader, "s") == ["p", "q"]
    assert reader.fields["s"].ragged == "text"


# Structs as fields of their own

ANSWERS = pa.struct(
    [
        ("text", pa.list_(pa.string())),
        ("start", pa.list_(pa.int32())),
        ("at", pa.struct([("x", pa.float32()), ("y", pa.float32())])),
    ]
)
ROWS = [
    {"text": ["a"], "start": [1, 2], "at": {"x": 0.5, "y": 1.5}},
    {"text": [], "start": [3], "at": {"x": 2.5, "y": None}},
]


def answers(make):
    columns = {
        "id": [7, 8],
        "a": pa.array(ROWS, ANSWERS),
        "image": [make.png(np.eye(2, dtype="u1"))] * 2,
    }
    number = make.value("float32")
    features = {
        "id": make.value("int64"),
        "a": {
            "text": listed(make.value("string")),
            "start": listed(make.value("int32")),
            "at": {"x": number, "y": number},
        },
        "image": make.IMAGE_FEATURE,
    }
    return columns, features


@pytest.mark.parametrize("known", [True, False])
def test_flatten_makes_a_field_of_each_part_of_a_struct(read, make, known):
    """Numbers within are arrays, lists can be padded, images stay whole."""
    columns, features = answers(make)
    types = {"image": make.IMAGE}
    reader = read(columns, features if known else None, {"flatten": True}, types=types)
    fields = reader.fields
    assert list(fields) == ["id", "a.text", "a.start", "a.at.x", "a.at.y", "image"]
    assert fields["a.at.x"].shape == ()
    assert fields["a.start"].ragged == "sequence"
    assert fields["a.at.y"].reason.startswith("1 of its values are null")
    assert fields["image"].shape == (2, 2)
    assert column(reader, "a.at.x").tolist() == [0.5, 2.5]
    first = reader[0]
    assert (first["a.text"], first["a.start"].tolist(), first["a.at.y"]) == (["a"], [1, 2], 1.5)
    if known:
        promised = fields_from(flat_features(features, flatten=True))
        assert list(promised) == list(fields)
        assert promised["a.start"] == fields["a.start"]
    whole = read(columns, features if known else None, types=types)
    assert whole[0]["a"] == ROWS[0]


def test_a_part_of_a_struct_that_is_null_is_null(read):
    """And is counted, in parquet and in files that are parsed."""
    kind = pa.struct([("x", pa.int8())])
    reader = read({"s": pa.array([{"x": 1}, None, {"x": None}], kind)}, config={"flatten": True})
    assert column(reader, "s.x") == [1, None, None]
    assert reader.fields["s.x"].reason.startswith("2 of its values are null")


@pytest.mark.parametrize("mode", ["lazy", "eager", "streaming"])
def test_parts_that_would_take_the_name_of_another_field_are_an_error(write, mode):
    """None is lost in silence; as they are stored, both are read."""
    folder = write({"a.b": [1, 2], "a": [{"b": 3}, {"b": 4}]})
    said = "two fields 'a.b': the column 'a.b' and the part 'b' of 'a'; load it without flatten"
    with pytest.raises(NotSupportedError, match=said):
        datarax.load(f"hf:{folder}", mode=mode, flatten=True)
    with datarax.load(f"hf:{folder}", mode=mode) as source:
        assert [(int(row["a.b"]), row["a"]) for row in source] == [(1, {"b": 3}), (2, {"b": 4})]


def test_translations_are_flattened_to_their_languages(read):
    """As `datasets` flattens them."""
    pair = {"languages": ["en", "de"], "_type": "Translation"}
    several = {"languages": ["de"], "num_languages": 1, "_type": "TranslationVariableLanguages"}
    columns = {
        "t": [{"de": "ja", "en": "yes"}],
        "v": [{"language": ["de"], "translation": ["ja"]}],
    }
    features = {"t": pair, "v": several}
    reader = read(columns, features, {"flatten": True})
    assert reader[0] == {
        "t.de": "ja",
        "t.en": "yes",
        "v.language": ["de"],
        "v.translation": ["ja"],
    }
    assert dict(reader.fields).keys() == flat_features(features, flatten=True).keys()


def test_only_the_parts_that_are_asked_for_are_read(write, make):
    """Flattened fields are named in every option, and come in every mode."""
    columns, features = answers(make)
    folder = write(columns, features, types={"image": make.IMAGE})
    chosen = ("a.start", "a.at.y")
    for mode in ("eager", "lazy", "streaming"):
        with datarax.load(
            f"hf:{folder}",
            mode=mode,
            flatten=True,
            include_keys=chosen,
            pad={"a.start": 2},
            fill_nulls={"a.at.y": 0.0},
        ) as source:
            batch = next(iter(source.batches(2)))
            assert batch["a.start"].tolist() == [[1, 2], [3, 0]]
            assert batch["a.at.y"].tolist() == [1.5, 0.0]
            assert set(batch) == {"a.start", "a.start_length", "a.at.y"}


@pytest.mark.parametrize("mode", ["lazy", "streaming"])
def test_structs_of_files_that_are_parsed_are_flattened_too(tmp_path, mode):
    lines = [{"s": {"x": 1, "t": "a"}}, {"s": {"x": 2, "t": "b"}}]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with datarax.load(f"hf:{tmp_path}", mode=mode, flatten=True) as source:
        batch = next(iter(source.batches(2)))
        assert {name: values.tolist() for name, values in batch.items()} == {"s.x": [1, 2]}


def test_flatten_is_true_or_false():
    with pytest.raises(TypeError, match="flatten is True or False"):
        HFSourceConfig(name="a/b", flatten="a")
