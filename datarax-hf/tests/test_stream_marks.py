"""Going on in JSON lines, CSV and text: a jump to the last mark, and exactly the records from there."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import time

import pyarrow.csv
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import datarax
from datarax_hf import stream_marks
from datarax_hf.config import HFSourceConfig
from datarax_hf.formats import characters, comma_text
from datarax_hf.formats.guess import Place
from datarax_hf.formats.rows import whole_rows
from datarax_hf.locate import locate
from datarax_hf.stream import open_stream

BLOCK = 64
TEXTS = st.text(alphabet="ab1 ,;\"'\\{}[]:é漢\t", max_size=12)
LINES = st.text(alphabet="ab \r漢\ufeff", max_size=12)
FIELDS = st.text(alphabet='ab ,"\n\ré漢', max_size=12)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of a few records, and no marks of other tests."""
    monkeypatch.setattr(comma_text, "BLOCK", BLOCK)
    for method in (characters.Characters.read, characters.Characters.blocks):
        monkeypatch.setattr(method, "__defaults__", (BLOCK,))
    stream_marks._KEPT.clear()


def as_json(values, newline):
    lines = [json.dumps({"x": row, "t": value}) for row, value in enumerate(values)]
    return newline.join(["", *lines, "", ""]).encode()


def as_csv(values, newline):
    out = io.StringIO(newline="")
    # Python writes a lone "\r" without quotes, which nobody reads back.
    quoting = csv.QUOTE_ALL if any("\r" in value for value in values) else csv.QUOTE_MINIMAL
    writer = csv.writer(out, lineterminator=newline, quoting=quoting)
    writer.writerows([("x", "t"), *((row, f"t{value}") for row, value in enumerate(values))])
    return out.getvalue().encode()


def as_text(values, newline):
    return newline.join(values).encode()


def rest(reader, offset, *, shards=None):
    """Return the records of a stream from `offset` on."""
    names = tuple(reader.fields)
    numbers = range(len(reader.shards)) if shards is None else shards
    records = []
    for piece in reader.chain(list(numbers), offset, names):
        columns = [list(map(plain, piece[name])) for name in names]
        records += zip(*columns, strict=True)
    return records


def plain(value):
    return value.item() if hasattr(value, "item") else value


def opened(folder, **options):
    config = HFSourceConfig(name=str(folder), mode="streaming", **options)
    return open_stream(locate(config), config)


def marks():
    """Return all marks of this process."""
    return [mark for kept in stream_marks._KEPT.values() for mark in kept._marks]


def check(folder, **options):
    """Check that a stream is resumed at each of its records, with marks and without; return them."""
    reader = opened(folder, **options)
    stream_marks._KEPT.clear()
    whole = rest(reader, 0)
    for offset in range(len(whole) + 2):
        assert rest(reader, offset) == whole[offset:], f"from {offset} on, with marks"
    found = marks()
    for offset in range(0, len(whole) + 2, 5):
        stream_marks._KEPT.clear()
        assert rest(reader, offset) == whole[offset:], f"from {offset} on, without"
    reader.close()
    return whole, found


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Make folders, each of one file or several."""

    def make(**files):
        folder = tmp_path_factory.mktemp("marks")
        for name, data in files.items():
            (folder / name).write_bytes(data)
        return folder

    return make


QUIET = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@QUIET
@given(
    values=st.lists(TEXTS, min_size=1, max_size=40),
    newline=st.sampled_from(["\n", "\r\n", "\n\n"]),
    mark=st.booleans(),
)
def test_json_lines_are_resumed_at_each_record(folders, values, newline, mark):
    data = b"\xef\xbb\xbf" * mark + as_json(values, newline)
    whole, found = check(folders(**{"train.jsonl": data}))
    assert [record[1] for record in whole] == values
    assert found


@QUIET
@given(
    values=st.lists(FIELDS, min_size=1, max_size=40),
    newline=st.sampled_from(["\n", "\r\n"]),
    mark=st.booleans(),
)
@example(values=["\n" * 9] * 30, newline="\n", mark=True)
def test_csv_is_resumed_at_each_record(folders, values, newline, mark):
    data = b"\xef\xbb\xbf" * mark + as_csv(values, newline)
    whole, _ = check(folders(**{"train.csv": data}))
    assert [record[1] for record in whole] == [f"t{value}" for value in values]


@QUIET
@given(
    values=st.lists(LINES, min_size=4, max_size=40),
    newline=st.sampled_from(["\n", "\r\n"]),
    keep=st.booleans(),
)
def test_text_is_resumed_at_each_line(folders, values, newline, keep):
    data = as_text(["first", *values], newline)
    card = b"---\nconfigs:\n- {config_name: default, data_files: train.txt, keep_linebreaks: %s}\n---\n"
    check(folders(**{"train.txt": data, "README.md": card % json.dumps(keep).encode()}))


@QUIET
@given(text=st.text(alphabet='a,"\n\r', max_size=40), double=st.booleans())
def test_where_rows_are_said_to_end_arrow_ends_them(text, double):
    data = text.encode()
    end = whole_rows(data, ",", '"', double=double)
    if not end:
        return

    def rows(part):
        if not part:
            return [], []
        others = []

        def other(row):
            others.append(row.text)
            return "skip"

        reader = pyarrow.csv.open_csv(
            io.BytesIO(part),
            read_options=pyarrow.csv.ReadOptions(
                column_names=["x"], use_threads=False, block_size=1000
            ),
            parse_options=pyarrow.csv.ParseOptions(
                newlines_in_values=True,
                double_quote=double,
                invalid_row_handler=other,
            ),
            convert_options=pyarrow.csv.ConvertOptions(column_types={"x": "string"}),
        )
        return reader.read_all().column("x").to_pylist(), others

    begun, left, whole = rows(data[:end]), rows(data[end:]), rows(data)
    assert (begun[0] + left[0], begun[1] + left[1]) == whole


@pytest.mark.parametrize(
    ("text", "end"),
    [
        (b'a,b\n"c\n', 4),
        (b'a,b\n"c\n",d\ne', 11),
        (b'"a""\nb"\n', 8),
        (b'a,5"\n1,6"\n', None),
        (b"no end", 0),
    ],
)
def test_a_quote_that_opens_nothing_tells_no_end(text, end):
    assert whole_rows(text, ",", '"', double=True) == end


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (as_csv(["x"] * 40, "\n").replace(b"7,tx", b'7,5" t'), ""),
        (as_csv(["x"] * 40, "\n").replace(b"7,tx", b"7"), ""),
        (b"# it's \"\n" + as_csv(["x"] * 40, "\n"), "skiprows: 1"),
        (as_csv(["a"] * 40, "\n").replace(b"a", b"\\\n"), 'escapechar: "\\\\"'),
        (as_csv(["x"] * 40, "\r"), ""),
        (as_csv(["x"] * 40, "\n").replace(b",", b",y,"), ""),
    ],
    ids=["quote within", "short row", "skipped line", "escape", "returns", "row names"],
)
def test_csv_that_is_cut_row_by_row_is_resumed_at_each_record(folders, data, options):
    """Quotes within fields, short rows, escapes, lone returns, and row names."""
    card = f"---\nconfigs:\n- config_name: default\n  data_files: train.csv\n  {options}\n---\n"
    whole, found = check(folders(**{"train.csv": data, "README.md": card.encode()}))
    assert len(whole) == 40
    assert len(found) > 3


@pytest.mark.parametrize(
    ("name", "data", "options"),
    [
        ("train.csv", as_csv(["é"] * 40, "\n").decode().encode("utf-16"), "encoding: utf-16"),
        ("train.jsonl", gzip.compress(as_json(["x"] * 40, "\n"), mtime=0), ""),
        ("train.json", json.dumps([{"x": x} for x in range(40)]).encode(), ""),
        (
            "train.json",
            json.dumps([{"x": x} for x in range(40)], indent=1)[1:-1].replace("},", "}").encode(),
            "",
        ),
        ("train.txt", b"a\n\nb\nc\n\n" * 20, "sample_by: paragraph"),
    ],
    ids=["utf-16", "gzip", "array", "objects over lines", "paragraphs"],
)
def test_what_tells_no_places_is_read_through(folders, name, data, options):
    card = "---\nconfigs:\n- config_name: default\n  data_files: " + name
    card += f"\n  {options}\n---\n" if options else "\n---\n"
    whole, found = check(folders(**{name: data, "README.md": card.encode()}))
    assert len(whole) >= 39
    assert len(found) <= 3, "places were told of what has none"


def test_several_files_and_slices_of_them_are_resumed_at_each_record(folders):
    files = {
        f"{split}-{number}.jsonl": as_json([f"{split}{number}"] * (7 * number + 3), "\n")
        for split in ("train", "test")
        for number in range(3)
    }
    for split in ("train+test", "train[5:18]+test[:4]", "test[2:]+train[:99]+test[:0]"):
        check(folders(**files), split=split)


def test_a_file_that_changed_has_no_marks(folders):
    folder = folders(**{"train.jsonl": as_json(["a"] * 40, "\n")})
    reader = opened(folder)
    assert len(rest(reader, 0)) == 40
    (folder / "train.jsonl").write_bytes(as_json(["bcdefgh"] * 50, "\n"))
    with pytest.raises(datarax.errors.CorruptDataError, match="was written again"):
        rest(reader, 30)
    assert rest(opened(folder), 30) == [(x, "bcdefgh") for x in range(30, 50)]


def test_types_that_widen_after_a_jump_are_those_of_a_whole_pass(folders):
    values = [*[None] * 30, *["late"] * 10]
    card = b"---\ndataset_info:\n  features:\n  - {name: x, dtype: int32}\n  - {name: t, dtype: string}\n---\n"
    check(folders(**{"train.jsonl": as_json(values, "\n"), "README.md": card}))


def test_damage_after_a_jump_is_said_with_its_line(folders):
    data = as_json(["a"] * 40, "\n") + b'{"x": \n'
    reader = opened(folders(**{"train.jsonl": data}))
    line = data.count(b"\n")
    for offset in (0, 38):
        with pytest.raises(datarax.errors.CorruptDataError, match=f"in line {line} "):
            rest(reader, offset)


def test_marks_stay_few_and_evenly_spread():
    kept = stream_marks.Marks()
    for number in range(1, 5000):
        kept.add(number, Place(10 * number, number))
    places = [mark.place.byte for mark in kept._marks]
    gaps = {after - before for before, after in itertools.pairwise(places)}
    assert stream_marks.MOST // 3 < len(places) <= stream_marks.MOST
    assert max(gaps) <= 2 * min(gaps)
    assert kept.before(0) is None
    assert kept.before(10_000).records == places[-1] // 10
    for number in range(stream_marks.FILES + 5):
        stream_marks.marks_of(str(number))
    assert len(stream_marks._KEPT) == stream_marks.FILES


# A saved state, in a process that has noted nothing.


def rest_in_a_new_process(folder, state, **options):
    """Return the records that a source goes on with from a state, where nothing was noted before."""
    stream_marks._KEPT.clear()
    with datarax.load(str(folder), mode="streaming", **options) as source:
        source.set_state(json.loads(json.dumps(state)))
        assert source.get_state() == state
        return [tuple(plain(element[name]) for name in element) for element in source]


def noted(state):
    return state.get("stream_mark")


@pytest.mark.parametrize("kind", ["jsonl", "csv", "txt"])
@pytest.mark.parametrize("options", [{}, {"shuffle": True, "shuffle_window": 7}], ids=str)
def test_a_state_goes_on_exactly_where_nothing_was_noted(folders, kind, options):
    write = {"jsonl": as_json, "csv": as_csv, "txt": as_text}[kind]
    files = {
        f"train-{number}.{kind}": write([f"{number} {row}" for row in range(9 * number + 5)], "\n")
        for number in range(4)
    }
    uri = f"hf:{folders(**files)}"
    for epoch in range(2):
        with datarax.load(uri, mode="streaming", **options) as source:
            for _ in range(epoch):
                list(source)
            whole = [tuple(map(plain, element.values())) for element in source.clone()]
            states = [source.get_state() for _ in source]
        assert len(whole) == 74
        assert all(len(json.dumps(state)) < 2048 for state in states)
        for done in (1, 4, 6, 20, 41, 60, 72):
            state = states[done - 1]
            assert rest_in_a_new_process(uri, state, **options) == whole[done:]
    if not options:
        assert noted(states[72])["done"] == 3
        assert noted(states[72])["before"] == 5 + 14 + 23
        assert noted(states[72])["byte"] > 0


def test_slices_and_sums_are_noted_too(folders):
    files = {
        f"{split}-{number}.jsonl": as_json([f"{split}{number}"] * (7 * number + 3), "\n")
        for split in ("train", "test")
        for number in range(3)
    }
    uri = f"hf:{folders(**files)}"
    for split, marked in (
        ("test+train", True),
        ("train[5:25]", True),
        ("train[11:]", True),
        ("train[:28]", True),
        ("train[5:18]+test[:4]", False),
    ):
        with datarax.load(uri, mode="streaming", split=split) as source:
            whole = [tuple(map(plain, element.values())) for element in source.clone()]
            states = [source.get_state() for _ in source]
        assert (noted(states[-2]) is not None) == marked
        for done in range(1, len(whole), 3):
            assert rest_in_a_new_process(uri, states[done - 1], split=split) == whole[done:]


def test_a_state_of_files_that_changed_since_does_not_jump_into_them(folders):
    folder = folders(**{f"train-{n}.jsonl": as_json(["a"] * 20, "\n") for n in range(3)})
    with datarax.load(f"hf:{folder}", mode="streaming") as source:
        for _ in range(50):
            next(source)
        state = source.get_state()
    assert noted(state)["done"] == 2
    (folder / "train-1.jsonl").write_bytes(as_json(["b"] * 15, "\n"))
    stream_marks._KEPT.clear()
    with datarax.load(f"hf:{folder}", mode="streaming") as source:
        source.set_state(state)
        assert [int(element["x"]) for element in source] == list(range(15, 20))


def test_files_with_columns_of_other_names_are_begun_at_their_beginning(folders):
    other = as_csv(["b"] * 40, "\n").replace(b"x,t", b"t,x", 1)
    card = (
        b"---\ndataset_info:\n  features:\n  - {name: x, dtype: string}\n"
        b"  - {name: t, dtype: string}\n---\n"
    )
    files = {"train-0.csv": as_csv(["a"] * 40, "\n"), "train-1.csv": other, "README.md": card}
    uri = f"hf:{folders(**files)}"
    with datarax.load(uri, mode="streaming") as source:
        whole = [tuple(element.items()) for element in source.clone()]
        for _ in range(70):
            next(source)
        state = source.get_state()
    assert (noted(state)["done"], noted(state)["byte"]) == (1, 0)
    stream_marks._KEPT.clear()
    with datarax.load(uri, mode="streaming") as source:
        source.set_state(state)
        assert [tuple(element.items()) for element in source] == whole[70:]


@pytest.mark.parametrize(
    "damage",
    [{"done": -1}, {"byte": "7"}, {"line": 0}, {"more": 1}, {"named": 1}, {"files": None}],
    ids=str,
)
def test_a_damaged_mark_is_refused(folders, damage):
    with datarax.load(
        f"hf:{folders(**{'train.jsonl': as_json(['a'] * 40, chr(10))})}", mode="streaming"
    ) as source:
        for _ in range(30):
            next(source)
        state = source.get_state()
        damaged = {**state, "stream_mark": {**noted(state), **damage}}
        with pytest.raises(datarax.errors.StateMismatchError, match="stream_mark: .* damaged"):
            source.set_state(damaged)
        with pytest.raises(datarax.errors.StateMismatchError, match="stream_mark: a dict is due"):
            source.set_state({**state, "stream_mark": 7})
        assert source.get_state() == state


# At a Hub, where what is asked for is counted.


@pytest.fixture
def published(hub, monkeypatch):
    """Three files of 200 records each, read in chunks of about 10 records."""
    from datarax_hf import remote

    monkeypatch.setattr(remote, "FIRST_CHUNK_BYTES", 256)
    monkeypatch.setattr(remote, "CHUNK_BYTES", 256)
    monkeypatch.setattr(remote, "KEPT_BYTES", 256)

    def publish(kind):
        write = {"jsonl": as_json, "csv": as_csv, "txt": as_text}[kind]
        values = [[f"value {number} {row:03}" for row in range(200)] for number in range(3)]
        files = {f"train-{number}.{kind}": write(values[number], "\n") for number in range(3)}
        hub.publish("a/b", files)
        return files

    return publish


def asked(hub):
    """Return the bytes that were asked for and the number of requests, by file."""
    total = {}
    for name, wanted in hub.ranges:
        first, last = map(int, wanted.removeprefix("bytes=").split("-"))
        count, size = total.get(name, (0, 0))
        total[name] = count + 1, size + last + 1 - first
    return total


@pytest.mark.parametrize("kind", ["jsonl", "csv", "txt"])
@pytest.mark.parametrize("where", ["this process", "another one"])
def test_a_second_source_asks_for_what_is_left_alone(hub, published, kind, where):
    files = published(kind)
    with datarax.load("hf:a/b", mode="streaming") as source:
        whole = [element[name] for element in source for name in source.host_only]
        assert len(whole) == 600
        for _ in range(350):
            next(source)
        state = source.get_state()
    del hub.ranges[:]
    if where != "this process":
        stream_marks._KEPT.clear()
    with datarax.load("hf:a/b", mode="streaming") as restored:
        restored.set_state(state)
        assert [e[name] for e in restored for name in restored.host_only] == whole[350:]
        found = asked(hub)
    size = len(files[f"train-1.{kind}"])
    # The beginning of the first is looked at for the types, and a few chunks are asked for ahead.
    looked_at = found.get(f"train-0.{kind}", (0, 0))[1]
    assert looked_at <= 7 * 256 < size, "a file that is done was asked for again"
    assert found[f"train-1.{kind}"][1] < size // 4 + 3 * 256, "more was read than what is left"
    assert found[f"train-2.{kind}"][1] <= size + 6 * 256


@pytest.mark.parametrize("kind", ["jsonl", "csv", "txt"])
def test_a_state_of_a_stream_from_the_hub_goes_on_in_the_files_of_a_machine(hub, published, kind):
    published(kind)
    with datarax.load("hf:a/b", mode="streaming") as source:
        whole = [element[name] for element in source.clone() for name in source.host_only]
        for _ in range(450):
            next(source)
        state = source.get_state()
    assert noted(state)["done"] == 2
    datarax.load("hf:a/b", mode="lazy").close()
    stream_marks._KEPT.clear()
    with datarax.load("hf:a/b", mode="streaming", local_files_only=True) as source:
        source.set_state(state)
        assert [element[name] for element in source for name in source.host_only] == whole[450:]
        assert not source.reader._way.marks(0).records, "a file that is done was read"


@pytest.mark.parametrize("split", [None, "train[10:450]", "train[150:300]+train[:5]"])
def test_the_next_file_is_asked_for_while_this_one_is_read(hub, published, split):
    published("jsonl")
    options = {} if split is None else {"split": split}
    with datarax.load("hf:a/b", mode="streaming", **options) as source:
        del hub.ranges[:]
        pieces = source.reader.chain(list(range(len(source.reader.shards))), 0, ["t"])
        next(pieces)
        deadline = time.monotonic() + 5
        while "train-1.jsonl" not in asked(hub) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert asked(hub)["train-1.jsonl"] == (1, 256)
        assert "train-2.jsonl" not in asked(hub)
        pieces.close()
        reader = source.reader
        assert not (getattr(reader, "_reader", reader))._files._remote._coming


def test_a_slice_of_the_first_file_asks_for_no_other(hub, published):
    published("jsonl")
    with datarax.load("hf:a/b", mode="streaming", split="train[:50]") as source:
        assert len(list(source)) == 50
    assert set(asked(hub)) == {"train-0.jsonl"}
