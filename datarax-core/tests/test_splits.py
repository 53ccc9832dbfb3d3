"""Split expressions: the grammar of TFDS and Hugging Face, and readers of what they select."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import datarax
from datarax.errors import UnknownSplitError
from datarax.registry.uri import parse_uri
from datarax.sources import MemoryReader, SplitReader, choose_split, parse_split


def ranges(expression, size):
    return [(term.name, *term.range(size)) for term in parse_split(expression)]


@pytest.mark.parametrize(
    ("expression", "size", "expected"),
    [
        ("train", 10, [("train", 0, 10)]),
        ("train[:]", 10, [("train", 0, 10)]),
        ("train[2:5]", 10, [("train", 2, 5)]),
        ("train[2:]", 10, [("train", 2, 10)]),
        ("train[:5]", 10, [("train", 0, 5)]),
        ("train[-3:]", 10, [("train", 7, 10)]),
        ("train[:-3]", 10, [("train", 0, 7)]),
        ("train[-5:-2]", 10, [("train", 5, 8)]),
        ("train[:80%]", 10, [("train", 0, 8)]),
        ("train[80%:]", 10, [("train", 8, 10)]),
        ("train[-20%:]", 10, [("train", 8, 10)]),
        ("train[10%:50%]", 10, [("train", 1, 5)]),
        ("train[20:50%]", 10, [("train", 2, 5)]),
        ("train[10%:50]", 200, [("train", 20, 100)]),
        ("train[-5:100%]", 200, [("train", 190, 200)]),
        ("train[10:50%](pct1_dropremainder)", 250, [("train", 20, 100)]),
        ("train[:100]", 10, [("train", 0, 10)]),
        ("train[-100:3]", 10, [("train", 0, 3)]),
        ("train[5:2]", 10, [("train", 5, 5)]),
        ("train[20:30]", 10, [("train", 10, 10)]),
        ("train[1_000:2_000]", 5000, [("train", 1000, 2000)]),
        ("train+test", 10, [("train", 0, 10), ("test", 0, 10)]),
        (" train [ : 3 ] + test[ -2 : ] ", 10, [("train", 0, 3), ("test", 8, 10)]),
        ("train+train", 4, [("train", 0, 4), ("train", 0, 4)]),
        ("a.b-c/d", 4, [("a.b-c/d", 0, 4)]),
        ("train[:35%](closest)", 10, [("train", 0, 4)]),
        ("train[:35%](pct1_dropremainder)", 199, [("train", 0, 35)]),
        ("train[35%:](pct1_dropremainder)", 199, [("train", 35, 199)]),
        ("train[-5%:] (pct1_dropremainder) ", 250, [("train", 240, 250)]),
        ("a[:1%](pct1_dropremainder)+b[:1%]", 150, [("a", 0, 1), ("b", 0, 2)]),
    ],
)
def test_an_expression_selects_ranges(expression, size, expected):
    assert ranges(expression, size) == expected


@pytest.mark.parametrize(
    ("percent", "size", "records"),
    [
        (33, 10, 3),
        (35, 10, 4),  # 3.5 to even
        (25, 10, 2),  # 2.5 to even
        (15, 10, 2),  # 1.5 to even
        (1, 49, 0),
        (1, 51, 1),
        (99, 1797, 1779),
        (80, 1797, 1438),
        (100, 7, 7),
        (0, 7, 0),
    ],
)
def test_percents_round_to_the_closest_record_as_tfds_does(percent, size, records):
    """`tfds.core.ReadInstruction(rounding="closest")`: int(round(size * percent / 100.0))."""
    assert ranges(f"train[:{percent}%]", size) == [("train", 0, records)]
    assert ranges(f"train[{percent}%:]", size) == [("train", records, size)]


@given(size=st.integers(0, 10**7), cuts=st.lists(st.integers(0, 100), max_size=5).map(sorted))
def test_percents_partition_a_split(size, cuts):
    edges = [0, *cuts, 100]
    parts = [ranges(f"t[{low}%:{high}%]", size)[0][1:] for low, high in itertools.pairwise(edges)]
    assert parts[0][0] == 0
    assert parts[-1][1] == size
    assert all(left[1] == right[0] for left, right in itertools.pairwise(parts))


@given(size=st.integers(0, 200), start=st.integers(-300, 300), stop=st.integers(-300, 300))
def test_slices_of_records_are_pythons(size, start, stop):
    _, low, high = ranges(f"t[{start}:{stop}]", size)[0]
    assert list(range(size))[start:stop] == list(range(low, high))


@pytest.mark.parametrize(
    ("expression", "position"),
    [
        ("", 0),
        ("+", 0),
        ("train+", 6),
        ("train[", 5),
        ("train[:3", 5),
        ("train]", 5),
        ("train[3]", 6),
        ("train[1:2:3]", 6),
        ("train[a:]", 6),
        ("train[:b%]", 7),
        ("train[:1.5]", 7),
        ("train[:101%]", 7),
        ("train[:-101%]", 7),
        ("train[10%:150]", 10),
        ("train[150:10%]", 6),
        ("train[:3]test", 9),
        ("train test", 6),
        ("train[:1__0]", 7),
        ("train[:1%](", 10),
        ("train[:1%](down)", 11),
        ("train[:1%]()", 11),
        ("train[:1](closest)", 10),
        ("train[:](pct1_dropremainder)", 9),
    ],
)
def test_a_malformed_expression_is_refused_with_the_position(expression, position):
    with pytest.raises(UnknownSplitError, match=f"at position {position}: ") as caught:
        parse_split(expression)
    assert repr(expression) in str(caught.value)
    assert "write 'train', 'train[:80%]'" in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_a_bound_beyond_100_beside_percents_says_that_it_is_one_of_percents_too():
    """As TFDS and `datasets` read it: a slice has one unit."""
    with pytest.raises(UnknownSplitError, match="150% is beyond 100%, as both bounds are percents"):
        parse_split("train[10%:150]")


@pytest.mark.parametrize(
    ("expression", "written"),
    [
        ("train test", "split=train%2Btest"),
        ("train   test", "split=train%2Btest"),
        ("train[:80%] test", "split=train[:80%25]%2Btest"),
    ],
)
def test_a_blank_where_a_sum_was_meant_says_how_a_query_writes_it(expression, written):
    """`?split=train+test` arrives as 'train test', as urlencode writes a blank."""
    with pytest.raises(UnknownSplitError, match="stands for a blank") as caught:
        parse_split(expression)
    assert f"write '{written}' there" in str(caught.value)
    uri = f"memory:?{written}"
    assert len(parse_split(parse_uri(uri).options["split"])) == 2


@pytest.mark.parametrize(
    "expression", ["train [", "train[:3] ]", "train[ 3 ", "train[:3]test", "a]"]
)
def test_no_query_is_written_for_what_no_sum_makes_whole(expression):
    """The hint is given only where its expression follows the grammar."""
    with pytest.raises(UnknownSplitError, match="at position") as caught:
        parse_split(expression)
    assert "%2B" not in str(caught.value)


def test_a_plus_in_the_query_of_a_uri_is_told_by_load():
    """The error of the split names the way to write it."""
    with pytest.raises(UnknownSplitError, match=r"write 'split=train%2Btrain' there"):
        datarax.load("memory:?split=train+train", data={"x": [1, 2]})
    with datarax.load("memory:?split=train%2Btrain", data={"x": [1, 2]}) as source:
        assert len(source) == 4


def test_no_split_is_the_only_one_else_train_else_an_error_that_lists_them():
    assert choose_split(None, ("all",), dataset="d")[0].name == "all"
    assert choose_split(None, ("test", "train"), dataset="d")[0].name == "train"
    with pytest.raises(UnknownSplitError, match=r"d has the splits 'test', 'val'.*with split="):
        choose_split(None, ("test", "val"), dataset="d")


def test_all_is_every_split_unless_one_bears_that_name():
    names = [term.name for term in choose_split(" all", ("train", "test"), dataset="d")]
    assert names == ["train", "test"]
    assert [term.name for term in choose_split("all", ("all", "test"), dataset="d")] == ["all"]
    for asked in ("all[:3]", "train+all"):
        with pytest.raises(UnknownSplitError, match="no split 'all': the word stands alone"):
            choose_split(asked, ("train", "test"), dataset="d")


def test_a_hundredth_of_fewer_records_than_a_hundred_is_refused():
    with pytest.raises(UnknownSplitError, match="'train' has 99 records, and a hundredth"):
        ranges("train[:50%](pct1_dropremainder)", 99)


def test_every_term_of_a_sum_must_exist():
    with pytest.raises(UnknownSplitError, match=r"no split 'tset'.*'train', 'test'.*mean 'test'"):
        choose_split("train+tset", ("train", "test"), dataset="d")


# SplitReader


def reader(*values):
    return MemoryReader({"x": np.array(values), "text": [f"t{value}" for value in values]})


def test_a_selection_reads_ranges_one_after_another():
    first, second = reader(0, 1, 2, 3), reader(10, 11, 12)
    split = SplitReader([(first, (1, 3)), (second, (0, 2)), (first, (3, 4))])
    assert len(split) == 5
    assert [record["x"] for record in split] == [1, 2, 10, 11, 3]
    assert split[-1]["text"] == "t3"
    together = split.__getitems__([4, 0, 3, 0])
    assert [record["x"] for record in together] == [3, 1, 11, 1]
    with pytest.raises(IndexError):
        split[5]


def test_a_selection_passes_over_parts_without_records():
    first, second = reader(0, 1), reader(10)
    split = SplitReader([(first, (0, 0)), (second, (0, 1)), (first, (1, 1)), (first, (0, 2))])
    assert [record["x"] for record in split] == [10, 0, 1]


@given(
    bounds=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=4),
    data=st.data(),
)
def test_columns_of_a_selection_are_those_of_its_ranges(bounds, data):
    parts = [(low, max(low, high)) for low, high in bounds]
    expected = [value for low, high in parts for value in range(low, high)]
    if not expected:
        return
    split = SplitReader([(reader(0, 1, 2, 3, 4), part) for part in parts])
    rows = data.draw(st.lists(st.integers(0, len(expected) - 1), min_size=1, max_size=8))
    columns = split.read(np.array(rows, np.int64), ("x", "text"))
    assert columns["x"].tolist() == [expected[row] for row in rows]
    assert list(columns["text"]) == [f"t{expected[row]}" for row in rows]
    out = np.empty(len(rows), columns["x"].dtype)
    split.read_into(np.array(rows, np.int64), {"x": out})
    assert out.tolist() == columns["x"].tolist()


def test_a_selection_closes_each_reader_once():
    class Closing(MemoryReader):
        closed = 0

        def close(self):
            self.closed += 1

    held = Closing({"x": [1, 2]})
    SplitReader([(held, (0, 1)), (held, (1, 2))]).close()
    assert held.closed == 1


def test_a_selection_needs_a_part():
    with pytest.raises(ValueError, match="at least one part"):
        SplitReader([])


def test_the_split_is_part_of_the_identity():
    split = SplitReader([(reader(1), (0, 1))], identity={"split": "train[:1]"})
    assert split.identity == {"split": "train[:1]"}
    assert SplitReader([(split, (0, 1))]).identity == {"split": "train[:1]"}
