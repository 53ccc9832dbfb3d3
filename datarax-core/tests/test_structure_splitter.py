"""`Splitter`: disjoint parts that together are the dataset, each record's decided by it alone."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

import datarax
from datarax.core.config import FrozenInstanceError
from datarax.errors import NotSupportedError, UnknownFieldError
from datarax.sources import MemoryReader, Reader, ReaderSource, SourceConfig
from datarax.sources.hashing import hash_values
from datarax.structure import Splitter, SplitterConfig

THREE = {"train": 0.8, "valid": 0.1, "test": 0.1}
ROWS = 2000


def splitter(fractions=THREE, **options):
    return Splitter(SplitterConfig(fractions=fractions, **options))


def rows(size=ROWS):
    """A dataset of users with several rows each."""
    index = np.arange(size)
    return MemoryReader(
        {
            "x": index.astype(np.float32),
            "user": index // 7 % 250,
            "name": [f"user {i // 7 % 250}" for i in range(size)],
            "tags": [[i % 5] * (i % 3) for i in range(size)],
            "pair": np.stack([index % 9, index % 2], axis=1),
            "weight": (index % 40) / 8,
        }
    )


def taken(parts, name="x"):
    return [[record[name] for record in part] for part in parts]


def indices(parts):
    return [[int(x) for x in part] for part in taken(parts)]


def joined(parts):
    return sorted(x for part in parts for x in part)


@pytest.mark.parametrize("by", [None, "user", "name", "tags", "pair", "weight"])
def test_parts_are_disjoint_and_complete_and_in_storage_order(by):
    parts = indices(splitter(by=by)(rows()))
    assert joined(parts) == list(range(ROWS))
    assert all(part == sorted(part) for part in parts)


@given(
    size=st.integers(1, 300),
    shares=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    seed=st.integers(0, 2**32 - 1),
)
def test_parts_are_disjoint_and_complete_for_any_shares_and_seed(size, shares, seed):
    fractions = {str(i): share / sum(shares) for i, share in enumerate(shares)}
    parts = splitter(fractions, seed=seed)(MemoryReader({"x": np.arange(size)}))
    assert len(parts) == len(shares)
    assert joined(indices(parts)) == list(range(size))


@pytest.mark.parametrize("by", [None, "name"])
def test_parts_have_about_their_shares(by):
    data = MemoryReader({"x": np.arange(20_000), "name": [str(i) for i in range(20_000)]})
    for part, share in zip(splitter(by=by)(data), THREE.values(), strict=True):
        spread = (20_000 * share * (1 - share)) ** 0.5
        assert abs(len(part) - 20_000 * share) < 5 * spread


@pytest.mark.parametrize("by", [None, "user", "name"])
def test_appending_records_moves_none_of_the_earlier_ones(by):
    before, after = indices(splitter(by=by)(rows(1000))), indices(splitter(by=by)(rows()))
    for old, new in zip(before, after, strict=True):
        assert new[: len(old)] == old
        assert all(x >= 1000 for x in new[len(old) :])


@pytest.mark.parametrize("by", ["user", "name", "tags", "pair", "weight"])
def test_equal_values_stay_together(by):
    parts = [
        {json.dumps(np.asarray(value).tolist()) for value in part}
        for part in taken(splitter(by=by)(rows()), by)
    ]
    values = {json.dumps(np.asarray(record[by]).tolist()) for record in rows()}
    assert sum(map(len, parts)) == len(set.union(*parts)) == len(values)


def test_another_seed_parts_otherwise_and_the_same_one_alike():
    for by in (None, "user"):
        first = indices(splitter(by=by)(rows()))
        assert first == indices(splitter(by=by)(rows()))
        assert first != indices(splitter(by=by, seed=1)(rows()))


def test_parts_are_pinned_so_that_no_version_moves_a_record():
    parts = indices(splitter({"a": 0.5, "b": 0.5})(rows(12)))
    named = indices(splitter({"a": 0.5, "b": 0.5}, by="name")(rows(40)))
    assert parts[0] == [3, 4, 5, 7, 10, 11]
    assert sorted({x // 7 for x in named[0]}) == [2, 3, 4]


def test_two_processes_part_alike():
    """Python's own hash differs from one process to the next; the parts do not."""
    code = (
        "from datarax.sources import MemoryReader\n"
        "from datarax.structure import Splitter, SplitterConfig\n"
        "data = MemoryReader([{'x': i, 'k': k} for i, k in enumerate("
        "[None, 'a', b'a', {'p': 1, 'q': [None, 'x']}, (1, 'b'), [[1], [2, 3]]] * 2)])\n"
        "fractions = {str(i): 1 / 8 for i in range(8)}\n"
        "parts = Splitter(SplitterConfig(fractions=fractions, by='k'))(data)\n"
        "print([[int(r['x']) for r in part] for part in parts])"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    (parts,) = map(json.loads, runs)
    where = {row: number for number, part in enumerate(parts) for row in part}
    assert all(where[row] == where[row + 6] for row in range(6))
    assert len(set(where.values())) > 1


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (0.0, -0.0),
        (np.float32(0.1), np.float64(np.float32(0.1))),
        (np.int32(7), np.uint64(7)),
        (np.array([1, 2], ">i4"), np.array([1, 2], "<i8")),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (["a", "b"], np.array(["a", "b"])),
    ],
    ids=repr,
)
def test_equal_values_have_equal_hashes(left, right):
    assert hash_values([left], 3) == hash_values([right], 3)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("a", b"a"),
        ("", None),
        ([1, 2], [2, 1]),
        ([[1], [2, 3]], [[1, 2], [3]]),
        (["ab", "c"], ["a", "bc"]),
        ({"a": "b"}, {"b": "a"}),
        (np.zeros((2, 1)), np.zeros((1, 2))),
    ],
    ids=repr,
)
def test_other_values_have_other_hashes(left, right):
    assert hash_values([left], 3) != hash_values([right], 3)


def test_a_value_without_a_stable_hash_is_refused():
    data = MemoryReader([{"x": 1, "k": object()}])
    with pytest.raises(TypeError, match="no hash that is the same everywhere"):
        splitter(by="k")(data)


@pytest.mark.parametrize("mode", ["eager", "lazy"])
@pytest.mark.parametrize("wrap", ["reader", "source"])
def test_a_part_is_a_reader_and_makes_a_source(mode, wrap):
    data = rows() if wrap == "reader" else datarax.load("memory:", data=rows(), mode="lazy")
    train, _, test = splitter(by="user")(data)
    assert isinstance(train, Reader)
    expected = indices([train])[0]
    with ReaderSource(SourceConfig(mode=mode, shuffle=True), train, uri="train") as source:
        assert len(source) == len(train)
        assert int(source[3]["x"]) == expected[3]
        assert source[3]["name"] == train[3]["name"]
        elements = [int(element["x"]) for element in source]
        assert sorted(elements) == expected
        batches = list(source.batches(64, remainder="keep"))
        assert sorted(x for batch in batches for x in batch["x"].tolist()) == expected
        assert source.get_batch_at(0, 5)["x"].tolist() == elements[:5]
    assert test[0]["x"] == indices([test])[0][0]  # the parts read on as one of them is closed


def test_a_part_of_a_source_has_the_fields_that_the_source_reads():
    source = datarax.load("memory:", data=rows(), include_keys=["x", "user"])
    part = splitter(by="user")(source)[0]
    assert set(part.fields) == set(part[0]) == {"x", "user"}
    with pytest.raises(UnknownFieldError, match=r"'name', which .* 'x', 'user'"):
        splitter(by="name")(source)


def test_a_saved_state_goes_on_with_the_same_part_alone():
    def source(part):
        return ReaderSource(SourceConfig(), part, uri="parts")

    train, valid, _ = splitter()(rows())
    first = source(train)
    for _ in range(5):
        next(first)
    state = json.loads(json.dumps(first.get_state()))
    again = source(splitter()(rows())[0])
    again.set_state(state)
    assert float(next(again)["x"]) == float(next(first)["x"])
    for other in (valid, splitter(seed=1)(rows())[0], splitter()(rows(1999))[0]):
        with pytest.raises(ValueError, match="fingerprint"):
            source(other).set_state(state)


def test_a_state_of_one_part_is_refused_by_another_of_the_same_size():
    made = splitter({"a": 0.5, "b": 0.5})
    pairs = (made(rows(size)) for size in range(2, 100, 2))
    left, right = next(pair for pair in pairs if len(pair[0]) == len(pair[1]))
    state = ReaderSource(SourceConfig(), left).get_state()
    with pytest.raises(ValueError, match=r"fingerprint\.part: the state is of 'a "):
        ReaderSource(SourceConfig(), right).set_state(state)


def test_a_part_travels_to_workers():
    part = splitter()(rows())[1]
    other = pickle.loads(pickle.dumps(part))
    assert indices([other]) == indices([part])
    assert other.identity == part.identity


def test_parts_of_a_part_are_parts():
    train, _, _ = splitter()(rows())
    halves = splitter({"a": 0.5, "b": 0.5}, seed=2)(train)
    assert joined(indices(halves)) == indices([train])[0]


def test_a_part_may_be_empty_and_says_so_as_a_source():
    parts = splitter({"most": 0.999, "rest": 0.001})(rows(5))
    assert [len(part) for part in parts] == [5, 0]
    with pytest.raises(ValueError, match="holds no records"):
        ReaderSource(SourceConfig(), parts[1])


def test_a_dataset_that_goes_forward_only_is_refused():
    source = datarax.load("memory:", data=rows(), mode="streaming")
    with pytest.raises(NotSupportedError, match="parts are read by index"):
        splitter()(source)


def test_only_the_field_that_decides_is_read():
    asked = []

    class Noting(MemoryReader):
        def read(self, indices, names):
            asked.append(tuple(names))
            return super().read(indices, names)

    splitter(by="name")(Noting({"x": np.arange(4), "name": list("abcd")}))
    assert asked == [("name",)]
    asked.clear()
    splitter()(Noting({"x": np.arange(4), "name": list("abcd")}))
    assert asked == []


@pytest.mark.parametrize(
    "fractions", [{}, {"a": 0.5}, {"a": 1.5, "b": -0.5}, {"a": 0.6, "b": 0.6}, {"a": 1, "b": 0}]
)
def test_fractions_that_are_no_shares_of_one_whole_are_refused(fractions):
    with pytest.raises(ValueError, match="shares above 0 with a sum of 1"):
        SplitterConfig(fractions=fractions)


def test_options_out_of_range_are_refused():
    with pytest.raises(ValueError, match="seed"):
        SplitterConfig(fractions={"a": 1}, seed=-1)
    with pytest.raises(UnknownFieldError, match=r"by names the field 'usr'.*Did you mean 'user'"):
        splitter(by="usr")(rows())
    with pytest.raises(TypeError, match="takes one dataset, got also"):
        splitter()(rows(), 2)


@pytest.mark.parametrize(
    "twin",
    [nnx.clone, lambda m: m.copy(), lambda m: pickle.loads(pickle.dumps(m))],
    ids=["nnx.clone", "copy", "pickle"],
)
def test_a_splitter_survives_being_cloned_copied_and_pickled(twin):
    made = splitter(by="user", seed=3)
    other = twin(made)
    assert other.config == made.config
    assert indices(other(rows())) == indices(made(rows()))


def test_a_config_is_frozen_with_what_it_holds():
    config = SplitterConfig(fractions=THREE)
    with pytest.raises(FrozenInstanceError):
        config.seed = 3
    with pytest.raises(TypeError, match="cannot be changed"):
        config.fractions["train"] = 0.7
    assert hash(config) == hash(SplitterConfig(fractions=dict(THREE)))


@pytest.mark.parametrize(
    "words",
    [
        {"fractions": 5},
        {"fractions": [0.5, 0.5]},
        {"fractions": {"a": "x"}},
        {"fractions": {1: 1.0}},
        {"by": 5},
        {"seed": "x"},
        {"seed": True},
        {"seed": 2.5},
    ],
    ids=repr,
)
def test_a_value_of_another_kind_is_refused_by_its_name(words):
    """At construction, before a dataset is read."""
    (name,) = words
    with pytest.raises(TypeError, match=rf"^{name} (is|map) .*, got "):
        SplitterConfig(**{"fractions": {"a": 1.0}, **words})
