"""JSON text: what is kept as it is written, since the card says so or no Arrow type holds it."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from datarax_hf.features import Features, part_of, type_of
from datarax_hf.formats.guess import storage_type


def mixed(rows: list[dict[str, Any]]) -> set[str]:
    """Return the columns in which values of several kinds stand at one place."""
    seen: dict[tuple[str, ...], str] = {}
    return {name for row in rows for name, value in row.items() if _differs(value, (name,), seen)}


def _differs(value: Any, path: tuple[str, ...], seen: dict[tuple[str, ...], str]) -> bool:
    if value is None:
        return False
    kind = "number" if type(value) in {int, float} else type(value).__name__
    if seen.setdefault(path, kind) != kind:
        return True
    if isinstance(value, dict):
        return any(_differs(inner, (*path, key), seen) for key, inner in value.items())
    if isinstance(value, list):
        return any(_differs(inner, (*path, ""), seen) for inner in value)
    return False


def with_texts(row: dict[str, Any], texts: set[str], features: Features, encoded: Features) -> str:
    """Return a record as JSON, what is kept as JSON text in it as strings.

    Args:
        row: The record.
        texts: The columns that are kept so because their values are of several kinds.
        features: What the card says of the columns.
        encoded: The features with Json in them.
    """
    written = {}
    for name, value in row.items():
        if name in encoded:
            written[name] = _encoded(value, encoded[name])
        elif name not in texts or value is None:
            written[name] = value
        elif name not in features or not isinstance(value, str):
            written[name] = _compact(value)
        else:
            # Where the card says what the column is, text need not say that it is text.
            plain = not is_text(features[name]) or is_json(value.encode("utf-8", "replace"))
            written[name] = value if plain else _compact(value)
    return json.dumps(written)


def _encoded(value: Any, feature: Any) -> Any:
    """Return a value with JSON text in the place of what is Json; text that is JSON stays."""
    if value is None:
        return None
    if type_of(feature) == "Json":
        kept = isinstance(value, str) and is_json(value.encode("utf-8", "replace"))
        return value if kept else _compact(value)
    inner = part_of(feature, None)
    if inner is not None and isinstance(value, list):
        return [_encoded(item, inner) for item in value]
    if isinstance(value, dict):
        return {name: _encoded(part, part_of(feature, name)) for name, part in value.items()}
    return value


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def holds_json(feature: Any) -> bool:
    if type_of(feature) == "Json":
        return True
    inner = part_of(feature, None)
    if inner is not None:
        return holds_json(inner)
    return type_of(feature) is None and any(map(holds_json, (feature or {}).values()))


def is_text(feature: Any) -> bool:
    stored = storage_type(feature)
    return stored is not None and pa.types.is_string(stored)


def is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def joined(lines: list[str]) -> bytes:
    return "\n".join([*lines, ""]).encode()
