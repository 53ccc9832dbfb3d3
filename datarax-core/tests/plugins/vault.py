"""A plugin with every hook: datasets of which files may be damaged, streams, text and bytes."""

import os
from dataclasses import dataclass

import numpy as np

from datarax.errors import CacheMissError, UnknownDatasetError, listing, nearest
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

NAMES = ["pets", "broken", "rude"]
FIELDS = {
    "image": Field.array(np.uint8, (2, 2)),
    "label": Field.array(np.int64, class_names=("cat", "dog"), description="who it is"),
    "text": Field.text(),
    "raw": Field.host_only("bytes differ in length", ragged="bytes"),
}


@dataclass(frozen=True, kw_only=True)
class VaultConfig(SourceConfig):
    name: str
    revision: str | None = None
    size: int = 4


class VaultReader(ColumnarReader):
    def __init__(self, size):
        self._size = size

    @property
    def fields(self):
        return FIELDS

    def __len__(self):
        return self._size

    def read(self, indices, names):
        columns = {
            "image": np.repeat(indices, 4).astype(np.uint8).reshape(-1, 2, 2),
            "label": indices % 2,
            "text": [f"pet\nnumber {i}" for i in indices],
            "raw": [bytes([0, int(i)]) for i in indices],
        }
        return {name: columns[name] for name in names}


class Vault:
    @hookimpl
    def describe(self):
        return PluginInfo(
            "A vault of pets",
            config=VaultConfig,
            capabilities=INDEXED | {Capability.FETCHES},
            target_option="name",
            revision_option="revision",
        )

    @hookimpl
    def open(self, uri, config):
        self._check(config)
        stored = VaultReader(config.size)
        terms = choose_split(config.split, ["train", "test"], dataset=str(uri))
        return SplitReader([(stored, term.range(config.size)) for term in terms])

    @hookimpl
    def inspect(self, uri, config):
        self._check(config)
        terms = choose_split(config.split, ["train", "test"], dataset=str(uri))
        ranges = [term.range(config.size) for term in terms]
        return DatasetInfo(
            uri=str(uri),
            splits={"train": SplitInfo("train", config.size, 2048), "test": SplitInfo("test")},
            fields=FIELDS,
            records=sum(stop - start for start, stop in ranges),
            revision=config.revision or "main",
            licence="CC0-1.0",
            citation="@misc{pets}",
            description="Pets \x1b[31m of the neighbourhood.",
            configs=("small", "large"),
            local=True,
            files={f"train-{i:02}.bin": True for i in range(12)},
            notes=("read from another branch",),
        )

    @hookimpl
    def datasets(self):
        return NAMES

    @hookimpl
    def caches(self):
        return {"pets": os.environ.get("VAULT_HOME", "vault-home")}

    @hookimpl
    def fetch(self, uri, config):
        self._check(config)
        files = {f"train-{i:02}.bin": 1024 for i in range(12)}
        return Fetched("/vault/pets", files, {"VAULT_HOME": "{folder}/of it"})

    @hookimpl
    def verify(self, uri, config):
        self._check(config)
        files = {"a.bin": "ok", "b.bin": "unknown"}
        if config.name == "broken":
            return Verified(
                "/vault", {**files, "c.bin": "damaged"}, "run: datarax fetch vault:pets"
            )
        return Verified("/vault", files)

    def _check(self, config):
        if config.name == "rude":
            raise ZeroDivisionError("no pets")
        if config.name == "interrupted":
            raise KeyboardInterrupt
        if config.name not in NAMES:
            raise UnknownDatasetError(
                f"the vault has no {config.name!r}; it has {listing(NAMES)}."
                f"{nearest(config.name, NAMES)}"
            )
        if config.offline and config.name == "broken":
            raise CacheMissError(f"vault:{config.name} is not on this machine: /vault/c.bin")


plugin = Vault()
