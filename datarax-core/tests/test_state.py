"""State as JSON, and the strict comparison of trees."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarax.core.state import check_tree, from_json, to_json
from datarax.errors import StateMismatchError

ARRAYS = [
    jnp.arange(6, dtype=jnp.int32).reshape(2, 3),
    jnp.float32(0.1),
    jnp.array([1e-30, jnp.inf, -jnp.inf, jnp.nan]),
    jnp.array([True, False]),
    jnp.zeros((0, 3), jnp.uint8),
    jnp.array([2**32 - 1], jnp.uint32),
    jnp.array([1 + 2j], jnp.complex64),
    jnp.array([0.1, 3.0], jnp.bfloat16),
    jnp.array([0.1], jnp.float16),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{list(array.shape)}")
def test_an_array_comes_back_from_json_bit_for_bit(array):
    back = from_json(json.loads(json.dumps(to_json({"a": array}))))["a"]
    assert isinstance(back, jax.Array)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert np.asarray(back).tobytes() == np.asarray(array).tobytes()


def test_a_typed_key_is_saved_as_its_data():
    back = from_json(to_json(jax.random.key(7)))
    np.testing.assert_array_equal(back, jax.random.key_data(jax.random.key(7)))


plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@given(st.recursive(plain, lambda v: st.lists(v) | st.dictionaries(st.text(), v), max_leaves=8))
def test_plain_values_come_back_as_they_were(value):
    assert from_json(json.loads(json.dumps(to_json(value)))) == value


@pytest.mark.parametrize("text", ["array:int32[2]:7 8", "text:", "text:array:"])
def test_text_that_looks_like_an_array_stays_text(text):
    assert from_json(to_json({"a": [text]})) == {"a": [text]}


@pytest.mark.parametrize(
    "text",
    ["array:", "array:int32", "array:int32[2]:1", "array:int32[1]:x", "array:bool[1]:1"],
)
def test_a_damaged_array_is_an_error(text):
    with pytest.raises((ValueError, KeyError)):
        from_json(text)


EXPECTED = {"a": {"b": jnp.zeros(2), "c": 3, "d": "text"}, "l": [jnp.int32(1), 2]}


def test_equal_trees_pass_and_values_are_not_compared():
    check_tree(
        EXPECTED,
        {"a": {"b": np.ones(2, np.float32), "c": 4, "d": ""}, "l": (1, 2)}
        | {"l": [np.int32(5), 9]},
    )


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"a": {"b": jnp.zeros(2), "c": 3}}, "a.d: missing"),
        ({"a": {"b": jnp.zeros(2), "c": 3, "d": "", "e": 1}}, "a.e: unknown"),
        ({"a": 3}, "a: a dict with the keys"),
        ({"a": {"b": jnp.zeros(3), "c": 3, "d": ""}}, "a.b: shape [2] is expected, got [3]"),
        ({"a": {"b": jnp.zeros(2, int), "c": 3, "d": ""}}, "a.b: dtype float32 is expected"),
        ({"a": {"b": None, "c": 3, "d": ""}}, "a.b: float32[2] is expected, got NoneType"),
        ({"a": {"b": jnp.zeros(2), "c": "3", "d": ""}}, "a.c: int is expected, got str"),
        ({"l": [jnp.int32(1)]}, "l: a sequence of 2 is expected"),
        ({"l": [jnp.int32(1), "2"]}, "l.1: int is expected, got str"),
        ({"m": 1}, "m: unknown"),
    ],
)
def test_the_first_difference_is_named_by_its_path(change, path):
    with pytest.raises(StateMismatchError) as caught:
        check_tree(EXPECTED, {**EXPECTED, **change})
    assert str(caught.value).startswith(path)
    assert isinstance(caught.value, ValueError)


def test_the_root_is_named_too():
    with pytest.raises(StateMismatchError, match="the state's root: a dict"):
        check_tree(EXPECTED, [])


def test_the_state_of_a_source_with_statistics_survives_json(load):
    source, other = load(), load()
    source.set_statistics({"mean": jnp.arange(2.0), "text": "array:not one", "n": 3})
    next(source)
    other.set_state(json.loads(json.dumps(source.get_state())))
    held = other.get_statistics()
    assert (held["text"], held["n"], held["mean"].tolist()) == ("array:not one", 3, [0.0, 1.0])
    assert json.dumps(other.get_state()) == json.dumps(source.get_state())
