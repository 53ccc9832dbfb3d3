"""`shelf:`: a correct source that can do all that a source can, small enough to break anywhere.

A dataset is a folder of parts, `.npy` files of rows, which is fetched into a cache by copying.
Every mutant is made of these classes with one of them replaced. Free of JAX, as every plugin is.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datarax.errors import CacheMissError, CorruptDataError
from datarax.registry import INDEXED, Capability, PluginInfo, hookimpl
from datarax.registry.info import Fetched
from datarax.sources import ColumnarReader, Field, SourceConfig, SplitReader, choose_split

EVERYTHING = INDEXED | {
    Capability.STREAMING,
    Capability.WINDOW_SHUFFLE,
    Capability.FETCHES,
    Capability.SAVE,
}
INDEX = "parts.json"
ROW = np.dtype([("image", "u1", (2, 3)), ("label", "i8"), ("weight", "f8"), ("text", "U8")])


@dataclass(frozen=True, kw_only=True)
class ShelfConfig(SourceConfig):
    """Where the dataset stands, and the cache that it is fetched into."""

    folder: str = ""
    cache: str = ""


class ShelfReader(ColumnarReader):
    """The rows of the parts, mapped into memory."""

    def __init__(self, paths):
        self._paths = [str(path) for path in paths]
        self._parts = [self.opened(path) for path in self._paths]
        self._ends = np.cumsum([len(part) for part in self._parts])

    @staticmethod
    def opened(path):
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise CorruptDataError(
                f"the part {path} is damaged: {error}; fetch it again"
            ) from error

    @property
    def fields(self):
        return {
            name: Field.text() if kind.kind == "U" else Field.array(kind.base, kind.shape)
            for name, (kind, _) in ROW.fields.items()
        }

    def __len__(self):
        return int(self._ends[-1])

    def read(self, indices, names):
        rows = self.rows(indices)
        return {
            name: rows[name].tolist() if name == "text" else np.ascontiguousarray(rows[name])
            for name in names
        }

    def rows(self, indices):
        if not self._parts:
            raise ValueError(f"{self._paths} are closed")
        out = np.zeros(len(indices), ROW)
        of = np.searchsorted(self._ends, indices, side="right")
        for part, rows in enumerate(self._parts):
            here = np.flatnonzero(of == part)
            out[here] = rows[indices[here] - (self._ends[part] - len(rows))]
        return out

    def close(self):
        self._parts = []

    def __reduce__(self):
        return type(self), (self._paths,)


class ShelfPlugin:
    """What answers to `shelf:`. A mutant replaces one of its attributes, or one of its methods."""

    config = ShelfConfig
    reader = ShelfReader
    capabilities = EVERYTHING
    installed = ""
    rows_of_a_piece = 4

    @property
    def source(self):
        from datarax.sources.source import ReaderSource

        return ReaderSource

    @property
    def stream(self):
        from datarax.sources.streaming import IndexedStream

        return IndexedStream

    @hookimpl
    def describe(self):
        return self.info()

    @hookimpl
    def open(self, uri, config, rngs):
        return self.source(config, self.opened(config), uri=str(uri), rngs=rngs)

    @hookimpl
    def fetch(self, config):
        return self.fetched(config)

    @hookimpl
    def save(self, source, config):
        self.saved(source, config)

    def info(self):
        return PluginInfo(
            "A shelf of parts.",
            config=self.config,
            capabilities=self.capabilities,
            target_option="folder",
        )

    def opened(self, config):
        reader = self.split(self.reader(self.paths(config)), config)
        return self.stream(reader, self.rows_of_a_piece) if config.mode == "streaming" else reader

    def split(self, stored, config):
        terms = choose_split(config.split, ["train"], dataset=f"shelf:{config.folder}")
        if terms[0].range(len(stored)) == (0, len(stored)):
            return stored
        parts = [(stored, term.range(len(stored))) for term in terms]
        return SplitReader(parts, identity={"split": config.split or "train"})

    def paths(self, config):
        """Return the files of the dataset in the cache, fetched unless only those may be read."""
        shelf, cache = Path(config.folder), self.cached(config)
        if not config.offline:
            cache.mkdir(parents=True, exist_ok=True)
            names = sorted(path.name for path in shelf.glob("*.npy"))
            for name in names:
                if not (cache / name).exists():
                    shutil.copyfile(shelf / name, cache / name)
            (cache / INDEX).write_text(json.dumps(names))
        elif not (cache / INDEX).exists():
            raise self.missed(config, [cache / INDEX])
        paths = [cache / name for name in json.loads((cache / INDEX).read_text())]
        missing = [path for path in paths if not path.exists()]
        if missing:
            raise self.missed(config, missing)
        return paths

    def cached(self, config):
        return Path(config.cache) / Path(config.folder).name

    def missed(self, config, paths):
        lines = "\n".join(map(str, paths))
        return CacheMissError(
            f"shelf:{config.folder} is not in the cache; missing are\n{lines}\n"
            "load it once with local_files_only=False"
        )

    def fetched(self, config):
        paths = self.paths(config)
        return Fetched(config.folder, {str(path): path.stat().st_size for path in paths}, {})

    def saved(self, source, config):
        shelf = Path(config.folder)
        shelf.mkdir(parents=True, exist_ok=True)
        np.save(shelf / "part-0.npy", rows_of(source.reader.__getitems__(range(len(source)))))


def rows_of(records):
    """Return records as rows of a part."""
    rows = np.zeros(len(records), ROW)
    for row, record in enumerate(records):
        for name in ROW.names:
            rows[name][row] = record[name]
    return rows
