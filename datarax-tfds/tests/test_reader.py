"""The reader: every feature as declared, exact slices, damage that is named."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from datarax.errors import CacheMissError, CorruptDataError, SourceClosedError, UnknownSplitError
from datarax.sources import BufferReader, ColumnReader, Identified, Reader
from datarax_tfds import reader as reader_module
from datarax_tfds.reader import open_reader


def equal(found, expected):
    assert list(found) == sorted(expected)
    for name, value in expected.items():
        if isinstance(value, (np.ndarray, np.generic)):
            np.testing.assert_array_equal(found[name], value, err_msg=name)
            assert found[name].dtype == value.dtype
        else:
            assert found[name] == value
            assert type(found[name]) is type(value)


def test_the_reader_is_every_protocol_that_speeds_reading(config):
    """It is indexed, reads by column and into buffers, and says what it reads."""
    for protocol in (Reader, ColumnReader, BufferReader, Identified):
        assert isinstance(open_reader(config()), protocol)


def test_each_record_is_what_was_prepared(config, toys):
    """Scalars, labels, images, tensors, text and nested features, of all shards."""
    reader = open_reader(config())
    assert len(reader) == 23
    for index in range(23):
        equal(reader[index], toys(index))
    equal(reader[-1], toys(22))
    for found, index in zip(reader.__getitems__([22, 0, 22, 5]), [22, 0, 22, 5], strict=True):
        equal(found, toys(index))


def test_each_record_is_what_tfds_reads(config, builders, data_dir):
    """TFDS's own data source gives the same numbers, record by record."""
    theirs = builders[0](data_dir=str(data_dir), version="1.10.0").as_data_source(split="train")
    ours = open_reader(config())
    for index in (0, 7, 22):
        for name in ("image", "label", "weight", "flag"):
            np.testing.assert_array_equal(ours[index][name], theirs[index][name])
        assert ours[index]["text"].encode() == theirs[index]["text"]


def test_features_that_are_not_flat_are_exact(config, zoos):
    """Sequences, optional values, images of any size, encoded tensors and wide integers."""
    reader = open_reader(config("zoo/big"))
    for index in range(7):
        equal(reader[index], zoos(index))


def test_fields_with_one_shape_are_arrays_and_others_say_why_not(config):
    """What can be padded says how."""
    toy = open_reader(config()).fields
    assert {name: field.shape for name, field in toy.items() if field.is_array} == {
        "flag": (),
        "image": (4, 3, 1),
        "label": (),
        "nested/count": (),
        "weight": (2, 3),
    }
    assert toy["text"].ragged == toy["nested/name"].ragged == "text"
    zoo = open_reader(config("zoo/small")).fields
    assert {name for name, field in zoo.items() if field.is_array} == {
        "bits",
        "depth",
        "fixed",
        "zipped",
    }
    assert zoo["photo"].reason == "images differ in size"
    assert (zoo["tokens"].ragged, zoo["tokens"].dtype) == ("sequence", np.int32)
    assert zoo["blob"].ragged == "bytes"
    assert zoo["maybe"].reason == "values are optional"


def test_labels_have_names_and_fields_descriptions(config):
    """What the dataset says of its features is kept."""
    fields = open_reader(config()).fields
    assert fields["label"].class_names == ("ant", "bee", "cow")
    assert fields["image"].description == "A small one."


def test_fields_come_in_the_same_order_everywhere(config):
    """A saved state and a worker process see what this process sees."""
    names = list(open_reader(config()).fields)
    assert names == sorted(names)


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        (None, range(23)),
        ("train", range(23)),
        ("test", range(100, 106)),
        ("train[:80%]", range(18)),
        ("train[80%:]", range(18, 23)),
        ("train[10:20]", range(10, 20)),
        ("train[-4:]", range(19, 23)),
        ("train+test", [*range(23), *range(100, 106)]),
        ("test[2:4]+train[:3]", [102, 103, 0, 1, 2]),
        ("train[:2]+train[21:]", [0, 1, 21, 22]),
    ],
)
def test_a_split_is_exactly_the_rows_it_says(config, split, expected):
    """Slices and sums count in stored order, over all shards."""
    reader = open_reader(config(split=split))
    counts = reader.read(np.arange(len(reader)), ("nested/count",))["nested/count"]
    np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize(
    "split", ["train[:3]", "train[33%:67%]", "train[5:-5]", "test+train[:10%]"]
)
def test_a_split_is_what_tfds_says_it_is(config, builders, data_dir, split):
    """The same expression gives the same rows in TFDS itself."""
    theirs = builders[0](data_dir=str(data_dir), version="1.10.0").as_data_source(split=split)
    ours = open_reader(config(split=split))
    texts = [record["text"].encode() for record in ours.__getitems__(range(len(ours)))]
    assert texts == [theirs[index]["text"] for index in range(len(theirs))]


def test_the_only_split_needs_no_name(config):
    """A dataset with one split is read whole."""
    assert len(open_reader(config("zoo/big"))) == 7


def test_an_unknown_split_lists_those_there_are(config):
    """The nearest is offered."""
    with pytest.raises(UnknownSplitError, match=r"'train', 'test'.* Did you mean 'train'"):
        open_reader(config(split="trian"))


def test_columns_are_read_as_named(config, toys):
    """Only the columns named are decoded; arrays are contiguous and writable."""
    indices = np.array([9, 1, 22, 1])
    columns = open_reader(config()).read(indices, ("text", "image"))
    assert list(columns) == ["text", "image"]
    assert columns["text"] == [toys(index)["text"] for index in indices]
    np.testing.assert_array_equal(columns["image"], [toys(index)["image"] for index in indices])
    assert columns["image"].flags.c_contiguous
    assert columns["image"].flags.writeable


def test_buffers_are_filled_in_chunks(config, toys, monkeypatch):
    """Parsed examples are bounded, and the rows stay in order."""
    monkeypatch.setattr(reader_module, "_CHUNK_RECORDS", 4)
    reader, indices = open_reader(config()), np.random.default_rng(0).permutation(23)
    out = {"weight": np.empty((23, 2, 3), np.float32)}
    reader.read_into(indices, out)
    np.testing.assert_array_equal(out["weight"], [toys(index)["weight"] for index in indices])
    assert reader.read(indices, ("text",))["text"] == [toys(index)["text"] for index in indices]


def test_no_indices_give_empty_columns(config):
    """An empty batch has the shapes of the fields."""
    columns = open_reader(config()).read(np.array([], np.int64), ("image", "text"))
    assert columns["image"].shape == (0, 4, 3, 1)
    assert columns["text"] == []


def test_threads_read_the_same_records_as_one(config, toys):
    """Images and TFDS's own decoding too."""
    reader = open_reader(config())

    def work(seed):
        indices = np.random.default_rng(seed).integers(0, 23, 12)
        images = reader.read(indices, ("image",))["image"]
        return all(
            (image == toys(row)["image"]).all() for image, row in zip(images, indices, strict=True)
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(32)))


def test_the_reader_survives_pickling(config, toys):
    """Worker processes get it whole; features are read anew there."""
    reader = open_reader(config(split="train[3:]"))
    copy = pickle.loads(pickle.dumps(reader))
    equal(copy[0], toys(3))
    assert dict(copy.identity) == dict(reader.identity)


def test_a_closed_reader_says_so(config):
    """Closing twice is no error; reading after it is."""
    reader = open_reader(config())
    reader.close()
    reader.close()
    with pytest.raises(SourceClosedError):
        reader[0]


def test_identity_tells_versions_and_slices_apart(config):
    """A saved state is held against what was read."""
    assert open_reader(config()).identity == open_reader(config(split="train")).identity
    assert open_reader(config()).identity["dataset"] == "toy:1.10.0"
    others = [config("toy:1.9.3"), config(split="test"), config(split="train[1:]")]
    for other in others:
        assert open_reader(other).identity != open_reader(config()).identity


def test_lacking_shards_of_a_split_are_named(copied, config):
    """Only the splits that are read need their shards."""
    gone = [copied / "toy" / "1.10.0" / f"toy-train.array_record-0000{i}-of-00003" for i in (0, 2)]
    for file in gone:
        file.unlink()
    with pytest.raises(CacheMissError, match="2 of the 3 shards of split 'train'") as caught:
        open_reader(config(data_dir=str(copied)))
    for file in gone:
        assert str(file) in str(caught.value)
    assert len(open_reader(config(data_dir=str(copied), split="test"))) == 6


@pytest.mark.parametrize("kept", [0, 65536, -1])
def test_a_truncated_shard_is_named(copied, config, kept):
    """Cut anywhere, also where the native reader would see an empty file."""
    file = copied / "toy" / "1.10.0" / "toy-train.array_record-00001-of-00003"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(CorruptDataError, match="is truncated") as caught:
        open_reader(config(data_dir=str(copied)))[10]
    assert str(file) in str(caught.value)


def test_a_shard_of_other_records_than_the_metadata_says_is_corrupt(copied, config):
    """A file that was swapped does not shift the rows of the others."""
    folder = copied / "toy" / "1.10.0"
    (folder / "toy-test.array_record-00000-of-00003").replace(
        folder / "toy-train.array_record-00000-of-00003"
    )
    with pytest.raises(CorruptDataError, match=r"holds 2 records, and dataset_info.json says [78]"):
        open_reader(config(data_dir=str(copied)))[0]


@pytest.fixture
def record(copied, config):
    """Return a function that reads one record of `toy` whose only shard is made of `features`."""
    from array_record.python.array_record_module import ArrayRecordWriter
    from tensorflow_datasets.proto import tf_example_pb2

    def record(payload=None, **features):
        if payload is None:
            example = tf_example_pb2.Example()
            for name, value in features.items():
                feature = example.features.feature[name]
                kind = {
                    int: feature.int64_list,
                    bytes: feature.bytes_list,
                    float: feature.float_list,
                }
                kind[type(value[0])].value.extend(value)
            payload = example.SerializeToString()
        folder = copied / "toy" / "1.10.0"
        info = json.loads((folder / "dataset_info.json").read_text())
        info["splits"] = [{"name": "train", "shardLengths": ["1"]}]
        (folder / "dataset_info.json").write_text(json.dumps(info))
        writer = ArrayRecordWriter(str(folder / "toy-train.array_record-00000-of-00001"))
        writer.write(payload)
        writer.close()
        return open_reader(config(data_dir=str(copied)))

    return record


@pytest.mark.parametrize(
    ("field", "features", "what"),
    [
        ("label", {}, "holds 0 numbers, not 1"),
        ("weight", {"weight": [1.0, 2.0]}, "holds 2 numbers, not 6"),
        ("nested/count", {"nested/count": [2**40]}, "do not fit int32"),
        ("text", {}, "holds 0 strings, not one"),
        ("text", {"text": [b"\xff"]}, "is not UTF-8.*exclude_keys"),
        ("image", {"image": [b"not an image"]}, "is not an image"),
    ],
)
def test_a_value_that_is_not_as_declared_is_corrupt(record, field, features, what):
    """The error names the dataset, the file, the record and the field."""
    with pytest.raises(CorruptDataError, match=f"record 0: field '{field}' .*{what}") as caught:
        record(**features).read(np.array([0]), (field,))
    assert "toy-train.array_record-00000-of-00001" in str(caught.value)


def test_a_record_that_is_no_example_is_corrupt(record):
    """Bytes of another kind are named as such."""
    with pytest.raises(CorruptDataError, match=r"record 0: is no tf\.train\.Example"):
        record(payload=b"\xff\xff\xff")[0]


def test_features_of_classes_outside_tfds_are_not_imported(copied, config, tmp_path, monkeypatch):
    """TFDS would import any module that features.json names; nothing is executed here."""
    (tmp_path / "evil_features.py").write_text("raise SystemExit('executed')")
    monkeypatch.syspath_prepend(str(tmp_path))
    file = copied / "toy" / "1.10.0" / "features.json"
    file.write_text(
        file.read_text().replace(
            "tensorflow_datasets.core.features.text_feature.Text", "evil_features.Text"
        )
    )
    with pytest.raises(CorruptDataError, match=r"names the class 'evil_features\.Text'"):
        _ = open_reader(config(data_dir=str(copied))).fields
