"""Streaming parquet from a Hub: byte ranges of what is asked for, faults on the way, and an end."""

from __future__ import annotations

import gc
import io
import pickle
import threading
import time
import zipfile

import numpy as np
import pyarrow.parquet as pq
import pytest

import datarax
from datarax.errors import CorruptDataError, SourceClosedError
from datarax_hf import HubConnectionError
from datarax_hf.errors import HubAccessError
from datarax_hf.remote import RemoteText

GROUPS, ROWS, WIDE = 6, 40, 3000
FILES = ("train-00000-of-00002.parquet", "train-00001-of-00002.parquet")


@pytest.fixture
def dataset(hub, make):
    """A dataset of two files, of which one column takes nearly all bytes."""
    random = np.random.default_rng(0)
    count = 2 * GROUPS * ROWS
    wide = [random.bytes(WIDE) for _ in range(count)]

    def file(start, stop):
        columns = {"number": np.arange(start, stop), "wide": wide[start:stop]}
        return make.parquet(columns, row_group_size=ROWS, compression="none")

    half = count // 2
    hub.publish("a/b", dict(zip(FILES, (file(0, half), file(half, count)), strict=True)))
    return "hf:a/b"


@pytest.fixture
def stream(dataset):
    """Load the dataset as a stream, with options on top; closed when the test ends."""
    opened = []

    def load(**options):
        opened.append(datarax.load(dataset, mode="streaming", **options))
        return opened[-1]

    yield load
    for source in opened:
        source.close()


def left_running():
    """Return the threads of streams that do not end; those that decode are the process's own.

    That of a pass which was let go, in another test perhaps, ends by itself in a moment.
    """
    deadline = time.monotonic() + 10
    while True:
        names = [thread.name for thread in threading.enumerate()]
        left = [
            name
            for name in names
            if name.startswith("datarax") and not name.startswith("datarax-decode")
        ]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.005)


def numbers(source):
    """Return the numbers of a pass."""
    batches = source.batches(16, remainder="keep")
    return np.concatenate([np.asarray(batch["number"]) for batch in batches])


def asked(hub):
    """Return the bytes that were asked for, by file."""
    total = dict.fromkeys(FILES, 0)
    for name, wanted in hub.ranges:
        if name in total:
            first, last = wanted.removeprefix("bytes=").split("-")
            total[name] += int(last) + 1 - int(first)
    return total


def test_only_the_columns_asked_for_are_read(hub, stream):
    source = stream(include_keys=["number"])
    before = sum(asked(hub).values())
    assert numbers(source).tolist() == list(range(2 * GROUPS * ROWS))
    read = sum(asked(hub).values()) - before
    assert 0 < read < 2 * GROUPS * ROWS * (8 + 20), "more was read than the column"


def test_nothing_of_the_data_is_written(hub, cache, dataset, make):
    hub.publish("a/b", {"README.md": "---\nlicense: mit\n---\n", FILES[0]: hub_file(hub)})
    with datarax.load(dataset, mode="streaming") as source:
        assert len(list(source)) == GROUPS * ROWS
    written = {
        path.relative_to(cache).parts[1]
        for path in cache.rglob("*")
        if path.is_file() and "parquet" in path.name
    }
    assert not written
    assert {path.name for path in cache.glob("datasets--*/*")} <= {"blobs", "snapshots", "trees"}
    sizes = [path.stat().st_size for path in cache.rglob("*") if path.is_file()]
    assert sum(sizes) < 2000


def hub_file(hub):
    """Return the bytes of the first file that the Hub has."""
    [files] = hub.repos["a/b"].commits.values()
    return files[FILES[0]]


def test_a_length_is_known_before_anything_is_read(hub, stream):
    source = stream()
    assert len(source) == 2 * GROUPS * ROWS
    assert sum(asked(hub).values()) <= 2 * 64 * 2**10


def test_resuming_asks_only_for_what_is_left(hub, stream):
    [files] = hub.repos["a/b"].commits.values()
    footer = pq.read_metadata(io.BytesIO(files[FILES[1]]))
    first = stream()
    for _ in range(GROUPS * ROWS + 2 * ROWS + 5):
        next(first)
    state = first.get_state()
    restored = stream()
    restored.set_state(state)
    before = asked(hub)
    assert next(restored)["number"] == GROUPS * ROWS + 2 * ROWS + 5
    after = asked(hub)
    assert after[FILES[0]] == before[FILES[0]], "a file that is done was asked for again"
    read = after[FILES[1]] - before[FILES[1]]
    left = sum(
        footer.row_group(group).column(number).total_compressed_size
        for group in range(2, GROUPS)
        for number in range(footer.num_columns)
    )
    assert left <= read < left + 32_768, "more than what is left, and small gaps, was read"
    assert numbers(restored).tolist() == list(range(2 * GROUPS * ROWS))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("train[50:330]", [*range(50, 330)]),
        ("train[:25%]", [*range(120)]),
        ("train[-30:]", [*range(450, 480)]),
        ("train[470:]+train[:5]", [*range(470, 480), *range(5)]),
    ],
)
def test_a_slice_is_exact_and_leaves_other_row_groups_unread(hub, stream, expression, expected):
    source = stream(split=expression, include_keys=["number"])
    assert len(source) == len(expected)
    assert numbers(source).tolist() == expected
    state = {}
    for count, element in enumerate(source):
        assert element["number"] == expected[count]
        if count == len(expected) // 2:
            state = source.get_state()
    restored = stream(split=expression, include_keys=["number"])
    restored.set_state(state)
    assert numbers(restored).tolist() == expected[len(expected) // 2 + 1 :]


def test_a_range_that_breaks_off_goes_on_where_it_broke(hub, stream, caplog):
    source = stream()
    del hub.ranges[:]
    hub.fault(FILES[0], cut=50_000, reset=True)
    hub.fault(FILES[0], cut=20_000)
    hub.fault(FILES[1], status=503, times=2)
    hub.fault(FILES[1], status=429, headers={"Retry-After": "0"})
    assert numbers(source).tolist() == list(range(2 * GROUPS * ROWS))
    total = sum(len(file) for file in next(iter(hub.repos["a/b"].commits.values())).values())
    resumed = [wanted for _, wanted in hub.ranges]
    assert len(resumed) > len(set(resumed)), "what was refused was not asked for again"
    assert sum(asked(hub).values()) < 2 * total
    assert "asking for the rest" in caplog.text


def test_a_server_that_stays_down_is_an_error_that_names_file_and_byte(
    hub, stream, monkeypatch, caplog
):
    monkeypatch.setenv("DATARAX_HF_RETRIES", "2")
    source = stream()
    next(iter(source))
    hub.failing = 503
    with pytest.raises(HubConnectionError, match=rf"{FILES[0]}.*from byte \d+ in 3 tries.*503"):
        numbers(source)
    hub.failing = None
    assert len(numbers(source)) == 2 * GROUPS * ROWS
    assert "HTTP 503" in caplog.text


def test_a_redirect_is_followed_once_and_the_token_stays_at_home(hub, dataset):
    hub.elsewhere = True
    with datarax.load(dataset, mode="streaming", token="hf_secret") as source:
        numbers(source)
        assert len({name for name, _ in hub.ranges if name in FILES}) == 2
        home = [path for _, path in hub.requests if "/resolve/" in path]
        content = [path for _, path in hub.requests if path.startswith("/content/")]
        assert len(home) < len(content), "each range asked the Hub where the file lies"
        assert not any(token for _, path, token in hub.tokens if path.startswith("/content/")), (
            "the token went to another host"
        )
        hub.fault("/content/", status=403)
        assert len(numbers(source)) == 2 * GROUPS * ROWS


def test_a_refusal_is_no_reason_to_try_again(hub, stream):
    source = stream()
    hub.fault(FILES[0], status=403, times=100)
    before = len(hub.requests)
    with pytest.raises(HubAccessError, match="403"):
        numbers(source)
    assert len(hub.requests) - before <= 8


def test_a_server_without_byte_ranges_is_refused_with_the_mode_that_downloads(hub, stream):
    source = stream()
    hub.resumes = False
    with pytest.raises(HubConnectionError, match="mode='lazy'"):
        numbers(source)


def test_damage_on_the_way_is_an_error_that_names_file_and_row_group(hub, stream):
    source = stream()
    for _ in range(8):
        hub.fault(FILES[0], flip=4)
    with pytest.raises(CorruptDataError, match=rf"{FILES[0]}.*row group \d"):
        numbers(source)


def test_a_server_that_asks_for_a_long_wait_is_an_error_that_says_how_long(hub, stream):
    """More than five minutes are not waited for."""
    hub.fault(FILES[0], status=429, headers={"Retry-After": "4000"}, times=99)
    with pytest.raises(HubConnectionError, match=r"in 1 try .*HTTP 429.*try again in 4000 s"):
        numbers(stream())


@pytest.mark.parametrize("fault", [{"stall": 20.0}, {"cut": 10, "hold": "release"}])
@pytest.mark.parametrize("how", ["source", "batches"])
def test_closing_ends_a_wait_for_a_slow_server(hub, stream, fault, how):
    release = threading.Event()
    fault = {key: release if value == "release" else value for key, value in fault.items()}
    source = stream()
    hub.fault(FILES[0], times=20, **fault)
    batches = source.batches(16)
    closing = threading.Timer(0.1, source.close if how == "source" else batches.close)
    began = time.monotonic()
    closing.start()
    with pytest.raises((SourceClosedError, StopIteration)):
        next(batches)
    batches.close()
    source.close()
    closing.join()
    release.set()
    assert time.monotonic() - began < 2
    assert not left_running()


def test_a_file_is_closed_while_another_thread_waits_for_it(hub, dataset):
    source = datarax.load(dataset, mode="streaming")
    file = RemoteText(source.reader._files._remote, FILES[0])
    assert file.read(4) == b"PAR1"
    file.seek(500_000)
    hub.fault(FILES[0], stall=20.0, times=20)
    raised = []

    def read():
        try:
            file.read(10)
        except SourceClosedError as error:
            raised.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.1)
    began = time.monotonic()
    file.close()
    thread.join(5)
    assert time.monotonic() - began < 2
    assert raised
    source.close()


def test_a_pass_that_is_broken_off_leaves_nothing_on_its_way(hub, stream):
    source = stream()
    for _ in source:
        break
    with source.batches(8) as batches:
        next(batches)
    source.close()
    assert not left_running()


def test_an_error_at_construction_leaves_no_thread(hub, dataset):
    with pytest.raises(ValueError, match="no_such"):
        datarax.load(dataset, mode="streaming", include_keys=["no_such"])
    assert not left_running()


def test_a_source_that_is_forgotten_ends_its_thread(hub, dataset):
    source = datarax.load(dataset, mode="streaming")
    next(source)
    del source
    gc.collect()
    assert not left_running()


def test_a_stream_travels_to_another_process(hub, stream):
    source = stream(include_keys=["number"])
    next(source)
    twin = pickle.loads(pickle.dumps(source))
    assert next(twin)["number"] == 1
    twin.close()
    assert next(source)["number"] == 1


def test_what_is_cached_is_read_there_and_the_rest_from_the_hub(hub, stream, cache):
    [commit] = hub.repos["a/b"].commits
    files = hub.repos["a/b"].commits[commit]
    folder = cache / "datasets--a--b" / "snapshots" / commit
    folder.mkdir(parents=True)
    (folder / FILES[0]).write_bytes(files[FILES[0]])
    source = stream()
    assert numbers(source).tolist() == list(range(2 * GROUPS * ROWS))
    assert asked(hub)[FILES[0]] == 0 < asked(hub)[FILES[1]]


def test_a_cached_dataset_streams_the_same_without_a_socket(hub, stream, dataset, air_gap):
    online = stream(shuffle=True, shuffle_window=50, seed=3)
    for _ in range(100):
        next(online)
    state = online.get_state()
    rest = numbers(online_twin(online, stream, state))
    datarax.load(dataset, mode="lazy").close()
    air_gap()
    offline = stream(shuffle=True, shuffle_window=50, seed=3, local_files_only=True)
    offline.set_state(state)
    assert numbers(offline).tolist() == rest.tolist()


def online_twin(source, stream, state):
    """Return another stream that goes on from `state`."""
    twin = stream(shuffle=True, shuffle_window=50, seed=3)
    twin.set_state(state)
    return twin


def test_streaming_does_not_move_what_the_cache_holds_of_a_branch(hub, dataset, make):
    datarax.load(dataset, mode="lazy").close()
    hub.publish("a/b", {"train.parquet": make.parquet({"number": np.arange(7)})})
    with datarax.load(dataset, mode="streaming") as source:
        assert len(source) == 7
    with datarax.load(dataset, mode="lazy", local_files_only=True) as source:
        assert len(source) == 2 * GROUPS * ROWS


def test_the_next_file_is_asked_for_before_this_one_is_read(hub, stream):
    source = stream()
    del hub.ranges[:]
    reader = source.reader
    pieces = reader.chain([1, 0], 0, ["number"])
    assert next(pieces)["number"][0] == GROUPS * ROWS
    for _ in range(100):
        if {name for name, _ in hub.ranges} == set(FILES):
            break
        time.sleep(0.01)
    assert {name for name, _ in hub.ranges} == set(FILES)
    pieces.close()
    assert sorted(numbers(source).tolist()) == list(range(2 * GROUPS * ROWS))


def test_a_slice_looks_ahead_to_its_next_file_and_no_further_than_its_end(hub, stream):
    begin, end = GROUPS * ROWS - 2 * ROWS + 3, GROUPS * ROWS + ROWS + 5
    for split in (f"train[{begin}:{end}]", f"train[{begin}:{GROUPS * ROWS}]+train[:{ROWS + 5}]"):
        source = stream(split=split)
        expected = [*range(begin, GROUPS * ROWS)]
        expected += range(GROUPS * ROWS, end) if "+" not in split else range(ROWS + 5)
        del hub.ranges[:]
        pieces = source.reader.chain([0, 1], 0, ["number", "wide"])
        assert next(pieces)["number"][0] == begin
        deadline = time.monotonic() + 5
        while len(hub.ranges) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(hub.ranges) == 2, "the next file was not asked for, or more than two were"
        pieces.close()
        del hub.ranges[:]
        assert numbers(source).tolist() == expected
        assert len(hub.ranges) == 2
        wanted = 4 * ROWS * WIDE
        assert wanted < sum(asked(hub).values()) < wanted * 1.1, "whole row groups, and no other"


def test_many_files_are_not_opened_before_their_turn(hub, make, monkeypatch):
    from datarax_hf import stream_footers

    monkeypatch.setattr(stream_footers, "AT_ONCE", 2)
    names = [f"train-0000{number}-of-00003.parquet" for number in range(3)]
    files = {
        name: make.parquet({"number": np.arange(10 * number, 10 * number + 10)})
        for number, name in enumerate(names)
    }
    hub.publish("a/many", files)
    with datarax.load("hf:a/many", mode="streaming") as source:
        assert {name for name, _ in hub.ranges} == {names[0]}
        with pytest.raises(NotImplementedError, match="how many records"):
            len(source)
        assert numbers(source).tolist() == list(range(30))
        for _ in range(13):
            next(source)
        state = source.get_state()
    with datarax.load("hf:a/many", mode="streaming") as restored:
        restored.set_state(state)
        assert numbers(restored).tolist() == list(range(13, 30))
    with datarax.load("hf:a/many", mode="streaming", split="train[-3:]") as source:
        assert numbers(source).tolist() == [27, 28, 29]


def test_files_that_differ_in_columns_are_an_error_that_names_both(hub, make):
    hub.publish(
        "a/differ",
        {
            FILES[0]: make.parquet({"number": np.arange(3)}),
            FILES[1]: make.parquet({"number": ["a", "b", "c"]}),
        },
    )
    with pytest.raises(CorruptDataError, match=rf"{FILES[0]}.*string in .*{FILES[1]}"):
        datarax.load("hf:a/differ", mode="streaming")


TEXTS = {
    "csv": lambda rows: "n,t\n" + "".join(f"{n},{'x' * 9000}\n" for n in rows),
    "jsonl": lambda rows: "".join(f'{{"n": {n}, "t": "{"x" * 9000}"}}\n' for n in rows),
    "txt": lambda rows: "".join(f"{n} {'x' * 9000}\n" for n in rows),
}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize(("status", "error"), [(503, HubConnectionError), (403, HubAccessError)])
def test_a_server_that_fails_in_a_text_is_no_damage(hub, monkeypatch, kind, status, error):
    """Once it is back, the pass goes on, exactly."""
    monkeypatch.setenv("DATARAX_HF_RETRIES", "1")
    files = {
        f"train-0000{part}-of-00002.{kind}": TEXTS[kind](range(part * 2500, part * 2500 + 2500))
        for part in range(2)
    }
    hub.publish("a/texts", files)
    with datarax.load("hf:a/texts", mode="streaming") as source:
        begun, records = iter(source), []
        hub.failing = status
        for _ in range(2):
            with pytest.raises(error, match=str(status)):
                records.extend(begun)
        hub.failing = None
        assert len(records) < 5000  # beyond what was looked at as it was opened
        records.extend(begun)
        assert [record_number(record) for record in records] == list(range(5000))


def test_a_server_that_fails_in_a_zip_archive_is_no_damage(hub, monkeypatch):
    """Though to who unpacks it whatever cannot be read is no archive."""
    monkeypatch.setenv("DATARAX_HF_RETRIES", "0")
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("train.csv", "a\n" + "1234567\n" * 500_000)
    hub.publish("a/zip", {"train.csv.zip": whole.getvalue()})
    hub.resumes = False
    with pytest.raises(HubConnectionError):
        list(datarax.load("hf:a/zip", mode="streaming"))


def record_number(record):
    return int(record["n"]) if "n" in record else int(record["text"].split()[0])
