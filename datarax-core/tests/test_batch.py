"""`Batch`: elements stacked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from datarax.core.batch import Batch


def test_leaves_are_stacked_along_a_new_leading_dimension():
    batch = Batch.from_elements([{"x": np.ones((2, 3), np.uint8) * i} for i in range(4)])
    assert isinstance(batch["x"], jax.Array)
    assert batch["x"].shape == (4, 2, 3)
    assert batch["x"].dtype == jnp.uint8
    assert batch.size == 4


def test_python_numbers_become_arrays():
    batch = Batch.from_elements([{"i": 1, "f": 0.5, "b": True}, {"i": 2, "f": 1.5, "b": False}])
    assert [batch[name].dtype.name for name in "ifb"] == ["int32", "float32", "bool"]


def test_nested_dicts_stay_nested():
    batch = Batch.from_elements([{"a": {"b": i, "t": "text"}} for i in range(3)])
    np.testing.assert_array_equal(batch["a"]["b"], [0, 1, 2])
    assert set(batch["a"]) == {"b"}


def test_host_only_values_are_left_out():
    values = {"s": "text", "b": b"bytes", "l": [1, 2], "t": (1,), "n": None, "x": 1}
    assert set(Batch.from_elements([values, values])) == {"x"}


def test_a_batch_is_a_dict_and_a_pytree_that_jit_takes():
    batch = Batch.from_elements([{"x": 1.0}, {"x": 2.0}])
    doubled = jax.jit(lambda b: jax.tree.map(lambda leaf: leaf * 2, b))(batch)
    assert isinstance(doubled, Batch)
    assert isinstance(doubled, dict)
    assert doubled["x"].tolist() == [2.0, 4.0]
    assert jax.tree_util.tree_leaves_with_path(batch)[0][0] == (jax.tree_util.DictKey("x"),)


def test_flattening_does_not_depend_on_the_order_of_keys():
    left, right = Batch(a=1, b=2), Batch(b=2, a=1)
    assert jax.tree.structure(left) == jax.tree.structure(right)


def test_no_elements_are_refused():
    with pytest.raises(ValueError, match="one element or more"):
        Batch.from_elements([])
    assert Batch().size == 0


@pytest.mark.parametrize(
    ("second", "text"),
    [
        ({"x": 1}, r"element 1 has the fields \['x'\] and element 0 has \['a', 'x'\]"),
        ({"x": np.ones(2), "a": {"b": 1}}, r"'x' has the shapes"),
        ({"x": 1.5, "a": {"b": 1}}, r"'x' has the dtypes \['float32', 'int32'\]"),
        ({"x": 1, "a": {"b": np.ones(3)}}, r"'a\.b' has the shapes"),
    ],
)
def test_elements_that_differ_are_refused_and_the_field_is_named(second, text):
    with pytest.raises(ValueError, match=text):
        Batch.from_elements([{"x": 1, "a": {"b": 1}}, second])


def test_a_nested_field_that_is_missing_in_one_element_is_named_by_its_path():
    with pytest.raises(ValueError, match=r"\['c'\]"):
        Batch.from_elements([{"a": {"b": 1}}, {"a": {"c": 1}}])
    with pytest.raises(ValueError, match="'a'"):
        Batch.from_elements([{"a": {"b": 1}}, {"a": 1}])
    with pytest.raises(ValueError, match="'a'"):
        Batch.from_elements([{"a": 1}, {"a": "text"}])


@pytest.mark.parametrize("value", [2**40, -(2**70), np.int64(2**40), np.uint64(2**63)])
def test_integers_beyond_32_bits_are_an_error_and_no_wrap(value):
    with pytest.raises(OverflowError, match=r"'a\.x' holds .* 32 bits"):
        Batch.from_elements([{"a": {"x": value}}])


def test_elements_are_stacked_under_tracing_too():
    batch = jax.jit(lambda x: Batch.from_elements([{"x": x}, {"x": x + 1}]))(jnp.int32(3))
    assert batch["x"].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        (5, "a sequence of mappings, got int"),
        (({"x": row} for row in range(2)), "got generator; make a list"),
        ([1, 2], "element 0 is a mapping of field names to values, got int 1"),
        ([{"x": 1}, None], "element 1 is a mapping"),
        ([{1: 1, "x": 2}], "got the name 1"),
    ],
)
def test_what_are_no_elements_is_refused_with_what_it_is(elements, said):
    """Before any is stacked."""
    with pytest.raises(TypeError, match=said):
        Batch.from_elements(elements)
