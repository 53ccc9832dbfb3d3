"""The spec option: what it takes, what it becomes, and what it refuses."""

import pickle

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from datarax.sources import Field
from datarax_arrayrecord.spec import normalise

IMAGE = Field.array("uint8", (4, 3))


@pytest.mark.parametrize(
    "value",
    [
        jax.ShapeDtypeStruct((4, 3), "uint8"),
        jax.ShapeDtypeStruct((4, 3), jnp.uint8),
        np.zeros((4, 3), np.uint8),
        ("uint8", (4, 3)),
        ["uint8", [4, 3]],
        (np.uint8, (np.int64(4), 3)),
        "uint8[4,3]",
        " uint8 [4, 3] ",
        "uint8(4, 3)",
        IMAGE,
    ],
)
def test_every_form_of_a_shape_and_dtype_becomes_the_same_field(value):
    """Structs, arrays, pairs, strings and fields are one notation."""
    assert normalise({"image": value}) == {"image": IMAGE}


@pytest.mark.parametrize("value", ["int32", "int32[]", ("int32", ()), np.int32(3)])
def test_a_scalar_has_the_empty_shape(value):
    """A dtype alone is a scalar."""
    assert normalise({"label": value})["label"].shape == ()


def test_the_order_of_the_fields_is_kept():
    """Stored order is the order of the mapping."""
    assert list(normalise({"b": "int8", "a": "int8"})) == ["b", "a"]


def test_dtypes_of_ml_dtypes_are_known_by_name():
    """A bfloat16 field is declared in a string as in a struct."""
    fields = normalise({"x": "bfloat16[2]", "y": jax.ShapeDtypeStruct((2,), jnp.bfloat16)})
    assert fields["x"] == fields["y"]
    assert fields["x"].dtype == ml_dtypes.bfloat16


def test_the_fields_survive_normalising_again_and_pickling():
    """A config that is replaced or pickled keeps its spec."""
    fields = normalise({"image": "uint8[4,3]"})
    assert normalise(fields) == fields == pickle.loads(pickle.dumps(fields))


@pytest.mark.parametrize(
    ("spec", "error", "text"),
    [
        ([("image", "uint8")], TypeError, "spec maps field names"),
        ({}, ValueError, "names no field"),
        ({3: "uint8"}, TypeError, "got the name 3"),
        ({"image": 3}, TypeError, r"spec\['image'\] is .* got int 3"),
        ({"image": "uint8[4,"}, ValueError, "is not one of"),
        ({"image": "uint9"}, TypeError, "'uint9' is not a dtype"),
        ({"image": ("uint8", (-1,))}, ValueError, "no negative size"),
        ({"image": ("uint8", (None, 3))}, TypeError, "a tuple of integers"),
        ({"image": ("uint8", (4, 0))}, ValueError, "holds no values"),
        ({"image": ("O", ())}, ValueError, "not object"),
        ({"image": ("U3", ())}, ValueError, "booleans and numbers"),
        ({"image": (">i4", ())}, ValueError, "little-endian.*'int32'"),
        ({"image": Field.text()}, ValueError, "a raw field has a shape"),
    ],
)
def test_what_has_no_raw_bytes_is_refused_by_name(spec, error, text):
    """The error names the field and says what a spec holds."""
    with pytest.raises(error, match=text):
        normalise(spec)


def test_a_key_dtype_of_jax_is_refused():
    """Typed PRNG keys have no NumPy dtype, and so no raw bytes."""
    with pytest.raises(TypeError, match="not a dtype that NumPy knows"):
        normalise({"key": jax.eval_shape(lambda: jax.random.key(0))})
