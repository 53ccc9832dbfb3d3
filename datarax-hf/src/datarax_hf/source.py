"""`HFSource`: a Hugging Face dataset as a source, with or without the registry."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from datarax.core.data_source import LocalFilesOnlyMixin
from datarax.errors import listing
from datarax.sources import ReaderSource
from datarax_hf.config import HFSourceConfig
from datarax_hf.contents import NO_CARD, NO_LISTING
from datarax_hf.formats.kinds import is_metadata, kind_of
from datarax_hf.layout import is_numbered, lacking_shards
from datarax_hf.locate import locate
from datarax_hf.reader import lay_out, open_reader, records_of, says_features
from datarax_hf.remedy import cache_miss

if TYPE_CHECKING:
    from flax import nnx

    from datarax_hf.plan import Plan


_NAMES = re.compile(r"(?:.*_)?file_names?").fullmatch
_LOG = logging.getLogger("datarax_hf")
SHOWN = 3
"""Missing files that a warning names."""


class HFSource(LocalFilesOnlyMixin, ReaderSource):
    """A split of a dataset on the Hugging Face Hub, or in its cache, as JAX arrays.

        source = HFSource(HFSourceConfig(name="mnist", split="train", local_files_only=True))

    Args:
        config: The dataset and how to read it.
        rngs: Random number generators, as every source takes them.
        name: A name for messages.

    Raises:
        CacheMissError: If files are missing and no socket may be opened; it names each.
        UnknownDatasetError: If there is no such dataset or revision, or no access to it.
        HubConnectionError: If the Hub cannot be asked and the cache does not hold the dataset.
        UnknownConfigError: If the configuration does not exist, or must be named.
        UnknownSplitError: If the split does not exist, or must be named.
        CorruptDataError: If a file is damaged, or the files differ in columns.
    """

    def __init__(
        self,
        config: HFSourceConfig,
        *,
        rngs: nnx.Rngs | None = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(config, HFSourceConfig):
            raise TypeError(f"HFSource takes an HFSourceConfig, got {type(config).__name__}")
        plan = locate(config)
        self.local_files_only = config.offline
        dataset = plan.snapshot.dataset
        self._check_local_cache(plan.paths(), dataset_name=f"hf:{dataset}")
        streaming = config.mode == "streaming"
        reader = _open_stream(plan, config) if streaming else open_reader(plan, config)
        try:
            _check_images(plan, reader, config)
            super().__init__(config, reader, uri=f"hf:{dataset}", rngs=rngs, name=name)
            for note in _notes(plan, reader, streaming=streaming):
                warnings.warn(f"hf:{dataset}: {note}", stacklevel=2)
            for note in _unknown(plan, reader, streaming=streaming):
                _LOG.warning("hf:%s: %s", dataset, note)
            if self.plan.mode == "lazy" and self.config.shuffle:
                # Now, where a bar is seen and Ctrl-C is heard, not in the thread that stages.
                on_host = self.host_only
                lay_out(reader, [name for name in self.reader.fields if name not in on_host])
        except BaseException:
            reader.close()
            raise


def _open_stream(plan: Plan, config: HFSourceConfig) -> Any:
    from datarax_hf.stream import open_stream  # what other modes need not import

    return open_stream(plan, config)


def _notes(plan: Plan, reader: Any, *, streaming: bool) -> list[str]:
    """Return what is read otherwise than asked, or than the card says it is.

    Args:
        plan: The plan.
        reader: What `open_reader` or `open_stream` returned for it.
        streaming: Which of them; a stream has counted the files that say how many records they
            hold, and few at that.
    """
    contents = plan.contents
    by_card = _streams_by_card(plan) if streaming else not says_features(reader)
    odd = contents.card.odd_features(plan.config) if by_card else []
    count = _streamed_records_of if streaming else records_of
    counted = {split: count(reader, names) for split, names in plan.files.items()}
    known = {split: count for split, count in counted.items() if count is not None}
    whole = contents.snapshot.complete
    miscounts = contents.card.miscounts(plan.config, known, whole=whole)
    unmatched = [*contents.unmatched(plan.config, plan.files), *_lacking_here(plan)]
    return [*contents.snapshot.notes, *contents.card.notes, *unmatched, *odd, *miscounts]


def _check_images(plan: Plan, reader: Any, config: HFSourceConfig) -> None:
    """Raise where files describe images of which none is here, in a cache that has no listing."""
    snapshot = plan.snapshot
    names = [name for files in plan.files.values() for name in files]
    if not snapshot.complete and all(map(is_metadata, names)) and any(map(_NAMES, reader.fields)):
        paths = [snapshot.path(name).parent / "*" for name in names]
        found = f"{listing(names)} name images, and none is here."
        raise cache_miss(snapshot.dataset, snapshot.revision, paths, config, found=found)


def _lacking_here(plan: Plan) -> list[str]:
    """Return a note where the numbers of files in a folder of this machine say that some lack."""
    names = [name for files in plan.files.values() for name in lacking_shards(files)]
    if plan.snapshot.commit or not names:
        return []
    shown = f"{listing(names[:SHOWN])}{' and so on' if len(names) > SHOWN else ''}"
    return [f"by their numbers {len(names)} files are missing, which are left out: {shown}"]


def _unknown(plan: Plan, reader: Any, *, streaming: bool) -> list[str]:
    """Return what the cache cannot tell and may matter: what is read may be otherwise online."""
    contents = plan.contents
    numbered = all(is_numbered(name) for files in plan.files.values() for name in files)
    by_card = _streams_by_card(plan) if streaming else not says_features(reader)
    notes = [NO_LISTING] if not contents.snapshot.complete and not numbered else []
    return [*notes, NO_CARD] if contents.missing_cards() and by_card else notes


def _streams_by_card(plan: Plan) -> bool:
    """Return whether the card says what columns hold, and not the files themselves."""
    names = [name for files in plan.files.values() for name in files]
    return any(kind_of(name) not in {"parquet", "arrow"} for name in names)


def _streamed_records_of(reader: Any, names: Sequence[str]) -> int | None:
    """Return how many records some of the files hold, as far as `open_stream`'s reader knows."""
    counted: int | None = reader.records_of(names) if hasattr(reader, "records_of") else None
    return counted
