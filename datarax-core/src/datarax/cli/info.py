"""What is known of a dataset without reading its records.

Splits, fields, the plan that `load` would follow, revision, licence, citation, configurations,
files, and whether all that is needed lies on this machine.
"""

from __future__ import annotations

import argparse
from typing import Any

from datarax.cli.answer import Answer
from datarax.cli.arguments import add_uri, asked_for
from datarax.cli.tables import pairs, shorten, table
from datarax.registry.info import DatasetInfo
from datarax.sources.fields import Field
from datarax.sources.plan import Plan, readable_bytes

EPILOG = "example: datarax info hf:ylecun/mnist --split train"
FILES_SHOWN = 10
CLASSES_SHOWN = 8
TEXT_SHOWN = 300


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the URI and its options."""
    add_uri(parser)


def run(args: argparse.Namespace) -> Answer:
    """Return what `datarax.inspect` tells."""
    from datarax.registry.loading import inspect

    uri, options = asked_for(args)
    info = inspect(uri, **options)

    def text(width: int | None) -> str:
        return "\n\n".join(part for part in _parts(info, width) if part)

    return Answer(_json(info), text)


def _json(info: DatasetInfo) -> dict[str, Any]:
    return {
        "uri": info.uri,
        "description": info.description,
        "revision": info.revision,
        "licence": info.licence,
        "citation": info.citation,
        "configs": list(info.configs),
        "local": info.local,
        "records": info.records,
        "bytes": info.bytes,
        "plan": _plan_json(info.plan),
        "splits": {
            name: {"records": split.records, "bytes": split.bytes}
            for name, split in info.splits.items()
        },
        "fields": {name: field_json(field) for name, field in info.fields.items()},
        "files": dict(info.files),
        "notes": list(info.notes),
    }


def field_json(field: Field) -> dict[str, Any]:
    """Return a field as JSON values."""
    return {
        "shape": None if field.shape is None else list(field.shape),
        "dtype": None if field.dtype is None else str(field.dtype),
        "ragged": field.ragged,
        "reason": field.reason,
        "class_names": None if field.class_names is None else list(field.class_names),
        "description": field.description,
    }


def _plan_json(plan: Plan | None) -> dict[str, Any] | None:
    if plan is None:
        return None
    return {
        "mode": plan.mode,
        "bytes": plan.bytes,
        "bytes_per_device": plan.bytes_per_device,
        "why": plan.why,
    }


def _parts(info: DatasetInfo, width: int | None) -> list[str]:
    return [
        pairs(_facts(info), width),
        _splits(info, width),
        _fields(info, width),
        _files(info, width),
        pairs([("note", note) for note in info.notes], width),
        pairs([("citation", _shortened(info.citation))], width),
    ]


def _facts(info: DatasetInfo) -> list[tuple[str, object]]:
    local = None if info.local is None else "yes" if info.local else "no, or not all of it"
    return [
        ("uri", info.uri),
        ("description", _shortened(info.description)),
        ("revision", info.revision),
        ("licence", info.licence),
        ("configs", _shortened(", ".join(info.configs))),
        ("records", None if info.records is None else f"{info.records:,}"),
        ("decoded", None if info.bytes is None else readable_bytes(info.bytes)),
        ("plan", info.plan),
        ("local", local),
    ]


def _shortened(text: str | None) -> str:
    return shorten(" ".join((text or "").split()), TEXT_SHOWN)


def _splits(info: DatasetInfo, width: int | None) -> str:
    rows = [
        (
            split.name,
            None if split.records is None else f"{split.records:,}",
            None if split.bytes is None else readable_bytes(split.bytes),
        )
        for split in info.splits.values()
    ]
    headings = ("split", "records", "on disk")
    return table(headings, rows, width, right=("records", "on disk")) if rows else ""


def _fields(info: DatasetInfo, width: int | None) -> str:
    rows = [(name, _array(field), _about(name, field)) for name, field in info.fields.items()]
    return table(("field", "array", "about"), rows, width) if rows else ""


def _array(field: Field) -> str:
    if field.shape is None:
        return "host only"
    return f"{field.dtype}[{','.join(map(str, field.shape))}]"


def _about(name: str, field: Field) -> str:
    parts = []
    if field.reason:
        parts.append(field.reason)
    if field.shape is None and field.ragged:
        parts.append(f"pad={{{name!r}: width}} makes an array of it")
    if field.class_names is not None:
        shown = ", ".join(field.class_names[:CLASSES_SHOWN])
        more = ", …" if len(field.class_names) > CLASSES_SHOWN else ""
        parts.append(f"{len(field.class_names)} classes: {shown}{more}")
    if field.description:
        parts.append(field.description)
    return "; ".join(parts)


def _files(info: DatasetInfo, width: int | None) -> str:
    if not info.files:
        return ""
    shown = list(info.files.items())[:FILES_SHOWN]
    text = table(
        ("local", "file"), [("yes" if here else "no", name) for name, here in shown], width
    )
    more = len(info.files) - len(shown)
    return text + (f"\n… and {more} more; --json lists all" if more else "")
