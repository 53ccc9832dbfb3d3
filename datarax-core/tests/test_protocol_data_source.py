"""`DataSourceModule` and `LocalFilesOnlyMixin`, sentence by sentence, on the page's own source."""

import copy
import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import nnx

from datarax.core.config import StructuralConfig
from datarax.core.data_source import DataSourceModule, LocalFilesOnlyMixin
from datarax.core.structural import StructuralModule
from datarax.errors import CacheMissError, SourceClosedError, UnknownLengthError


@dataclass(frozen=True)
class MyDataSourceConfig(StructuralConfig):
    required_param: int | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.required_param is None:
            raise ValueError("required_param is required")


class MyDataSource(DataSourceModule):
    data: list[dict]

    def __init__(
        self,
        config: MyDataSourceConfig,
        data: list[dict],
        *,
        rngs: nnx.Rngs | None = None,
        name: str | None = None,
    ):
        super().__init__(config, rngs=rngs, name=name)
        self.data = nnx.data(data)  # Mark as pytree data, not parameters.


class Rows(MyDataSource):
    """The page's source with its methods written: the shape of any source of a user's own."""

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        return self.data[index]

    def element_spec(self):
        return {"x": jax.ShapeDtypeStruct((2,), jnp.float32)}

    def get_batch_at(self, start, size, key=None):
        columns = jnp.stack([row["x"] for row in self.data])
        return {"x": columns[(start + jnp.arange(size)) % len(self.data)]}


class Stream(DataSourceModule):
    """Forward only: no indexed access, no length."""

    def element_spec(self):
        return {"x": jax.ShapeDtypeStruct((), jnp.int32)}

    def _elements(self, epoch, offset):
        for index in range(offset, 5):
            yield ({"x": jnp.int32(index)},)


def rows(count=5, **options):
    data = [{"x": jnp.full(2, i, jnp.float32), "text": f"row {i}"} for i in range(count)]
    return Rows(MyDataSourceConfig(required_param=1), data, **options)


def values(elements):
    return [int(np.ravel(element["x"])[0]) for element in elements]


def place(source):
    cursor = source.get_state()["cursor"]
    return int(cursor["epoch"]), int(cursor["offset"])


# LocalFilesOnlyMixin


class Downloading(LocalFilesOnlyMixin):
    def __init__(self, local_files_only):
        self.local_files_only = local_files_only


def test_the_check_names_the_dataset_each_missing_path_and_both_remedies(tmp_path):
    held, first, second = (tmp_path / name for name in ("held", "first", "second"))
    held.touch()
    with pytest.raises(FileNotFoundError) as caught:
        Downloading(True)._check_local_cache([held, first, second], dataset_name="org/data")
    text = str(caught.value)
    assert isinstance(caught.value, CacheMissError)
    assert "org/data: local_files_only=True, and 2 of 3 files" in text
    assert f"\n  {first}\n  {second}\n" in text
    assert str(held) not in text.splitlines()
    assert "Put them there, or load once with local_files_only=False" in text


def test_relative_paths_are_named_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=str(tmp_path / "shard")):
        Downloading(True)._check_local_cache([Path("shard")], dataset_name="d")


def test_the_check_passes_where_all_is_there_or_downloads_are_allowed(tmp_path):
    Downloading(True)._check_local_cache([tmp_path], dataset_name="d")
    Downloading(False)._check_local_cache([tmp_path / "nowhere"], dataset_name="d")


def test_the_mixin_composes_with_a_source():
    class Composed(LocalFilesOnlyMixin, Rows):
        local_files_only = True

    source = Composed(MyDataSourceConfig(required_param=1), [{"x": jnp.ones(2)}])
    with pytest.raises(FileNotFoundError, match="Composed"):
        source._check_local_cache([Path("/nowhere/at/all")], dataset_name="Composed")
    assert len(source) == 1


# Construction


def test_the_pages_source_is_built_from_its_config_and_data():
    config = MyDataSourceConfig(required_param=3)
    source = MyDataSource(config, [{"x": jnp.ones(2)}], name="mine")
    assert isinstance(source, StructuralModule)
    assert (source.config, source.name, source.rngs) == (config, "mine", None)
    assert len(source.data) == 1


def test_data_marked_as_pytree_data_is_no_parameter_and_is_not_checkpointed():
    source = rows()
    assert jax.tree.leaves(nnx.state(source, nnx.Param)) == []
    assert "data" not in source.get_state()


def test_data_wrapped_in_a_param_is_checkpointed():
    class Wrapped(DataSourceModule):
        def __init__(self, config, data):
            super().__init__(config)
            self.data = nnx.Param(data)

    source, other = (Wrapped(StructuralConfig(), jnp.full(2, value)) for value in (1.0, 2.0))
    other.set_state(source.get_state())
    np.testing.assert_array_equal(other.data[...], [1, 1])


def test_value_error_if_stochastic_but_rngs_is_none():
    config = MyDataSourceConfig(required_param=1, stochastic=True, stream_name="draw")
    with pytest.raises(ValueError, match=r"MyDataSource is stochastic and needs rngs"):
        MyDataSource(config, [])
    assert MyDataSource(config, [], rngs=nnx.Rngs(draw=0)).stream_name == "draw"


def test_a_source_used_before_super_init_says_so():
    class Late(DataSourceModule):
        def __init__(self):
            self.early = len(self)

    class Later(DataSourceModule):
        def __init__(self):
            iter(self)

    with pytest.raises(AttributeError, match=r"call super\(\).__init__"):
        Later()
    with pytest.raises((AttributeError, NotImplementedError)):
        Late()


# get_batch_at, element_spec, and what else a subclass defines


def test_get_batch_at_raises_not_implemented_if_the_source_has_no_indexed_access():
    source = Stream(StructuralConfig())
    assert not source.supports_indexed_access()
    with pytest.raises(NotImplementedError, match=r"Stream has no indexed access.*iterate over it"):
        source.get_batch_at(0, 2)
    with pytest.raises(NotImplementedError, match="no __getitem__"):
        source[0]
    with pytest.raises(NotImplementedError, match="does not know its number of elements"):
        len(source)
    with pytest.raises(UnknownLengthError):
        len(source.batches(2))


def test_get_batch_at_returns_size_records_from_start_on_and_moves_nothing():
    source = rows()
    before = json.dumps(jax.tree.map(int, source.get_state()))
    assert source.supports_indexed_access()
    np.testing.assert_array_equal(source.get_batch_at(3, 4)["x"][:, 0], [3, 4, 0, 1])
    assert json.dumps(jax.tree.map(int, source.get_state())) == before


def test_get_batch_at_composes_with_nnx_scan():
    @nnx.jit
    def run(source):
        @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=(nnx.Carry, 0))
        def step(carry, i):
            return carry, source.get_batch_at(2 * i, 2)["x"][:, 0]

        return step(0, jnp.arange(3))[1]

    np.testing.assert_array_equal(run(rows()), [[0, 1], [2, 3], [4, 0]])


def test_element_spec_raises_not_implemented_on_the_base_class():
    source = DataSourceModule(StructuralConfig(), name="s")
    with pytest.raises(NotImplementedError, match=r"DataSourceModule 's' must define element_spec"):
        source.element_spec()


def test_a_source_without_a_reader_says_so():
    with pytest.raises(NotImplementedError, match="not built on a reader"):
        _ = rows().reader


def test_a_source_is_true_even_where_its_length_is_zero_or_unknown():
    assert Stream(StructuralConfig())
    assert rows(0)


# Iteration


def test_iteration_delivers_the_elements_with_their_host_values():
    elements = list(rows(3))
    assert values(elements) == [0, 1, 2]
    assert elements[2]["text"] == "row 2"


def test_next_begins_a_pass_and_stops_once_at_its_end():
    source = rows(2)
    assert values([next(source), next(source)]) == [0, 1]
    assert place(source) == (1, 0)
    with pytest.raises(StopIteration):
        next(source)
    assert values([next(source)]) == [0]


def test_a_forward_only_source_is_iterated_and_knows_its_end():
    source = Stream(StructuralConfig())
    assert values(source) == [0, 1, 2, 3, 4]
    assert place(source) == (1, 0)
    assert values(source) == [0, 1, 2, 3, 4]
    stopped = Stream(StructuralConfig())
    next(stopped)
    next(stopped)
    resumed = Stream(StructuralConfig())
    resumed.set_state(stopped.get_state())
    assert values(resumed) == [2, 3, 4]


@pytest.mark.parametrize(
    ("remainder", "expected"), [("drop", [[0, 1], [2, 3]]), ("keep", [[0, 1], [2, 3], [4]])]
)
def test_a_forward_only_source_is_batched_and_its_last_batch_ends_the_epoch(remainder, expected):
    source = Stream(StructuralConfig())
    found = []
    for batch in source.batches(2, remainder=remainder):
        found.append(batch["x"].tolist())
        assert place(source) == ((1, 0) if len(found) == len(expected) else (0, 2 * len(found)))
    assert found == expected


def test_batches_and_scan_epoch_come_with_get_batch_at_and_a_length():
    source = rows(5)
    with source.batches(2) as batches:
        assert [values([{"x": row} for row in batch["x"]]) for batch in batches] == [[0, 1], [2, 3]]
    total, ys = source.scan_epoch(
        lambda carry, batch: (carry + batch["x"].sum(), batch["x"][:, 0]), 0.0, batch_size=2
    )
    assert (float(total), ys.tolist()) == (12.0, [[0, 1], [2, 3]])
    assert place(source) == (2, 0)


# Operation statistics


def test_operation_stats_count_delivered_and_dropped_elements_and_reset():
    source = rows(5)
    next(source)
    list(source.batches(2))
    assert source.get_operation_stats() == {"applied_count": 5, "skipped_count": 1}
    source.reset_operation_stats()
    assert source.get_operation_stats() == {"applied_count": 0, "skipped_count": 0}


# State


def test_the_state_of_a_source_holds_its_cursor_and_goes_on_from_there():
    source, other = rows(), rows()
    next(source)
    next(source)
    other.set_state(source.get_state())
    assert values(other) == [2, 3, 4]
    assert place(other) == (1, 0)


@pytest.mark.parametrize("state", [None, [], "state"])
def test_set_state_raises_type_error_if_state_is_not_a_dict(state):
    with pytest.raises(TypeError, match="a state is a dict"):
        rows().set_state(state)


def cursor(**parts):
    return {name: np.asarray(value, np.int64) for name, value in parts.items()}


WHOLE = {"epoch": 0, "offset": 1, "applied": 1, "skipped": 0}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda s: {k: v for k, v in s.items() if k != "cursor"}, "^cursor: missing"),
        (lambda s: {**s, "cursor": cursor(epoch=0)}, r"^cursor\.applied: missing"),
        (lambda s: {**s, "cursor": cursor(**WHOLE, more=1)}, r"^cursor\.more: unknown"),
        (lambda s: {**s, "cursor": {**s["cursor"], "epoch": np.ones(2, np.int64)}}, "shape"),
        (lambda s: {**s, "cursor": {**s["cursor"], "epoch": np.float32(1)}}, "dtype int64"),
        (lambda s: {**s, "cursor": cursor(**{**WHOLE, "offset": 5})}, "offset 5 is no place"),
        (lambda s: {**s, "cursor": cursor(**{**WHOLE, "epoch": -1})}, "epoch -1"),
        (lambda s: {**s, "cursor": 3}, "^cursor: a dict"),
        (lambda s: {**s, "bogus": jnp.ones(1)}, "^bogus: unknown"),
        (lambda s: {k: v for k, v in s.items() if k != "applied_count"}, "^applied_count: missing"),
    ],
)
def test_set_state_raises_value_error_naming_the_mismatch_and_changes_nothing(change, text):
    source, moved = rows(), rows()
    next(source)
    next(moved)
    next(moved)
    with pytest.raises(ValueError, match=text):
        source.set_state(change(moved.get_state()))
    assert place(source) == (0, 1)
    assert values([next(source)]) == [1]


def test_a_variable_named_cursor_is_refused_instead_of_being_lost():
    class Own(Rows):
        def __init__(self, config, data):
            super().__init__(config, data)
            self.cursor = nnx.Variable(jnp.int32(0))

    with pytest.raises(ValueError, match=r"self\.cursor.*another name"):
        Own(MyDataSourceConfig(required_param=1), []).get_state()


# Copies


def test_copy_takes_the_data_from_the_attribute_of_its_name_and_starts_afresh():
    source = rows()
    next(source)
    copied = source.copy(config=MyDataSourceConfig(required_param=2), name="copied")
    assert (copied.config.required_param, copied.name) == (2, "copied")
    assert place(copied) == (0, 0)
    assert values(copied) == [0, 1, 2, 3, 4]
    assert place(source) == (0, 1)


@pytest.mark.parametrize(
    "twin",
    [
        lambda s: s.clone(),
        copy.copy,
        copy.deepcopy,
        lambda s: pickle.loads(pickle.dumps(s)),
    ],
    ids=["clone", "copy", "deepcopy", "pickle"],
)
def test_clones_and_pickles_have_the_same_state_and_a_cursor_of_their_own(twin):
    source = rows()
    next(source)
    next(source)
    other = twin(source)
    assert place(other) == (0, 2)
    assert values(other) == [2, 3, 4]
    assert place(source) == (0, 2)
    assert values([next(source)]) == [2]
    other.close()
    assert len(list(source)) == 5


# NNX and Orbax


def test_a_source_survives_split_and_merge():
    source = rows()
    next(source)
    merged = nnx.merge(*nnx.split(source))
    assert place(merged) == (0, 1)
    np.testing.assert_array_equal(merged.get_batch_at(1, 2)["x"][:, 0], [1, 2])


def test_a_cursor_that_moves_never_retraces_nnx_jit():
    source, traces = rows(), []

    @nnx.jit
    def read(source, start):
        traces.append(1)
        return source.get_batch_at(start, 2)["x"]

    read(source, jnp.int32(0))
    next(source)
    read(source, jnp.int32(1))
    list(source.batches(2))
    read(source, jnp.int32(2))
    assert len(traces) == 1


def test_a_source_of_ones_own_survives_an_orbax_save_and_restore(tmp_path):
    source, other = rows(rngs=nnx.Rngs(0)), rows(rngs=nnx.Rngs(0))
    next(source)
    state = source.get_state()
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "state", state)
        checkpointer.wait_until_finished()
        other.set_state(checkpointer.restore(tmp_path / "state", state))
    assert place(other) == (0, 1)


def test_the_state_of_a_source_over_a_reader_survives_orbaxs_json(tmp_path, load):
    source, other = load(shuffle=True), load(shuffle=True)
    next(source)
    with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as checkpointer:
        checkpointer.save(tmp_path / "state", args=ocp.args.JsonSave(source.get_state()))
        other.set_state(checkpointer.restore(tmp_path / "state", args=ocp.args.JsonRestore()))
    assert values([next(other)]) == values([next(source)])


# The end


def test_close_is_idempotent_and_ends_iteration():
    with rows() as source:
        iterator = iter(source)
        next(iterator)
    source.close()
    with pytest.raises(SourceClosedError, match="closed"):
        next(iterator)
    with pytest.raises(SourceClosedError, match="closed"):
        next(source)
