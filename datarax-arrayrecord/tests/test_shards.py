"""Payloads by index: order, bounds of handles, threads, and files that are not whole."""

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from datarax.errors import CorruptDataError, SourceClosedError
from datarax_arrayrecord import shards as shards_module
from datarax_arrayrecord.shards import ShardReader

PAYLOADS = [f"record {index}".encode() * (1 + index % 3) for index in range(40)]


def read(reader, *indices):
    return reader.payloads(np.array(indices, np.int64))


@pytest.fixture(params=["group_size:1", "group_size:7"])
def files(request, write):
    """Return the paths of five shards of 40 payloads of differing lengths."""
    return write(PAYLOADS, shards=5, options=request.param)


@pytest.mark.parametrize(
    "indices",
    [
        range(40),
        range(39, -1, -1),
        [3],
        [7, 7, 0, 39, 7],
        range(5, 20),
        np.random.default_rng(0).permutation(40),
        np.random.default_rng(1).integers(0, 40, 100),
        [],
    ],
)
def test_payloads_come_in_the_order_asked(files, indices):
    """Any order, with repeats, over several shards."""
    assert read(ShardReader(files), *indices) == [PAYLOADS[index] for index in indices]


def test_a_batch_is_one_native_call_for_each_shard(files, monkeypatch):
    """Records are never read one by one."""
    calls = []
    reader = ShardReader(files)
    original = ShardReader._read
    monkeypatch.setattr(
        ShardReader,
        "_read",
        lambda self, shard, positions: (
            calls.append((shard, len(positions))) or original(self, shard, positions)
        ),
    )
    read(reader, *np.random.default_rng(0).permutation(40))
    assert calls == [(shard, 8) for shard in range(5)]


def test_a_record_is_located_in_its_file(files):
    """The place of a record is its file and its number there."""
    assert ShardReader(files).locate(17) == (files[2], 1)


def test_shards_without_records_are_passed_over(write):
    """A set may have more shards than records."""
    reader = ShardReader(write(PAYLOADS[:2], shards=5))
    assert len(reader) == 2
    assert read(reader, 1, 0) == [PAYLOADS[1], PAYLOADS[0]]


def test_open_handles_are_bounded_and_let_go_at_close(write, monkeypatch):
    """Two handles at most stay open here, and none after close."""
    monkeypatch.setattr(shards_module, "_OPEN_HANDLES", 2)
    files = write(PAYLOADS, shards=5)
    held = {os.path.realpath(file) for file in files}
    reader = ShardReader(files)

    def opened():
        return sum(os.path.realpath(link) in held for link in Path("/proc/self/fd").iterdir())

    assert read(reader, *range(40)) == PAYLOADS
    assert opened() == 2
    reader.close()
    assert opened() == 0


def test_threads_read_the_same_records_as_one(files, monkeypatch):
    """Eight threads over two handles get what they asked for."""
    monkeypatch.setattr(shards_module, "_OPEN_HANDLES", 2)
    reader = ShardReader(files)

    def work(seed):
        batches = np.random.default_rng(seed).integers(0, 40, (50, 16))
        return all(read(reader, *rows) == [PAYLOADS[row] for row in rows] for rows in batches)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_a_pickled_reader_reopens_its_files(files):
    """Handles do not travel."""
    reader = ShardReader(files)
    read(reader, 3)
    assert read(pickle.loads(pickle.dumps(reader)), 3) == [PAYLOADS[3]]


def test_a_closed_reader_says_so(files):
    """Reading after close is an error, and closing twice is not."""
    reader = ShardReader(files)
    reader.close()
    reader.close()
    with pytest.raises(SourceClosedError, match="is closed"):
        read(reader, 0)


@pytest.mark.parametrize("kept", [0, 10, 65536, 65537, -1, -65536])
def test_a_truncated_file_is_corrupt(write, kept):
    """Cut anywhere, also where the native reader would see an empty file."""
    (file,) = write(PAYLOADS)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(CorruptDataError, match="is truncated") as caught:
        ShardReader([file])
    assert str(file) in str(caught.value)
    assert f"{file.stat().st_size} bytes" in str(caught.value)


def test_a_file_of_another_format_is_corrupt(tmp_path):
    """Bytes of no ArrayRecord file are named as such."""
    file = tmp_path / "noise.array_record"
    file.write_bytes(np.random.default_rng(0).bytes(200_000))
    with pytest.raises(CorruptDataError, match="not an ArrayRecord file"):
        ShardReader([file])


def test_a_damaged_record_is_corrupt_when_read(write):
    """A flipped byte in the data is found by its checksum; other records stay readable."""
    payloads = [np.random.default_rng(index).bytes(1000) for index in range(300)]
    (file,) = write(payloads)
    data = bytearray(file.read_bytes())
    data[data.index(payloads[250][:64])] ^= 0xFF
    file.write_bytes(data)
    reader = ShardReader([file])
    with pytest.raises(CorruptDataError, match="is damaged") as caught:
        read(reader, *range(300))
    assert str(file) in str(caught.value)
    assert read(reader, 0, 299) == [payloads[0], payloads[299]]


def test_a_missing_file_is_a_file_not_found_error(tmp_path):
    """The native reader would only say that it is not ok."""
    with pytest.raises(FileNotFoundError, match=r"gone\.array_record"):
        ShardReader([tmp_path / "gone.array_record"])


def test_a_file_that_changed_its_length_is_corrupt(write):
    """The records that it is known for are checked whenever it is opened."""
    reader = ShardReader(write(PAYLOADS))
    copy = pickle.loads(pickle.dumps(reader))
    write(PAYLOADS[:7])
    with pytest.raises(CorruptDataError, match="holds 7 records, not the 40"):
        read(copy, 3)
