"""Bad input: each gives an error that says what was asked, what was found and what to do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import datarax
from datarax.core.config import StructuralConfig
from datarax.errors import (
    DataraxError,
    EmptyDatasetError,
    InvalidURIError,
    SourceNotInstalledError,
    UnknownFieldError,
    UnknownOptionError,
    UnknownSourceError,
    UnknownSplitError,
)

DATA = {"image": np.zeros((6, 2), np.uint8), "label": np.arange(6)}


def says(caught, *parts):
    text = str(caught.value)
    for part in parts:
        assert part in text, text
    return True


def refused(error, uri, *parts, **options):
    with pytest.raises(error) as caught:
        datarax.load(uri, **options)
    assert isinstance(caught.value, DataraxError)
    says(caught, *parts)
    return caught.value


# The scheme


def test_an_unknown_scheme_is_refused_with_those_installed():
    error = refused(UnknownSourceError, "zzzzzzz:x", "'zzzzzzz'", "installed are", "'memory'")
    assert isinstance(error, LookupError)
    assert "Did you mean" not in str(error)


def test_an_unknown_scheme_near_an_installed_one_names_it():
    refused(UnknownSourceError, "memry:", "'memry'", "Did you mean 'memory'?")


def test_an_unknown_scheme_near_one_that_can_be_installed_gives_the_pip_line(nothing_installed):
    refused(
        UnknownSourceError,
        "arrayrecrd:x",
        "installed are 'memory'.",
        "Did you mean 'arrayrecord'?",
        "pip install datarax-arrayrecord",
    )


@pytest.mark.parametrize("scheme", ["hf", "tfds", "arrayrecord"])
def test_a_known_scheme_that_is_not_installed_gives_the_pip_line(nothing_installed, scheme):
    name = f"datarax-{scheme}"
    error = refused(
        SourceNotInstalledError, f"{scheme}:x", repr(scheme), f"run: pip install {name}"
    )
    assert isinstance(error, ImportError)


def test_without_any_plugin_memory_still_loads(nothing_installed):
    assert [info.scheme for info in datarax.list_sources()] == ["memory"]
    assert len(datarax.load("memory:", data=DATA)) == 6


def test_a_scheme_that_is_not_a_word_is_refused_with_the_grammar():
    refused(
        InvalidURIError, "my set:x", "'my set'", "scheme:target[@revision]", "'hf:ylecun/mnist'"
    )
    refused(InvalidURIError, "mnist", "'mnist' names no scheme", "scheme:target[@revision]")


def test_an_empty_target_is_refused_but_for_memory(publish):
    code = (publish.folder / f"{publish('open')}.py").read_text()
    publish("toy", code.replace("needs_target=False", "needs_target=True"))
    refused(InvalidURIError, "toy:", "'toy:' names no dataset", "write 'toy:TARGET'")
    assert len(datarax.load("toy:x")) == 3
    assert len(datarax.load("memory:", data=DATA)) == 6


def test_memory_without_data_says_how_to_give_it():
    refused(UnknownOptionError, "memory:", "data=", "datarax.load('memory:', data=")


# Options


def test_an_unknown_option_is_refused_with_those_that_exist_and_the_nearest():
    refused(
        UnknownOptionError,
        "memory:",
        "takes no option 'sede'",
        "'shuffle'",
        "Did you mean 'seed'?",
        data=DATA,
        sede=1,
    )
    refused(UnknownOptionError, "memory:?sede=1", "Did you mean 'seed'?", data=DATA)


def test_a_duplicate_option_is_refused_with_both_values():
    refused(InvalidURIError, "memory:?seed=1&seed=2", "'seed' twice: '1' and '2'", data=DATA)
    refused(InvalidURIError, "memory:?seed=1", "given twice: 1 in", "and 2", data=DATA, seed=2)


def test_an_unknown_split_is_refused_with_those_that_exist_and_the_nearest():
    refused(
        UnknownSplitError,
        "memory:",
        "no split 'trian'",
        "its splits are 'train'",
        "Did you mean 'train'?",
        data=DATA,
        split="trian",
    )
    refused(UnknownSplitError, "memory:", "position 5", data=DATA, split="train[:3")


@pytest.mark.parametrize("option", ["include_keys", "exclude_keys"])
def test_an_unknown_field_is_refused_with_those_that_exist_and_the_nearest(option):
    refused(
        UnknownFieldError,
        "memory:",
        f"{option} names the field 'lable'",
        "its fields are 'image', 'label'",
        "Did you mean 'label'?",
        data=DATA,
        **{option: ["lable"]},
    )


def test_both_include_and_exclude_keys_are_refused():
    with pytest.raises(ValueError, match="exclude each other; give the fields to read, or") as c:
        datarax.load("memory:", data=DATA, include_keys=["image"], exclude_keys=["label"])
    says(c, "('image',)", "('label',)")


def test_keys_given_as_one_string_or_none_at_all_are_refused():
    with pytest.raises(TypeError, match=r"include_keys is a sequence of field names.*'image'"):
        datarax.load("memory:", data=DATA, include_keys="image")
    with pytest.raises(ValueError, match="include_keys is empty; leave it out"):
        datarax.load("memory:", data=DATA, include_keys=[])


@pytest.mark.parametrize("seed", [-1, 2**32, 2**70])
def test_a_seed_outside_32_bits_is_refused(seed):
    with pytest.raises(ValueError, match=rf"seed is in \[0, 2\*\*32\), got {seed}"):
        datarax.load("memory:", data=DATA, shuffle=True, seed=seed)


@pytest.mark.parametrize("seed", [0.5, "1", True])
def test_a_seed_that_is_no_integer_is_refused(seed):
    with pytest.raises(TypeError, match="seed is an integer, got"):
        datarax.load("memory:", data=DATA, seed=seed)


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("mode", "fast", ValueError),
        ("shuffle", "yes", TypeError),
        ("local_files_only", 1, TypeError),
        ("cacheable", 1, TypeError),
        ("eager_limit", -1, ValueError),
        ("eager_limit", "1GB", TypeError),
        ("cache_limit", -1, ValueError),
        ("overflow", "wrap", ValueError),
        ("pad", {"image": 0}, ValueError),
        ("pad", "image", TypeError),
        ("pad", {0: 2}, TypeError),
        ("include_keys", 5, TypeError),
        ("exclude_keys", 5, TypeError),
        ("split", 3, TypeError),
    ],
)
def test_an_option_of_another_kind_is_refused_by_its_name(option, value, error):
    with pytest.raises(error, match=option) as caught:
        datarax.load("memory:", data=DATA, **{option: value})
    says(caught, repr(value) if not isinstance(value, dict) else "0")


@pytest.mark.parametrize(
    ("option", "value", "taken"),
    [
        ("seed", np.int64(3), 3),
        ("seed", np.uint8(3), 3),
        ("eager_limit", np.int64(2**40), 2**40),
        ("cache_limit", np.int32(5), 5),
        ("shuffle", np.bool_(True), True),
        ("cacheable", np.bool_(False), False),
        ("local_files_only", np.bool_(True), True),
        ("split", np.str_("train"), "train"),
        ("include_keys", np.array(["label"]), ("label",)),
        ("pad", {np.str_("text"): np.int64(3)}, {"text": 3}),
    ],
)
def test_an_integer_of_numpys_is_taken_for_the_one_it_is(option, value, taken):
    """The config holds Python's, as if they had been given; ranges are checked all the same."""
    data = {"label": [1, 2], "text": ["a", "b"]}
    with datarax.load("memory:", data=data, **{option: value}) as source:
        held = getattr(source.config, option)
        assert (repr(held), held) == (repr(taken), taken)
    with pytest.raises(ValueError, match=r"seed is in \[0, 2\*\*32\), got -1"):
        datarax.load("memory:", data=data, seed=np.int64(-1))


def test_an_integer_of_numpys_may_repeat_what_the_uri_gives():
    """Given twice with one value, as a Python number may be."""
    with datarax.load("memory:?seed=3", data=DATA, seed=np.int64(3)) as source:
        assert source.config.seed == 3


ODD_PLACES = ["cpu", 3, True, [0], jax.sharding.SingleDeviceSharding, object()]


@pytest.mark.parametrize("value", ODD_PLACES, ids=lambda value: type(value).__name__)
def test_a_place_that_is_neither_a_device_nor_a_sharding_is_refused(load, value):
    """By `load`, by `inspect`, and by `batches`, which takes a sharding alone."""
    for ask in (datarax.load, datarax.inspect):
        with pytest.raises(TypeError, match=r"placement is a jax\.Device or .*got .*; give jax"):
            ask("memory:", data=DATA, placement=value)
    for mode in ("eager", "lazy"):
        with pytest.raises(TypeError, match=r"sharding is a jax\.sharding\.Sharding, got .*; give"):
            load(mode=mode).batches(2, sharding=value)


def test_a_device_is_no_sharding_of_batches_and_a_spec_is_no_sharding_at_all(load):
    """The error writes the sharding that was meant."""
    with pytest.raises(TypeError, match=r"SingleDeviceSharding\(device\)"):
        load().batches(2, sharding=jax.devices()[0])
    spec = jax.sharding.PartitionSpec("data")
    for ask in (lambda: load().batches(2, sharding=spec), lambda: load(placement=spec)):
        with pytest.raises(TypeError, match=r"NamedSharding\(mesh, .*'data'.*names the devices"):
            ask()


@pytest.mark.parametrize("rngs", [5, "a", jax.random.key(0), {"shuffle": 1}, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_rngs_of_another_kind_are_refused(load, rngs, shuffle):
    """Where they would supply a seed, where they would not, and in a copy."""
    for ask in (lambda: load(shuffle=shuffle, rngs=rngs), lambda: load().copy(rngs=rngs)):
        with pytest.raises(TypeError, match=r"(?s)rngs is an nnx\.Rngs.*a number alone is a seed"):
            ask()


# Access


@pytest.mark.parametrize("index", [6, -7, 10**12])
def test_an_index_out_of_range_is_refused_with_the_number_of_records(load, index):
    with pytest.raises(IndexError, match=f"index {index} is out of range for 6 records"):
        load(6)[index]


@pytest.mark.parametrize("index", [1.0, "1", None, slice(0, 2), np.arange(2)])
def test_an_index_that_is_no_integer_is_refused_with_what_reads_several(load, index):
    with pytest.raises(TypeError, match=r"an index is an integer.*get_batch_at\(start, size\)"):
        load(6)[index]


def test_any_integer_is_an_index_or_a_start(load):
    source = load(6)
    for one in (1, np.int64(1), np.uint8(1), jnp.int32(1)):
        assert float(source[one]["x"]) == 1.0
        assert source.get_batch_at(one, 2)["x"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("mode", ["eager", "lazy"])
def test_a_start_that_is_negative_or_no_integer_is_refused(load, mode):
    source = load(6, mode=mode)
    with pytest.raises(ValueError, match="start is a position, 0 or more, got -1"):
        source.get_batch_at(-1, 2)
    for start in (0.5, "0", None, True, np.arange(2)):
        with pytest.raises(TypeError, match="start is a position, an integer, got"):
            source.get_batch_at(start, 2)


@pytest.mark.parametrize("mode", ["eager", "lazy"])
def test_a_size_of_zero_or_below_is_refused(load, mode):
    source = load(6, mode=mode)
    for size in (0, -2):
        with pytest.raises(ValueError, match=f"number of elements, 1 or more, got {size}"):
            source.get_batch_at(0, size)
        with pytest.raises(ValueError, match=f"batch_size .* 1 or more, got {size}"):
            source.batches(size)
        with pytest.raises(ValueError, match=f"batch_size .* 1 or more, got {size}"):
            source.scan_epoch(lambda c, b: (c, c), 0, batch_size=size)


def test_get_batch_at_on_a_forward_only_source_says_to_iterate():
    class Forward(datarax.DataSourceModule):
        def __iter__(self):
            return iter([{"x": jnp.int32(1)}])

        def element_spec(self):
            return {"x": jax.ShapeDtypeStruct((), jnp.int32)}

    source = Forward(StructuralConfig(), name="tape")
    with pytest.raises(NotImplementedError, match=r"Forward 'tape' has no indexed access.*iterate"):
        source.get_batch_at(0, 2)
    assert not source.supports_indexed_access()
    assert [int(element["x"]) for element in source] == [1]


# Data


@pytest.mark.parametrize(
    "data", [[], {"x": []}, {"x": np.zeros((0, 2))}], ids=["records", "column", "array"]
)
def test_an_empty_dataset_is_refused(data):
    error = refused(EmptyDatasetError, "memory:", "memory:", "holds no records", data=data)
    assert isinstance(error, ValueError)


def test_an_empty_slice_and_no_field_left_are_refused():
    refused(EmptyDatasetError, "memory:", "'train[3:3]'", "wider", data=DATA, split="train[3:3]")
    refused(
        EmptyDatasetError,
        "memory:",
        "exclude_keys leaves no field",
        "('image', 'label')",
        data=DATA,
        exclude_keys=["image", "label"],
    )


@pytest.mark.parametrize(
    ("data", "error", "what"),
    [
        ({}, ValueError, "data is an empty dict"),
        ({"x": [1, 2], "y": [1]}, ValueError, "differ in length: {'x': 2, 'y': 1}"),
        ([{"x": 1}, {"y": 2}], ValueError, "record 1 of data has the fields"),
        ([{"x": 1}, 3], TypeError, "record 1 of data is a dict, got int"),
        ("text", TypeError, "a dict of columns or a list of records"),
        (3, TypeError, "a dict of columns or a list of records"),
        ({"x": 3}, TypeError, "'x' is an array or a sequence of values, got int"),
        ({"x": np.float32(3)}, ValueError, "'x' is a scalar"),
        ({3: [1]}, TypeError, "got the name 3"),
        ({"x": np.ma.array([1, 2], mask=[0, 1])}, ValueError, "1 values masked"),
    ],
)
def test_data_of_another_form_is_refused_with_what_it_is(data, error, what):
    with pytest.raises(error) as caught:
        datarax.load("memory:", data=data)
    says(caught, what)
