"""The first records of a dataset, in stored order and as they are stored.

Only the records shown are read, or little more: a source that can stream is streamed, which needs
no local copy. Padding and the dtypes of devices play no part.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from typing import Any

from datarax.cli.answer import Answer
from datarax.cli.arguments import add_uri, asked_for
from datarax.cli.tables import GAP, pairs, table
from datarax.errors import NotSupportedError

EPILOG = "example: datarax head hf:ylecun/mnist -n 5 --split test"
COUNT = 10
CELL = 60
"""Columns of a value where the terminal does not say how wide it is."""
NARROWEST_CELL = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the URI, its options, and the number of records."""
    add_uri(parser)
    parser.add_argument(
        "-n", "--count", type=_count, default=COUNT, help=f"how many records; {COUNT} unless given"
    )


def run(args: argparse.Namespace) -> Answer:
    """Return the first records."""
    from datarax.cli.info import field_json
    from datarax.cli.values import as_json
    from datarax.registry.loading import load

    uri, options = asked_for(args)
    with load(uri, **_with_mode(uri, options)) as source:
        fields = dict(_fields(source))
        records = [dict(record) for record in itertools.islice(_records(source), args.count)]
        total = _length(source)
    data = {
        "uri": uri,
        "total": total,
        "fields": {name: field_json(field) for name, field in fields.items()},
        "records": [as_json(record) for record in records],
    }
    names = {name: field.class_names for name, field in fields.items()}

    def text(width: int | None) -> str:
        of = "" if total is None else f" of {total:,}"
        return f"{_laid_out(records, names, width)}\n\n{len(records):,}{of} records"

    return Answer(data, text)


def _with_mode(uri: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with the mode that reads the least, where none was asked for."""
    from datarax.registry.catalogue import CATALOGUE
    from datarax.registry.plugin import Capability
    from datarax.registry.uri import parse_uri
    from datarax.sources.config import SourceConfig

    place = parse_uri(uri)
    info = CATALOGUE.find(place.scheme).info
    for name in ("shuffle", "seed"):
        if name in place.options:
            raise NotSupportedError(
                f"head shows records as they are stored, and {name!r} is for the order of epochs; "
                "leave it out"
            )
    if "mode" in place.options or not issubclass(info.config, SourceConfig):
        return options
    streams = Capability.STREAMING in info.capabilities
    return {**options, "mode": "streaming" if streams else "lazy"}


def _reader(source: Any) -> Any:
    """Return the source's reader; None where it is not built on one."""
    try:
        return source.reader
    except NotImplementedError:
        return None


def _fields(source: Any) -> dict[str, Any]:
    return getattr(_reader(source), "fields", {})


def _records(source: Any) -> Iterator[Any]:
    from datarax.sources.reader import StreamReader

    reader = _reader(source)
    if reader is None:
        yield from source
    elif isinstance(reader, StreamReader):
        yield from _streamed(reader)
    else:
        yield from (reader[index] for index in range(len(reader)))


def _streamed(reader: Any) -> Iterator[dict[str, Any]]:
    names = tuple(reader.fields)
    for shard in range(len(reader.shards)):
        for columns in reader.stream(shard, 0, names):
            for row in range(len(columns[names[0]])):
                yield {name: columns[name][row] for name in names}


def _length(source: Any) -> int | None:
    try:
        return len(source)
    except NotImplementedError:
        return None


def _laid_out(records: list[dict[str, Any]], classes: dict[str, Any], width: int | None) -> str:
    """Return a table of the records, or where that gets too narrow each in lines of its own."""
    from datarax.cli.values import as_text

    if not records:
        return "no records"
    names = list(records[0])
    share = CELL if width is None else (width - len(GAP) * len(names)) // (len(names) + 1)
    if len(names) == 1 and width is not None:
        share = width - len(GAP) * 2 - NARROWEST_CELL
    if width is None or share >= NARROWEST_CELL:
        rows = [
            [row, *(as_text(record[name], 2 * share, classes.get(name)) for name in names)]
            for row, record in enumerate(records)
        ]
        return table(("#", *names), rows, width)
    return "\n\n".join(
        f"record {row}\n"
        + pairs([(name, as_text(record[name], width, classes.get(name))) for name in names], width)
        for row, record in enumerate(records)
    )


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of records")
    return int(text)
