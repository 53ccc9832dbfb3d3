"""What a source that does not declare a capability must do instead: refuse, in documented words.

A contract test that needs a capability runs where it is declared. Where it is not, the refusal
here takes its place, so that no test is empty.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import pytest

import datarax
from datarax.registry.loading import fetch
from datarax.registry.plugin import Capability
from datarax.testing.known import KnownDataset

Test = TypeVar("Test", bound=Callable[..., Any])


def needs(capability: Capability) -> Callable[[Test], Test]:
    """Mark a test of what is promised where `capability` is declared, and refused elsewhere."""

    def mark(test: Test) -> Test:
        kept = kept_or_refused(test, lambda fixtures: capability)
        kept.__dict__["capability"] = capability
        return kept

    return mark


def kept_or_refused(test: Test, needed: Callable[[Mapping[str, Any]], Capability]) -> Test:
    """Return the test, or where the capability that it needs is not declared, its refusal.

    Args:
        test: A test of the contract.
        needed: The capability, by the arguments that the test is run with.
    """

    @functools.wraps(test)
    def kept(self: Any, **fixtures: Any) -> None:
        __tracebackhide__ = True
        capability = needed(fixtures)
        if capability in self.capabilities:
            test(self, **fixtures)
        else:
            refuse(capability, self.known, fixtures.get("mode", ""))

    return cast("Test", kept)


def refuse(capability: Capability, dataset: KnownDataset, mode: str = "") -> None:
    """Assert that what `capability` offers is refused with the documented error."""
    _REFUSALS[capability](dataset, mode)


def _load(dataset: KnownDataset, **options: Any) -> Any:
    return datarax.load(dataset.uri, **{**dataset.options, **options})


def _no_index(dataset: KnownDataset, mode: str) -> None:
    for indexed in (mode,) if mode else ("eager", "lazy"):
        with pytest.raises(ValueError, match="streaming"):
            _load(dataset, mode=indexed)


def _no_stream(dataset: KnownDataset, mode: str) -> None:
    with pytest.raises(ValueError, match="lazy"):
        _load(dataset, mode="streaming")


def _no_window(dataset: KnownDataset, mode: str) -> None:
    with pytest.raises(ValueError, match="lazy"):
        _load(dataset, mode="streaming", shuffle=True)


def _no_tracing(dataset: KnownDataset, mode: str) -> None:
    with _load(dataset, **({"mode": mode} if mode else {})) as source:
        read = jax.jit(lambda start: source.get_batch_at(start, 2))
        with pytest.raises((TypeError, NotImplementedError)):
            read(jnp.int32(0))


def _no_resume(dataset: KnownDataset, mode: str) -> None:
    with _load(dataset, **({"mode": mode} if mode else {})) as source:
        next(source)
        state = source.get_state()
        with pytest.raises(NotImplementedError, match="resume"):
            source.set_state(state)


def _no_save(dataset: KnownDataset, mode: str) -> None:
    with _load(dataset) as source, pytest.raises(NotImplementedError, match="save"):
        datarax.save(source, dataset.uri)


def _no_fetch(dataset: KnownDataset, mode: str) -> None:
    assert dataset.part is None, "part is given, and nothing is ever fetched"
    with pytest.raises(NotImplementedError, match="nothing to fetch"):
        fetch(dataset.uri, **dataset.options)


_REFUSALS: Mapping[Capability, Callable[[KnownDataset, str], None]] = {
    Capability.INDEXED_ACCESS: _no_index,
    Capability.TRACED_ACCESS: _no_tracing,
    Capability.EXACT_RESUME: _no_resume,
    Capability.STREAMING: _no_stream,
    Capability.WINDOW_SHUFFLE: _no_window,
    Capability.SAVE: _no_save,
    Capability.FETCHES: _no_fetch,
}
