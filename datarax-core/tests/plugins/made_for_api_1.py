"""A plugin as it was written for version 1 of the plugin API. Not to be edited.

It uses every hook and name of that version, and must load for as long as version 1 is supported;
see docs/plugin-api.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datarax.registry import (
    INDEXED,
    Capability,
    DatasetInfo,
    Fetched,
    PluginInfo,
    SplitInfo,
    Verified,
    hookimpl,
)
from datarax.sources import ColumnarReader, Field, SourceConfig, SplitReader, choose_split

SAVED: list[str] = []


@dataclass(frozen=True, kw_only=True)
class SquaresConfig(SourceConfig):
    size: int = 10


class SquaresReader(ColumnarReader):
    def __init__(self, size):
        self._size = size

    @property
    def fields(self):
        return {"root": Field.array(np.int32), "name": Field.text()}

    def __len__(self):
        return self._size

    def read(self, indices, names):
        columns = {
            "root": indices.astype(np.int32),
            "name": [f"square {index}" for index in indices],
        }
        return {name: columns[name] for name in names}


class SquaresPlugin:
    @hookimpl
    def describe(self):
        return PluginInfo(
            summary="Squares.",
            config=SquaresConfig,
            capabilities=INDEXED | {Capability.SAVE, Capability.FETCHES},
            target_option=None,
            revision_option=None,
            data_options=(),
            needs_target=False,
            api_version=1,
        )

    @hookimpl
    def open(self, uri, config, rngs, data):
        stored = SquaresReader(config.size)
        terms = choose_split(config.split, ["train"], dataset=str(uri))
        return SplitReader(
            [(stored, term.range(len(stored))) for term in terms],
            identity={"split": config.split or "train"},
        )

    @hookimpl
    def inspect(self, uri, config, data):
        splits = {"train": SplitInfo("train", config.size)}
        fields = SquaresReader(config.size).fields
        return DatasetInfo(str(uri), splits, fields, records=config.size, licence="CC0-1.0")

    @hookimpl
    def datasets(self):
        return ["", "more"]

    @hookimpl
    def save(self, source, uri, config):
        SAVED.append(f"{len(source)} to {uri}")

    @hookimpl
    def fetch(self, uri, config):
        return Fetched("squares", {"all": config.size}, {"SQUARES_HOME": "{folder}"})

    @hookimpl
    def verify(self, uri, config):
        return Verified("squares", {"all": "ok"})

    @hookimpl
    def sample(self, folder):
        from datarax.testing import KnownDataset

        return KnownDataset("squares:", [{"root": 0, "name": "square 0"}])


plugin = SquaresPlugin()
