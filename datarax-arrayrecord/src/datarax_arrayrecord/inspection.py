"""What is known of shards without reading their records."""

from __future__ import annotations

from datarax.registry import DatasetInfo, SplitInfo
from datarax_arrayrecord.config import ArrayRecordSourceConfig
from datarax_arrayrecord.files import find
from datarax_arrayrecord.raw import RawLayout
from datarax_arrayrecord.reader import SPLIT, open_reader
from datarax_arrayrecord.shards import ShardReader


def inspect_shards(uri: str, config: ArrayRecordSourceConfig) -> DatasetInfo:
    """Return splits, fields, records and files of what `config` names; the spec is optional here.

    Raises:
        CacheMissError: If nothing lies at the path. Lacking shards of a set are listed instead.
    """
    shards = find(config.path)
    size = sum(file.stat().st_size for file in shards.found)
    files = {str(file): True for file in shards.found}
    files |= {str(file): False for file in shards.lacking}
    notes: list[str] = []
    if config.spec is None:
        notes.append("no spec was given, so the fields of a record are not known")
    if shards.lacking:
        notes.append("shards are lacking, so the number of records is not known")
        stored = selected = None
    else:
        counter = ShardReader(shards.found)
        stored = selected = len(counter)
        counter.close()
        if config.spec is not None:
            reader = open_reader(config)
            selected = len(reader)
            reader.close()
    known = selected is not None and config.spec is not None
    return DatasetInfo(
        uri=uri,
        splits={SPLIT: SplitInfo(SPLIT, stored, size)},
        fields=dict(config.spec or {}),
        records=selected,
        bytes=(selected or 0) * RawLayout(config.stored).nbytes if known else None,
        local=not shards.lacking,
        files=files,
        notes=tuple(notes),
    )
