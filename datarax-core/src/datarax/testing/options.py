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
from datarax.registry.catalogue import CATALOGUE
from datarax.registry.plugin import Capability
from datarax.registry.uri import parse_uri
from datarax.testing.base import ContractBase, Load, by_mode
from datarax.testing.known import KnownDataset, check_element
from datarax.testing.offline import no_network
from datarax.testing.pinning import needs


class OptionsContract(ContractBase):
    """Promises of `load` and its options."""

    def test_the_plugin_declares_what_the_contract_was_told(self, dataset: KnownDataset) -> None:
        plugin = CATALOGUE.find(parse_uri(dataset.uri).scheme)
        assert plugin.info.capabilities == self.capabilities

    @by_mode
    def test_an_unknown_option_is_refused_with_the_nearest_match(
        self, load: Load, mode: str
    ) -> None:
        with pytest.raises(UnknownOptionError, match="Did you mean 'shuffle'"):
            load(mode=mode, shufle=True)

    @by_mode
    def test_an_unknown_split_is_refused_with_those_that_exist(self, load: Load, mode: str) -> None:
        with pytest.raises(UnknownSplitError, match="no_such_split"):
            load(mode=mode, split="no_such_split")
        with pytest.raises(UnknownSplitError, match="position"):
            load(mode=mode, split="train[:10")

    @by_mode
    def test_an_unknown_field_is_refused_with_those_that_exist(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        name = next(iter(dataset.records[0]))
        for option in ("include_keys", "exclude_keys"):
            with pytest.raises(UnknownFieldError, match=repr(name)):
                load(mode=mode, **{option: (f"{name}_not",)})
        with pytest.raises(ValueError, match="exclude each other"):
            load(mode=mode, include_keys=(name,), exclude_keys=(name,))

    @by_mode
    def test_selected_fields_are_the_only_ones_read(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        record = dataset.records[0]
        name = next(iter(load(mode=mode).element_spec()))
        rest = tuple(other for other in record if other != name)
        for options in ({"include_keys": (name,)}, {"exclude_keys": rest} if rest else {}):
            source = load(mode=mode, **options)
            assert set(source.element_spec()) == {name}
            assert set(source.get_batch_at(0, 2)) == {name}
            assert set(source.reader[0]) == {name}
            check_element(source[0], {name: record[name]}, source.element_spec())

    def test_an_option_given_twice_with_different_values_is_refused(
        self, dataset: KnownDataset
    ) -> None:
        mark = "&" if "?" in dataset.uri else "?"
        uri = f"{dataset.uri}{mark}shuffle=true"
        with pytest.raises(InvalidURIError, match="twice"):
            datarax.load(uri, **{**dataset.options, "shuffle": False})
        source = datarax.load(uri, **{**dataset.options, "shuffle": True, "mode": "lazy"})
        assert "shuffled" in repr(source)
        source.close()

    @by_mode
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

    @by_mode
    def test_a_cacheable_source_reads_the_same(
        self, load: Load, dataset: KnownDataset, mode: str
    ) -> None:
        source = load(mode=mode, cacheable=True)
        for _ in range(2):
            check_element(source[1], dataset.records[1], source.element_spec())
        source.reset_cache()
        check_element(source[1], dataset.records[1], source.element_spec())

    @needs(Capability.SAVE)
    def test_saving_is_refused_unless_declared(self, load: Load, dataset: KnownDataset) -> None:
        plugin = CATALOGUE.find(parse_uri(dataset.uri).scheme)
        assert plugin.implements("save") == (Capability.SAVE in self.capabilities)
        if Capability.SAVE not in self.capabilities:
            with pytest.raises(NotImplementedError, match="save"):
                datarax.save(load(), dataset.uri)

    @by_mode
    def test_local_files_only_opens_no_socket(
        self, load: Load, dataset: KnownDataset, mode: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        load(mode="lazy").close()  # where the dataset has to be fetched, it is now
        with no_network():
            source = load(mode=mode, local_files_only=True)
            check_element(source[0], dataset.records[0], source.element_spec())
        monkeypatch.setenv("DATARAX_OFFLINE", "1")
        with no_network():
            assert len(load(mode=mode)) == len(dataset.records)

    @needs(Capability.FETCHES)
    def test_a_miss_names_the_dataset_and_what_is_missing(self, dataset: KnownDataset) -> None:
        if dataset.miss is None:
            assert Capability.FETCHES not in self.capabilities
            return
        uri, options = dataset.miss
        with no_network(), pytest.raises(CacheMissError) as caught:
            datarax.load(uri, **{**options, "local_files_only": True})
        assert isinstance(caught.value, FileNotFoundError)
        assert "/" in str(caught.value) or "\\" in str(caught.value)

    def test_inspect_tells_records_fields_and_the_plan_without_loading(
        self, dataset: KnownDataset
    ) -> None:
        info = datarax.inspect(dataset.uri, **dataset.options)
        assert info.records == len(dataset.records)
        assert set(info.fields) == set(dataset.records[0])
        assert info.plan is not None
        assert info.plan.mode == "eager"
        assert info.plan.bytes

    def test_the_scheme_is_listed(self, dataset: KnownDataset) -> None:
        listed: dict[str, Any] = {info.scheme: info for info in datarax.list_sources()}
        info = listed[parse_uri(dataset.uri).scheme]
        assert info.status == "ok"
        assert info.capabilities is None or info.capabilities == self.capabilities
