"""What is known of a prepared dataset without reading its records."""

from __future__ import annotations

from datarax.registry import DatasetInfo, SplitInfo
from datarax_tfds.config import TFDSSourceConfig
from datarax_tfds.features import Features
from datarax_tfds.prepared import find
from datarax_tfds.reader import open_reader


def inspect_dataset(uri: str, config: TFDSSourceConfig) -> DatasetInfo:
    """Return splits, fields, records, version and files of what `config` names.

    Raises:
        CacheMissError: If the dataset is not there. Lacking shards of a split are listed instead.
    """
    prepared = find(config)
    fields = Features(prepared.folder).fields
    files = {
        str(file): file.is_file() for split in prepared.splits.values() for file in split.files
    }
    splits = {
        name: SplitInfo(
            name,
            split.records,
            None if split.lacking else sum(file.stat().st_size for file in split.files),
        )
        for name, split in prepared.splits.items()
    }
    records = None
    if all(files.values()) and splits:
        reader = open_reader(config, prepared)
        records = len(reader)
        reader.close()
    names = config.select(tuple(fields), dataset=f"tfds:{prepared.title}")
    sizes = [fields[name].nbytes for name in names]
    info = prepared.info
    return DatasetInfo(
        uri=uri,
        splits=splits,
        fields=fields,
        records=records,
        bytes=None
        if records is None or None in sizes
        else records * sum(size for size in sizes if size is not None),
        revision=prepared.title.partition(":")[2],
        licence=(info.get("redistributionInfo") or {}).get("license") or None,
        citation=info.get("citation") or None,
        description=info.get("description") or None,
        configs=prepared.configs,
        local=all(files.values()),
        files=files,
    )
