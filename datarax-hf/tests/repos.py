"""Writers of tiny repositories: parquet files with the metadata that `datasets` writes."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
IMAGE_FEATURE = {"_type": "Image"}


def value(dtype):
    return {"dtype": dtype, "_type": "Value"}


def labels(*names):
    return {"names": list(names), "_type": "ClassLabel"}


def png(pixels, mode=None):
    """Return the PNG of an array, as the struct that an Image column stores."""
    image = Image.fromarray(pixels)
    if mode is not None:
        image = image.convert(mode)
    out = io.BytesIO()
    image.save(out, format="PNG")
    return {"bytes": out.getvalue(), "path": None}


def parquet(columns, features=None, row_group_size=None, types=None, **options):
    """Return the bytes of a parquet file of named columns."""
    arrays = {
        name: column if isinstance(column, pa.Array) else pa.array(column, (types or {}).get(name))
        for name, column in columns.items()
    }
    table = pa.table(arrays)
    if features is not None:
        info = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": info})
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=row_group_size or max(len(table), 1), **options)
    return out.getvalue()


def digits(count, seed=0, size=(6, 5)):
    """Return `count` grey images with labels: the pixels, the labels, and a parquet file."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (count, *size), np.uint8)
    classes = random.integers(0, 10, count)
    data = parquet(
        {"image": [png(image) for image in pixels], "label": classes},
        {"image": IMAGE_FEATURE, "label": labels(*"0123456789")},
        row_group_size=7,
        types={"image": IMAGE},
    )
    return pixels, classes, data


def snapshot(cache, dataset, files, commit="a" * 40, refs=("main",)):
    """Write a hub cache by hand, as a copied one looks, and return the snapshot's folder.

    It has no listing; of a dataset without a card it is noted that there is none.
    """
    repo = cache / ("datasets--" + dataset.replace("/", "--"))
    folder = repo / "snapshots" / commit
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    if "README.md" not in files:
        (repo / ".no_exist" / commit).mkdir(parents=True, exist_ok=True)
        (repo / ".no_exist" / commit / "README.md").touch()
    for ref in refs:
        path = repo / "refs" / ref
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(commit)
    return folder
