"""The saved state of a source over a reader: JSON values, with a fingerprint of what it is of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from datarax.core.order import ORDER_VERSION
from datarax.core.state import from_json, to_json
from datarax.errors import StateMismatchError
from datarax.sources.layout import Layout
from datarax.sources.reader import MarkingReader, StreamReader

FORMAT = "datarax.source"
VERSION = 1
MARK = "stream_mark"
"""Under this key a state holds where the record that it stands at lies, as the reader says it."""

_LONGEST = 256


def fingerprint(
    uri: str,
    identity: Mapping[str, str],
    size: int | None,
    layout: Layout,
    seed: int | None,
    window: int | None,
) -> dict[str, Any]:
    """Return what a state belongs to: URI, identity (revision, split), N, spec, order."""
    spec = ", ".join(f"{leaf.name}: {leaf.dtype}{list(leaf.shape)}" for leaf in layout.leaves)
    order = "stored" if seed is None else f"shuffled, seed {seed}, version {ORDER_VERSION}"
    if seed is not None and window is not None:
        order += f", window {window}"
    parts = {"uri": uri, **identity, "spec": spec, "order": order}
    return {"records": size, **{name: _short(text) for name, text in parts.items()}}


def write_state(tree: Mapping[str, Any], mark: Mapping[str, Any]) -> dict[str, Any]:
    """Return a module's state tree as JSON values, behind the format's name and version."""
    return {"format": FORMAT, "version": VERSION, "fingerprint": dict(mark), **to_json(tree)}


def read_state(state: Any, mark: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state tree of a saved state that belongs to `mark`.

    Raises:
        TypeError: If it is not a dict.
        StateMismatchError: If it is of another format, version, data or order.
    """
    if not isinstance(state, dict):
        raise TypeError(f"a state is a dict, got {type(state).__name__} {state!r}")
    saved = dict(state)
    form, version = saved.pop("format", None), saved.pop("version", None)
    if form != FORMAT:
        raise StateMismatchError(
            f"format: {FORMAT!r} is expected, got {form!r}; this is not the state of a source"
        )
    if version != VERSION:
        raise StateMismatchError(
            f"version: a state of version {version!r} cannot be read; "
            f"this datarax reads version {VERSION}"
        )
    found = saved.pop("fingerprint", None)
    if not isinstance(found, Mapping):
        raise StateMismatchError(f"fingerprint: missing from the saved state, got {found!r}")
    for name in dict.fromkeys((*mark, *found)):
        if found.get(name) != mark.get(name):
            raise StateMismatchError(
                f"fingerprint.{name}: the state is of {found.get(name)!r}, and this source of "
                f"{mark.get(name)!r}; a state goes on only with the same data in the same order"
            )
    try:
        tree: dict[str, Any] = from_json(saved)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise StateMismatchError(f"the saved state is damaged: {error}") from error
    return tree


def take_mark(reader: StreamReader, found: Any) -> None:
    """Give a reader the mark of a saved state, if it takes marks.

    Raises:
        StateMismatchError: If it is no mark.
    """
    if not isinstance(found, Mapping):
        raise StateMismatchError(f"{MARK}: a dict is due, the saved state has {found!r}")
    try:
        if isinstance(reader, MarkingReader):
            reader.take_mark(found)
    except ValueError as error:
        raise StateMismatchError(f"{MARK}: the saved state is damaged: {error}") from error


def _short(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text[: _LONGEST - 72]}… sha256:{digest}"
