"""Streaming image folders: file by file, those that come next on their way, and exact resume."""

from __future__ import annotations

import io
import json
import pickle
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import datarax
from datarax.errors import CorruptDataError
from datarax_hf import HubConnectionError, stream_images

COUNT = 70
PIXELS = np.random.default_rng(0).integers(0, 256, (COUNT, 3, 4), np.uint8)
FORM = {"image_mode": "L", "image_size": (3, 4)}


@pytest.fixture
def images(make):
    """The bytes of the images."""
    return [make.png(pixels)["bytes"] for pixels in PIXELS]


def labelled(images):
    """Return two splits of images in the folders of their classes, in the order of records."""
    files = {}
    for number, image in enumerate(images):
        split, label = ("train", number // 25) if number < 50 else ("test", (number - 50) // 10)
        files[f"{split}/{'ab'[label]}/{number:02}.png"] = image
    return files


def described(images, kind):
    """Return images that a metadata file describes, from the last to the first."""
    files = {f"train/files/{number:02}.png": image for number, image in enumerate(images)}
    rows = [
        {"file_name": f"files/{number:02}.png", "number": number}
        for number in reversed(range(len(images)))
    ]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    files[f"train/metadata.{kind}"] = {
        "jsonl": "".join(f"{json.dumps(row)}\n" for row in rows).encode(),
        "csv": "\n".join(["file_name,number", *(",".join(map(str, r.values())) for r in rows)]),
        "parquet": out.getvalue(),
    }[kind]
    return files


def asked(hub):
    """Return how often each image was asked for, and the bytes of all."""
    times, total = {}, 0
    for name, wanted in hub.ranges:
        if name.endswith(".png"):
            first, last = map(int, wanted.removeprefix("bytes=").split("-"))
            times[name], total = times.get(name, 0) + 1, total + last + 1 - first
    return times, total


def found(source):
    """Return the numbers of the images of a pass, by their pixels."""
    held = [pixels.tobytes() for pixels in PIXELS]
    return [held.index(np.asarray(element["image"]).tobytes()) for element in source]


@pytest.mark.parametrize("form", [{}, FORM])
def test_images_stream_with_their_classes_each_asked_for_once(hub, images, form):
    files = labelled(images)
    hub.publish("a/b", files)
    with datarax.load("hf:a/b", mode="streaming", split="train", **form) as source:
        assert len(source) == 50
        assert ("image" in source.element_spec()) == bool(form)
        assert source.reader.fields["label"].class_names == ("a", "b")
        assert found(source) == list(range(50))
        times, total = asked(hub)
        assert times == {name: 1 for name in files if name.startswith("train")}
        assert total == sum(len(files[name]) for name in times)
        assert [int(element["label"]) for element in source] == [0] * 25 + [1] * 25


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_metadata_is_read_and_names_the_images(hub, cache, images, kind, tmp_path):
    hub.publish("a/b", described(images, kind))
    with datarax.load("hf:a/b", mode="streaming", derived_dir=tmp_path / "derived") as source:
        assert len(source) == COUNT
        assert found(source) == list(reversed(range(COUNT)))
        assert [int(element["number"]) for element in source] == list(reversed(range(COUNT)))
    assert not (tmp_path / "derived").exists()
    assert not [path for path in cache.rglob("*.png") if path.is_file()]
    with datarax.load("hf:a/b", mode="streaming", include_keys=["number"]) as source:
        del hub.ranges[:]
        assert len(list(source)) == COUNT
        assert asked(hub)[0] == {}, "images were asked for that nobody reads"


@pytest.mark.long
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("split", ["train", "train[7:40]+test[-5:]", "test+train[:20%]"])
def test_images_are_resumed_at_each_record_and_none_before_is_asked_for(
    hub, images, split, shuffle
):
    hub.publish("a/b", labelled(images))
    splits = {"train": [*range(50)], "test": [*range(50, COUNT)]}
    stored = [n for name in sorted(splits, key=split.find) for n in splits[name] if name in split]
    options = {"split": split, "shuffle": shuffle, "seed": 2 if shuffle else 0}
    options |= {"shuffle_window": 8} if shuffle else {}
    with datarax.load("hf:a/b", mode="streaming", **options) as source:
        passed = [(found([element])[0], source.get_state()) for element in source]
        whole = [number for number, _ in passed]
        assert len(whole) == len(source) == len(set(whole))
    for taken in range(0, len(whole), 11):
        with datarax.load("hf:a/b", mode="streaming", **options) as restored:
            restored.set_state(passed[taken][1])
            del hub.ranges[:]
            assert found(restored) == whole[taken + 1 :]
        if not shuffle:
            groups = {stored.index(number) // 16 for number in whole[taken + 1 :]}
            wanted = {number for place, number in enumerate(stored) if place // 16 in groups}
            assert {int(name[-6:-4]) for name in asked(hub)[0]} == wanted


def test_a_state_of_the_hub_goes_on_in_a_cache_and_without_a_socket(hub, images, air_gap):
    hub.publish("a/b", labelled(images))
    with datarax.load("hf:a/b", mode="streaming", split="train") as source:
        for _ in range(21):
            next(source)
        state = source.get_state()
        twin = pickle.loads(pickle.dumps(source))
        assert found([next(twin)]) == [21]
        twin.close()
    datarax.load("hf:a/b", mode="lazy", split="train").close()
    air_gap()
    options = {"mode": "streaming", "split": "train", "local_files_only": True}
    with datarax.load("hf:a/b", **options) as restored:
        restored.set_state(state)
        assert found(restored) == list(range(21, 50))


def test_what_comes_next_is_on_its_way_and_no_more_than_the_bound(hub, images, monkeypatch):
    monkeypatch.setattr(stream_images, "AHEAD_FILES", 32)
    hub.publish("a/b", labelled(images))
    with datarax.load("hf:a/b", mode="streaming", split="train") as source:
        pieces = source.reader.chain(list(range(len(source.reader.shards))), 0, ["image"])
        next(pieces)
        deadline = time.monotonic() + 5
        while len(asked(hub)[0]) < 32 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        assert len(asked(hub)[0]) == 32
        pieces.close()
        assert not source.reader._files._remote._coming


def test_large_images_come_in_parts_that_break_off_and_go_on(hub, make, monkeypatch):
    from datarax_hf import remote

    for name in ("REQUEST_BYTES", "FIRST_CHUNK_BYTES", "CHUNK_BYTES"):
        monkeypatch.setattr(remote, name, 1000)
    pixels = np.random.default_rng(1).integers(0, 256, (3, 40, 90), np.uint8)
    data = {f"{number}.png": make.png(image)["bytes"] for number, image in enumerate(pixels)}
    hub.publish("a/b", data)
    with datarax.load("hf:a/b", mode="streaming") as source:
        hub.fault("1.png", cut=50, reset=True)
        hub.fault("2.png", status=503)
        np.testing.assert_array_equal([element["image"] for element in source], pixels)
    _, total = asked(hub)
    assert total < sum(map(len, data.values())) + 2000


def test_a_hub_that_fails_is_no_damage(hub, images, monkeypatch):
    monkeypatch.setenv("DATARAX_HF_RETRIES", "0")
    hub.publish("a/b", labelled(images))
    with datarax.load("hf:a/b", mode="streaming", split="train") as source:
        hub.fault(".png", status=503, times=99)
        with pytest.raises(HubConnectionError, match="503"):
            list(source)


def test_a_broken_image_and_a_wrong_name_are_said(hub, images):
    files = labelled(images)
    hub.publish("a/b", {**files, "train/b/30.png": b"no image"})
    with (
        datarax.load("hf:a/b", mode="streaming", split="train") as source,
        pytest.raises(CorruptDataError, match=r"file .train/b/30\.png.*no format that Pillow"),
    ):
        list(source)
    hub.publish("a/c", {"metadata.csv": "file_name\n../x.png\n", "a.png": images[0]})
    with pytest.raises(CorruptDataError, match="not among the files of the split"):
        datarax.load("hf:a/c", mode="streaming")
    hub.publish("a/d", {**files, "train/a/03.png": b""})
    with (
        datarax.load("hf:a/d", mode="streaming", split="train") as source,
        pytest.raises(CorruptDataError, match=r"train/a/03\.png.*is empty"),
    ):
        list(source)


def test_parts_of_described_images_are_columns_of_their_own(hub, images):
    rows = [
        {"file_name": f"{number}.png", "box": {"x": number, "y": 2 * number}} for number in range(3)
    ]
    files = {f"train/{number}.png": images[number] for number in range(3)}
    files["train/metadata.jsonl"] = "".join(f"{json.dumps(row)}\n" for row in rows)
    hub.publish("a/b", files)
    with datarax.load("hf:a/b", mode="streaming", flatten=True) as source:
        elements = list(source)
        assert [int(element["box.y"]) for element in elements] == [0, 2, 4]
        assert found(elements) == [0, 1, 2]


@pytest.mark.parametrize(
    ("options", "shape"), [({"image_mode": "L"}, (8, 8)), ({"image_size": (2, 3)}, (2, 3))]
)
def test_images_that_nothing_declares_are_as_the_options_say(tmp_path, make, options, shape):
    """In a stream as elsewhere."""
    pixels = np.zeros((8, 8), np.uint8)
    image = pa.array([{"bytes": make.png(pixels)["bytes"], "path": None}])
    pq.write_table(pa.table({"image": image}), tmp_path / "train.parquet")
    for mode in ("lazy", "streaming"):
        (element,) = datarax.load(f"hf:{tmp_path}", mode=mode, **options)
        assert element["image"].shape == shape


def undeclared(path, values, kind):
    """Write a column of bytes and paths that nothing declares, in row groups of two."""
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    stored = [None if value is None else {"bytes": value, "path": None} for value in values]
    table = pa.table({"image": pa.array(stored, struct), "number": list(range(len(stored)))})
    if kind == "parquet":
        pq.write_table(table, path / "train.parquet", row_group_size=2)
        return
    with pa.ipc.new_file(path / "train.arrow", table.schema) as file:
        file.write_table(table, max_chunksize=2)


@pytest.mark.parametrize("options", [{}, FORM])
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_the_first_bytes_of_a_column_say_for_all_whether_they_are_images(
    tmp_path, images, kind, options
):
    """As in the other modes, and after a state as before."""
    sounds = [None, None, None, b"RIFF of sound", images[0], None]
    undeclared(tmp_path, sounds, kind)
    expected = [None if data is None else {"bytes": data, "path": None} for data in sounds]
    for mode in ("lazy", "streaming"):
        with datarax.load(f"hf:{tmp_path}", mode=mode, **options) as source:
            assert [element["image"] for element in source] == expected
    with datarax.load(f"hf:{tmp_path}", mode="streaming", **options) as source:
        for _ in range(4):
            next(source)
        state = source.get_state()
        twin = pickle.loads(pickle.dumps(source))
    with datarax.load(f"hf:{tmp_path}", mode="streaming", **options) as restored:
        restored.set_state(state)
        assert [element["image"] for element in restored] == expected[4:]
    with twin:
        assert [element["image"] for element in twin] == expected[4:]
    undeclared(tmp_path, [None, images[0], images[1], b"no image"], kind)
    for mode in ("lazy", "streaming"):
        with pytest.raises(CorruptDataError, match=r"column 'image': the image cannot be decoded"):
            list(datarax.load(f"hf:{tmp_path}", mode=mode, **options))


def test_columns_that_are_not_read_are_not_looked_at(hub, tmp_path, images):
    """What nothing declares least of all."""
    undeclared(tmp_path, images, "parquet")
    hub.publish("a/b", {"train.parquet": (tmp_path / "train.parquet").read_bytes()})
    asked = {}
    for name in ("number", "image"):
        del hub.ranges[:]
        with datarax.load("hf:a/b", mode="streaming", include_keys=[name], **FORM) as source:
            asked[name] = len(hub.ranges)
            assert ("image" in source.element_spec()) == (name == "image")
    assert asked["number"] < asked["image"]
