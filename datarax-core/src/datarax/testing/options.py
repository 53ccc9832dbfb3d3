"""The contract of options: what is honoured, what is refused and how, and the air gap."""

from __future__ import annotations

from typing import Any

import pytest

import datarax
from datarax.errors import (
    CacheMissError,
    InvalidURIError,
    UnknownFieldError,
    UnknownOptionError,
    UnknownSplitError,
)
from datarax.registry.catalogue import CATALOGUE, Catalogue
from datarax.registry.loading import fetch
from datarax.registry.plugin import Capability
from datarax.registry.uri import parse_uri
from datarax.testing.base import ContractBase, Load, by_every_mode, by_mode
from datarax.testing.known import KnownDataset, check_element, names_a_path
from datarax.testing.offline import no_network
from datarax.testing.refusals import needs


class OptionsContract(ContractBase):
    """Promises of `load` and its options."""

    def test_the_plugin_declares_what_the_contract_was_told(self, dataset: KnownDataset) -> None:
        plugin = CATALOGUE.find(parse_uri(dataset.uri).scheme)
        assert plugin.info.capabilities == self.capabilities

    @by_every_mode
    def test_an_unknown_option_is_refused_with_the_nearest_match(
        self, load: Load, mode: str
    ) -> None:
        with pytest.raises(UnknownOptionError, match="Did you mean 'shuffle'"):
            load(mode=mode, shufle=True)

    @by_every_mode
    def test_an_unknown_split_is_refused_with_those_that_exist(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        for wrong in ("no_such_split", "no_such_split[:1]"):
            with pytest.raises(UnknownSplitError, match="no_such_split") as caught:
                load(mode=mode, split=wrong)
            assert dataset.split_name in str(caught.value), f"lists no split: {caught.value}"
        with pytest.raises(UnknownSplitError, match="position"):
            load(mode=mode, split="train[:10")

    @by_every_mode
    def test_an_unknown_field_is_refused_with_those_that_exist(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        name = next(iter(dataset.records[0]))
        for option in ("include_keys", "exclude_keys"):
            with pytest.raises(UnknownFieldError, match=repr(name)):
                load(mode=mode, **{option: (f"{name}_not",)})
        with pytest.raises(ValueError, match="exclude each other"):
            load(mode=mode, include_keys=(name,), exclude_keys=(name,))

    @by_every_mode
    def test_selected_fields_are_the_only_ones_read(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        record = dataset.records[0]
        name = next(iter(load(mode=mode).element_spec()))
        rest = tuple(other for other in record if other != name)
        for options in ({"include_keys": (name,)}, {"exclude_keys": rest} if rest else {}):
            source = load(mode=mode, **options)
            assert set(source.element_spec()) == {name}
            check_element(next(source), {name: record[name]}, source.element_spec())
            assert set(next(source.batches(2))) == {name}
            if mode != "streaming":
                assert set(source.get_batch_at(0, 2)) == {name}
                assert set(source.reader[0]) == {name}
                check_element(source[0], {name: record[name]}, source.element_spec())

    def test_an_option_given_twice_with_different_values_is_refused(
        self, dataset: KnownDataset
    ) -> None:
        mark = "&" if "?" in dataset.uri else "?"
        uri = f"{dataset.uri}{mark}seed=3"
        with pytest.raises(InvalidURIError, match="twice"):
            datarax.load(uri, **{**dataset.options, "seed": 4})
        for given in ({}, {"seed": 3}):
            with datarax.load(uri, **{**dataset.options, **given}) as source:
                config: Any = source.config
                assert config.seed == 3, "an option in the URI is not honoured"

    @by_every_mode
    def test_a_seed_out_of_range_is_refused(self, load: Load, mode: str) -> None:
        for seed in (-1, 2**32):
            with pytest.raises(ValueError, match="seed"):
                load(mode=mode, shuffle=True, seed=seed)
        for wrong in (1.5, "1", True):
            with pytest.raises(TypeError, match="seed"):
                load(mode=mode, shuffle=True, seed=wrong)

    @by_mode
    def test_rngs_supply_the_seed_once_and_not_beside_one(self, load: Load, mode: str) -> None:
        from flax import nnx

        first, second, other = (
            load(mode=mode, shuffle=True, rngs=nnx.Rngs(seed)).config.seed for seed in (3, 3, 4)
        )
        assert first == second != other
        with pytest.raises(ValueError, match="rngs"):
            load(mode=mode, shuffle=True, seed=0, rngs=nnx.Rngs(0))

    @by_every_mode
    def test_a_cacheable_source_reads_the_same(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        if mode == "streaming":  # which holds no record
            with pytest.raises(ValueError, match="cacheable"):
                load(mode=mode, cacheable=True)
            return
        source = load(mode=mode, cacheable=True)
        for _ in range(2):
            check_element(source[1], dataset.records[1], source.element_spec())
        source.reset_cache()
        check_element(source[1], dataset.records[1], source.element_spec())

    @needs(Capability.SAVE)
    def test_what_is_saved_is_loaded_again(self, load: Load, dataset: KnownDataset) -> None:
        if dataset.target is None:
            pytest.fail("give KnownDataset(target=(uri, options)), which save may write to")
        uri, options = dataset.target
        datarax.save(load(), uri, **options)
        with datarax.load(uri, **options) as saved:
            assert len(saved) == len(dataset.records)
            for element, record in zip(saved, dataset.records, strict=True):
                check_element(element, record, saved.element_spec())

    @by_every_mode
    def test_local_files_only_opens_no_socket(
        self, load: Load, dataset: KnownDataset, mode: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        load().close()  # where the dataset has to be fetched, it is now
        with no_network():
            source = load(mode=mode, local_files_only=True)
            check_element(next(source), dataset.records[0], source.element_spec())
            datarax.inspect(dataset.uri, **{**dataset.options, "local_files_only": True})
        monkeypatch.setenv("DATARAX_OFFLINE", "1")
        with no_network():
            source = load(mode=mode)
            check_element(next(source), dataset.records[0], source.element_spec())

    @needs(Capability.FETCHES)
    def test_fetch_brings_all_that_is_read_offline(self, load: Load, dataset: KnownDataset) -> None:
        plugin = CATALOGUE.find(parse_uri(dataset.uri).scheme)
        if not plugin.implements("fetch"):
            with pytest.raises(NotImplementedError, match="fetch"):
                fetch(dataset.uri, **dataset.options)
            return
        fetched = fetch(dataset.uri, **dataset.options)
        assert fetched.files, "says of no file that it lies here now"
        with no_network():
            source = load(local_files_only=True)
            for element, record in zip(source, dataset.records, strict=True):
                check_element(element, record, source.element_spec())

    def test_a_miss_names_the_dataset_and_what_is_missing(self, dataset: KnownDataset) -> None:
        if not (self.reads_files and dataset.reads_files):
            assert dataset.miss is None, "miss is given, and reads_files is False"
            return
        if dataset.miss is None:
            pytest.fail(
                "give KnownDataset(miss=(uri, options)), which names nothing on this machine, or "
                "say reads_files=False, there or in the contract, where nothing can be missing"
            )
        uri, options = dataset.miss
        with no_network(), pytest.raises(CacheMissError) as caught:
            datarax.load(uri, **{**options, "local_files_only": True})
        assert isinstance(caught.value, FileNotFoundError)
        text = str(caught.value)
        assert parse_uri(uri).target in text, f"names no dataset: {text}"
        assert names_a_path(text, exists=False), f"names no path: {text}"

    def test_inspect_tells_records_fields_and_the_plan_without_loading(
        self, dataset: KnownDataset
    ) -> None:
        info = datarax.inspect(dataset.uri, **dataset.options)
        assert info.records == len(dataset.records)
        assert set(info.fields) == set(dataset.records[0])
        assert info.plan is not None
        indexed = Capability.INDEXED_ACCESS in self.capabilities
        assert info.plan.mode == ("eager" if indexed else "streaming")
        assert info.plan.bytes

    def test_the_scheme_is_listed(self, dataset: KnownDataset) -> None:
        listed: dict[str, Any] = {info.scheme: info for info in datarax.list_sources()}
        info = listed[parse_uri(dataset.uri).scheme]
        assert info.status == "ok"
        assert info.capabilities is None or info.capabilities == self.capabilities
        for unread in Catalogue().known():  # by its metadata, of which nothing was imported
            if unread.scheme == info.scheme and unread.capabilities is not None:
                assert unread.capabilities == self.capabilities, "the metadata declares others"
