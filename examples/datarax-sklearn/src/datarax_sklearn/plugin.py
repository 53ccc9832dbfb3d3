"""The plugin of `sklearn:`: what it offers, and how it opens a dataset.

It is imported to be described, so scikit-learn waits until a dataset is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datarax.errors import UnknownDatasetError, listing, nearest
from datarax.registry import DatasetInfo, PluginInfo, SourceURI, SplitInfo, hookimpl
from datarax.sources import SourceConfig, SplitReader, choose_split

if TYPE_CHECKING:
    from datarax.testing import KnownDataset

    from datarax_sklearn.reader import SklearnReader

DATASETS = ("breast_cancer", "diabetes", "digits", "iris", "wine")
SPLIT = "train"


class SklearnPlugin:
    """Datasets of scikit-learn by name, each with one stored split, `train`, of every row."""

    @hookimpl
    def describe(self) -> PluginInfo:
        return PluginInfo("The datasets that come with scikit-learn", config=SourceConfig)

    @hookimpl
    def datasets(self) -> tuple[str, ...]:
        return DATASETS

    @hookimpl
    def open(self, uri: SourceURI, config: SourceConfig) -> SplitReader:
        return _select(_stored(uri), uri, config)

    @hookimpl
    def inspect(self, uri: SourceURI, config: SourceConfig) -> DatasetInfo:
        stored = _stored(uri)
        return DatasetInfo(
            uri=str(uri),
            splits={SPLIT: SplitInfo(SPLIT, records=len(stored))},
            fields=stored.fields,
            records=len(_select(stored, uri, config)),
            description=stored.description,
            local=True,
        )

    @hookimpl
    def sample(self) -> KnownDataset:
        from datarax_sklearn.sample import known_digits

        return known_digits()


plugin = SklearnPlugin()


def _stored(uri: SourceURI) -> SklearnReader:
    if uri.target not in DATASETS:
        raise UnknownDatasetError(
            f"scikit-learn brings no dataset {uri.target!r}; it has {listing(DATASETS)}."
            f"{nearest(uri.target, DATASETS)}"
        )
    from datarax_sklearn.reader import SklearnReader

    return SklearnReader(uri.target)


def _select(stored: SklearnReader, uri: SourceURI, config: SourceConfig) -> SplitReader:
    terms = choose_split(config.split, [SPLIT], dataset=str(uri))
    return SplitReader(
        [(stored, term.range(len(stored))) for term in terms],
        identity={"split": config.split or SPLIT},
    )
