"""A file that is written again while it is open is an error, and leaves nothing wrong."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import datarax
from datarax.errors import CorruptDataError
from datarax_hf.formats import characters

ROWS = 40_000


def columns(order):
    values = {"a": np.arange(ROWS) % 1000, "b": np.arange(ROWS) % 1000 + 5000}
    return pa.table({name: values[name] for name in order})


def write(path, order, rows=ROWS):
    """Write a file of so many bytes whatever the order of its columns."""
    options = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    pq.write_table(columns(order).slice(0, rows), path, row_group_size=ROWS // 4, **options)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "train.parquet", "ab")
    write(tmp_path / "new.parquet", "ba")
    return tmp_path / "data"


@pytest.fixture
def load(folder, monkeypatch):
    """Load it lazily, with everything that is laid out in files."""
    monkeypatch.setattr("datarax_hf.flat.SMALL_BYTES", 0)
    options = {"mode": "lazy", "derived_dir": str(folder.parent / "derived")}
    return lambda **more: datarax.load(f"hf:{folder}", **options, **more)


@pytest.mark.parametrize("rows", [[7, ROWS - 1, 3, 20_000], range(500)])
def test_a_file_that_took_its_place_is_not_read_by_the_old_footer(folder, load, rows):
    """Nor is what is laid out then found for the new one."""
    with load() as source:
        (folder.parent / "new.parquet").replace(folder / "train.parquet")
        with pytest.raises(CorruptDataError, match=r"train\.parquet.* was written again while"):
            source.reader.read(np.array(rows), ["a", "b"])
    with load(shuffle=True) as source:
        found = source.reader.read(np.array([7, 1300, 3]), ["a", "b"])
    assert found["a"].tolist() == [7, 300, 3]
    assert found["b"].tolist() == [5007, 5300, 5003]


@pytest.mark.parametrize("rows", [ROWS // 4, ROWS // 2, ROWS + 1])
def test_a_source_that_was_pickled_tells_another_file(folder, load, rows):
    """One of fewer rows, of as many row groups or not."""
    with load(shuffle=True) as source:
        pickled = pickle.dumps(source)
    table = pa.concat_tables([columns("ab"), columns("ab")])
    pq.write_table(table.slice(0, rows), folder / "train.parquet", row_group_size=ROWS // 4)
    with pytest.raises(CorruptDataError, match="was written again"):
        next(pickle.loads(pickled).batches(4))


def test_a_source_that_was_pickled_reads_the_same_file_elsewhere(load):
    """Its footer is read again, by which it is told."""
    with load(shuffle=True) as source:
        batch = source.get_batch_at(0, 8)
        other = pickle.loads(pickle.dumps(source))
    with other:
        np.testing.assert_array_equal(other.get_batch_at(0, 8)["a"], batch["a"])


def write_arrow(path, first, rows=4000):
    """Write a file of batches of a tenth of its rows; files of as many rows are laid out alike."""
    table = pa.table({"x": np.arange(first, first + rows), "s": [f"{n:09}" for n in range(rows)]})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows // 10)


@pytest.mark.parametrize("mode", ["eager", "lazy"])
@pytest.mark.parametrize("rows", [100, 4000])
def test_an_arrow_file_that_another_took_the_place_of_is_not_read_on(tmp_path, mode, rows):
    """Neither the rows of both, nor the end of the process where the new one is shorter."""
    path = tmp_path / "train.arrow"
    write_arrow(path, 0)
    with datarax.load(f"hf:{tmp_path}", mode=mode) as source:
        elements = iter(source)
        assert [next(elements)["s"] for _ in range(5)] == [f"{n:09}" for n in range(5)]
        write_arrow(path, 10**6, rows)
        with pytest.raises(CorruptDataError, match="was written again while it was open"):
            list(elements)
    with datarax.load(f"hf:{tmp_path}", mode=mode) as source:
        assert [int(element["x"]) for element in source][:3] == [10**6, 10**6 + 1, 10**6 + 2]


def test_an_arrow_source_that_was_pickled_reads_the_same_file(tmp_path):
    """Another time of its change is what a copy on another machine has."""
    write_arrow(tmp_path / "train.arrow", 0)
    with datarax.load(f"hf:{tmp_path}", mode="lazy") as source:
        pickled = pickle.dumps(source)
    os.utime(tmp_path / "train.arrow", (1, 1))
    with pickle.loads(pickled) as other:
        assert other[7]["s"] == f"{7:09}"
    write_arrow(tmp_path / "train.arrow", 0, 100)
    with pickle.loads(pickled) as other, pytest.raises(CorruptDataError, match="written again"):
        other[7]


def write_lines(path, first):
    """Write JSON lines; all files are of as many bytes."""
    path.write_text("".join(f'{{"x": {first + row}}}\n' for row in range(ROWS)))


def write_groups(path, first):
    """Write row groups; all files are of as many bytes."""
    options = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    pq.write_table(
        pa.table({"x": np.arange(first, first + ROWS)}), path, row_group_size=1000, **options
    )


WRITTEN = {
    "train.parquet": write_groups,
    "train.jsonl": write_lines,
    "train.arrow": lambda path, first: write_arrow(path, first, ROWS),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_stream_does_not_go_on_in_a_file_that_took_the_place_of_its_own(
    tmp_path, name, monkeypatch
):
    """Neither in this pass nor in the next one."""
    monkeypatch.setattr(characters.Characters.blocks, "__defaults__", (4096,))
    write = WRITTEN[name]
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / name
    write(path, 10**6)
    write(tmp_path / name, 2 * 10**6)
    with datarax.load(f"hf:{tmp_path}/data", mode="streaming") as source:
        elements = iter(source)
        assert [int(next(elements)["x"]) for _ in range(5)] == list(range(10**6, 10**6 + 5))
        (tmp_path / name).replace(path)
        with pytest.raises(CorruptDataError, match="was written again while it was open"):
            list(elements)
        with pytest.raises(CorruptDataError, match="was written again while it was open"):
            list(source)
    with datarax.load(f"hf:{tmp_path}/data", mode="streaming") as source:
        assert int(next(source)["x"]) == 2 * 10**6


def test_a_stream_that_was_pickled_reads_the_same_file(tmp_path):
    """Another time of its change is what a copy on another machine has; another size is not."""
    path = tmp_path / "train.parquet"
    write_groups(path, 0)
    with datarax.load(f"hf:{tmp_path}", mode="streaming") as source:
        pickled = pickle.dumps(source)
    os.utime(path, (1, 1))
    with pickle.loads(pickled) as other:
        assert [int(next(other)["x"]) for _ in range(3)] == [0, 1, 2]
    pq.write_table(pa.table({"x": np.arange(5)}), path)
    with pickle.loads(pickled) as other, pytest.raises(CorruptDataError, match="written again"):
        next(other)
