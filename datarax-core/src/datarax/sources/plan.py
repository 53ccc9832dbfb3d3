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
        mode: "eager", "lazy" or "streaming".
        bytes: Bytes of all its arrays, decoded; None where its records are not counted.
        bytes_per_device: Those of them that one device holds when eager.
        why: The reason, as a clause.
    """

    mode: Literal["eager", "lazy", "streaming"]
    bytes: int | None
    bytes_per_device: int | None
    why: str

    def __str__(self) -> str:
        held = "size unknown" if self.bytes is None else readable_bytes(self.bytes)
        return f"{self.mode}, {held} ({self.why})"


def choose_mode(
    config: SourceConfig, layout: Layout, size: int | None, who: str, *, streams: bool
) -> Plan:
    """Return the plan of a source.

    Args:
        config: Its options.
        layout: What it emits.
        size: Its records, None where a stream does not know them.
        who: Its name, for messages.
        streams: Whether its reader is a `StreamReader`, which goes forward only.

    Raises:
        TypeError: If the placement is neither a device nor a sharding.
        ValueError: If the reader does not offer the mode, or an option has no meaning in it.
    """
    if config.placement is not None:
        from datarax.transfer import check_placement

        check_placement(config.placement, "placement")
    plan = _forward(config, layout, size, who) if streams else _indexed(config, layout, size, who)
    if plan.mode != "eager" and config.placement is not None:
        raise ValueError(
            f"placement is where eager data lies, and mode={plan.mode!r} ({plan.why}) holds none; "
            "leave it out, or lay batches out with batches(sharding=...)"
        )
    if plan.mode == "streaming" and config.cacheable:
        raise ValueError(
            f"cacheable=True keeps decoded records, and {who} streams, which holds none; leave it "
            "out, or take mode='lazy' where its reader reads by index"
        )
    if config.shuffle_window is not None and not (plan.mode == "streaming" and config.shuffle):
        raise ValueError(
            f"shuffle_window={config.shuffle_window} is for shuffle=True while streaming; this "
            f"source is {plan.mode}, shuffle={config.shuffle}: leave it out"
        )
    return plan


def _forward(config: SourceConfig, layout: Layout, size: int | None, who: str) -> Plan:
    if config.mode in ("eager", "lazy"):
        raise ValueError(
            f"{who} goes forward only, and mode={config.mode!r} reads by index; "
            "take mode='streaming' or 'auto'"
        )
    total = None if size is None else layout.element_bytes * size
    why = "as asked" if config.mode == "streaming" else "its reader goes forward only"
    return Plan("streaming", total, 0, why)


def _indexed(config: SourceConfig, layout: Layout, size: int | None, who: str) -> Plan:
    if config.mode == "streaming":
        raise ValueError(
            f"{who} cannot stream: its reader reads by index, in the modes 'eager' and 'lazy', "
            "which also shuffle fully; mode='lazy' holds nothing but the rows asked for"
        )
    assert size is not None
    total = layout.element_bytes * size
    share = _share(config.placement, size, total) if config.mode != "lazy" else total
    if config.mode in ("eager", "lazy"):
        return Plan("eager" if config.mode == "eager" else "lazy", total, share, "as asked")
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
    from datarax.transfer import rows_of_a_device

    try:
        rows = rows_of_a_device(placement, size)
    except ValueError as error:
        raise ValueError(
            f"placement={placement} cannot hold {size} rows: {error}; take a split whose length "
            "divides, such as 'train[:N]', or replicate"
        ) from error
    return -(-total * rows // size)
