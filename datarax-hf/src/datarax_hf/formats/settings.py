"""What the files of one configuration are read with, beside the files themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from datarax.errors import NotSupportedError, listing, nearest

if TYPE_CHECKING:
    from datarax_hf.derived import Derived

_NEVER_MATTER = {"version", "description", "citation", "license", "chunksize"}


@dataclass(frozen=True)
class Settings:
    """How the files of a configuration are read.

    Attributes:
        options: The card's parameters of the format, such as {"sep": "|"}, as the Hub names them.
        features: What the card says the columns hold, or None.
        labels: The class names of an image folder, or None where it has no labels.
        described: Whether the records of an image folder are those of its metadata files.
        derived: Where parsed files are kept; None is a folder that goes with the process.
        texts: The columns of JSON files that are kept as JSON text, whatever they look like.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    features: Mapping[str, Any] | None = None
    labels: tuple[str, ...] | None = None
    described: bool = False
    derived: Derived | None = None
    texts: frozenset[str] = frozenset()

    def given(self, known: Mapping[str, Any], what: str) -> dict[str, Any]:
        """Return the parameters of a format, with their defaults where the card gives none.

        Args:
            known: The parameters that are honoured, and their defaults.
            what: The format and the dataset, for messages.

        Raises:
            NotSupportedError: If the card gives a parameter that is not honoured.
        """
        options = {name: value for name, value in self.options.items() if name not in _NEVER_MATTER}
        other = sorted(set(options) - set(known))
        if other:
            raise NotSupportedError(
                f"{what}: the card gives the parameter {other[0]!r}, which is not honoured; "
                f"honoured are {listing(known)}.{nearest(other[0], known)}"
            )
        return {**known, **options}
