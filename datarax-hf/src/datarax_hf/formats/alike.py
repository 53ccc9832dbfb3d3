"""The files of one split that are parsed: what the values of one look like, the others may change.

Types that were inferred give way to wider ones. What was read as something that the wider type
cannot be had back from, times where other files have text, is parsed again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pyarrow as pa

from datarax_hf.features import Features, is_list
from datarax_hf.formats.fitted import FittedShard, fits, joined_schema, stored
from datarax_hf.formats.guess import widened
from datarax_hf.formats.settings import Settings
from datarax_hf.formats.shard import Shard

Open = Callable[[str, Settings], Shard]
"""Opens a file."""


def opened_alike(
    names: Sequence[str], settings: Settings, open_: Open, threads: int
) -> list[Shard]:
    """Return files, each parsed as text wherever the others need it to be.

    What one of them keeps as JSON text all do, and what is text in one is text as written in all.

    Args:
        names: The files.
        settings: What they are read with.
        open_: Opens one.
        threads: How many are opened at a time.
    """
    with ThreadPoolExecutor(threads) as pool:
        shards = list(pool.map(lambda name: open_(name, settings), names))
        texts = frozenset().union(*(shard.texts for shard in shards))
        if texts > settings.texts:
            return opened_alike(names, replace(settings, texts=texts), open_, threads)
        common = _common(shards)
        return list(pool.map(lambda shard: _as_written(shard, common, settings, open_), shards))


def in_one_schema(
    shards: Sequence[Shard], declared: Features | None
) -> tuple[pa.Schema, list[Shard]]:
    """Return the columns of all files, and the files with these columns.

    Where types are inferred, they are wide enough for each file.

    Raises:
        CorruptDataError: If two files differ in more than that.
    """
    first = shards[0]
    schema: pa.Schema = first.schema
    for other in shards[1:]:
        common = partial(_wide, first, other) if first.inferred and other.inferred else None
        schema = joined_schema(
            first.origin.dataset, schema, stored(first), stored(other), declared, common
        )
    return schema, [
        shard if fits(shard.schema, schema) else FittedShard(shard, schema, stored(first))
        for shard in shards
    ]


def _wide(
    first: Shard, other: Shard, ours: pa.DataType | None, theirs: pa.DataType | None
) -> pa.DataType | None:
    """Return the type that a column of two parsed files has, or None where it has none."""
    if ours is None:
        return theirs if first.sparse else None
    if theirs is None:
        return ours if other.sparse else None
    return widened(ours, theirs)


def _common(shards: Sequence[Shard]) -> dict[str, pa.DataType | None]:
    """Return the type of each column that holds for all files, None where there is none."""
    common: dict[str, pa.DataType | None] = {}
    for shard in shards:
        for field in shard.schema:
            known = common.get(field.name, pa.null())
            common[field.name] = None if known is None else widened(known, field.type)
    return common


def _as_written(
    shard: Shard, common: Mapping[str, pa.DataType | None], settings: Settings, open_: Open
) -> Shard:
    """Return a file, parsed again where it has times and others have text."""
    kinds = {field.name: common[field.name] for field in shard.schema}
    if not any(_is_rewritten(field.type, kinds[field.name]) for field in shard.schema):
        return shard
    declared = settings.features or {}
    begun = {
        field.name: kinds[field.name] or field.type
        for field in shard.schema
        if field.name not in declared
    }
    return open_(shard.name, replace(settings, types=begun))


def _is_rewritten(kind: pa.DataType, wide: pa.DataType | None) -> bool:
    """Return whether times of a type are text in a wider one, however deep."""
    if wide is None or kind == wide:
        return False
    if pa.types.is_timestamp(kind):
        return bool(pa.types.is_string(wide))
    if is_list(kind):
        return _is_rewritten(kind.value_type, wide.value_type)
    if pa.types.is_struct(kind):
        return any(_is_rewritten(part.type, wide.field(part.name).type) for part in kind)
    return False
