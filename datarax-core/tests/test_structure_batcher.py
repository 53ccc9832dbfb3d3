"""`Batcher`: elements to batches, with the remainders, padding and mask that sources have."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import datarax
from datarax.core.batch import Batch
from datarax.core.config import FrozenInstanceError
from datarax.errors import HostOnlyFieldError, UnknownFieldError, ValueTooLongError
from datarax.structure import Batcher, BatcherConfig

REMAINDERS = pytest.mark.parametrize("remainder", ["drop", "keep", "pad"])
ROWS = [
    {"text": "a", "tokens": [1, 2, 3], "label": 0},
    {"text": "bcd", "tokens": [], "label": 1},
    {"text": "é", "tokens": [4], "label": 2},
    {"text": "", "tokens": [5, 6], "label": 0},
    {"text": "efg", "tokens": [7], "label": 1},
]


def batcher(batch_size=2, **options):
    return Batcher(BatcherConfig(batch_size=batch_size, **options))


def spec_of(batch):
    return {name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for name, leaf in batch.items()}


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, leaf in expected.items():
        assert isinstance(found[name], jax.Array)
        assert found[name].dtype == leaf.dtype
        np.testing.assert_array_equal(found[name], leaf)


@REMAINDERS
@pytest.mark.parametrize("size", [1, 4, 11, 16])
def test_batches_of_elements_are_those_of_their_source(load, remainder, size):
    elements = list(load(11))
    made = batcher(size, remainder=remainder)(elements)
    expected = list(load(11).batches(size, remainder=remainder))
    assert len(made) == len(expected)
    for found, batch in zip(made, expected, strict=True):
        assert isinstance(found, Batch)
        same(found, batch)


@REMAINDERS
def test_the_spec_of_a_batch_is_what_comes_out(load, remainder):
    source = load(11)
    made = batcher(4, remainder=remainder)
    assert made.batch_spec(source.element_spec()) == spec_of(made(list(source))[0])


def test_no_elements_are_no_batches():
    assert batcher(pad={"text": 3})([]) == []


def test_the_remainder_is_kept_unless_told_otherwise():
    assert [batch.size for batch in batcher(2)(ROWS)] == [2, 2, 1]


def test_a_padded_remainder_is_masked_and_zero():
    *_, last = batcher(4, remainder="pad")([{"x": i + 1} for i in range(5)])
    assert last["x"].tolist() == [5, 0, 0, 0]
    assert last["valid_mask"].tolist() == [True, False, False, False]


def test_nested_elements_are_padded_at_every_depth():
    elements = [{"a": {"b": i, "c": {"d": jnp.full(2, i)}}} for i in range(1, 4)]
    *_, last = batcher(2, remainder="pad")(elements)
    assert last["a"]["b"].tolist() == [3, 0]
    assert last["a"]["c"]["d"].tolist() == [[3, 3], [0, 0]]
    assert last["valid_mask"].tolist() == [True, False]


def test_ragged_fields_become_arrays_with_their_lengths():
    first, second, last = batcher(2, pad={"text": 4, "tokens": 3})(ROWS)
    assert first["tokens"].tolist() == [[1, 2, 3], [0, 0, 0]]
    assert first["tokens_length"].tolist() == [3, 0]
    assert second["text"].tolist() == [[0xC3, 0xA9, 0, 0], [0, 0, 0, 0]]
    assert second["text_length"].tolist() == [2, 0]
    assert (last["text"].dtype, last["tokens"].dtype) == (jnp.uint8, jnp.int32)
    assert last["label"].tolist() == [1]


@REMAINDERS
def test_elements_of_a_source_are_padded_as_the_source_pads_them(remainder):
    pad = {"text": 4, "tokens": 3}
    source = datarax.load("memory:", data=ROWS)
    padded = datarax.load("memory:", data=ROWS, pad=pad)
    made = batcher(2, pad=pad, remainder=remainder)
    batches = made(list(source))
    for found, expected in zip(batches, padded.batches(2, remainder=remainder), strict=True):
        same(found, expected)
    spec = made.batch_spec(source.element_spec(), source.reader.fields)
    assert spec == spec_of(batches[0])


def test_sequences_that_happen_to_have_one_length_are_padded_too():
    made = batcher(2, pad={"x": 3})
    elements = [{"x": jnp.array([i, i], jnp.float32)} for i in range(2)]
    (batch,) = made(elements)
    assert batch["x"].tolist() == [[0, 0, 0], [1, 1, 0]]
    spec = {"x": jax.ShapeDtypeStruct((2,), jnp.float32)}
    assert made.batch_spec(spec) == spec_of(batch)


def test_a_value_beyond_its_width_is_an_error_unless_cut():
    with pytest.raises(ValueTooLongError, match=r"'tokens' .* length 3, .* width of 2"):
        batcher(pad={"tokens": 2})(ROWS)
    cutting = batcher(pad={"tokens": 2}, overflow="cut")
    batch = cutting(ROWS)[0]
    assert batch["tokens"].tolist() == [[1, 2], [0, 0]]
    assert batch["tokens_length"].tolist() == [2, 0]
    assert cutting.cuts == {"tokens": 1}
    cutting(ROWS)
    assert cutting.cuts == {"tokens": 2}
    twin = cutting.clone()
    twin(ROWS)
    assert twin.cuts == {"tokens": 3}
    assert cutting.cuts == {"tokens": 2}
    assert nnx.jit(lambda module, x: x + 1)(cutting, 1) == 2


def test_host_only_fields_without_a_width_stay_out_of_batches():
    assert set(batcher()(ROWS)[0]) == {"label"}


@REMAINDERS
def test_a_batch_of_host_only_fields_alone_is_refused(remainder):
    with pytest.raises(HostOnlyFieldError, match=r"\['text'\], none of which is an array; pad="):
        batcher(remainder=remainder)([{"text": "a"}, {"text": "b"}])


def test_a_pad_of_a_field_that_is_not_there_is_refused():
    made = batcher(pad={"tokns": 3})
    with pytest.raises(UnknownFieldError, match=r"'tokns', .* Did you mean 'tokens'"):
        made(ROWS)
    with pytest.raises(UnknownFieldError, match="'tokns'"):
        made.batch_spec({"label": jax.ShapeDtypeStruct((), jnp.int32)})


def test_a_call_whose_sequences_are_all_empty_has_the_dtype_of_the_earlier_ones():
    made = Batcher(BatcherConfig(batch_size=2, pad={"t": 2}))
    (first,) = made([{"t": [1, 2]}, {"t": [3]}])
    for other in (made, made.clone(), pickle.loads(pickle.dumps(made))):
        (empty,) = other([{"t": []}, {"t": []}])
        assert empty["t"].dtype == first["t"].dtype
        assert empty["t"].tolist() == [[0, 0], [0, 0]]
        assert empty["t_length"].tolist() == [0, 0]


def test_a_pad_of_a_field_that_a_later_element_lacks_is_refused():
    with pytest.raises(UnknownFieldError, match="'t'.*its fields are 'u'"):
        Batcher(BatcherConfig(batch_size=2, pad={"t": 3}))([{"t": [1]}, {"u": 2}])


def test_a_pad_of_what_is_no_sequence_is_refused():
    with pytest.raises(UnknownFieldError, match="'label', which is neither text, bytes nor"):
        batcher(pad={"label": 3})(ROWS)


def test_a_field_named_as_the_mask_is_refused_with_pad_alone():
    elements = [{"valid_mask": 1, "x": 2}] * 2
    with pytest.raises(UnknownFieldError, match="'valid_mask'"):
        batcher(remainder="pad")(elements)
    with pytest.raises(UnknownFieldError, match="'valid_mask'"):
        batcher(remainder="pad").batch_spec({"valid_mask": jax.ShapeDtypeStruct((), jnp.int32)})
    assert set(batcher()(elements)[0]) == {"valid_mask", "x"}


def test_elements_that_differ_are_refused():
    with pytest.raises(ValueError, match="element 1 has the fields"):
        batcher()([{"x": 1}, {"y": 1}])


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"batch_size": 1.5}, TypeError, "batch_size"),
        ({"batch_size": 1, "remainder": "wrap"}, ValueError, "'drop', 'keep' or 'pad'"),
        ({"batch_size": 1, "overflow": "wrap"}, ValueError, "'error' or 'cut'"),
        ({"batch_size": 1, "pad": {"x": 0}}, ValueError, r"pad\['x'\]"),
        ({}, TypeError, "batch_size"),
    ],
)
def test_an_option_out_of_range_is_refused(options, error, text):
    with pytest.raises(error, match=text):
        BatcherConfig(**options)


def test_process_takes_elements_alone():
    with pytest.raises(TypeError, match=r"takes elements alone, got also \(2,\)"):
        batcher()(ROWS, 2)


@pytest.mark.parametrize(
    "twin",
    [nnx.clone, lambda m: m.copy(), lambda m: pickle.loads(pickle.dumps(m))],
    ids=["nnx.clone", "copy", "pickle"],
)
def test_a_batcher_survives_being_cloned_copied_and_pickled(twin):
    made = batcher(2, pad={"tokens": 3}, remainder="pad")
    other = twin(made)
    assert other.config == made.config
    for found, expected in zip(other(ROWS), made(ROWS), strict=True):
        same(found, expected)


def test_a_config_is_frozen_with_what_it_holds():
    config = BatcherConfig(batch_size=2, pad={"tokens": 3})
    with pytest.raises(FrozenInstanceError):
        config.batch_size = 3
    with pytest.raises(TypeError, match="cannot be changed"):
        config.pad["tokens"] = 4
    assert hash(config) == hash(BatcherConfig(batch_size=2, pad={"tokens": 3}))


def test_calls_are_counted_and_saved():
    made = batcher()
    made(ROWS)
    other = batcher()
    other.set_state(made.get_state())
    assert other.get_operation_stats() == {"applied_count": 1, "skipped_count": 0}


@pytest.mark.parametrize("pad", [5, [("x", 1)], {1: 2}, {"x": "2"}, {"x": True}])
def test_a_pad_of_another_form_is_refused(pad):
    """As sources refuse it."""
    with pytest.raises(TypeError, match=r"pad(\['x'\] is an integer| maps a field)"):
        BatcherConfig(batch_size=2, pad=pad)


@pytest.mark.parametrize("given", [None, 5, iter([{"x": 1}]), {"x": 1}])
@pytest.mark.parametrize("pad", [None, {"x": 2}])
def test_what_is_no_sequence_of_elements_is_refused(given, pad):
    """An iterator would be gone after the first look at it."""
    with pytest.raises(TypeError, match="elements are a sequence of mappings, got"):
        Batcher(BatcherConfig(batch_size=2, pad=pad))(given)
