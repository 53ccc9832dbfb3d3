"""What the registry tells: `SourceInfo` of a scheme and `DatasetInfo` of a dataset.

Plain frozen records, free of JAX until a spec is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from datarax.sources.fields import Field
from datarax.sources.plan import Plan

Status = Literal["ok", "disabled", "conflict", "broken", "incompatible"]


@dataclass(frozen=True)
class SourceInfo:
    """One scheme, as far as it is known without importing its plugin.

    Attributes:
        scheme: The word before the colon.
        distribution: The distribution that offers it; None for one that was registered by hand.
        version: That distribution's version.
        summary: Its one-line summary.
        homepage: Its homepage, where its metadata says it.
        status: "ok", "disabled" (by the environment), "conflict" (two distributions offer it),
            "broken" (when last tried, in this
            process or an earlier one) or "incompatible" (with this datarax-core).
        detail: For any status but "ok", why.
        capabilities: What its sources can do, as its metadata declares it, or once imported the
            plugin itself; None where the metadata says nothing.
    """

    scheme: str
    distribution: str | None
    version: str | None
    summary: str
    homepage: str | None = None
    status: Status = "ok"
    detail: str | None = None
    capabilities: frozenset[str] | None = None


@dataclass(frozen=True)
class SplitInfo:
    """One stored split: its records and its bytes on disk, None where nothing says so."""

    name: str
    records: int | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a dataset without reading its records.

    Attributes:
        uri: The URI that was asked for.
        splits: The stored splits, by name.
        fields: The stored fields, by name, as `load` would read them with the same options.
        records: Records that `load` would read with the same options; None where unknown.
        bytes: Bytes of those records decoded; None where no metadata can say.
        revision: The exact version of the data, such as a commit; None where there is none.
        licence: As its publisher states it.
        citation: As its publisher states it.
        description: As its publisher states it.
        configs: The configurations to choose from.
        local: Whether all that is needed lies on this machine.
        files: The files that were found or are needed, with True where they are local.
        notes: What a user should know, such as another branch having been read.
        plan: The mode that `load` would take with the same options, its bytes, and why.
    """

    uri: str
    splits: Mapping[str, SplitInfo]
    fields: Mapping[str, Field]
    records: int | None = None
    bytes: int | None = None
    revision: str | None = None
    licence: str | None = None
    citation: str | None = None
    description: str | None = None
    configs: tuple[str, ...] = ()
    local: bool | None = None
    files: Mapping[str, bool] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    plan: Plan | None = None

    @property
    def spec(self) -> Mapping[str, Any]:
        """The fields with a shape as `jax.ShapeDtypeStruct`, as elements have them."""
        from datarax.core.spec import spec_of

        return spec_of(self.fields)


@dataclass(frozen=True)
class Fetched:
    """What a plugin's `fetch` brought onto this machine.

    Attributes:
        folder: The folder to carry to a machine without a network, whole.
        files: The files read by `load`, by path relative to `folder`, and their bytes.
        setup: Environment variables to set there, with `{folder}` for where the folder then lies.
    """

    folder: str
    files: Mapping[str, int]
    setup: Mapping[str, str] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(self.files.values())


FileVerdict = Literal["ok", "damaged", "missing", "unknown"]


@dataclass(frozen=True)
class Verified:
    """What a plugin's `verify` found of the files that `load` would read.

    Attributes:
        folder: The folder that the files lie in.
        files: A verdict for each file, by path relative to `folder`: "ok" (its hash is the one
            published), "damaged", "missing", or "unknown" (nothing says what its hash should be).
        remedy: What to do about damaged and missing files; None where there are none.
    """

    folder: str
    files: Mapping[str, FileVerdict]
    remedy: str | None = None

    @property
    def ok(self) -> bool:
        """Whether no file is damaged or missing."""
        return not {"damaged", "missing"} & set(self.files.values())
