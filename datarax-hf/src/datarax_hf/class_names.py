"""Class names for `inspect`: those of labels in lists and structs, and of labels with nulls.

The fields of a source carry the names of labels that are arrays; here others have theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from datarax.errors import listing
from datarax.sources import Field
from datarax_hf.features import Features, modern, part_of, type_of

Label = tuple[str, tuple[str, ...]]


def with_class_names(fields: Mapping[str, Field], features: Features | None) -> Mapping[str, Field]:
    """Return fields with the class names of the labels within them.

    Where all labels of a field have the same names, they are its `class_names`; of a struct the
    description says which parts have them, and where they differ the names too.
    """
    meant = modern(features or {})
    return {name: _named(field, meant.get(name)) for name, field in fields.items()}


def _named(field: Field, feature: Any) -> Field:
    labels = list(_labels(feature, ""))
    if field.class_names is not None or not labels:
        return field
    said = [] if field.description is None else [field.description]
    names = {names for _, names in labels}
    if len(names) > 1:
        said += [f"{part!r} has the classes {listing(classes)}" for part, classes in labels]
        return replace(field, description="; ".join(said))
    parts = [part for part, _ in labels if part]
    if parts:
        said.append(f"the classes are those of {listing(parts)}")
    return replace(field, class_names=names.pop(), description="; ".join(said) or None)


def _labels(feature: Any, part: str) -> Iterator[Label]:
    """Yield each label within a feature: the parts of structs on its way, and its classes."""
    kind = type_of(feature)
    if kind == "ClassLabel":
        if feature.get("names"):
            yield part, tuple(str(name) for name in feature["names"])
    elif kind is not None:
        inner = part_of(feature, None)
        if inner is not None:
            yield from _labels(inner, part)
    elif isinstance(feature, Mapping):
        for name, inner in feature.items():
            yield from _labels(inner, f"{part}.{name}" if part else name)
