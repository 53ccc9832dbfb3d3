"""`inspect` of a plugin that only goes forward, and has no hook of its own for it."""

import numpy as np
import pytest

import datarax
from datarax.registry import Capability, PluginInfo, hookimpl
from datarax.sources import IndexedStream, MemoryReader, SourceConfig

FORWARD = frozenset({Capability.STREAMING, Capability.EXACT_RESUME})


class Forward:
    def __init__(self, counted):
        self.counted = counted

    @hookimpl
    def describe(self):
        return PluginInfo("goes forward", SourceConfig, capabilities=FORWARD, needs_target=False)

    @hookimpl
    def open(self):
        stream = IndexedStream(MemoryReader({"x": np.arange(6)}))
        return stream if self.counted else Uncounted(stream)


class Uncounted:
    shards = (None,)

    def __init__(self, stream):
        self.fields, self.stream, self.close = stream.fields, stream.stream, stream.close


@pytest.mark.parametrize("options", [{}, {"mode": "streaming"}])
def test_a_forward_only_source_is_counted_and_planned_as_a_stream(options):
    datarax.register("forward", Forward(counted=True))
    info = datarax.inspect("forward:", **options)
    assert (info.records, set(info.fields), info.plan.mode) == (6, {"x"}, "streaming")
    assert datarax.load("forward:").plan.mode == "streaming"


def test_what_is_not_counted_has_neither_records_nor_a_plan():
    datarax.register("forward", Forward(counted=False))
    info = datarax.inspect("forward:")
    assert (info.records, info.plan) == (None, None)


def test_a_mode_that_reads_by_index_is_refused_as_load_refuses_it():
    datarax.register("forward", Forward(counted=True))
    for ask in (datarax.inspect, datarax.load):
        with pytest.raises(ValueError, match="take mode='streaming'"):
            ask("forward:", mode="lazy")
