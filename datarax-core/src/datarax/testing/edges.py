"""The contract of edges: one record, none, damaged files, handles, and the pinned matrix."""

from __future__ import annotations

import gc
import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import datarax
from datarax.errors import (
    CacheMissError,
    CorruptDataError,
    EmptyDatasetError,
    UnknownFieldError,
    ValueTooLongError,
)
from datarax.registry.plugin import Capability
from datarax.testing.base import ContractBase, Load, by_every_mode, by_order
from datarax.testing.known import (
    KnownDataset,
    check_batch,
    check_element,
    names_a_path,
    rows_of,
)
from datarax.testing.matrix import matrix_of
from datarax.testing.offline import no_network
from datarax.testing.pinning import SILENT_MARKS, contract_tests
from datarax.testing.refusals import needs

OPENS = 100
WRITE = "DATARAX_WRITE_MATRIX"


class EdgesContract(ContractBase):
    """Promises where things are few, damaged, or left open."""

    @by_every_mode
    @by_order
    def test_a_dataset_of_one_record_is_read_like_any_other(
        self, load: Load, dataset: KnownDataset, mode: str, shuffle: bool
    ) -> None:
        source = load(mode=mode, shuffle=shuffle, seed=self.seed, split=dataset.split_of(1))
        spec, record = source.element_spec(), dataset.records[0]
        for _ in range(2):
            (element,) = source
            check_element(element, record, spec)
        assert list(source.batches(2)) == []
        (padded,) = source.batches(2, remainder="pad")
        assert padded["valid_mask"].tolist() == [True, False]
        (kept,) = source.batches(2, remainder="keep")
        check_batch(kept, rows_of([record], spec, [0]))
        steps, _ = source.scan_epoch(lambda c, b: (c + 1, None), 0, batch_size=1)
        assert int(steps) == 1
        assert source.get_state()["cursor"]["epoch"] == 6
        if mode != "streaming":
            assert len(source) == 1
            assert [len(source.batches(2, remainder=kind)) for kind in ("drop", "keep", "pad")] == [
                0,
                1,
                1,
            ]
            check_element(source[-1], record, spec)
            check_batch(source.get_batch_at(5, 3), rows_of([record], spec, [0, 0, 0]))

    @by_every_mode
    def test_a_dataset_without_records_is_refused(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        with pytest.raises(EmptyDatasetError, match="no records"):
            load(mode=mode, split=dataset.split_of(0))

    @by_every_mode
    def test_a_damaged_file_is_an_error_that_names_it(
        self, dataset: KnownDataset, mode: str
    ) -> None:
        if not (self.reads_files and dataset.reads_files):
            assert dataset.corrupt is None, "corrupt is given, and reads_files is False"
            return
        if dataset.corrupt is None:
            pytest.fail(
                "give KnownDataset(corrupt=(uri, options)), a damaged copy of a file, or say "
                "reads_files=False, there or in the contract, where there are no files to damage"
            )
        uri, options = dataset.corrupt
        with (
            pytest.raises(CorruptDataError) as caught,
            datarax.load(uri, **{**options, "mode": mode}) as source,
        ):
            for _ in source:
                continue
        text = str(caught.value)
        streamed = mode == "streaming" and "://" in text  # where no copy lies on this machine
        assert streamed or names_a_path(text, exists=True), f"names no file: {text}"

    def test_opening_and_closing_leaks_no_descriptor(
        self, load: Load, dataset: KnownDataset
    ) -> None:
        mode = "lazy" if Capability.INDEXED_ACCESS in self.capabilities else "streaming"

        def use() -> Any:
            source = datarax.load(dataset.uri, **{**dataset.options, "mode": mode})
            assert next(source)
            return source

        use().close()
        gc.collect()
        before = _descriptors()
        for _ in range(OPENS):
            use().close()
        for _ in range(OPENS // 10):
            use()  # left to the garbage collector
        for _ in range(OPENS // 10):
            with pytest.raises(UnknownFieldError):
                datarax.load(dataset.uri, **{**dataset.options, "include_keys": ("no_such",)})
        gc.collect()
        assert len(_descriptors() - before) <= 1, "handles are left open"

    @by_every_mode
    def test_text_and_ragged_fields_are_arrays_once_given_a_width(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        fixed, ragged, longest = _widths(load, dataset)
        with pytest.raises(UnknownFieldError, match=repr(fixed)):
            load(mode=mode, pad={fixed: 4})
        if not ragged:
            return

        width = longest + 1
        source = load(mode=mode, pad=dict.fromkeys(ragged, width))
        batches = [next(source.batches(3))]
        if mode != "streaming":
            batches.append(source.get_batch_at(0, 3))
        for batch, name in itertools.product(batches, ragged):
            assert batch[name].shape == (3, width)
            for row, record in enumerate(dataset.records[:3]):
                items = _items(record[name])
                assert int(batch[f"{name}_length"][row]) == len(items), f"{name}_length"
                found = np.asarray(batch[name][row])
                np.testing.assert_array_equal(found[: len(items)], items)
                assert not found[len(items) :].any(), f"{name} is not filled up with zeros"

    @by_every_mode
    def test_a_value_beyond_its_width_is_an_error_or_cut_and_counted(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        _, ragged, longest = _widths(load, dataset)
        if longest < 2:
            return
        pad = dict.fromkeys(ragged, longest - 1)
        size = len(dataset.records)
        with pytest.raises(ValueTooLongError, match=str(longest)):
            next(load(mode=mode, pad=pad).batches(size))
        source = load(mode=mode, pad=pad, overflow="cut")
        batch = next(source.batches(size))
        for name in ragged:
            items = [_items(record[name]) for record in dataset.records]
            cut = sum(len(each) == longest for each in items)
            assert source.cuts.get(name, 0) == cut, f"values cut of {name}"
            for row, each in enumerate(items):
                kept = each[: longest - 1]
                assert int(batch[f"{name}_length"][row]) == len(kept)
                np.testing.assert_array_equal(np.asarray(batch[name][row])[: len(kept)], kept)

    @needs(Capability.FETCHES)
    def test_where_a_part_of_the_cache_is_gone_the_miss_names_it_and_a_load_mends_it(
        self, load: Load, dataset: KnownDataset
    ) -> None:
        if dataset.part is None:
            pytest.fail("give KnownDataset(part=...), which removes one of the files fetched")
        load().close()
        dataset.part()
        with no_network(), pytest.raises(CacheMissError) as caught:
            load(local_files_only=True)
        text = str(caught.value)
        assert names_a_path(text, exists=False), f"names no path: {text}"
        source = load()
        for element, record in zip(source, dataset.records, strict=True):
            check_element(element, record, source.element_spec())

    def test_the_matrix_is_as_pinned_and_every_test_in_it_was_collected(
        self, request: pytest.FixtureRequest
    ) -> None:
        matrix = matrix_of(type(self))
        silent = [
            f"{item.name}: {mark.name}"
            for item in request.session.items
            if getattr(item, "cls", None) is type(self)
            for mark in item.iter_markers()
            if mark.name in SILENT_MARKS
        ]
        assert not silent, "tests of the contract are marked, and would not count"
        if not _narrowed(request.config):
            names = contract_tests(type(self))
            collected = [
                item
                for item in request.session.items
                if getattr(item, "cls", None) is type(self)
                and getattr(item, "originalname", None) in names
            ]
            own = [item for item in collected if item.originalname not in _contract()]  # type: ignore[attr-defined]
            assert len(collected) - len(own) == matrix.count, "tests of the contract are missing"
        if self.matrix is None:
            return
        path = Path(request.path).parent / self.matrix
        if os.environ.get(WRITE):
            path.write_text(matrix.markdown(), "utf-8")
        held = path.read_text("utf-8") if path.is_file() else None
        assert held == matrix.markdown(), f"{path} is not the matrix; {WRITE}=1 writes it anew"


def _narrowed(config: pytest.Config) -> bool:
    option = config.option
    return bool(
        option.keyword
        or option.markexpr
        or getattr(option, "lf", False)
        or any("::" in arg for arg in config.args)
    )


def _widths(load: Load, dataset: KnownDataset) -> tuple[str, list[str], int]:
    """Return a field of fixed shape, the ragged ones, and the greatest length of a value."""
    source = load()
    fields = source.reader.fields
    ragged = sorted(name for name, field in fields.items() if field.ragged)
    lengths = [len(_items(record[name])) for record in dataset.records for name in ragged]
    return min(source.element_spec()), ragged, max(lengths, default=0)


def _contract() -> dict[str, Any]:
    from datarax.testing.contract import SourceContract

    return contract_tests(SourceContract)


def _descriptors() -> set[int]:
    def is_open(number: int) -> bool:
        try:
            os.fstat(number)
        except OSError:
            return False
        return True

    return {number for number in range(4096) if is_open(number)}


def _items(value: Any) -> Any:
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return np.frombuffer(value, np.uint8)
    return np.asarray([] if value is None else value)
