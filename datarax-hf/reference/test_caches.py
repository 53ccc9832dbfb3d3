"""Caches: what `datasets` downloads for itself, by the real library, is read with no socket."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datarax.testing.offline import no_network
from datarax_hf.config import HFSourceConfig
from datarax_hf.locate import locate
from datarax_hf.reader import open_reader

CARD = """---
configs:
- config_name: default
  data_files: [{split: train, path: data/train-*}]
---
"""


def test_a_cache_that_datasets_filled_is_read_offline(tmp_path, monkeypatch):
    """load_dataset leaves the files in the hub cache; its own Arrow cache is not needed."""
    home = Path(__file__).parents[1] / "tests" / "loopback_hub.py"
    spec = importlib.util.spec_from_file_location("datarax_hf_reference_hub", home)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    hub = module.LoopbackHub()
    try:
        data = pa.BufferOutputStream()
        pq.write_table(pa.table({"x": np.arange(7)}), data)
        name = "data/train-00000-of-00001.parquet"
        hub.publish("a/b", {"README.md": CARD, name: data.getvalue().to_pybytes()})
        program = "import datasets; print(len(datasets.load_dataset('a/b', split='train')))"
        environment = {
            **os.environ,
            "HF_HOME": str(tmp_path),
            "HF_ENDPOINT": hub.endpoint,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "DATASETS_VERBOSITY": "error",
        }
        done = subprocess.run(
            [sys.executable, "-c", program],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
        )
        assert done.stdout == "7\n", done.stderr
    finally:
        hub.close()
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    config = HFSourceConfig(name="a/b", local_files_only=True)
    with no_network():
        reader = open_reader(locate(config), config)
        assert reader.read(np.arange(7), ["x"])["x"].tolist() == list(range(7))
