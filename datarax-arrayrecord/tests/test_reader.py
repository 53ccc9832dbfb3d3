"""The reader: columns of raw records, checked lengths, splits."""

import pickle

import ml_dtypes
import numpy as np
import pytest

from datarax.errors import CacheMissError, CorruptDataError, UnknownSplitError
from datarax.sources import BufferReader, ColumnReader, Identified, Reader
from datarax_arrayrecord import ArrayRecordReader, ArrayRecordSourceConfig
from datarax_arrayrecord import reader as reader_module
from datarax_arrayrecord.reader import open_reader
from datarax_arrayrecord.spec import normalise


@pytest.fixture
def open_(tmp_path, spec):
    """Return a function that opens a reader of the test's folder, with options."""

    def open_(**options):
        return open_reader(
            ArrayRecordSourceConfig(**({"path": str(tmp_path), "spec": spec} | options))
        )

    return open_


def equal(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].dtype == value.dtype


def test_the_reader_is_every_protocol_that_speeds_reading(write, payloads, open_):
    """It is indexed, reads by column and into buffers, and says what it reads."""
    write(payloads)
    for protocol in (Reader, ColumnReader, BufferReader, Identified):
        assert isinstance(open_(), protocol)


@pytest.mark.parametrize("shards", [1, 4])
def test_each_record_is_what_was_written(write, payloads, digits, open_, shards):
    """One by one, from the end, and many at once, of one shard and of four."""
    write(payloads, shards=shards)
    reader = open_()
    assert len(reader) == len(digits)
    for index, row in enumerate(digits):
        equal(reader[index], row)
    equal(reader[-1], digits[-1])
    for found, index in zip(reader.__getitems__([22, 0, 22, 5]), [22, 0, 22, 5], strict=True):
        equal(found, digits[index])


def test_an_index_out_of_range_is_an_index_error(write, payloads, open_):
    """The sequence protocol ends where the records do."""
    write(payloads)
    with pytest.raises(IndexError, match="23 is out of range for 23 records"):
        open_()[23]
    assert len(list(open_())) == 23


def test_columns_are_read_as_named_and_contiguous(write, payloads, digits, open_):
    """Only the columns named come, each C-contiguous and writable."""
    write(payloads, shards=3)
    indices = np.array([9, 1, 22])
    columns = open_().read(indices, ("label", "image"))
    assert list(columns) == ["label", "image"]
    for name, column in columns.items():
        np.testing.assert_array_equal(column, [digits[index][name] for index in indices])
        assert column.flags.c_contiguous
        assert column.flags.writeable


def test_buffers_are_filled_in_chunks(write, payloads, digits, open_, monkeypatch):
    """Payloads beside the buffers are bounded, and the rows stay in order."""
    monkeypatch.setattr(reader_module, "_CHUNK_BYTES", 100)
    write(payloads, shards=3)
    indices = np.random.default_rng(0).permutation(23)
    out = {"image": np.empty((23, 4, 3), np.uint8)}
    open_().read_into(indices, out)
    np.testing.assert_array_equal(out["image"], [digits[index]["image"] for index in indices])


def test_no_indices_give_empty_columns(write, payloads, open_):
    """An empty batch has the shapes of the spec."""
    write(payloads)
    assert open_().read(np.array([], np.int64), ("image",))["image"].shape == (0, 4, 3)
    assert open_().__getitems__([]) == []


def test_every_kind_of_number_is_read_exactly(write, open_):
    """Booleans, wide integers, halves, complex numbers and bfloat16 keep their bits."""
    row = {
        "flag": np.array([True, False]),
        "wide": np.int64(-(2**62)),
        "half": np.float16(0.1),
        "pair": np.complex64(1 - 2j),
        "brain": np.array([0.1, 3e38], ml_dtypes.bfloat16),
    }
    write([b"".join(value.tobytes() for value in row.values())])
    spec = {name: (value.dtype, value.shape) for name, value in row.items()}
    equal(open_(spec=spec)[0], row)


def test_a_byte_that_is_no_boolean_is_corrupt(write, open_):
    """A bool of value 2 would behave differently on every device."""
    write([b"\x00\x01", b"\x01\x02", b"\x00\x00"])
    with pytest.raises(CorruptDataError, match=r"digits\.array_record': record 1 .*'flag'"):
        open_(spec={"flag": "bool[2]"}).read(np.arange(3), ("flag",))


def test_a_record_of_another_length_names_file_index_and_bytes(write, payloads, open_):
    """The spec and the file disagree, and the error says by how much and where."""
    files = write([*payloads[:20], payloads[20] + b"!", *payloads[21:]], shards=2)
    with pytest.raises(CorruptDataError) as caught:
        open_().read(np.arange(23), ("label",))
    text = str(caught.value)
    assert str(files[1]) in text
    assert "record 9 has 29 bytes, and the spec adds up to 28" in text
    assert "image:uint8[4,3];weight:float32[3];label:int32[]" in text


def test_the_reader_survives_pickling(write, payloads, digits, open_):
    """Worker processes get it whole, without its handles."""
    write(payloads, shards=2)
    equal(pickle.loads(pickle.dumps(open_()))[22], digits[22])


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        (None, range(23)),
        ("train", range(23)),
        ("train[:80%]", range(18)),
        ("train[80%:]", range(18, 23)),
        ("train[3:11]", range(3, 11)),
        ("train[-4:]", range(19, 23)),
        ("train[20:]+train[:2]", [20, 21, 22, 0, 1]),
    ],
)
def test_a_split_is_exactly_the_rows_it_says(write, payloads, open_, split, expected):
    """Slices count over all shards, in stored order."""
    write(payloads, shards=4)
    reader = open_(split=split)
    labels = reader.read(np.arange(len(reader)), ("label",))["label"]
    np.testing.assert_array_equal(labels, -np.array(expected))


def test_another_split_than_train_is_unknown(write, payloads, open_):
    """Files have one split."""
    write(payloads)
    with pytest.raises(UnknownSplitError, match="no split 'test'; its splits are 'train'"):
        open_(split="test")


def test_identity_tells_files_layouts_and_slices_apart(write, payloads, open_, spec):
    """A saved state is held against what was read, not against where it lay."""
    write(payloads)
    whole, again = open_().identity, open_(split="train").identity
    assert whole == again
    assert open_(split="train[:5]").identity["split"] == "train[0:5]"
    assert open_(split="train[:5]").identity != open_(split="train[:6]").identity
    assert open_(spec=dict(reversed(spec.items()))).identity["layout"] != whole["layout"]
    write(payloads[:-1])
    assert open_().identity["files"] != whole["files"]


def test_lacking_shards_are_named(write, payloads, open_):
    """Every shard that is not there stands in the error, by its path."""
    files = write(payloads, shards=4)
    for file in files[1:3]:
        file.unlink()
    with pytest.raises(CacheMissError, match="2 of its shards were found, and 2 are lacking") as e:
        open_()
    for file in files[1:3]:
        assert str(file) in str(e.value)


def test_one_truncated_shard_of_many_is_named(write, payloads, open_):
    """A set is whole or an error."""
    files = write(payloads, shards=4)
    files[2].write_bytes(files[2].read_bytes()[:-1])
    with pytest.raises(CorruptDataError, match="00002-of-00004"):
        open_()


def test_the_reader_is_built_without_a_config(write, payloads, digits, spec):
    """Files and fields are all it needs."""
    with ArrayRecordReader(write(payloads), normalise(spec)) as reader:
        equal(reader[2], digits[2])
