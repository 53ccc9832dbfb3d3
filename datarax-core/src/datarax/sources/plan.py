"""The plan: which mode a source takes, how many bytes that holds, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from datarax.sources.config import SourceConfig
    from datarax.sources.layout import Layout


@dataclass(frozen=True)
class Plan:
    """How a source holds its data.

    Attributes:
        mode: "eager" or "lazy".
        bytes: Bytes of all its arrays, decoded.
        bytes_per_device: Those of them that one device holds when eager.
        why: The reason, as a clause.
    """

    mode: Literal["eager", "lazy"]
    bytes: int
    bytes_per_device: int
    why: str

    def __str__(self) -> str:
        return f"{self.mode}, {readable_bytes(self.bytes)} ({self.why})"


def choose_mode(config: SourceConfig, layout: Layout, size: int, who: str) -> Plan:
    """Return the plan of an indexed source.

    Raises:
        ValueError: If the mode is "streaming", which indexed readers do not offer, or `placement`
            is given where no data is placed.
    """
    total = layout.element_bytes * size
    share = _share(config.placement, size, total)
    if config.mode == "streaming":
        raise ValueError(
            f"{who} cannot stream: its reader reads by index, in the modes 'eager' and 'lazy'; "
            "mode='lazy' holds nothing but the rows asked for"
        )
    if config.mode == "eager":
        return Plan("eager", total, share, "as asked")
    if config.mode == "lazy":
        if config.placement is not None:
            raise ValueError(
                "placement is where eager data lies, and mode='lazy' holds none; leave it out, or "
                "lay batches out with batches(sharding=...)"
            )
        return Plan("lazy", total, share, "as asked")
    limit = readable_bytes(config.eager_limit)
    if not layout.leaves:
        return Plan("lazy", total, share, "no field is an array")
    if share <= config.eager_limit:
        return Plan("eager", total, share, f"within the limit of {limit} a device")
    return Plan("lazy", total, share, f"beyond the limit of {limit} a device")


def readable_bytes(count: int) -> str:
    """Return a number of bytes as a person reads it, in binary units."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def _share(placement: Any, size: int, total: int) -> int:
    """Return the bytes of one device: all of them, but where a sharding splits the rows."""
    if placement is None or not hasattr(placement, "shard_shape"):
        return total
    try:
        rows = int(placement.shard_shape((size,))[0])
    except ValueError as error:
        raise ValueError(
            f"placement={placement} cannot hold {size} rows: {error}; take a split whose length "
            "divides, such as 'train[:N]', or replicate"
        ) from error
    return -(-total * rows // size)
