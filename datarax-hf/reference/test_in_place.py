"""Images as `datasets` itself writes them lie in its files as they are, and are read there."""

from __future__ import annotations

import datasets
import numpy as np
from PIL import Image

from datarax_hf import HFSource, HFSourceConfig


def test_images_that_datasets_writes_are_read_in_place(tmp_path):
    """The same pixels as it reads itself, in any order, and no copy of them on the disk."""
    random = np.random.default_rng(0)
    photos = [
        Image.fromarray(random.integers(0, 256, (90, 80, 3), np.uint8), "RGB") for _ in range(200)
    ]
    features = datasets.Features({"photo": datasets.Image(), "n": datasets.Value("int32")})
    rows = {"photo": photos, "n": list(range(200))}
    held = datasets.Dataset.from_dict(rows, features=features)
    (tmp_path / "data").mkdir()
    held.to_parquet(str(tmp_path / "data" / "train-00000-of-00001.parquet"), batch_size=70)
    config = HFSourceConfig(
        name=str(tmp_path),
        mode="lazy",
        shuffle=True,
        local_files_only=True,
        derived_dir=str(tmp_path / "derived"),
    )
    with HFSource(config) as found:
        seen = 0
        for batch in found.batches(16, remainder="keep"):
            for photo, number in zip(batch["photo"], batch["n"].tolist(), strict=True):
                np.testing.assert_array_equal(photo, np.asarray(held[number]["photo"]))
                seen += 1
    assert seen == 200
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "derived").rglob("*.*")}
    assert sum(size for name, size in sizes.items() if name.startswith("places-")) == 16 * 200 + 4
    assert not [name for name in sizes if name.endswith((".arrow", ".npy"))]
