"""The plugin of `newname:`: what it offers, and how it opens a table.

It is imported to be described, so whatever is heavy waits until a table is opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from datarax.errors import CacheMissError, UnknownDatasetError, listing, nearest
from datarax.registry import DatasetInfo, PluginInfo, SourceURI, SplitInfo, hookimpl
from datarax.sources import SplitReader, choose_split

from datarax_newname.config import NewnameConfig
from datarax_newname.reader import NewnameReader

if TYPE_CHECKING:
    from datarax.testing import KnownDataset

OWN = Path(__file__).with_name("data")


class NewnamePlugin:
    """Tables by name. A table is a folder, and each file `<split>.csv` in it is a split."""

    @hookimpl
    def describe(self) -> PluginInfo:
        return PluginInfo("Tables of numbers", config=NewnameConfig)

    @hookimpl
    def datasets(self) -> tuple[str, ...]:
        return _tables(OWN)

    @hookimpl
    def open(self, uri: SourceURI, config: NewnameConfig) -> SplitReader:
        files = _splits(uri, config)
        terms = choose_split(config.split, list(files), dataset=str(uri))
        names = dict.fromkeys(term.name for term in terms)
        readers = {name: NewnameReader(files[name]) for name in names}
        return SplitReader(
            [(readers[term.name], term.range(len(readers[term.name]))) for term in terms],
            identity={"split": config.split or terms[0].name},
        )

    @hookimpl
    def inspect(self, uri: SourceURI, config: NewnameConfig) -> DatasetInfo:
        files = _splits(uri, config)
        stored = {name: NewnameReader(file) for name, file in files.items()}
        chosen = self.open(uri, config)
        return DatasetInfo(
            uri=str(uri),
            splits={name: SplitInfo(name, records=len(rows)) for name, rows in stored.items()},
            fields=chosen.fields,
            records=len(chosen),
            local=True,
        )

    @hookimpl
    def sample(self, folder: str) -> KnownDataset:
        from datarax_newname.sample import write_sample

        return write_sample(Path(folder))


plugin = NewnamePlugin()


def _splits(uri: SourceURI, config: NewnameConfig) -> dict[str, Path]:
    folder = OWN if config.folder is None else Path(config.folder)
    if not folder.is_dir():
        raise CacheMissError(
            f"{uri} would lie in {folder / uri.target}, and {folder} is not there; copy the tables "
            "to it, or give another folder="
        )
    tables = _tables(folder)
    if uri.target not in tables:
        raise UnknownDatasetError(
            f"{folder} holds no table {uri.target!r}; it holds {listing(tables)}."
            f"{nearest(uri.target, tables)}"
        )
    return {path.stem: path for path in sorted((folder / uri.target).glob("*.csv"))}


def _tables(folder: Path) -> tuple[str, ...]:
    return tuple(sorted({path.parent.name for path in folder.glob("*/*.csv")}))
