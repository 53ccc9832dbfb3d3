"""Image folders as a stream: the files of some images on their way while others are decoded.

A record is an image, or a row of a metadata file with the images that it names; metadata is read
when the stream is opened, into memory. How many records there are is known from names and metadata
alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from datarax.sources import Columns
from datarax_hf.formats.settings import Settings
from datarax_hf.images import ImageDecoder
from datarax_hf.shards import Shards
from datarax_hf.stream_base import HubStream
from datarax_hf.stream_columns import converted, stream_columns
from datarax_hf.stream_files import StreamFiles
from datarax_hf.stream_parts import Part, Span, spans
from datarax_hf.structs import flat_features

AHEAD_FILES = 64
"""No further files are asked for while so many are on their way; those of 16 records always are."""

AHEAD_BYTES = 64 * 2**20
"""Nor while this much is."""


_Ahead = deque[tuple[Span, list[str], int]]
"""Spans, the files that they need, and the bytes of those."""


class ImageStream(HubStream):
    """Records of an image folder, 16 a shard, forward only.

    Safe to read from several threads; picklable: connections are made anew.

    Args:
        names: The images, and the metadata files that describe them.
        files: Where they are read.
        settings: What they are read with.
        decoder: How images become arrays.
        fill_nulls: The numbers that stand for nulls, by column.
        identity: What a saved state says of the records.

    Raises:
        CorruptDataError: If metadata cannot be read, or names an image that is not there.
    """

    def __init__(
        self,
        names: Sequence[str],
        files: StreamFiles,
        settings: Settings,
        *,
        decoder: ImageDecoder,
        fill_nulls: Mapping[str, Any],
        identity: Mapping[str, str],
    ) -> None:
        super().__init__(files, identity)
        self._shards = Shards(names, files.origin, replace(settings, derived=None, held=True))
        self.counts = tuple(self._shards.rows(group) for group in range(len(self._shards)))
        self._columns = stream_columns(
            self._shards.schema,
            self._shards.features or flat_features(settings.features, flatten=settings.flatten),
            decoder,
            self._shards.nulls,
            fill_nulls,
        )

    @property
    def shards(self) -> Sequence[int | None]:
        return self.counts

    def records_of(self, names: Sequence[str]) -> int:
        """Return how many records some of the files hold."""
        return self._shards.records_of(names)

    def select(
        self, parts: Sequence[Part], offset: int, names: Sequence[str], /
    ) -> Generator[Columns]:
        """Yield those that `parts` select, one after another, without the first `offset`."""
        wanted = spans(parts, offset, self.counts.__getitem__)
        with closing(self._asked(wanted, names)) as asked:
            for span in asked:
                table = self._shards.table(span.shard, names).slice(span.begin)
                if span.end is not None:
                    table = table.slice(0, span.end - span.begin)
                where = self._shards.where(span.shard)
                place = self._shards.place(span.shard, span.begin)
                yield {
                    name: converted(self._columns[name], table.column(name), where, place)
                    for name in names
                }

    def _asked(self, wanted: Iterator[Span], names: Sequence[str]) -> Generator[Span]:
        """Yield each span with its files on their way, and those of the spans that follow it."""
        ahead: _Ahead = deque()
        try:
            while True:
                while len(ahead) < 2 or _may_ask(ahead):
                    span = next(wanted, None)
                    if span is None:
                        break
                    files = self._shards.files(span.shard, names)
                    ahead.append((span, files, sum(map(self._files.size, files))))
                    for file in files:
                        self._files.ask_ahead(file, whole=True)
                if not ahead:
                    return
                yield ahead[0][0]
                ahead.popleft()
        finally:
            for _, files, _ in ahead:
                for file in files:
                    self._files.forget(file)


def _may_ask(ahead: _Ahead) -> bool:
    files, size = sum(len(names) for _, names, _ in ahead), sum(size for _, _, size in ahead)
    return files < AHEAD_FILES and size < AHEAD_BYTES
