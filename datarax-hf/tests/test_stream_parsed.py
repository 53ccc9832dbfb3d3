"""Streaming JSON, CSV, text and Arrow: block by block, in the types of the first."""

from __future__ import annotations

import gzip
import io
import json

import numpy as np
import pyarrow as pa
import pytest

import datarax
from datarax.errors import (
    CorruptDataError,
    EmptyDatasetError,
    NotSupportedError,
    UnknownSplitError,
)
from datarax_hf.formats import characters, comma_text

RECORDS = [{"x": row, "y": row / 4, "name": f"n{row}"} for row in range(50)]


def json_lines(records):
    return "".join(f"{json.dumps(record)}\n" for record in records).encode()


def csv(records):
    lines = [",".join(records[0]), *(",".join(map(str, row.values())) for row in records)]
    return ("\n".join(lines) + "\n").encode()


def arrow(records, *, file):
    table = pa.Table.from_pylist(records)
    out = io.BytesIO()
    make = pa.ipc.new_file if file else pa.ipc.new_stream
    with make(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    return out.getvalue()


FORMATS = {
    "train.jsonl": json_lines,
    "train.json": lambda records: json.dumps(records).encode(),
    "train.csv": csv,
    "train.tsv": lambda records: csv(records).replace(b",", b"\t"),
    "train.jsonl.gz": lambda records: gzip.compress(json_lines(records)),
    "train.arrow": lambda records: arrow(records, file=True),
    "train-stream.arrow": lambda records: arrow(records, file=False),
}


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a few records."""
    monkeypatch.setattr(comma_text, "BLOCK", 256)
    for method in (characters.Characters.read, characters.Characters.blocks):
        monkeypatch.setattr(method, "__defaults__", (256,))


def folder(path, **files):
    for name, data in files.items():
        (path / name).write_bytes(data)
    return f"hf:{path}"


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_streams_the_same_from_the_hub_and_from_a_folder(hub, tmp_path, name):
    data = FORMATS[name](RECORDS)
    hub.publish("a/b", {name: data})
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_bytes(data)
    with datarax.load("hf:a/b", mode="streaming") as remote:
        elements = list(remote)
        spec = remote.element_spec()
    assert [(int(e["x"]), float(e["y"]), e["name"]) for e in elements] == [
        tuple(record.values()) for record in RECORDS
    ]
    with datarax.load(f"hf:{tmp_path}/data", mode="streaming") as local:
        assert local.element_spec() == spec
        for found, element in zip(local, elements, strict=True):
            assert found["name"] == element["name"]
            np.testing.assert_array_equal(found["x"], element["x"])
    assert spec == datarax.load(f"hf:{tmp_path}/data", mode="lazy").element_spec()


def test_text_streams_its_lines(hub):
    hub.publish("a/b", {"train.txt": "one\ntwo\n\nthree"})
    with datarax.load("hf:a/b", mode="streaming", pad={"text": 5}) as source:
        [batch] = source.batches(4)
        assert batch["text_length"].tolist() == [3, 3, 0, 5]


def test_a_stream_of_lines_is_resumed_at_the_record(hub):
    hub.publish(
        "a/b",
        {f"train-{number}.jsonl": json_lines(RECORDS[25 * number :][:25]) for number in (0, 1)},
    )
    for options in ({}, {"shuffle": True, "shuffle_window": 8, "seed": 1}):
        with datarax.load("hf:a/b", mode="streaming", **options) as source:
            passed = [(int(element["x"]), source.get_state()) for element in source]
        whole = [number for number, _ in passed]
        assert sorted(whole) == list(range(50))
        for taken in (0, 7, 24, 25, 40):
            with datarax.load("hf:a/b", mode="streaming", **options) as restored:
                restored.set_state(passed[taken][1])
                assert [int(element["x"]) for element in restored] == whole[taken + 1 :]


def test_slices_count_from_the_beginning(hub):
    hub.publish(
        "a/b",
        {f"train-{number}.jsonl": json_lines(RECORDS[25 * number :][:25]) for number in (0, 1)},
    )
    for expression, expected in {
        "train[20:30]": [*range(20, 30)],
        "train[40:]": [*range(40, 50)],
        "train[48:]+train[:3]": [48, 49, 0, 1, 2],
    }.items():
        with datarax.load("hf:a/b", mode="streaming", split=expression) as source:
            assert [int(element["x"]) for element in source] == expected
    for expression in ("train[:50%]", "train[-3:]"):
        with pytest.raises(UnknownSplitError, match="mode='lazy'"):
            datarax.load("hf:a/b", mode="streaming", split=expression)
    with pytest.raises(EmptyDatasetError, match="no records"):
        datarax.load("hf:a/b", mode="streaming", split="train[:0]")


def test_a_slice_beyond_the_end_is_empty_and_that_is_said_once_it_is_known(tmp_path):
    """Other modes say it at once, with the same words; a pass that has begun may end."""
    uri = folder(tmp_path, **{f"train-{n}.jsonl": json_lines(RECORDS[:5]) for n in range(2)})
    with pytest.raises(EmptyDatasetError) as expected:
        datarax.load(uri, mode="lazy", split="train[10:]")
    for split in ("train[10:]", "train[10:20]+train[30:]"):
        said = str(expected.value).replace("train[10:]", split)
        with datarax.load(uri, mode="streaming", split=split) as source:
            for read in (list, next, lambda source: list(source.batches(2, epochs=2))):
                with pytest.raises(EmptyDatasetError) as told:
                    read(source)
                assert str(told.value) == said
    with datarax.load(uri, mode="streaming", split="train[8:]+train[20:]") as source:
        assert [int(element["x"]) for element in source] == [3, 4]
        next(source)
        state = source.get_state()
    with datarax.load(uri, mode="streaming", split="train[8:]+train[20:]") as source:
        source.set_state(state)
        assert [int(element["x"]) for element in source] == [4]


def test_a_length_that_nothing_tells_is_not_guessed(tmp_path):
    uri = folder(tmp_path, **{"train.jsonl": json_lines(RECORDS)})
    with (
        datarax.load(uri, mode="streaming") as source,
        pytest.raises(NotImplementedError, match="how many records"),
    ):
        len(source)


def test_integers_that_are_followed_by_fractions_are_an_error_that_says_where(
    tmp_path, small_blocks
):
    late = [*RECORDS[:40], {"x": 1.5, "y": 1.0, "name": "late"}]
    for name, write in (("train.jsonl", json_lines), ("train.csv", csv)):
        (tmp_path / name).mkdir()
        uri = folder(tmp_path / name, **{name: write(late)})
        with (
            datarax.load(uri, mode="streaming") as source,
            pytest.raises(CorruptDataError, match=rf"{name}.*records from \d+ on.*mode='lazy'"),
        ):
            list(source)


def test_fractions_may_be_written_as_integers_later_on(tmp_path, small_blocks):
    records = [*RECORDS[1:30], *({"x": 1, "y": 2, "name": "n"} for _ in range(20))]
    for name, write in (("train.jsonl", json_lines), ("train.csv", csv)):
        (tmp_path / name).mkdir()
        uri = folder(tmp_path / name, **{name: write(records)})
        with datarax.load(uri, mode="streaming") as source:
            assert [float(e["y"]) for e in source] == [float(r["y"]) for r in records]


def test_features_of_the_card_decide_where_the_beginning_does_not(tmp_path, small_blocks):
    records = [*RECORDS[:30], {"x": 1.5, "y": 1.0, "name": "late"}]
    card = """---
dataset_info:
  features:
  - {name: x, dtype: float64}
  - {name: y, dtype: float32}
  - {name: name, dtype: string}
---
"""
    for name, write in (("train.jsonl", json_lines), ("train.csv", csv)):
        (tmp_path / name).mkdir()
        files = {name: write(records), "README.md": card.encode()}
        with datarax.load(folder(tmp_path / name, **files), mode="streaming") as source:
            assert [float(e["x"]) for e in source] == [float(r["x"]) for r in records]


def test_a_column_that_comes_late_is_an_error_and_one_that_is_lacking_is_null(
    tmp_path, small_blocks
):
    uri = folder(tmp_path, **{"train.jsonl": json_lines([*RECORDS, {"other": 1}])})
    with (
        datarax.load(uri, mode="streaming") as source,
        pytest.raises(CorruptDataError, match="'other'"),
    ):
        list(source)
    uri = folder(tmp_path, **{"train.jsonl": json_lines([*RECORDS, {"x": 1, "y": 0.5}])})
    with datarax.load(uri, mode="streaming") as source:
        assert list(source)[-1]["name"] is None


def test_a_null_among_numbers_is_an_error_unless_it_is_filled(tmp_path, small_blocks):
    uri = folder(
        tmp_path, **{"train.jsonl": json_lines([*RECORDS, {"x": None, "y": 0.5, "name": "n"}])}
    )
    with (
        datarax.load(uri, mode="streaming") as source,
        pytest.raises(CorruptDataError, match="'x'.*fill_nulls"),
    ):
        list(source)
    with datarax.load(uri, mode="streaming", fill_nulls={"x": -1}) as source:
        assert list(source)[-1]["x"] == -1


def test_damage_is_said_with_the_file_and_the_line(hub):
    data = json_lines(RECORDS[:5]) + b'{"x": 1, "y":\n'
    hub.publish("a/b", {"train.jsonl": data})
    with pytest.raises(CorruptDataError, match=r"train\.jsonl.*line 6.*http://.*on the Hub"):
        datarax.load("hf:a/b", mode="streaming")


def test_lines_come_from_the_hub_in_chunks_that_break_off_and_go_on(hub, monkeypatch):
    from datarax_hf import remote

    monkeypatch.setattr(remote, "FIRST_CHUNK_BYTES", 300)
    monkeypatch.setattr(remote, "CHUNK_BYTES", 400)
    hub.publish("a/b", {"train.jsonl": json_lines(RECORDS)})
    with datarax.load("hf:a/b", mode="streaming") as source:
        hub.fault("train.jsonl", cut=50, reset=True)
        hub.fault("train.jsonl", status=503)
        assert [int(element["x"]) for element in source] == list(range(50))


def test_splits_of_several_formats_say_which_mode_reads_them(hub, make):
    hub.publish(
        "a/b",
        {
            "data/train.csv": csv(RECORDS),
            "data/test.parquet": make.parquet({name: [r[name] for r in RECORDS] for name in "xy"}),
        },
    )
    with pytest.raises(NotSupportedError, match="mode='lazy'"):
        datarax.load("hf:a/b", mode="streaming", split="train+test")
    for split in ("train", "test"):
        with datarax.load("hf:a/b", mode="streaming", split=split) as source:
            assert len(list(source)) == 50


def test_columns_that_stand_twice_in_an_arrow_file_are_refused(tmp_path):
    """As in the other modes; which of them a name means nobody can say."""
    table = pa.table([pa.array([1]), pa.array([2])], names=["x", "x"])
    with pa.ipc.new_file(tmp_path / "train.arrow", table.schema) as file:
        file.write_table(table)
    for mode in ("eager", "lazy", "streaming"):
        with pytest.raises(CorruptDataError, match="'train.arrow' has columns twice: 'x'"):
            datarax.load(f"hf:{tmp_path}", mode=mode)
