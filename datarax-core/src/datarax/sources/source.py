"""`ReaderSource`: the one source over a reader, eager or lazy.

Eager, the arrays of every record lie on the device, and a batch is a gather inside compiled code.
Lazy, nothing is held: a batch is one read of its rows, under tracing by a host callback. Both ask
`core.order` for the same indices.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import jax
import numpy as np
from flax import nnx

from datarax.core import order
from datarax.core.checks import check_size, check_start
from datarax.core.config import DataraxModuleConfig
from datarax.core.data_source import CURSOR, DataSourceModule
from datarax.core.host import Host, HostRef, SharedReader
from datarax.core.spec import layout_spec, struct
from datarax.core.x64 import x64_enabled
from datarax.errors import (
    EmptyDatasetError,
    HostOnlyFieldError,
    NotSupportedError,
    UnknownLengthError,
)
from datarax.sources.caching import CachingReader
from datarax.sources.config import SourceConfig
from datarax.sources.eager import load_columns
from datarax.sources.elements import piece_rows, row_of, unstacked
from datarax.sources.gather import fetch_rows, gather_traced, traced_start
from datarax.sources.layout import Layout
from datarax.sources.placed import Run, placed_batches
from datarax.sources.plan import Plan, choose_mode
from datarax.sources.reader import Columns, Reader, StreamReader, check_index
from datarax.sources.recycled import Recycled
from datarax.sources.seeding import key_words, with_seed
from datarax.sources.selected import SelectedReader
from datarax.sources.source_state import MARK, fingerprint, read_state, take_mark, write_state
from datarax.sources.streamed import flat, streamed_batches, streamed_elements, streamed_stacks
from datarax.sources.streaming import DEFAULT_WINDOW, stream_columns, stream_length, stream_mark
from datarax.staging import Stack
from datarax.transfer import ready, to_batches, to_device


@dataclass(frozen=True)
class Facts:
    """What a source found out at construction: N, what it emits, how, and where from."""

    size: int | None
    layout: Layout
    plan: Plan
    uri: str
    identity: Mapping[str, str]
    words: Any

    @property
    def length(self) -> int:
        """N, where it is known.

        Raises:
            UnknownLengthError: A NotImplementedError, if it is not.
        """
        if self.size is None:
            raise UnknownLengthError(
                f"{self.uri} streams, and nothing says how many records it has; iterate over it"
            )
        return self.size


class ReaderSource(DataSourceModule):
    """A source over a reader.

    Args:
        config: A `SourceConfig`.
        reader: A `Reader`, or for mode "streaming" a `StreamReader`; the source closes it.
        uri: What is read, for messages and for the fingerprint of saved states.
        rngs: Supplies the seed, once, where a shuffled source was given none.
        name: A name for messages and `repr`.

    Raises:
        TypeError: If `reader` is no `Reader`.
        ValueError: If both a seed and `rngs` are given, an option names no field, the reader holds
            no records, or the data do not fit the mode.
    """

    config: SourceConfig

    def __init__(
        self,
        config: SourceConfig,
        reader: Reader | StreamReader | SharedReader,
        *,
        uri: str = "",
        rngs: nnx.Rngs | None = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(config, SourceConfig):
            raise TypeError(
                f"{type(self).__name__} takes a SourceConfig, got {type(config).__name__}"
            )
        super().__init__(
            with_seed(config, rngs), rngs=rngs if config.stochastic else None, name=name
        )
        shared = reader.share() if isinstance(reader, SharedReader) else SharedReader(reader)
        self._host = Host(
            shared=shared,
            view=self._prepared(shared.reader, uri),
            facts=self._find_out(shared.reader, uri),
        )
        facts = self._facts
        self._data = nnx.data(
            load_columns(facts.layout, self.reader, facts.length, self.config.placement, facts.uri)
            if facts.plan.mode == "eager"
            else {}
        )

    # What it holds

    @property
    def plan(self) -> Plan:
        """How the data is held: the mode, its bytes, and why."""
        return self._facts.plan

    @property
    def host_only(self) -> Mapping[str, str]:
        """The fields that stay on the host, and why; `pad=` makes arrays of some."""
        return dict(self._facts.layout.host_only)

    @property
    def cuts(self) -> Mapping[str, int]:
        """How many values were cut to their `pad` width so far, by field; see `overflow="cut"`."""
        return dict(self._facts.layout.cuts)

    def __len__(self) -> int:
        return self._facts.length

    def element_spec(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Return the arrays of one element; host-only fields (`host_only`) are not among them."""
        return layout_spec(self._facts.layout)

    def supports_indexed_access(self) -> bool:
        """Return whether rows are read by index: in every mode but "streaming"."""
        return self._facts.plan.mode != "streaming"

    def __repr__(self) -> str:
        facts = self._facts
        fields = [f"{leaf.name}: {leaf.dtype}{list(leaf.shape)}" for leaf in facts.layout.leaves]
        fields += [f"{name}: host-only" for name in facts.layout.host_only]
        count = "unknown" if facts.size is None else f"{facts.size:,}"
        shuffled = f", shuffled (seed {self.config.seed or 0})" if self.config.shuffle else ""
        return (
            f"{type(self).__name__}({facts.uri!r}, {count} records, {facts.plan}{shuffled}; "
            f"{', '.join(fields)})"
        )

    __str__ = __repr__

    # Access

    def __getitem__(self, index: int) -> dict[str, Any]:
        facts = self._facts
        self._host.check_open(self._who())
        self._check_indexed("s[i]")
        row = check_index(index, facts.length)
        if self._data:
            element = dict(row_of(self._data, np.int32(row)))
        else:
            columns = facts.layout.read(self.reader, np.array([row], np.int64))
            element = dict(to_device({name: column[0] for name, column in columns.items()}))
        for name, values in facts.layout.host_values(
            self.reader, np.array([row], np.int64)
        ).items():
            element[name] = values[0]
        return element

    def get_batch_at(self, start: int | Any, size: int, key: Any | None = None) -> Any:
        """Return the elements at positions start … start + size - 1; nothing moves.

        Positions count through the epochs: position p is offset p % N of epoch p // N. A batch may
        go on into the next epoch.

        Args:
            start: The first position: a Python int of any magnitude, or a traced int32. A traced
                start is not checked; where a run is longer than 2**31 - 1 positions, fold the
                epoch into `key`, or use `batches` or `scan_epoch`, which have no such limit.
            size: How many, a Python int of 1 or more.
            key: A PRNG key, typed or raw, that replaces the seed of a shuffled order. In storage
                order it changes nothing.

        Returns:
            A dict of arrays of shape (size, *shape), as `element_spec` says.

        Raises:
            NotImplementedError: In mode "streaming".
            TypeError: If start, size or key is of another type.
            ValueError: If start is negative, size is below 1, or no field has a fixed shape.
        """
        count = check_size(size)
        facts = self._facts
        self._host.check_open(self._who())
        self._check_indexed("get_batch_at")
        self._check_arrays()
        words = self._words(key)
        traced = isinstance(start, jax.core.Tracer) or isinstance(words, jax.core.Tracer)
        if not traced:
            epoch, offset = divmod(check_start(start), facts.length)
            words = None if words is None else np.asarray(words, np.uint32)
            if self._data:
                run = Run(words, facts.length, epoch, offset, count)
                return placed_batches(self._data, run, self._host.compiling)[0]
            indices = order.positions(words, facts.length, epoch, offset, count)
            return to_device(facts.layout.read(self.reader, indices))
        start = traced_start(start)
        if self._data:
            return gather_traced(self._data, words, start, facts.length, count)
        return self._callback(start, words, count)

    def _callback(self, start: Any, words: Any, count: int) -> Any:
        spec = {
            name: struct((count, *leaf.shape), leaf.dtype)
            for name, leaf in self.element_spec().items()
        }
        read = partial(fetch_rows, self._host_ref(), count)
        arguments = (start,) if words is None else (start, words)
        return jax.pure_callback(read, spec, *arguments, vmap_method="expand_dims")

    def _host_ref(self) -> HostRef:
        ref: HostRef = self.__dict__["_host"]
        return ref

    def _check_indexed(self, what: str) -> None:
        if self._is_forward_only():
            raise NotSupportedError(
                f"{self._facts.uri or self._who()} streams, forward only, and has no {what}; "
                "iterate, or load it with mode='lazy' or 'eager' where its reader reads by index"
            )

    def _check_arrays(self) -> None:
        facts = self._facts
        if not facts.layout.leaves:
            raise HostOnlyFieldError(facts.layout.no_arrays(facts.uri or self._who()))

    def _words(self, key: Any) -> Any:
        if not self.config.shuffle:
            return None
        return self._facts.words if key is None else key_words(key)

    # Steps of passes

    def _on_device(self) -> tuple[Any, Any] | None:
        return (self._data, self._words(None)) if self._data else None

    def _stages_in_background(self) -> bool:
        return not self._data

    def _elements(self, epoch: int, offset: int) -> Iterator[Sequence[Any]]:
        return (
            streamed_elements(self._columns(epoch, offset), self._facts.layout)
            if self._is_forward_only()
            else self._indexed_elements(epoch, offset)
        )

    def _indexed_elements(self, epoch: int, offset: int) -> Iterator[Sequence[Any]]:
        facts = self._facts
        layout, size, words = facts.layout, facts.length, self._words(None)
        capacity = min(piece_rows(layout), size)
        alone_until = 0
        while offset < size:
            rows = 1 if offset < alone_until else min(capacity, size - offset)
            batch: Mapping[str, Any] = {}
            indices: Any = None
            if layout.host_only or not self._data:
                indices = order.positions(words, size, epoch, offset, rows)
            counted = dict(layout.cuts)
            try:
                if self._data:  # a whole piece, the rows behind the epoch's end left unused
                    run = Run(words, size, epoch, offset, capacity)
                    batch = placed_batches(self._data, run, self._host.compiling)[0]
                elif layout.leaves:
                    out = layout.blank(capacity)
                    filled = {name: leaf[:rows] for name, leaf in out.items()}
                    layout.read_into(self.reader, indices, filled)
                    batch = to_device(out)
                hosted = layout.host_values(self.reader, indices) if layout.host_only else {}
            except Exception:
                layout.cuts.clear()
                layout.cuts.update(counted)
                if rows == 1:
                    raise
                alone_until = offset + rows  # what can be read is delivered, up to what cannot
                continue
            yield unstacked(batch, rows, hosted)
            offset += rows

    def _stage(
        self, epoch: int, offset: int, size: int, count: int, scratch: dict[Any, Any]
    ) -> list[Any]:
        facts = self._facts
        self._check_arrays()
        words = self._words(None)
        if self._data:
            run = Run(words, facts.length, epoch, offset, size, count)
            return placed_batches(self._data, run, self._host.compiling)
        indices = order.positions(words, facts.length, epoch, offset, size * count)
        if count == 1:
            alone = self._recycled().blank(facts.layout, size)
            facts.layout.read_into(self.reader, indices, alone)
            return [to_device(alone)]
        rows = size * count
        out = scratch.pop(rows, None) or facts.layout.blank(rows)
        facts.layout.read_into(self.reader, indices, out)
        batches = ready(to_batches(out, size, count))
        scratch[rows] = out  # copied by now: to be written again, its pages are there
        return batches

    def _recycled(self) -> Recycled:
        host = self._host
        recycled: Recycled = host.recycled or Recycled()
        host.recycled = recycled
        if host.closed:  # by another thread: then it keeps none
            host.recycled = None
        return recycled

    def _stage_stack(
        self, epoch: int, offset: int, size: int, count: int, capacity: int, spare: list[Any]
    ) -> tuple[Any, Any]:
        facts = self._facts
        self._check_arrays()
        indices = order.positions(self._words(None), facts.length, epoch, offset, size * count)
        out = spare.pop() if spare else facts.layout.blank(capacity, size)
        filled = {name: flat(buffer)[: size * count] for name, buffer in out.items()}
        facts.layout.read_into(self.reader, indices, filled)
        return to_device(out), out

    def _row_reader(self, epoch: int, offset: int, size: int) -> Callable[[Any], Any]:
        self._check_arrays()
        facts = self._facts
        indices = order.positions(self._words(None), facts.length, epoch, offset, size)
        return lambda rows: facts.layout.read(self.reader, indices[rows])

    def _columns(self, epoch: int, offset: int) -> Iterator[Columns]:
        """Yield the stored columns of an epoch of a stream, from `offset` on."""
        names = tuple(self._facts.layout.stored)
        return stream_columns(self.reader, names, self._words(None), self._window, (epoch, offset))

    def _mark(self, epoch: int, offset: int) -> Mapping[str, Any] | None:
        """Return what the reader of a stream knows of the way to a place, where it does."""
        return stream_mark(self._host.view, self._words(None), self._window, (epoch, offset))

    @property
    def _window(self) -> int:
        return self.config.shuffle_window or DEFAULT_WINDOW

    def _stream_batches(
        self, epoch: int, offset: int, size: int, many: int
    ) -> Iterator[tuple[Any, int]]:
        self._check_arrays()
        pieces = self._columns(epoch, offset)
        return streamed_batches(pieces, self._facts.layout, size, many, self._recycled())

    def _stacks(
        self, epoch: int, offset: int, size: int, many: int, spare: list[Any]
    ) -> Iterator[Stack]:
        if not self._is_forward_only():
            yield from super()._stacks(epoch, offset, size, many, spare)
            return
        self._check_arrays()
        yield from streamed_stacks(
            self._columns(epoch, offset), self._facts.layout, size, many, spare
        )

    # Cache, copies, state

    def reset_cache(self) -> None:
        """Empty the decoded records that `cacheable=True` keeps on the host."""
        super().reset_cache()
        if isinstance(self.reader, CachingReader):
            self.reader.clear()

    def copy(
        self,
        *,
        config: DataraxModuleConfig | None = None,
        rngs: nnx.Rngs | None = None,
        name: str | None = None,
    ) -> Self:
        """Return a new source built as this one was, with what is given replaced.

        New `rngs` supply a new seed, unless the new config gives one. See `DataraxModule.copy`.
        """
        if rngs is not None and config is None:
            config = dataclasses.replace(self.config, seed=None)
        return super().copy(config=config, rngs=rngs, name=name)

    def _constructor_argument(self, word: str) -> Any:
        if word == "reader":
            return self._host.shared
        return self._facts.uri if word == "uri" else super()._constructor_argument(word)

    def get_state(self) -> dict[str, Any]:
        """Return what a checkpoint needs, as JSON values, under 2 KB: place, counts, fingerprint.

        It depends neither on batch size nor on how many hosts or workers read. Of a stream whose
        reader notes where records lie it holds a mark, from which another process goes on.
        """
        state = write_state(super().get_state(), self._fingerprint())
        if not self._is_forward_only():
            return state
        found = self._mark(state[CURSOR]["epoch"], state[CURSOR]["offset"])
        return state if found is None else {**state, MARK: dict(found)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned; the next pass goes on from there, exactly.

        Nothing changes unless all of it fits.

        Raises:
            TypeError: If `state` is not a dict.
            StateMismatchError: A ValueError that names the difference, if the state is that of
                other data or another order, or not whole.
        """
        tree = read_state(state, self._fingerprint())
        if MARK in tree and self._is_forward_only():
            take_mark(self._host.view, tree.pop(MARK))
        super().set_state(tree)

    def _cursor_state(self) -> dict[str, Any]:
        return {name: int(value) for name, value in super()._cursor_state().items()}

    def _fingerprint(self) -> dict[str, Any]:
        facts = self._facts
        seed = (self.config.seed or 0) if self.config.shuffle else None
        window = self._window if self._is_forward_only() else None
        return fingerprint(facts.uri, facts.identity, facts.size, facts.layout, seed, window)

    # Construction

    @property
    def _facts(self) -> Facts:
        facts: Facts = self._host.facts
        return facts

    def _prepared(self, reader: Any, uri: str) -> Any:
        if streams(reader):
            return reader
        _check_reader(reader, self._who())
        names = self.config.select(tuple(reader.fields), dataset=uri or self._who())
        if names != tuple(reader.fields):
            reader = SelectedReader(reader, names)
        if self.config.cacheable:
            reader = CachingReader(reader, self.config.cache_limit)
        return reader

    def _find_out(self, reader: Any, uri: str) -> Facts:
        config = self.config
        who = uri or self._who()
        size = stream_length(reader) if streams(reader) else len(reader)
        if size == 0:
            raise EmptyDatasetError(
                f"{who} holds no records"
                + (f" in split {config.split!r}; ask for a wider one" if config.split else "")
            )
        names = config.select(tuple(reader.fields), dataset=who)
        if not names:
            raise EmptyDatasetError(
                f"{who}: exclude_keys leaves no field of {tuple(reader.fields)!r} to read"
            )
        layout = Layout.of(
            reader.fields, names, x64=x64_enabled(), pad=config.pad, overflow=config.overflow
        )
        plan = choose_mode(config, layout, size, who, streams=streams(reader))
        identity = dict(getattr(reader, "identity", {}))
        seed = config.seed or 0
        return Facts(size, layout, plan, uri, identity, order.seed_words(seed))


def streams(reader: Any) -> bool:
    """Return whether a reader goes forward only."""
    return isinstance(reader, StreamReader) and not isinstance(reader, Reader)


def _check_reader(reader: Any, who: str) -> None:
    wanted = ("fields", "__len__", "__getitem__", "__getitems__", "close")
    missing = [name for name in wanted if not hasattr(reader, name)]
    if missing:
        raise TypeError(
            f"{who} needs a reader, and {type(reader).__name__} lacks {', '.join(missing)}; "
            "extend datarax.sources.RecordReader or ColumnarReader to get the rest"
        )
