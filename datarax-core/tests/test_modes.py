"""Modes: which one "auto" takes, the plan said before, what is read, and streams without a length."""

import json
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import datarax
from datarax.errors import HostOnlyFieldError, StateMismatchError, ValueTooLongError
from datarax.sources import (
    ColumnarReader,
    Field,
    MemoryReader,
    MemorySource,
    MemorySourceConfig,
    ReaderSource,
    SourceConfig,
)
from datarax.sources.streaming import IndexedStream

INDEXED = pytest.mark.parametrize("mode", ["eager", "lazy"])
EVERY = pytest.mark.parametrize("mode", ["eager", "lazy", "streaming"])
DATA = {"x": np.arange(40, dtype=np.float32).reshape(10, 4), "id": np.arange(10)}
BYTES = 10 * (4 * 4 + 4)


# auto, and the plan


@pytest.mark.parametrize(
    ("limit", "mode"), [(BYTES, "eager"), (BYTES - 1, "lazy"), (2**30, "eager"), (0, "lazy")]
)
def test_auto_is_eager_up_to_the_limit_in_decoded_bytes_and_lazy_beyond(limit, mode):
    with datarax.load("memory:", data=DATA, eager_limit=limit) as source:
        assert source.plan.mode == mode
        assert source.plan.bytes == BYTES
        assert bool(source._data) == (mode == "eager")
        assert ("within" if mode == "eager" else "beyond") in source.plan.why


@EVERY
def test_a_mode_that_is_asked_for_is_taken_whatever_the_limit(mode):
    source = datarax.load("memory:", data=DATA, mode=mode, eager_limit=0)
    assert (source.plan.mode, source.plan.why) == (mode, "as asked")


def test_auto_streams_what_only_goes_forward():
    source = ReaderSource(SourceConfig(), IndexedStream(MemoryReader(DATA)))
    assert source.plan.mode == "streaming"
    assert "forward only" in source.plan.why


def test_auto_is_lazy_where_no_field_is_an_array():
    source = datarax.load("memory:", data={"text": ["a", "b"]})
    assert (source.plan.mode, source.plan.why) == ("lazy", "no field is an array")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"eager_limit": 3},
        {"mode": "lazy"},
        {"mode": "eager", "exclude_keys": ["x"]},
        {"split": "train[:3]"},
    ],
    ids=str,
)
def test_inspect_tells_the_plan_that_load_will_take(options):
    info = datarax.inspect("memory:", data=DATA, **options)
    source = datarax.load("memory:", data=DATA, **options)
    assert info.plan == source.plan
    assert str(info.plan) in repr(source)


def test_the_plan_is_readable_before_any_record_is_read():
    """`inspect` and a lazy source's construction read nothing; the eager source reads all."""
    reader = Counting()
    for options in ({"mode": "lazy"}, {"eager_limit": 0}, {"mode": "streaming"}):
        given = IndexedStream(reader) if options.get("mode") == "streaming" else reader
        source = ReaderSource(SourceConfig(**options), given)
        assert source.plan.bytes == 10 * (64 + 4)
        source.element_spec(), repr(source), len(source)
    assert reader.asked == []
    ReaderSource(SourceConfig(mode="eager"), reader)
    assert {row for _, row in reader.asked} == set(range(10))


def test_repr_says_records_mode_bytes_why_order_and_fields():
    source = datarax.load(
        "memory:", data={**DATA, "text": list("abcdefghij")}, shuffle=True, seed=3
    )
    text = repr(source)
    for part in (
        "'memory:'",
        "10 records",
        "eager, 200 B (within the limit of 1.0 GiB a device)",
        "shuffled (seed 3)",
        "x: float32[4]",
        "id: int32[]",
        "text: host-only",
    ):
        assert part in text
    assert "seed" not in repr(datarax.load("memory:", data=DATA))


# Which columns are read


class Counting(ColumnarReader):
    """Notes every (column, row) that is read."""

    def __init__(self):
        self.asked = []

    @property
    def fields(self):
        return {
            "image": Field.array(np.float32, (16,)),
            "label": Field.array(np.int32),
            "text": Field.text(),
        }

    def __len__(self):
        return 10

    def read(self, indices, names):
        self.asked += [(name, row) for name in names for row in indices.tolist()]
        columns = {
            "image": np.ones((len(indices), 16), np.float32),
            "label": indices.astype(np.int32),
            "text": [f"row {row}" for row in indices.tolist()],
        }
        return {name: columns[name] for name in names}

    @property
    def columns_read(self):
        return {name for name, _ in self.asked}


def use_everything(source):
    list(source)
    list(source.batches(3, remainder="keep"))
    source.scan_epoch(lambda c, b: (c, None), 0, batch_size=2)
    if source.supports_indexed_access():
        source[0]
        source.get_batch_at(0, 2)
        jax.jit(lambda start: source.get_batch_at(start, 2))(1)


@EVERY
@pytest.mark.parametrize(
    ("options", "read"),
    [
        ({"include_keys": ["label"]}, ["label"]),
        ({"exclude_keys": ["image"]}, ["label", "text"]),
        ({"exclude_keys": ["text"]}, ["image", "label"]),
        ({"include_keys": ["text", "label"], "pad": {"text": 8}}, ["label", "text"]),
        ({}, ["image", "label", "text"]),
    ],
    ids=str,
)
def test_columns_that_are_left_out_are_never_read(mode, options, read):
    reader = Counting()
    given = IndexedStream(reader) if mode == "streaming" else reader
    source = ReaderSource(SourceConfig(mode=mode, shuffle=True, **options), given)
    use_everything(source)
    assert sorted(reader.columns_read) == read


@INDEXED
def test_batches_read_no_host_only_column(mode):
    reader = Counting()
    source = ReaderSource(SourceConfig(mode=mode), reader)
    list(source.batches(3))
    source.get_batch_at(0, 3)
    assert reader.columns_read == {"image", "label"}


def test_a_lazy_source_reads_the_rows_asked_for_and_no_others():
    reader = Counting()
    source = ReaderSource(SourceConfig(mode="lazy", include_keys=("label",)), reader)
    source.get_batch_at(8, 3)
    source[5]
    assert [row for _, row in reader.asked] == [8, 9, 0, 5]


def test_an_eager_source_reads_each_record_once_however_often_it_is_used():
    reader = Counting()
    source = ReaderSource(SourceConfig(mode="eager", exclude_keys=("text",)), reader)
    use_everything(source)
    assert sorted(reader.asked) == sorted(
        (name, row) for name in ("image", "label") for row in range(10)
    )


# Text, bytes and ragged fields


RAGGED = {
    "text": ["short", "é", "a longer one"],
    "raw": [b"ab", b"", b"abc"],
    "tokens": [[1, 2], [3], []],
    "label": [0, 1, 2],
}


@EVERY
def test_a_width_makes_arrays_of_text_bytes_and_sequences_with_their_lengths(mode):
    pad = {"text": 12, "raw": 4, "tokens": 2}
    source = datarax.load("memory:", data=RAGGED, mode=mode, pad=pad)
    assert source.host_only == {}
    assert list(source.element_spec()) == [
        "text", "text_length", "raw", "raw_length", "tokens", "tokens_length", "label",
    ]  # fmt: skip
    (batch,) = source.batches(3)
    assert batch["text_length"].tolist() == [5, 2, 12]
    assert bytes(np.asarray(batch["text"][1, :2])).decode() == "é"
    assert batch["raw"].tolist() == [[97, 98, 0, 0], [0, 0, 0, 0], [97, 98, 99, 0]]
    assert batch["tokens"].tolist() == [[1, 2], [3, 0], [0, 0]]
    assert batch["tokens_length"].tolist() == [2, 1, 0]
    assert all(leaf.dtype == jnp.int32 for name, leaf in batch.items() if "length" in name)
    elements = list(source)
    assert elements[2]["text_length"] == 12
    assert isinstance(elements[2]["text"], jax.Array)


@EVERY
def test_a_value_too_long_is_an_error_that_names_the_field_and_both_lengths(mode):
    with pytest.raises(ValueTooLongError, match="'text' .* length 12, .* width of 5"):
        list(datarax.load("memory:", data=RAGGED, mode=mode, pad={"text": 5}).batches(3))


@EVERY
def test_cut_values_are_counted(mode):
    """Two of the three texts are longer than four bytes, as one pass finds."""
    options = {"pad": {"text": 4}, "overflow": "cut"}
    source = datarax.load("memory:", data=RAGGED, mode=mode, **options)
    (batch,) = source.batches(3)
    assert batch["text_length"].tolist() == [4, 2, 4]
    assert bytes(np.asarray(batch["text"][2])) == b"a lo"
    assert source.cuts == {"text": 2}


# Host-only fields


@EVERY
def test_host_only_fields_are_said_by_repr_and_by_name_and_kept_out_of_spec_and_batches(mode):
    source = datarax.load("memory:", data=RAGGED, mode=mode)
    assert set(source.host_only) == {"text", "raw", "tokens"}
    assert source.host_only["tokens"] == "its sequences differ in length"
    for name in source.host_only:
        assert f"{name}: host-only" in repr(source)
    assert set(source.element_spec()) == {"label"}
    assert set(next(source.batches(2))) == {"label"}
    element, *_ = source
    assert (element["text"], element["raw"], element["tokens"]) == ("short", b"ab", [1, 2])
    assert "host_only" in type(source).element_spec.__doc__


@pytest.mark.parametrize("mode", ["auto", "lazy", "streaming"])
def test_the_error_for_a_batch_of_them_says_which_why_and_how_to_make_arrays(mode):
    data = {name: RAGGED[name] for name in ("text", "tokens")}
    source = datarax.load("memory:", data=data, mode=mode)
    uses = [
        lambda: list(source.batches(2)),
        lambda: source.scan_epoch(lambda c, b: (c, None), 0, batch_size=2),
    ]
    if source.supports_indexed_access():
        uses.append(lambda: source.get_batch_at(0, 2))
    for use in uses:
        with pytest.raises(HostOnlyFieldError) as caught:
            use()
        for part in ("'text': text has no fixed length", "pad={'text': width, 'tokens': width}"):
            assert part in str(caught.value)
    assert [element["text"] for element in source] == RAGGED["text"]


# Streams whose length nobody knows


class Unknown:
    """Shards of 4, 3 and 5 records in pieces of two; only the middle one knows its own count."""

    sizes = (4, 3, 5)
    shards = (None, 3, None)

    @property
    def fields(self):
        return {"x": Field.array(np.int32), "text": Field.text()}

    def stream(self, shard, offset, names):
        begin = sum(self.sizes[:shard])
        for start in range(offset, self.sizes[shard], 2):
            rows = np.arange(begin + start, begin + min(start + 2, self.sizes[shard]))
            columns = {"x": rows.astype(np.int32), "text": [f"row {row}" for row in rows]}
            yield {name: columns[name] for name in names}

    def close(self):
        pass


def unknown(**options):
    return ReaderSource(SourceConfig(**options), Unknown(), uri="unknown:")


def xs(items):
    return [x for item in items for x in np.ravel(item["x"]).tolist()]


def place(source):
    cursor = source.get_state()["cursor"]
    return cursor["epoch"], cursor["offset"]


ORDERS = pytest.mark.parametrize(
    "options", [{}, {"shuffle": True, "seed": 4, "shuffle_window": 5}], ids=["stored", "shuffled"]
)


def test_a_stream_of_unknown_length_says_so_and_list_works():
    source = unknown()
    with pytest.raises(NotImplementedError, match="nothing says how many records"):
        len(source)
    assert [element["text"] for element in list(source)] == [f"row {i}" for i in range(12)]
    assert source.plan.bytes is None
    assert "unknown records, streaming, size unknown" in repr(source)
    with pytest.raises(NotImplementedError):
        len(source.batches(2))


@ORDERS
def test_a_stream_of_unknown_length_is_iterated_epoch_after_epoch(options):
    source = unknown(**options)
    epochs = [xs(source) for _ in range(3)]
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) == (3 if options else 1)
    assert place(source) == (3, 0)


@ORDERS
@pytest.mark.parametrize("remainder", ["drop", "keep", "pad"])
@pytest.mark.parametrize("size", [1, 4, 5, 12, 13])
def test_batches_of_it_are_the_sequence_of_its_iteration(options, remainder, size):
    expected, source = [xs(unknown(**options))], unknown(**options)
    batches = list(source.batches(size, epochs=2, remainder=remainder))
    counts = [int(b["valid_mask"].sum()) if "valid_mask" in b else len(b["x"]) for b in batches]
    full, rest = divmod(12, size)
    tail = [rest] if rest and remainder != "drop" else []
    assert counts == ([size] * full + tail) * 2
    found = [x for b, n in zip(batches, counts, strict=True) for x in b["x"][:n].tolist()]
    assert found[: len(found) // 2] == expected[0][: len(found) // 2]
    assert place(source) == (2, 0)


@ORDERS
@pytest.mark.parametrize("size", [1, 4, 5, 13])
def test_scan_epoch_of_it_runs_every_full_batch(options, size):
    source, expected = unknown(**options), xs(unknown(**options))
    steps, ys = source.scan_epoch(lambda c, b: (c + 1, b["x"]), 0, batch_size=size)
    assert int(steps) == 12 // size
    assert ys.ravel().tolist() == expected[: 12 // size * size]
    assert place(source) == (1, 0)


@ORDERS
def test_it_is_resumed_at_the_record_by_every_pass(options):
    whole = xs(unknown(**options))
    for taken in range(1, 12):
        source = unknown(**options)
        for _ in range(taken):
            next(source)
        state = json.loads(json.dumps(source.get_state()))
        passes = {
            "elements": lambda s: xs(s),
            "batches": lambda s: xs(s.batches(5, remainder="keep")),
            "scan": lambda s: xs(
                [{"x": s.scan_epoch(lambda c, b: (c, b["x"]), 0, batch_size=1)[1]}]
            ),
        }
        for name, one_pass in passes.items():
            restored = unknown(**options)
            restored.set_state(state)
            assert one_pass(restored) == whole[taken:], name
            assert place(restored) == (1, 0)


def test_what_reads_by_index_is_refused():
    source = unknown()
    assert not source.supports_indexed_access()
    for use in (lambda: source[0], lambda: source.get_batch_at(0, 2)):
        with pytest.raises(NotImplementedError, match="streams, forward only"):
            use()
    for options, text in (
        ({"mode": "lazy"}, "goes forward only, and mode='lazy' reads by index"),
        ({"mode": "eager"}, "goes forward only"),
        ({"cacheable": True}, "cacheable=True keeps decoded records"),
        ({"placement": jax.devices()[0]}, "placement is where eager data lies"),
    ):
        with pytest.raises(ValueError, match=text):
            unknown(**options)


def test_a_copy_and_a_clone_of_a_memory_source_keep_its_mode():
    source = MemorySource(MemorySourceConfig(mode="lazy"), DATA)
    for other in (source.copy(), source.clone()):
        assert other.plan == source.plan


@pytest.mark.parametrize("mode", ["lazy", "eager"])
def test_a_cached_element_is_the_callers_own(mode):
    """Whatever is done to it, the next one is as the record is."""

    class Nested(ColumnarReader):
        fields: ClassVar = {"x": Field.array(np.int32), "more": Field(None, None, reason="nested")}

        def __len__(self):
            return 4

        def read(self, indices, names, /):
            made = {"x": indices.astype(np.int32), "more": [{"a": [int(i)]} for i in indices]}
            return {name: made[name] for name in names}

        def close(self):
            self.closed = True

    source = ReaderSource(SourceConfig(mode=mode, cacheable=True), Nested())
    for _ in range(3):
        element = source[2]
        assert element["more"] == {"a": [2]}
        element["more"]["a"].append(9)


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state["cursor"].update(epoch=2**70),
        lambda state: state.update(applied_count="array:int32[]:99999999999"),
    ],
)
def test_a_number_beyond_all_in_a_saved_state_is_damage(damage):
    """And nothing of it is taken."""
    source = MemorySource(MemorySourceConfig(mode="lazy"), {"x": np.arange(8)})
    state = source.get_state()
    damage(state)
    with pytest.raises(StateMismatchError):
        source.set_state(state)
    assert (
        source.get_state()
        == MemorySource(MemorySourceConfig(mode="lazy"), {"x": np.arange(8)}).get_state()
    )
