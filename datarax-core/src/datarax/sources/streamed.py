"""Elements and batches of a stream's columns, which come in pieces of any size.

What comes before a record that cannot be read, or that does not fit, is delivered first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from datarax.sources.elements import piece_rows, unstacked
from datarax.sources.layout import Layout
from datarax.sources.reader import Columns
from datarax.sources.recycled import Recycled
from datarax.sources.streaming import joined, rows_of, sliced
from datarax.staging import Stack
from datarax.transfer import ready, to_batches, to_device

_Made = TypeVar("_Made")


def streamed_elements(pieces: Iterator[Columns], layout: Layout) -> Iterator[Sequence[Any]]:
    """Yield elements, many at a time."""
    capacity = piece_rows(layout)

    def elements(columns: Columns) -> Sequence[Any]:
        rows, out = rows_of(columns), layout.blank(capacity)
        layout.fill(columns, {name: leaf[:rows] for name, leaf in out.items()}, layout.leaves)
        hosted = {name: columns[name] for name in layout.host_only}
        return unstacked(to_device(out), rows, hosted)

    for columns in rechunked(pieces, capacity):
        yield from as_far_as_possible(elements, columns, 1, layout)


def streamed_batches(
    pieces: Iterator[Columns], layout: Layout, size: int, many: int, recycled: Recycled
) -> Iterator[tuple[Any, int]]:
    """Yield (batch, its elements), of `size` elements but for the last, made `many` at a time."""
    out = layout.blank(size * many) if many > 1 else {}

    def batches(columns: Columns) -> list[tuple[Any, int]]:
        rows = rows_of(columns)
        if rows == size * many > size:
            layout.fill(columns, out, layout.leaves)
            return [(batch, size) for batch in ready(to_batches(out, size, many))]
        leaves = recycled.blank(layout, rows)
        layout.fill(columns, leaves, layout.leaves)
        parts = [sliced(leaves, begin, begin + size) for begin in range(0, rows, size)]
        return [(to_device(part), rows_of(part)) for part in parts]

    for columns in rechunked(pieces, size * many, whole=size):
        for made in as_far_as_possible(batches, columns, size, layout):
            yield from made


def streamed_stacks(
    pieces: Iterator[Columns], layout: Layout, size: int, many: int, spare: list[Any]
) -> Iterator[Stack]:
    """Yield stacks of `many` batches of `size` elements, written into `spare` buffers."""
    rest = 0
    for columns in rechunked(pieces, size * many, whole=size):
        rows = rows_of(columns)
        full, rest = divmod(rows, size)
        if not full:
            break
        buffers = spare.pop() if spare else layout.blank(many, size)
        filled = {name: flat(buffer)[:rows] for name, buffer in buffers.items()}
        layout.fill(columns, filled, layout.leaves)
        yield Stack(to_device(buffers), full, 0, buffers)
    yield Stack(None, 0, rest)


def flat(buffer: Any) -> Any:
    """Return a stack of batches as one run of elements."""
    many, size = buffer.shape[:2]
    return buffer.reshape(many * size, *buffer.shape[2:])  # -1 is ambiguous where leaves are empty


def rechunked(pieces: Iterator[Columns], rows: int, *, whole: int = 1) -> Iterator[Columns]:
    """Yield the same columns in pieces of `rows`, the last one smaller.

    Where `pieces` fails, what it brought before comes first, in multiples of `whole` rows.
    """
    held: list[Columns] = []
    try:
        for piece in pieces:
            held.append(piece)
            if sum(map(rows_of, held)) < rows:
                continue
            together = joined(held)
            full = rows_of(together) // rows * rows
            held = [sliced(together, full)] if rows_of(together) > full else []
            for begin in range(0, full, rows):
                yield sliced(together, begin, begin + rows)
    except Exception:
        full = sum(map(rows_of, held)) // whole * whole
        if full:
            yield sliced(joined(held), 0, full)
        raise
    if held:
        yield joined(held)


def as_far_as_possible(
    make: Callable[[Columns], _Made], columns: Columns, rows: int, layout: Layout
) -> Iterator[_Made]:
    """Yield what is made of columns: at once, or where that fails in parts, up to what fails.

    Args:
        make: Makes it.
        columns: What of.
        rows: The records of a part.
        layout: Counts the values that are cut.
    """
    counted = dict(layout.cuts)
    try:
        whole = make(columns)
    except Exception:
        layout.cuts.clear()
        layout.cuts.update(counted)  # what is made again is counted again
        total = rows_of(columns)
        if total <= rows:
            raise
        for begin in range(0, total, rows):
            yield make(sliced(columns, begin, begin + rows))
        return
    yield whole
