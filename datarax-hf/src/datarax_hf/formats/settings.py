"""What the files of one configuration are read with, beside the files themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from datarax.errors import NotSupportedError, listing

if TYPE_CHECKING:
    import pyarrow as pa

    from datarax_hf.derived import Derived


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
        types: The types of the columns of a JSON file, where others of the split decide them too.
        flatten: Whether the parts of structs are columns of their own.
        held: Whether the metadata of an image folder is held in memory, and kept nowhere.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    features: Mapping[str, Any] | None = None
    labels: tuple[str, ...] | None = None
    described: bool = False
    derived: Derived | None = None
    texts: frozenset[str] = frozenset()
    types: Mapping[str, pa.DataType] = field(default_factory=dict)
    flatten: bool = False
    held: bool = False

    def given(
        self, known: Mapping[str, Any], declined: Mapping[str, Any], what: str
    ) -> dict[str, Any]:
        """Return the parameters of a format, with their defaults where the card gives none.

        What is no parameter of the format at all says nothing of its files, and is left aside.

        Args:
            known: The parameters that are honoured, and their defaults.
            declined: Those that would change what is read, and are not honoured, and the values
                with which they change nothing.
            what: The format and the dataset, for messages.

        Raises:
            NotSupportedError: If the card gives one that is not honoured.
        """
        for name in sorted(self.options.keys() & declined.keys()):
            value = self.options[name]
            if value is not None and repr(value) != repr(declined[name]):
                raise NotSupportedError(
                    f"{what}: the card gives the parameter {name!r}, which is not honoured; "
                    f"honoured are {listing(known)}"
                )
        return {name: self.options.get(name, default) for name, default in known.items()}
