"""Plugins and options broken on purpose: what is accepted, refused, fetched, saved and declared."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datarax.errors import CacheMissError, UnknownFieldError, UnknownSplitError
from datarax.registry import Capability, DatasetInfo, hookimpl
from mutants.breaking import breaks
from mutants.shelf import EVERYTHING, ShelfConfig, ShelfPlugin


@breaks("an_unknown_option_is_refused_with_the_nearest_match[lazy]")
class DropsAnOption(ShelfPlugin):
    """An option that is misspelled is accepted, and dropped."""

    def info(self):
        return dataclasses.replace(super().info(), data_options=("shufle",))


@breaks("an_unknown_split_is_refused_with_those_that_exist[lazy]")
class ReadsTrainForAnySplit(ShelfPlugin):
    """A split that is unknown is read as train."""

    def split(self, stored, config):
        try:
            return super().split(stored, config)
        except UnknownSplitError:
            return super().split(stored, dataclasses.replace(config, split="train"))


@breaks("an_unknown_split_is_refused_with_those_that_exist[streaming]")
class ListsNoSplits(ShelfPlugin):
    """The error for an unknown split does not say which exist."""

    def split(self, stored, config):
        try:
            return super().split(stored, config)
        except UnknownSplitError as error:
            raise UnknownSplitError(f"no {config.split}, at any position") from error


@breaks("an_unknown_field_is_refused_with_those_that_exist[lazy]")
class IgnoresAnUnknownField(ShelfConfig):
    """A field to read or to leave out that does not exist is ignored."""

    def select(self, names, *, dataset):
        with contextlib.suppress(UnknownFieldError):
            return super().select(names, dataset=dataset)
        return names


@breaks("selected_fields_are_the_only_ones_read[lazy]")
class ReadsEverything(ShelfConfig):
    """Every field is read, whatever is selected."""

    def select(self, names, *, dataset):
        super().select(names, dataset=dataset)
        return names


@breaks("an_option_given_twice_with_different_values_is_refused")
@dataclass(frozen=True, kw_only=True)
class DropsTheSeed(ShelfConfig):
    """An option is accepted, and nothing comes of it."""

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "seed", None)


@breaks("a_seed_out_of_range_is_refused[lazy]")
@dataclass(frozen=True, kw_only=True)
class TakesAnySeed(ShelfConfig):
    """A seed out of range is folded into it."""

    def __post_init__(self):
        if isinstance(self.seed, int):
            object.__setattr__(self, "seed", self.seed & 0xFFFFFFFF)
        super().__post_init__()


@breaks("rngs_supply_the_seed_once_and_not_beside_one[lazy]", error=ValueError)
@dataclass(frozen=True, kw_only=True)
class FillsInTheSeed(ShelfConfig):
    """A seed left out is written into the config, as if it had been given."""

    def __post_init__(self):
        object.__setattr__(self, "seed", self.seed or 0)
        super().__post_init__()


@breaks("a_value_beyond_its_width_is_an_error_or_cut_and_counted[lazy]")
@dataclass(frozen=True, kw_only=True)
class CutsSilently(ShelfConfig):
    """A value beyond its width is cut, unasked."""

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "overflow", "cut")


@breaks("local_files_only_opens_no_socket[lazy]")
class LooksForUpdates(ShelfPlugin):
    """It asks a server for something newer, offline too."""

    def paths(self, config):
        with socket.socket():
            return super().paths(config)


@breaks("local_files_only_opens_no_socket[eager]")
class TriesTheNetworkFirst(ShelfPlugin):
    """It tries the network first, offline too, and goes on where that fails."""

    def paths(self, config):
        with contextlib.suppress(OSError, AssertionError):
            socket.getaddrinfo("localhost", 9, socket.AF_INET)
        return super().paths(config)


@breaks("a_miss_names_the_dataset_and_what_is_missing")
class NamesNoMissingPath(ShelfPlugin):
    """The error for a miss does not say what is missing."""

    def missed(self, config, paths):
        return CacheMissError(f"shelf:{Path(config.folder).name}: {config.folder[1:]} is missing")


@breaks("a_miss_names_the_dataset_and_what_is_missing")
class NamesNoDataset(ShelfPlugin):
    """The error for a miss does not say of which dataset."""

    def missed(self, config, paths):
        return CacheMissError(f"not found: {paths[0].parent.parent}/?")


@breaks("a_miss_names_the_dataset_and_what_is_missing", error=LookupError)
class MissesByAnotherError(ShelfPlugin):
    """A miss is an error of another kind."""

    def missed(self, config, paths):
        return LookupError(f"{config.folder}: {paths}")


@breaks("where_a_part_of_the_cache_is_gone_the_miss_names_it_and_a_load_mends_it")
class ReadsWhatIsLeft(ShelfPlugin):
    """Where a part is gone from the cache, it reads the others as if they were all."""

    def paths(self, config):
        index = self.cached(config) / "parts.json"
        if config.offline and index.exists():
            paths = [self.cached(config) / name for name in json.loads(index.read_text())]
            return [path for path in paths if path.exists()]
        return super().paths(config)


@breaks(
    "where_a_part_of_the_cache_is_gone_the_miss_names_it_and_a_load_mends_it", error=CacheMissError
)
class FetchesOnce(ShelfPlugin):
    """What was fetched once is never looked for again."""

    def paths(self, config):
        if (self.cached(config) / "parts.json").exists():
            config = dataclasses.replace(config, local_files_only=True)
        return super().paths(config)


@breaks("fetch_brings_all_that_is_read_offline", error=CacheMissError)
class FetchesNothing(ShelfPlugin):
    """`fetch` says what there is, and brings none of it."""

    def fetched(self, config):
        fetched = super().fetched(config)
        for path in fetched.files:
            Path(path).unlink()
        return fetched


@breaks("what_is_saved_is_loaded_again")
class SavesAllButTheLast(ShelfPlugin):
    """The last record is not saved."""

    def saved(self, source, config):
        super().saved(source, config)
        part = Path(config.folder) / "part-0.npy"
        np.save(part, np.load(part)[:-1])


@breaks("a_dataset_without_records_is_refused[lazy]")
class ReadsAllForNone(ShelfPlugin):
    """A split without records is read as the whole."""

    def split(self, stored, config):
        chosen = super().split(stored, config)
        return (
            chosen
            if len(chosen)
            else super().split(stored, dataclasses.replace(config, split="train"))
        )


@breaks("a_dataset_of_one_record_is_read_like_any_other[stored-lazy]", error=ZeroDivisionError)
class DividesByTheRest(ShelfPlugin):
    """It measures itself by the records beside the first, of which there may be none."""

    def split(self, stored, config):
        chosen = super().split(stored, config)
        self.share = 1 / (len(chosen) - 1)
        return chosen


@breaks("inspect_tells_records_fields_and_the_plan_without_loading")
class InspectsAnotherNumber(ShelfPlugin):
    """`inspect` counts the records of the split that is the whole, whichever is asked for."""

    @hookimpl
    def inspect(self, uri, config):
        reader = self.opened(dataclasses.replace(config, mode="lazy"))
        return DatasetInfo(
            uri=str(uri),
            splits={},
            fields=dict(reader.fields),
            records=len(reader) + 1,
        )


@breaks("the_plugin_declares_what_the_contract_was_told")
class DeclaresLess(ShelfPlugin):
    """It does not declare all that it can do."""

    capabilities = EVERYTHING - {Capability.WINDOW_SHUFFLE}


@breaks("a_stream_delivers_the_records_in_storage_order", error=ValueError)
class CannotStream(ShelfPlugin):
    """It declares streaming, and refuses it."""

    def opened(self, config):
        reader = self.split(self.reader(self.paths(config)), config)
        if config.mode == "streaming":
            raise ValueError("take mode='lazy'")
        return reader


@breaks(
    "a_stream_delivers_the_records_in_storage_order",
    capabilities=EVERYTHING - {Capability.STREAMING, Capability.WINDOW_SHUFFLE},
)
class StreamsUndeclared(ShelfPlugin):
    """It streams, and does not declare it."""

    capabilities = EVERYTHING - {Capability.STREAMING, Capability.WINDOW_SHUFFLE}


@breaks("what_is_saved_is_loaded_again", capabilities=EVERYTHING - {Capability.SAVE})
class SavesUndeclared(ShelfPlugin):
    """It saves, and does not declare it."""

    capabilities = EVERYTHING - {Capability.SAVE}


@breaks("the_scheme_is_listed")
class DeclaresOtherwiseInItsMetadata(ShelfPlugin):
    """What its distribution's metadata says of its capabilities is not what it can do."""

    installed = "Keywords: datarax:shelf=indexed_access"


@breaks("importing_the_plugin_imports_neither_jax_nor_a_backend_and_opens_no_socket")
class ImportsJax(ShelfPlugin):
    """Importing it imports JAX."""

    __module__ = "mutants.imports_jax"


@breaks("importing_the_plugin_imports_neither_jax_nor_a_backend_and_opens_no_socket")
class OpensASocketOnImport(ShelfPlugin):
    """Importing it opens a socket."""

    __module__ = "mutants.opens_a_socket"
