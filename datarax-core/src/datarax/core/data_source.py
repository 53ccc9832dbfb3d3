"""`DataSourceModule` and `LocalFilesOnlyMixin`: what every source is.

A source delivers elements and batches through passes over one cursor. The base class needs from a
subclass only what the protocol names (`__len__`, `__getitem__`, `get_batch_at`, `element_spec`)
and gives `batches`, `scan_epoch`, iteration, state, `clone` and `close` on top; the source over a
reader overrides the underscored steps with faster ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from datarax.core.batch import Batch
from datarax.core.config import StructuralConfig
from datarax.core.host import Host, HostAttribute, HostSlot
from datarax.core.local_files import LocalFilesOnlyMixin
from datarax.core.passes import elements_of
from datarax.core.state import check_tree
from datarax.core.structural import StructuralModule
from datarax.errors import StalePassError, StateMismatchError, UnknownLengthError
from datarax.staging import Stack

if TYPE_CHECKING:
    from datarax.batches import Batches

__all__ = ["DataSourceModule", "LocalFilesOnlyMixin"]

CURSOR = "cursor"
_ENDLESS = 2**62


class DataSourceModule(HostSlot, StructuralModule):
    """The base of all sources.

    Data that a subclass holds as JAX arrays goes into an attribute as `nnx.data(value)`, so that
    NNX treats it as pytree data and not as parameters, and `get_state` leaves it out:

        class Rows(DataSourceModule):
            def __init__(self, config, rows, *, rngs=None, name=None):
                super().__init__(config, rngs=rngs, name=name)
                self.rows = nnx.data(rows)

    Args:
        config: A `StructuralConfig`.
        rngs: Random number generators; required where the config is stochastic.
        name: A name for messages and `repr`.

    Raises:
        ValueError: If the config is stochastic and `rngs` is None.
    """

    __slots__ = ()
    _host = HostAttribute()

    def __init__(
        self,
        config: StructuralConfig,
        *,
        rngs: nnx.Rngs | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(config, rngs=rngs, name=name)
        self._host = Host()

    # What a subclass defines

    def __len__(self) -> int:
        """Return the number of elements.

        Raises:
            NotImplementedError: If it is not known.
        """
        raise UnknownLengthError(f"{self._who()} does not know its number of elements")

    def __getitem__(self, index: int) -> Any:
        """Return the element of the record stored at `index`, whatever the order.

        Raises:
            IndexError: If it is out of range.
            NotImplementedError: If the source has no indexed access.
        """
        raise NotImplementedError(
            f"{self._who()} has no indexed access: it defines no __getitem__; iterate over it"
        )

    def get_batch_at(self, start: int | Any, size: int, key: Any | None = None) -> Any:
        """Return the `size` elements at positions start, start + 1, ...; nothing moves.

        Args:
            start: The first position: a Python int, or a traced int32.
            size: How many; a Python int, since shapes are static.
            key: A PRNG key that replaces the seed of a shuffled order.

        Returns:
            A dict whose leaves have the leading dimension `size`.

        Raises:
            NotImplementedError: If the source has no indexed access, as forward-only streams.
        """
        raise NotImplementedError(
            f"{self._who()} has no indexed access, so no get_batch_at; iterate over it"
        )

    def supports_indexed_access(self) -> bool:
        """Return whether `get_batch_at` works: False for forward-only sources."""
        return type(self).get_batch_at is not DataSourceModule.get_batch_at

    def element_spec(self) -> Any:
        """Return a pytree of `jax.ShapeDtypeStruct` describing one element.

        Raises:
            NotImplementedError: On the base class; subclasses override it.
        """
        raise NotImplementedError(
            f"{self._who()} must define element_spec(), a pytree of jax.ShapeDtypeStruct that "
            "describes one element"
        )

    # Passes

    def __iter__(self) -> Iterator[Any]:
        """Return a pass over the elements of the current epoch.

        It begins at its first `next`: at the beginning of the epoch, or after `set_state` where
        that stood. When its last element is delivered, the epoch has advanced. It is for one thread
        at a time, as a generator is; threads may share an iterator of `batches`.
        """
        host = self._host
        host.check_open(self._who())
        mark = object()
        begun = elements_of(self, mark)
        host.running = (mark, begun)
        return begun

    def __next__(self) -> Any:
        """Return the next element of the pass that `iter` began, or of one that begins now.

        Raises:
            StopIteration: Once at the end of each pass.
        """
        host = self._host
        host.check_open(self._who())
        if host.running is None:
            iter(self)
        try:
            return next(host.running[1])
        except (StopIteration, StalePassError):
            host.running = None
            raise

    def batches(
        self,
        batch_size: int,
        *,
        epochs: int = 1,
        remainder: Literal["drop", "pad", "keep"] = "drop",
        sharding: jax.sharding.Sharding | None = None,
        prefetch: int = 2,
    ) -> Batches:
        """Return an iterator over `epochs` passes in batches, made ahead in the background.

        Args:
            batch_size: Elements of each batch.
            epochs: Passes to make; one that a restored state resumes counts.
            remainder: What becomes of an epoch's last elements where they do not fill a batch:
                "drop"; "keep" as a smaller batch; "pad" with zeros, each batch then having the
                boolean leaf `valid_mask`.
            sharding: How each batch lies over devices; every process reads only the rows of its
                own.
            prefetch: Staged pieces, each of one batch or several, held ready ahead; 0 makes them
                when asked for.

        Raises:
            ValueError: If an argument is out of range.
            NotImplementedError: If the source knows neither batches nor its length.
        """
        from datarax.batches import Batches

        return Batches(
            self,
            batch_size,
            epochs=epochs,
            remainder=remainder,
            sharding=sharding,
            prefetch=prefetch,
        )

    def scan_epoch(
        self, step: Callable[[Any, Any], tuple[Any, Any]], carry: Any, *, batch_size: int
    ) -> tuple[Any, Any]:
        """Return (carry, ys) after one pass in compiled code, as `lax.scan` over its batches.

        Args:
            step: (carry, batch) -> (carry, y), traceable.
            carry: A pytree; never donated.
            batch_size: Elements of each batch; the remainder is dropped.

        Returns:
            The last carry, and the ys stacked along a leading dimension.

        Raises:
            RuntimeError: Inside another JAX transformation, where the cursor would move once, as
                it is traced.
        """
        from datarax.scan import scan_epoch

        return scan_epoch(self, step, carry, batch_size)

    # The reader, and the end

    @property
    def reader(self) -> Any:
        """The reader of host records, where the source is built on one.

        Raises:
            NotImplementedError: If it is not.
        """
        return self._host.reader(self._who())

    def close(self) -> None:
        """Release the reader and its handles. Closing again does nothing."""
        self._host.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __bool__(self) -> bool:
        return True

    # Copies and state

    def clone(self) -> Self:
        """Return a source with the same state, and a cursor of its own over the same reader."""
        clone = super().clone()
        clone._host = self._host.copy()
        return clone

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, HostAttribute.name: self._host}

    def __setstate__(self, state: dict[str, Any]) -> None:
        attributes = dict(state)
        host: Host = attributes.pop(HostAttribute.name)
        self.__dict__.update(attributes)
        self._host = host

    def __copy__(self) -> Self:
        return self.clone()

    def get_operation_stats(self) -> dict[str, int]:
        """Return `applied_count`, elements that passes delivered, and `skipped_count`, dropped.

        Operations counted by the module itself are added.
        """
        counted = super().get_operation_stats()
        cursor = self._host.cursor
        return {
            "applied_count": counted["applied_count"] + cursor.applied,
            "skipped_count": counted["skipped_count"] + cursor.skipped,
        }

    def reset_operation_stats(self) -> None:
        """Reset operation statistics to zero, with new JAX arrays."""
        super().reset_operation_stats()
        self._host.cursor.forget_counts()

    def get_state(self) -> dict[str, Any]:
        """Return what a checkpoint needs: variables, statistics and the cursor.

        Returns:
            A tree of dicts with string keys and array leaves; `cursor` holds int64 scalars.

        Raises:
            ValueError: If a subclass has a variable named `cursor`.
        """
        state = super().get_state()
        if CURSOR in state:
            raise ValueError(
                f"{self._who()} holds a variable of its own as self.{CURSOR}, which is where a "
                "source's state holds its place; give that attribute another name"
            )
        return {**state, CURSOR: self._cursor_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned; the next pass goes on from there.

        Nothing changes unless all of it fits.

        Raises:
            TypeError: If `state` is not a dict.
            ValueError: If a key is missing or is one too many, or a shape or dtype differs.
        """
        if not isinstance(state, dict):
            raise TypeError(f"a state is a dict, got {type(state).__name__} {state!r}")
        rest = dict(state)
        if CURSOR not in rest:
            raise StateMismatchError(f"{CURSOR}: missing from the saved state")
        saved = rest.pop(CURSOR)
        check_tree(self._cursor_state(), saved, (CURSOR,))
        place = {key: int(value) for key, value in saved.items()}
        self._check_place(place["epoch"], place["offset"])
        super().set_state(rest)
        self._put_cursor(place)

    def _cursor_state(self) -> dict[str, Any]:
        place = self._host.cursor.place()
        return {key: np.asarray(value, np.int64) for key, value in place.items()}

    def _put_cursor(self, place: Mapping[str, int]) -> None:
        self._host.running = None
        self._host.cursor.set(place["epoch"], place["offset"], place["applied"], place["skipped"])

    def _check_place(self, epoch: int, offset: int) -> None:
        size = self._known_length()
        end = None if size is None else size + self._is_forward_only()
        # A stream may fail behind its last record: then the epoch is not over, and nothing is left.
        if not 0 <= epoch < _ENDLESS or offset < 0 or (end is not None and offset >= end):
            raise StateMismatchError(
                f"{CURSOR}: epoch {epoch}, offset {offset} is no place in {self._who()}, "
                f"whose epochs have {'an unknown number of' if size is None else size} elements"
            )

    # Steps that the source over a reader does faster

    def _who(self) -> str:
        return f"{type(self).__name__} {self.name!r}" if self.name else type(self).__name__

    def _known_length(self) -> int | None:
        try:
            return len(self)
        except NotImplementedError:
            return None

    def _elements(self, epoch: int, offset: int) -> Iterator[Sequence[Any]]:
        """Yield the elements of an epoch from `offset` on, in pieces."""
        del epoch  # a subclass of the base class has storage order
        for index in range(offset, len(self)):
            yield (self[index],)

    def _stage(
        self, epoch: int, offset: int, size: int, count: int, scratch: dict[Any, Any]
    ) -> list[Any]:
        """Return `count` batches of `size` elements from (epoch, offset) on, within the epoch.

        `scratch` belongs to the pass, for what one piece may leave to the next.
        """
        del scratch
        position = epoch * len(self) + offset
        return [self.get_batch_at(position + size * i, size) for i in range(count)]

    def _stacks(
        self, epoch: int, offset: int, size: int, many: int, spare: list[Any]
    ) -> Iterator[Stack]:
        """Yield an epoch's full batches from `offset` on, `many` in a stack.

        `spare` holds the buffers of stacks that nothing reads any more, to be written again.
        """
        full, rest = divmod(len(self) - offset, size)
        if not full:
            yield Stack(None, 0, rest)
        while full:
            count = min(many, full)
            full -= count
            stacked, buffers = self._stage_stack(epoch, offset, size, count, many, spare)
            offset += count * size
            yield Stack(stacked, count, 0 if full else rest, buffers)

    def _stage_stack(
        self, epoch: int, offset: int, size: int, count: int, capacity: int, spare: list[Any]
    ) -> tuple[Any, Any]:
        """Return leaves of shape (capacity, size, ...), and the host buffers they were made of."""
        del spare
        batches = self._stage(epoch, offset, size, count, {})
        blank = jax.tree.map(jnp.zeros_like, batches[0])
        return jax.tree.map(
            lambda *leaves: jnp.stack(leaves), *batches, *[blank] * (capacity - count)
        ), None

    def _on_device(self) -> tuple[Any, Any] | None:
        """Return the data that lies on the device and the order's words, or None."""
        return None

    def _row_reader(self, epoch: int, offset: int, size: int) -> Callable[[Any], Any]:
        """Return what reads the host columns of some rows of one batch."""
        batch = jax.tree.map(np.asarray, self._stage(epoch, offset, size, 1, {})[0])
        return lambda rows: {name: leaf[rows] for name, leaf in batch.items()}

    def _is_forward_only(self) -> bool:
        """Return whether passes can only go on, and never begin at an offset."""
        return not self.supports_indexed_access()

    def _stream_batches(
        self, epoch: int, offset: int, size: int, many: int
    ) -> Iterator[tuple[Any, int]]:
        """Yield an epoch's batches from `offset` on and their elements; the last may be smaller."""
        del many
        held: list[Any] = []
        for piece in self._elements(epoch, offset):
            for element in piece:
                held.append(element)
                if len(held) == size:
                    yield dict(Batch.from_elements(held)), size
                    held = []
        if held:
            yield dict(Batch.from_elements(held)), len(held)

    def _stages_in_background(self) -> bool:
        """Return whether staging works on the host, and so is worth a thread."""
        return True
