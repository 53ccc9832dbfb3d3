"""Small row groups, many of which are read at once, give what others give, damage included."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import datarax
from datarax.errors import CorruptDataError
from datarax_hf import HFSource, HFSourceConfig

ROWS = 600
GROUP = 7
COLUMNS = {
    "n": np.arange(ROWS, dtype=np.int32),
    "pair": pa.FixedSizeListArray.from_arrays(pa.array(np.arange(2.0 * ROWS)), 2),
    "text": [None if row % 11 == 3 else f"row {row} " * (row % 4) for row in range(ROWS)],
    "some": [list(range(row % 5)) for row in range(ROWS)],
}


def written(folder, columns=None, group=GROUP):
    pq.write_table(
        pa.table(columns or COLUMNS),
        folder / "train.parquet",
        row_group_size=group,
        compression="none",
        use_dictionary=False,
    )
    return f"hf:{folder}"


def check(found, rows):
    """Raise unless a batch holds the values of `rows`."""
    rows = np.asarray(rows)
    np.testing.assert_array_equal(found["n"], rows)
    np.testing.assert_array_equal(found["pair"], np.stack([2.0 * rows, 2.0 * rows + 1], axis=1))
    if "text" not in found:  # a batch holds arrays alone
        return
    assert found["text"] == [COLUMNS["text"][row] for row in rows]
    assert [list(some) for some in found["some"]] == [COLUMNS["some"][row] for row in rows]


@pytest.mark.parametrize("mode", ["eager", "lazy"])
@pytest.mark.parametrize("others", [0, 1], ids=["one-file", "two-files"])
def test_all_rows_are_read_at_once_as_they_are(tmp_path, mode, others):
    """Also where a file ends among the small row groups, and where one stores wider numbers."""
    name = written(tmp_path)
    if others:
        whole = pq.read_table(tmp_path / "train.parquet")
        parts = whole[:250], whole[250:].set_column(0, "n", pa.array(np.arange(250, ROWS)))
        (tmp_path / "train.parquet").unlink()
        for number, part in enumerate(parts):
            path = tmp_path / f"train-0000{number}-of-00002.parquet"
            pq.write_table(part, path, row_group_size=GROUP)
    source = datarax.load(name, mode=mode)
    (batch,) = source.batches(ROWS)
    check(batch, range(ROWS))
    elements = list(source)
    check({name: [element[name] for element in elements] for name in COLUMNS}, range(ROWS))
    source.close()


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_run_of_rows_is_what_lies_there(tmp_path_factory, data):
    """Wherever it begins and ends, and whatever was read before."""
    folder = tmp_path_factory.mktemp("runs")
    written(folder, group=data.draw(st.integers(1, 40)))
    reader = HFSource(HFSourceConfig(name=str(folder), mode="lazy")).reader
    for _ in range(3):
        begin = data.draw(st.integers(0, ROWS - 1))
        rows = np.arange(begin, data.draw(st.integers(begin + 1, ROWS)))
        check(reader.read(rows, list(COLUMNS)), rows)
    reader.close()


@pytest.mark.parametrize("names", [["n", "pair"], ["text"], ["some"]], ids=" ".join)
def test_what_is_laid_out_of_small_row_groups_is_read_in_any_order(tmp_path, names):
    """Columns of numbers and of values of any length alike."""
    written(tmp_path)
    source = HFSource(HFSourceConfig(name=str(tmp_path), mode="lazy"))
    source.reader.lay_out(names)
    rows = np.random.default_rng(0).permutation(ROWS)
    check(source.reader.read(rows, list(COLUMNS)), rows)
    source.close()


def damage(folder, group, column):
    """Write over the head of a page."""
    path = folder / "train.parquet"
    chunk = pq.read_metadata(path).row_group(group).column(column)
    data = bytearray(path.read_bytes())
    data[chunk.data_page_offset : chunk.data_page_offset + 8] = b"\xff" * 8
    path.write_bytes(data)


@pytest.mark.parametrize("column", [0, 2])
def test_of_many_small_row_groups_the_damaged_one_is_named(tmp_path, column):
    """Whether they are loaded, laid out, or read in order."""
    name = written(tmp_path)
    damage(tmp_path, 41, column)
    with pytest.raises(CorruptDataError, match="row group 41"):
        list(datarax.load(name, mode="eager"))
    source = datarax.load(name, mode="lazy")
    with pytest.raises(CorruptDataError, match="row group 41"):
        source.reader.lay_out(list(COLUMNS))
    with pytest.raises(CorruptDataError, match="row group 41"):
        source.reader.read(np.arange(ROWS), list(COLUMNS))
    source.close()


def test_what_lies_before_a_damaged_row_group_is_delivered(tmp_path):
    """Up to the batch that it is in, small row groups read together or not."""
    name = written(tmp_path)
    damage(tmp_path, 41, 0)
    source = datarax.load(name, mode="lazy")
    found = source.batches(100)
    for number in range(41 * GROUP // 100):
        check(next(found), range(100 * number, 100 * number + 100))
    with pytest.raises(CorruptDataError, match="row group 41"):
        next(found)
    found.close()
    source.close()


def test_nulls_that_nothing_told_of_are_said_with_their_row_group(tmp_path):
    """The text is that of the one row group, not of those it was read with."""
    columns = {"n": pa.array([None if row == 300 else row for row in range(ROWS)], pa.int32())}
    pq.write_table(
        pa.table(columns), tmp_path / "train.parquet", row_group_size=GROUP, write_statistics=False
    )
    source = datarax.load(f"hf:{tmp_path}", mode="lazy")
    values = source.reader.read(np.arange(ROWS), ["n"])["n"]
    assert list(values) == columns["n"].to_pylist()
    source.close()
