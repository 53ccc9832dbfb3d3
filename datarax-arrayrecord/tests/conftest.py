"""Shards written by the real writer, in folders of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

Write = Callable[..., list[Path]]


@pytest.fixture
def write(tmp_path) -> Write:
    """Return a function that writes payloads into shards of one set, and returns their paths."""
    from array_record.python.array_record_module import ArrayRecordWriter

    def write(
        payloads: Iterable[bytes],
        *,
        name: str = "digits.array_record",
        shards: int = 1,
        options: str = "group_size:1",
        folder: Path = tmp_path,
    ) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        payloads = list(payloads)
        bounds = np.linspace(0, len(payloads), shards + 1).astype(int)
        paths = []
        for shard in range(shards):
            suffix = f"-{shard:05}-of-{shards:05}" if shards > 1 else ""
            paths.append(folder / f"{name}{suffix}")
            writer = ArrayRecordWriter(str(paths[-1]), options)
            for payload in payloads[bounds[shard] : bounds[shard + 1]]:
                writer.write(payload)
            writer.close()
        return paths

    return write


@pytest.fixture
def digits() -> list[dict[str, np.ndarray]]:
    """Return 23 records: an image of 4x3 bytes, a weight of three floats and a label."""
    rng = np.random.default_rng(0)
    return [
        {
            "image": rng.integers(0, 256, (4, 3), np.uint8),
            "weight": rng.normal(size=3).astype(np.float32),
            "label": np.int32(-index),
        }
        for index in range(23)
    ]


@pytest.fixture
def spec() -> dict[str, str]:
    """Return what a record of `digits` holds, as the option is written in a URI."""
    return {"image": "uint8[4,3]", "weight": "float32[3]", "label": "int32"}


@pytest.fixture
def payloads(digits) -> list[bytes]:
    """Return `digits` as raw payloads."""
    return [b"".join(np.asarray(value).tobytes() for value in row.values()) for row in digits]
