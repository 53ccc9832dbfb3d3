"""`datarax.core.frozen`: values that a config may hold."""

import copy
import pickle

import numpy as np
import pytest

from datarax.core.frozen import FrozenDict, freeze, holds_array


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.__setitem__("a", 2),
        lambda d: d.__delitem__("a"),
        lambda d: d.clear(),
        lambda d: d.pop("a"),
        lambda d: d.popitem(),
        lambda d: d.setdefault("b", 1),
        lambda d: d.update(a=2),
        lambda d: d.__ior__({"a": 2}),
    ],
)
def test_a_frozen_dict_cannot_be_changed(change):
    held = FrozenDict(a=1)
    with pytest.raises(TypeError, match="build a new config"):
        change(held)
    assert held == {"a": 1}


def test_a_frozen_dict_is_a_dict_to_readers():
    held = FrozenDict(a=1, b=2)
    assert isinstance(held, dict)
    assert {**held, "c": 3} == {"a": 1, "b": 2, "c": 3}
    assert held | {"a": 5} == {"a": 5, "b": 2}


def test_equal_frozen_dicts_have_equal_hashes_whatever_their_order():
    assert hash(FrozenDict(a=1, b=2)) == hash(FrozenDict(b=2, a=1))
    assert FrozenDict(a=1) != FrozenDict(a=2)
    assert FrozenDict(a=1) != FrozenDict(b=1)
    assert FrozenDict(a=1) != [("a", 1)]


def test_arrays_in_a_frozen_dict_compare_by_content():
    first, same, other = (freeze({"m": np.array([1.0, x])}) for x in (2.0, 2.0, 3.0))
    assert first == same
    assert hash(first) == hash(same)
    assert first != other
    assert first != freeze({"m": np.array([1.0])})
    assert freeze({"m": [np.ones(2)]}) != freeze({"m": [np.ones(2), np.ones(2)]})


def test_freezing_copies_arrays_and_makes_them_read_only():
    given = np.zeros(2)
    held = freeze({"m": given})["m"]
    given[0] = 1
    assert held.tolist() == [0, 0]
    with pytest.raises(ValueError, match="read-only"):
        held[0] = 1


def test_freezing_is_deep_and_harmless_twice():
    once = freeze({"a": [[1], {"b": {1, 2}}], "t": (1, [2])})
    assert once == {"a": ((1,), {"b": frozenset({1, 2})}), "t": (1, (2,))}
    assert isinstance(once["a"][1], FrozenDict)
    assert freeze(once) is once


def test_other_values_are_left_as_they_are():
    for value in ("text", 3, None, len, b"bytes"):
        assert freeze(value) is value


def test_frozen_dicts_pickle_and_copy():
    held = freeze({"a": {"b": [1]}})
    for twin in (pickle.loads(pickle.dumps(held)), copy.deepcopy(held), copy.copy(held)):
        assert isinstance(twin, FrozenDict)
        assert twin == held


def test_an_array_is_found_in_a_sequence():
    assert holds_array(np.ones(1))
    assert holds_array([1, (np.ones(1),)])
    assert not holds_array([1, "a", None])
