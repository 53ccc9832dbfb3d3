"""Load one dataset of each scheme by name, from nothing but what is installed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter

import datarax

ROWS = np.arange(12, dtype=np.int32).reshape(6, 2)


def memory() -> datarax.DataSourceModule:
    """Return arrays of this process."""
    return datarax.load("memory:", data={"row": ROWS})


def arrayrecord(folder: Path) -> datarax.DataSourceModule:
    """Return a shard of raw records."""
    path = folder / "rows.array_record"
    writer = ArrayRecordWriter(str(path), "group_size:1")
    for row in ROWS:
        writer.write(row.tobytes())
    writer.close()
    spec = {"row": jax.ShapeDtypeStruct((2,), np.int32)}
    return datarax.load(f"arrayrecord:{path}", decode="raw", spec=spec)


def hub_cache(folder: Path) -> datarax.DataSourceModule:
    """Return a repository of the Hub's cache."""
    commit = "0" * 40
    repository = folder / "datasets--example--rows"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    rows = pa.array(ROWS.tolist(), pa.list_(pa.int32(), 2))
    pq.write_table(pa.table({"row": rows}), snapshot / "train.parquet")
    return datarax.load("hf:example/rows", local_files_only=True, cache_dir=str(folder))


class Rows(tfds.core.GeneratorBasedBuilder):  # type: ignore[misc]  # tensorflow_datasets is untyped
    """A dataset that TFDS prepares here, without TensorFlow."""

    VERSION = tfds.core.Version("1.0.0")
    pkg_dir_path = None

    def _info(self) -> Any:
        row = tfds.features.Tensor(shape=(2,), dtype=np.int32)
        features = tfds.features.FeaturesDict({"row": row})
        return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

    def _split_generators(self, _: Any) -> dict[str, Any]:
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Any:
        yield from enumerate({"row": row} for row in ROWS)


def prepared(folder: Path) -> datarax.DataSourceModule:
    """Return a dataset that TFDS prepared."""
    tfds.disable_progress_bar()
    Rows(data_dir=str(folder), file_format="array_record").download_and_prepare()
    return datarax.load("tfds:rows:1.0.0", data_dir=str(folder))


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    for source in (memory(), arrayrecord(folder), hub_cache(folder), prepared(folder)):
        np.testing.assert_array_equal(source.get_batch_at(0, len(ROWS))["row"], ROWS)
        print(source)
    digits = datarax.load("sklearn:digits")
    assert digits.get_batch_at(0, 4)["image"].shape == (4, 8, 8)
    print(digits)
for info in datarax.list_sources():
    print(f"{info.scheme}: {info.distribution} {info.version}, {info.status}")
    assert info.status == "ok"
