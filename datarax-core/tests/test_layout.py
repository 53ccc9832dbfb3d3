"""`Layout`: what stored fields become, and what is refused instead of being lost."""

import jax
import numpy as np
import pytest

import datarax
from datarax.errors import (
    CorruptDataError,
    HostOnlyFieldError,
    IntegerRangeError,
    UnknownFieldError,
    ValueTooLongError,
)
from datarax.sources import Field, MemoryReader, RecordReader
from datarax.sources.layout import ALIGNMENT, Layout, aligned_empty, emitted_dtype

MODES = pytest.mark.parametrize("mode", ["eager", "lazy"])


def layout(reader, *, x64=False, **options):
    return Layout.of(reader.fields, tuple(reader.fields), x64=x64, **options)


def read(reader, *, x64=False, rows=None, **options):
    indices = np.arange(len(reader) if rows is None else rows, dtype=np.int64)
    return layout(reader, x64=x64, **options).read(reader, indices)


@pytest.mark.parametrize(
    ("stored", "narrow", "wide"),
    [
        ("int64", "int32", "int64"),
        ("uint64", "uint32", "uint64"),
        ("float64", "float32", "float64"),
        ("complex128", "complex64", "complex128"),
        ("int8", "int8", "int8"),
        ("bool", "bool", "bool"),
        ("float16", "float16", "float16"),
        (">i4", "int32", "int32"),
        (">f8", "float32", "float64"),
    ],
)
def test_dtypes_are_narrowed_unless_x64_is_on(stored, narrow, wide):
    assert emitted_dtype(np.dtype(stored), x64=False) == np.dtype(narrow)
    assert emitted_dtype(np.dtype(stored), x64=True) == np.dtype(wide)


@pytest.mark.parametrize("stored", ["U4", "S4", "O", "M8[s]", "m8[s]", "V4", "f8,i4"])
def test_dtypes_that_jax_lacks_are_host_only(stored):
    assert emitted_dtype(np.dtype(stored), x64=True) is None


def test_bfloat16_is_emitted_as_it_is():
    dtype = np.dtype(jax.numpy.bfloat16)
    assert emitted_dtype(dtype, x64=False) == dtype


def test_bytes_of_the_other_order_are_turned():
    reader = MemoryReader({"x": np.array([1, 2], ">i4"), "y": np.array([0.5, 1.5], ">f8")})
    out = read(reader)
    assert (out["x"].dtype, out["x"].tolist()) == (np.int32, [1, 2])
    assert (out["y"].dtype, out["y"].tolist()) == (np.float32, [0.5, 1.5])


# Integers


@pytest.mark.parametrize(
    ("dtype", "value"), [("int64", 2**31), ("int64", -(2**31) - 1), ("uint64", 2**32)]
)
def test_an_integer_that_does_not_fit_is_an_error_and_no_wrap(dtype, value):
    reader = MemoryReader({"id": np.array([0, value], dtype)})
    with pytest.raises(IntegerRangeError, match=f"'id' holds {value}, .*exclude_keys") as caught:
        read(reader)
    assert isinstance(caught.value, OverflowError)
    assert read(reader, rows=1)["id"].tolist() == [0]
    assert read(reader, x64=True)["id"].tolist() == [0, value]


@pytest.mark.parametrize(
    ("dtype", "value"), [("int64", 2**31 - 1), ("int64", -(2**31)), ("uint64", 2**32 - 1)]
)
def test_an_integer_that_just_fits_is_kept(dtype, value):
    assert read(MemoryReader({"id": np.array([value], dtype)}))["id"].tolist() == [value]


def test_the_range_error_reaches_the_user_of_a_source_in_every_mode():
    data = {"id": np.array([0, 2**40]), "x": np.ones(2, np.float32)}
    with pytest.raises(IntegerRangeError, match="'id' holds 1099511627776"):
        datarax.load("memory:", data=data, mode="eager")
    lazy = datarax.load("memory:", data=data, mode="lazy")
    assert int(lazy[0]["id"]) == 0
    with pytest.raises(IntegerRangeError, match="'id'"):
        lazy[1]
    with pytest.raises(jax.errors.JaxRuntimeError, match="'id' holds 1099511627776"):
        jax.block_until_ready(jax.jit(lambda start: lazy.get_batch_at(start, 2))(0))
    assert len(datarax.load("memory:", data=data, exclude_keys=["id"])) == 2


# Padding


TEXTS = ["", "né", "abc"]


def test_text_becomes_utf8_bytes_and_a_length():
    out = read(MemoryReader({"t": TEXTS}), pad={"t": 4})
    assert out["t"].dtype == np.uint8
    assert [
        bytes(row[:n]).decode() for row, n in zip(out["t"], out["t_length"], strict=True)
    ] == TEXTS
    assert out["t_length"].tolist() == [0, 3, 3]
    assert out["t_length"].dtype == np.int32
    assert out["t"][2].tolist() == [97, 98, 99, 0]


def test_bytes_become_bytes_and_a_length():
    out = read(MemoryReader({"b": [b"\x00\xff", b""]}), pad={"b": 3})
    assert out["b"].tolist() == [[0, 255, 0], [0, 0, 0]]
    assert out["b_length"].tolist() == [2, 0]


def test_sequences_keep_their_dtype_narrowed():
    reader = MemoryReader({"s": [[1, 2, 3], [], [4]], "f": [[0.5], [1.5, 2.5], []]})
    out = read(reader, pad={"s": 3, "f": 2})
    assert out["s"].dtype == np.int32
    assert out["s"].tolist() == [[1, 2, 3], [0, 0, 0], [4, 0, 0]]
    assert out["s_length"].tolist() == [3, 0, 1]
    assert (out["f"].dtype, out["f"].tolist()) == (np.float32, [[0.5, 0], [1.5, 2.5], [0, 0]])


def test_an_integer_in_a_sequence_that_does_not_fit_is_an_error():
    with pytest.raises(IntegerRangeError, match="'s' holds 1099511627776"):
        read(MemoryReader({"s": [[2**40], [1, 2]]}), pad={"s": 2})


def test_a_value_beyond_its_width_is_an_error_by_default():
    with pytest.raises(
        ValueTooLongError, match=r"'t' holds a value of length 3, .* width of 2; .*cut"
    ):
        read(MemoryReader({"t": TEXTS}), pad={"t": 2})


def test_cutting_is_an_option_and_is_counted():
    reader = MemoryReader({"t": ["a", "bcd", "efgh"]})
    made = layout(reader, pad={"t": 2}, overflow="cut")
    out = made.read(reader, np.arange(3))
    assert [bytes(row) for row in out["t"]] == [b"a\x00", b"bc", b"ef"]
    assert out["t_length"].tolist() == [1, 2, 2]
    assert made.cuts == {"t": 2}


def test_a_companion_that_is_another_fields_name_is_refused():
    reader = MemoryReader({"t": ["a", "b"], "t_length": [1, 2]})
    with pytest.raises(UnknownFieldError, match=r"'t_length' the companion of 't'.*exclude_keys"):
        read(reader, pad={"t": 2})
    source = datarax.load(
        "memory:", data={"t": ["a"], "t_length": [9]}, pad={"t": 2}, exclude_keys=["t_length"]
    )
    assert int(source[0]["t_length"]) == 1


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_a_null_in_a_padded_list_is_an_error_and_never_a_number(dtype):
    """NumPy would make NaN of it where the dtype has one."""

    class Nulls(MemoryReader):
        def read(self, indices, names):
            return {"s": [[1, None]] * len(indices)}

    with pytest.raises(HostOnlyFieldError, match="'s' holds a list with a null in it"):
        read(Nulls({"s": [np.zeros(1, dtype), np.zeros(2, dtype)]}), pad={"s": 3})


@pytest.mark.parametrize("column", [np.ones(2), [{"a": 1}, {"a": 2}], [["a"], ["b", "c"]]])
def test_what_is_neither_text_bytes_nor_numbers_cannot_be_padded(column):
    with pytest.raises(UnknownFieldError, match=r"pad names 'x', which is neither.*leave it out"):
        read(MemoryReader({"x": column}), pad={"x": 2})


@MODES
def test_a_padded_source_emits_what_it_declares(mode):
    source = datarax.load("memory:", data={"t": TEXTS, "n": [1, 2, 3]}, pad={"t": 4}, mode=mode)
    spec = source.element_spec()
    assert {name: (leaf.shape, leaf.dtype.name) for name, leaf in spec.items()} == {
        "t": ((4,), "uint8"),
        "t_length": ((), "int32"),
        "n": ((), "int32"),
    }
    assert source.host_only == {}
    batch = source.get_batch_at(0, 3)
    assert batch["t_length"].tolist() == [0, 3, 3]
    assert bytes(np.asarray(source[2]["t"])) == b"abc\x00"


@MODES
def test_a_batch_of_host_only_fields_says_which_are_and_how_to_make_arrays(mode):
    source = datarax.load("memory:", data={"t": TEXTS, "o": [{}, {}, {}]}, mode=mode)
    assert set(source.host_only) == {"t", "o"}
    for use in (
        lambda: source.get_batch_at(0, 2),
        lambda: next(source.batches(2)),
        lambda: source.scan_epoch(lambda c, b: (c, c), 0, batch_size=2),
    ):
        with pytest.raises(
            HostOnlyFieldError, match=r"'t': text has no fixed length.*pad=\{'t': width\}"
        ):
            use()
    assert [element["t"] for element in source] == TEXTS


# Readers that do not keep their word


class Liar(RecordReader):
    def __init__(self, value):
        self.value = value

    @property
    def fields(self):
        return {"x": Field.array(np.int32, (2,))}

    def __len__(self):
        return 1

    def record(self, index):
        return {"x": self.value}

    def read(self, indices, names):
        return {"x": np.stack([self.value] * len(indices))}


@pytest.mark.parametrize(
    "value", [np.ones(3, np.int32), np.ones(2, np.int64), np.ones((2, 1), np.int32)]
)
def test_a_reader_that_returns_another_shape_or_dtype_is_found_out(value):
    with pytest.raises(CorruptDataError, match=r"for 'x', and declares int32\[1, 2\]"):
        read(Liar(value))


def test_buffers_are_aligned_so_that_the_cpu_takes_them_without_a_copy():
    for shape in ((3,), (7, 5), (1, 2, 3)):
        buffer = aligned_empty(shape, np.dtype(np.float32))
        assert buffer.shape == shape
        assert buffer.ctypes.data % ALIGNMENT == 0
        assert buffer.flags.c_contiguous


def test_no_indices_give_empty_columns():
    out = read(MemoryReader({"x": np.ones((3, 2)), "t": TEXTS}), rows=0, pad={"t": 2})
    assert {name: column.shape for name, column in out.items()} == {
        "x": (0, 2),
        "t": (0, 2),
        "t_length": (0,),
    }
