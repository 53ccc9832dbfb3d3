"""CSV: names, types, widths and missing values as pandas has them, alike in all three modes.

`reference/test_comma.py` compares the same with the library `datasets`.
"""

from __future__ import annotations

import datetime as dt
import io
import zipfile

import numpy as np
import pyarrow as pa
import pytest
import yaml

import datarax
from datarax.errors import CorruptDataError, DataraxError, NotSupportedError
from datarax_hf.formats import characters, comma_text, spelled
from datarax_hf.formats.characters import Characters
from datarax_hf.formats.form import Form
from datarax_hf.formats.rows import Rows
from datarax_hf.remedy import Origin

MODES = ("lazy", "eager", "streaming")
LABEL = {"class_label": {"names": {"0": "cat", "1": "dog"}}}


def card(features=None, **options):
    """Return a card of one config, whose features are types by name."""
    said = {"configs": [{"config_name": "default", "data_files": "a.csv", **options}]}
    if features:
        listed = [{"name": name, "dtype": dtype} for name, dtype in features.items()]
        said["dataset_info"] = {"features": listed}
    return f"---\n{yaml.safe_dump(said)}---\n"


@pytest.fixture
def folder(tmp_path, cache):
    """A folder to write a dataset in."""
    path = tmp_path / "repo"
    path.mkdir()
    return path


@pytest.fixture
def read(folder):
    """Write files and return their records, the same in all modes or an error."""

    def read_(text, features=None, name="a.csv", modes=MODES, **options):
        files = {name: text}
        if features or options:
            files["README.md"] = card(features, **options)
        for file, data in files.items():
            (folder / file).write_bytes(data if isinstance(data, bytes) else data.encode())
        found = {}
        for mode in modes:
            with datarax.load(f"hf:{folder}", mode=mode) as source:
                found[mode] = [{key: plain(element[key]) for key in element} for element in source]
        first, *others = found.values()
        assert all(same(other, first) for other in others), found
        return first

    return read_


def plain(value):
    return np.asarray(value).item() if hasattr(value, "dtype") else value


def same(one, other):
    return repr(one) == repr(other)


def column(records, name="x"):
    return [record[name] for record in records]


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["0x1A", "7"], ["0x1A", "7"]),
        (["1", "-0X1a"], ["1", "-0X1a"]),
        (["+1", " 2 ", "\x0b3"], [1, 2, 3]),
        (["+1.5", " .5", "5.", "-1E1 "], [1.5, 0.5, 5.0, -10.0]),
        (["inf", "-Infinity", "+INF", "1e400"], [np.inf, -np.inf, np.inf, np.inf]),
        ([" inf", "1"], [" inf", "1"]),
        (["NAN", "1.5"], ["NAN", "1.5"]),
        (["nan(1)", "1.5"], ["nan(1)", "1.5"]),
        (["1.5", "1e20", "-1e19", "99999999999999999999"], [1.5, 1e20, -1e19, 1e20]),
        (["99999999999999999999", "1"], ["99999999999999999999", "1"]),
        (["18446744073709551615", "-1"], ["18446744073709551615", "-1"]),
        (["1e", "1"], ["1e", "1"]),
        (["1_0", "1"], ["1_0", "1"]),
        (["\u00a01", "1"], ["\u00a01", "1"]),
        (["1 2", "1"], ["1 2", "1"]),
        (["True", "false"], [True, False]),
        (["True", "1"], ["True", "1"]),
        (["2020-01-01", "2020-01-02"], ["2020-01-01", "2020-01-02"]),
    ],
)
def test_text_means_what_pandas_takes_it_for(read, texts, values):
    found = column(read("k,x\n" + "".join(f"1,{text}\n" for text in texts)))
    assert found == pytest.approx(values) if isinstance(values[0], float) else found == values
    assert [type(value) for value in found] == [type(value) for value in values]


def test_what_a_later_piece_holds_counts_too(read, monkeypatch):
    """Hexadecimal after whole numbers is text in all of the column, a stream says where."""
    monkeypatch.setattr(comma_text, "BLOCK", 16)
    text = "x,y\n" + "1,1.5\n" * 9 + "0x1A,1e20\n" + "3,1\n"
    found = read(text, modes=("lazy", "eager"))
    assert column(found) == [*["1"] * 9, "0x1A", "3"]
    assert column(found, "y") == pytest.approx([*[1.5] * 9, 1e20, 1.0])
    with pytest.raises(CorruptDataError, match=r"records from \d+ on: 'x' is string and no longer"):
        read(text, modes=("streaming",))
    text = "x,y\n" + "1,1.5\n" * 9 + "2,inf\n2,-1e30\n2,9223372036854775808\n"
    assert column(read(text), "y")[9] == np.inf


@pytest.mark.parametrize("block", [16, 2**20])
@pytest.mark.parametrize("kind", ["1", "1.5"])
@pytest.mark.parametrize("odd", ["NAN", "nan(1)", " inf", "0x1A", "0X1a", "1 2", "1e", "word"])
def test_a_word_among_numbers_makes_text_of_them_wherever_it_stands(
    read, monkeypatch, odd, kind, block
):
    """Behind the rows that are looked at for types, in the first piece or a later one."""
    monkeypatch.setattr(comma_text, "BLOCK", block)
    monkeypatch.setattr(comma_text, "LOOKED_AT", 16)
    found = read("k,x\n" + f"1,{kind}\n" * 20 + f"1,{odd}\n", modes=("lazy", "eager"))
    assert column(found) == [*[kind] * 20, odd]
    assert {type(value) for value in column(found, "k")} == {int}


@pytest.mark.parametrize("block", [16, 2**20])
def test_infinity_among_numbers_is_one(read, monkeypatch, block):
    monkeypatch.setattr(comma_text, "BLOCK", block)
    monkeypatch.setattr(comma_text, "LOOKED_AT", 16)
    found = read("k,x\n" + "1,1.5\n" * 20 + "1,-inf\n1,1e400\n2,+3\n")
    assert column(found)[20:22] == [-np.inf, np.inf]
    assert column(found)[-1] == 3.0


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ({"na_values": {"y": "-"}}, [("-", None), ("NA-", 5), (None, 999), ("999", None)]),
        (
            {"na_values": {1: ["-", 5], "other": "z"}},
            [("-", None), ("NA-", None), (None, 999), ("999", None)],
        ),
        ({"na_values": ["-", 999]}, [(None, None), ("NA-", 5), (None, None), (None, None)]),
        (
            {"na_values": {"y": "-"}, "keep_default_na": False},
            [("-", None), ("NA-", "5"), ("", "999.0"), ("999", "NA")],
        ),
        ({"na_values": {"other": "-"}}, [("-", "-"), ("NA-", "5"), (None, "999.0"), ("999", None)]),
    ],
)
def test_missing_values_may_be_those_of_one_column(read, options, values):
    found = read("x,y\n-,-\nNA-,5\n,999.0\n999,NA\n", **options)
    assert [(record["x"], record["y"]) for record in found] == values


def test_a_missing_number_is_missing_however_it_is_spelled(read):
    assert column(read("x\n1.5\n9.990e2\n2\n", na_values=999)) == [1.5, None, 2.0]


@pytest.mark.parametrize("given", [{"y": [["-"]]}, [{"y": "-"}]])
def test_missing_values_that_are_no_words_are_refused(read, given):
    with pytest.raises(NotSupportedError, match="na_values"):
        read("x,y\n1,2\n", na_values=given)


@pytest.mark.parametrize(
    ("text", "records"),
    [
        ("a,b\nr,1,2\ns,3,4\n", [{"a": 1, "b": 2, "0": "r"}, {"a": 3, "b": 4, "0": "s"}]),
        ("a,b\n1,2,\n5,4,\n", [{"a": 2, "b": None, "0": 1}, {"a": 4, "b": None, "0": 5}]),
        ("a\n1,x,3\n4\n", [{"a": 3, "0": 1, "1": "x"}, {"a": None, "0": 4, "1": None}]),
        ("a,b\n1\n2,3\n", [{"a": 1, "b": None}, {"a": 2, "b": 3}]),
    ],
)
def test_columns_before_the_named_ones_are_row_names(read, text, records):
    found = read(text)
    named = [
        {f"__index_level_{key}__" if key.isdigit() else key: record[key] for key in record}
        for record in records
    ]
    assert found == named


@pytest.mark.parametrize(
    ("text", "names", "values"),
    [
        ("1,2\n3,4\n", "abc", [(1, 2, None), (3, 4, None)]),
        ("1,2\n3,4,5\n", "abc", [(1, 2, None), (3, 4, 5)]),
        ("1,2,3\n5,4,6\n", "ab", [(2, 3), (4, 6)]),
    ],
)
def test_names_of_the_card_need_not_be_as_many_as_columns(read, text, names, values):
    found = read(text, names=list(names))
    assert [tuple(record[name] for name in names) for record in found] == values


@pytest.mark.parametrize("text", ["a,b\n1,2\n\n1,2,3\n", 'a,b\n1,"x\n"\n1,2,\n'])
def test_a_row_that_is_too_long_is_said_with_its_line(read, text):
    with pytest.raises(CorruptDataError, match="has 3 fields in line 4, and 2 are due"):
        read(text)


@pytest.mark.parametrize(
    ("text", "options", "values"),
    [
        ("x,y\n1,2\n   \n\t\n\n3,4\n \t", {}, [(1, 2), (3, 4)]),
        ("  \n\nx\n1\n \n2\n", {}, [(1,), (2,)]),
        ('x\na\n"  "\n  ""\nb\n', {}, [("a",), ("  ",), ('  ""',), ("b",)]),
        ('x,y\n"1\n  \n2",3\n', {}, [("1\n  \n2", 3)]),
        (
            "x\ty\n1\t2\n  \n \t\n\t\n3\t4\n",
            {"sep": "\t"},
            [("1", 2), (" ", None), (None, None), ("3", 4)],
        ),
        ("x\n1\n\n2\n", {"skip_blank_lines": False}, [(1,), (None,), (2,)]),
        ("x,y\na,2\n \nb,3\n", {"skip_blank_lines": False}, [("a", 2), (" ", None), ("b", 3)]),
    ],
)
def test_lines_of_blanks_are_no_records(read, text, options, values):
    found = [tuple(record[name] for name in sorted(record)) for record in read(text, **options)]
    assert found == values


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ('x,"x",x.1', ["x", "x.2", "x.1"]),
        ("x.1,x,x", ["x.1", "x", "x.2"]),
        ("x,x,x.1,x.1,x", ["x", "x.2", "x.1", "x.1.1", "x.3"]),
        (",Unnamed: 0", ["Unnamed: 0.1", "Unnamed: 0"]),
        ("x,,x,", ["x", "Unnamed: 1", "x.1", "Unnamed: 3"]),
        ('"a\nb"," a",a', ["a\nb", " a", "a"]),
    ],
)
def test_names_are_made_distinct_as_pandas_does(read, header, names):
    width = len(names)
    (record,) = read(f"{header}\n{','.join(map(str, range(width)))}\n")
    assert record == dict(zip(names, range(width), strict=True))


def test_names_that_the_card_gives_twice_are_refused(read):
    with pytest.raises(NotSupportedError, match="given once"):
        read("1,2\n", names=["a", "a"])


def test_columns_that_the_file_lacks_are_null(read):
    features = {"x": "int32", "z": "float32", "label": LABEL, "s": "string"}
    found = read("x\n1\n2\n", features)
    assert found == [{"x": x, "z": None, "label": -1, "s": None} for x in (1, 2)] or found == [
        {"x": x, "z": None, "label": None, "s": None} for x in (1, 2)
    ]


@pytest.mark.parametrize(
    ("dtype", "texts", "values"),
    [
        ("int32", ["1.0", "2"], [1, 2]),
        ("int32", ["True", "False"], [1, 0]),
        ("int64", ["+1", " 2"], [1, 2]),
        ("uint64", ["4294967295"], [2**32 - 1]),
        ("bool", ["1", "0"], [True, False]),
        ("bool", ["1.0", "0"], [True, False]),
        ("bool", ["TRUE", "false"], [True, False]),
        ("float16", ["1.5", "1e9"], [1.5, np.inf]),
        ("float32", ["1e20", "99999999999999999999"], [1e20, 1e20]),
        ("string", ["1", "2.50"], ["1", "2.50"]),
        (LABEL, ["1.0", "0.0"], [1, 0]),
        (LABEL, [" cat", "1"], [0, 1]),
        (LABEL, ["True", "False"], [1, 0]),
    ],
)
def test_values_become_what_the_card_says(read, dtype, texts, values):
    text = "x,k\n" + "".join(f"{text},1\n" for text in texts)
    found = column(read(text, {"x": dtype, "k": "int64"}))
    assert found == (pytest.approx(values) if isinstance(values[0], float) else values)


def test_times_and_decimals_become_what_the_card_says(read):
    features = {"t": "time32[s]", "d": "date32", "s": "duration[s]", "m": "decimal128(5, 2)"}
    (record,) = read("t,d,s,m\n10:00:01,2020-01-02,5,1.25\n", features)
    found = [str(record[name]) for name in features]
    assert found == ["10:00:01", "2020-01-02", "0:00:05", "1.25"]


@pytest.mark.parametrize(
    ("dtype", "text", "said"),
    [
        ("int8", "300", "int8: Integer value 300 not in range"),
        ("int32", "1.5", "int32: Float value 1.5"),
        ("int32", "0x1A", "'0x1A' is no number"),
        ("uint8", "-1", "Integer value -1 not in range"),
        ("float32", "many", "'many' is no number"),
        ("bool", "yes", "'yes' is no number"),
        ("date32", "soon", "soon"),
        (LABEL, "cow", "'cow' is none of the classes"),
        (LABEL, "1.5", "Float value 1.5"),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_a_type_of_the_card_that_does_not_fit_is_said(read, dtype, text, said, mode):
    """No other copy of the file would help."""
    with pytest.raises(CorruptDataError, match=rf"'a\.csv'.*card.*'x'.*{said}.*correct") as caught:
        read(f"x\n{text}\n", {"x": dtype}, modes=(mode,))
    assert "good copy" not in str(caught.value)


def zipped(members, **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data, **options)
    return out.getvalue()


@pytest.mark.parametrize("member", ["a.csv", "d/a", "../../etc/a.csv", "/a.csv"])
def test_a_zip_archive_of_one_file_is_read(read, folder, member):
    """In place: its name is not looked at."""
    assert read(zipped({"d/": b"", member: "x\n1\n"}), name="train.csv.zip") == [{"x": 1}]
    assert sorted(path.name for path in folder.parent.rglob("*.csv")) == []


@pytest.mark.parametrize("members", [{}, {"a.csv": "x\n1\n", "b.csv": "x\n2\n"}])
def test_a_zip_archive_of_other_than_one_file_is_refused(read, members):
    with pytest.raises(NotSupportedError, match=rf"holds {len(members)} files.*Unpack it"):
        read(zipped(members), name="train.csv.zip")


def test_a_zip_archive_that_is_damaged_or_a_bomb_is_an_error(tmp_path, monkeypatch):
    """Each byte in turn, and each end."""

    def text(data):
        (tmp_path / "a.csv.zip").write_bytes(data)
        with Characters("a.csv.zip", Origin("a/b", None, tmp_path)) as file:
            return b"".join(iter(file.read, b""))

    plain = b"x\n" + b"1\n" * 50
    data = zipped({"a.csv": plain})
    for place in range(4, len(data)):
        broken = data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]
        try:
            assert text(broken) == plain
        except (CorruptDataError, NotSupportedError):
            continue
    for end in range(4, len(data)):
        with pytest.raises(CorruptDataError):
            text(data[:end])
    monkeypatch.setattr(characters, "FREE_BYTES", 2**20)
    monkeypatch.setattr(Characters.read, "__defaults__", (2**16,))
    with pytest.raises(CorruptDataError, match="grows beyond .* when it is decompressed"):
        text(zipped({"a.csv": b"\n" * 2**24}))


def test_an_empty_file_among_others_is_named(read, folder):
    (folder / "b.csv").write_bytes(b"")
    with pytest.raises(CorruptDataError, match=r"'b\.csv' is empty"):
        read("x\n1\n", modes=("lazy",))


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_lines_may_end_in_any_way(read, end, monkeypatch):
    monkeypatch.setattr(comma_text, "BLOCK", 5)
    text = end.join(["x,y", "1,a", '2,"b\nc"', "", '3,d"e', "4", '5,"f"g', "6,h"])
    found = [tuple(record.values()) for record in read(text)]
    assert found == [(1, "a"), (2, "b\nc"), (3, 'd"e'), (4, None), (5, "fg"), (6, "h")]


def test_rows_are_cut_one_by_one():
    """Quotes, escapes and blanks, and where the whole rows of a text end."""
    text = 'a,"b ""c""",d\\,e\n\n"f\ng"h,i"j"\r\n\\\n,"k\n'
    rows = Rows(text.encode(), Form(escape="\\"), ended=False)
    assert rows.next() == ["a", 'b "c"', "d,e"]
    assert rows.next() == ["f\ngh", 'i"j"']
    assert (rows.begun, rows.lines, text[rows.taken :]) == (2, 4, '\\\n,"k\n')
    assert rows.next() is None
    assert rows.open
    assert text[rows.taken :] == '\\\n,"k\n'


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.float64(), pa.bool_()])
def test_no_value_means_every_type(kind):
    assert spelled.read(pa.nulls(3, pa.string()), kind).equals(pa.nulls(3, kind))
    assert spelled.type_of(pa.nulls(3, pa.string())) == pa.null()


@pytest.mark.parametrize("options", [{"skiprows": -1}, {"header": "x"}, {"escapechar": "ab"}])
def test_parameters_that_make_no_sense_are_refused(read, options):
    with pytest.raises(DataraxError, match=next(iter(options))):
        read("x\n1\n", **options)


NUMBERED = """---
dataset_info:
  features:
  - {name: y, dtype: {class_label: {names: {'0': '1', '1': '2', '2': x}}}}
  - {name: z, dtype: string}
---
"""


@pytest.mark.parametrize("mode", ["lazy", "streaming"])
def test_names_that_look_like_numbers_are_one_thing_in_all_of_a_file(tmp_path, mode):
    """The first rows decide which, of a file that is read block by block."""
    (tmp_path / "README.md").write_text(NUMBERED)
    many = [f"1,{'a' * 9000}"] * 2500
    for rows, labels in (
        ([*many, "x,a"], [1] * 2500 + [2]),
        (["x,a", *many], [2] + [0] * 2500),
    ):
        (tmp_path / "train.csv").write_text("\n".join(["y,z", *rows, ""]))
        with datarax.load(f"hf:{tmp_path}", mode=mode) as source:
            assert [int(record["y"]) for record in source] == labels


@pytest.mark.parametrize("value", ["3", "-2"])
def test_a_class_number_without_a_name_is_refused(tmp_path, value):
    (tmp_path / "README.md").write_text(NUMBERED)
    (tmp_path / "train.csv").write_text(f"y,z\n0,a\n-1,a\n{value},a\n")
    with pytest.raises(CorruptDataError, match=f"{value} is none of the 3 classes"):
        datarax.load(f"hf:{tmp_path}")


@pytest.mark.parametrize("mode", ["lazy", "streaming"])
@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_whole_numbers_are_times_where_the_card_says_so(tmp_path, unit, mode):
    """They count the card's unit since 1970, as for `datasets`."""
    (tmp_path / "README.md").write_text(
        f"---\ndataset_info:\n  features:\n  - {{name: t, dtype: 'timestamp[{unit}]'}}\n---\n"
    )
    (tmp_path / "train.csv").write_text("t\n1577836800\n7\n")
    step = {"s": 1, "ms": 1e-3, "us": 1e-6}[unit]
    begin = dt.datetime.fromisoformat("1970-01-01")
    with datarax.load(f"hf:{tmp_path}", mode=mode) as source:
        found = [record["t"] for record in source]
    assert found == [begin + dt.timedelta(seconds=n * step) for n in (1577836800, 7)]
