"""What only reads or decodes: the limits."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

from hub.data import records, text_rows
from hub.timing import BATCH, consumed, delivered, rates

AT_ONCE = {"C": 2_000, "G": 2_000}  # what a decoder alone holds of epochs, which hold a batch


def read_table(folder):
    import pyarrow.parquet as pq

    return rates(lambda: pq.read_table(folder / "train.parquet"), records(folder))


def read_text(folder):
    """Parse a CSV file or one of JSON lines, and no more, with all threads."""
    import pyarrow.csv
    import pyarrow.json

    def read():
        if folder.name == "E":
            pyarrow.csv.read_csv(folder / "train.csv")
        else:
            pyarrow.json.read_json(folder / "train.jsonl")

    return rates(read, text_rows(folder))


def read_pandas(folder):
    import pandas as pd

    def read():
        if folder.name == "E":
            pd.read_csv(folder / "train.csv")
        else:
            pd.read_json(folder / "train.jsonl", lines=True)

    return rates(read, text_rows(folder))


def mapped_gather(folder, columns, *, shuffled=True):
    """Gather batches from memory-mapped arrays, shuffled or as they lie, to jax arrays."""
    import jax.numpy as jnp
    import numpy as np
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "train.parquet")
    mapped = {}
    for name, shape in columns.items():
        if name in table.column_names and name != "image":
            values = table.column(name).combine_chunks()
            flat = values.flatten() if shape else values
            array = flat.to_numpy().reshape(len(table), *shape)
            array = array.astype(np.int32, copy=False)
        else:
            array = np.random.default_rng(0).integers(0, 255, (len(table), *shape), np.uint8)
        np.save(folder / f"{name}.npy", array)
        mapped[name] = np.load(folder / f"{name}.npy", mmap_mode="r")
    order = np.random.default_rng(1).permutation(len(table))

    def batches():
        for begin in range(0, len(order) - BATCH + 1, BATCH):
            index = order[begin : begin + BATCH] if shuffled else slice(begin, begin + BATCH)
            yield {name: jnp.asarray(array[index]) for name, array in mapped.items()}

    return rates(lambda: consumed(batches()), delivered(len(table)))


def decoded(folder, decode, threads):
    """Decode every image once, to arrays in memory, files read included.

    Of what epochs read no more is held at once than `AT_ONCE`: new memory would cost more.
    """
    import numpy as np
    import pyarrow.parquet as pq

    def run():
        table = pq.read_table(folder / "train.parquet", columns=["image"])
        images = [data.as_py() for data in table.column(0).combine_chunks().field("bytes")]
        first = decode(images[0])
        held = min(len(images), AT_ONCE.get(folder.name, len(images)))
        out = np.empty((held, *first.shape), first.dtype)

        def piece(begin):
            for row in range(begin, min(begin + 256, len(images))):
                out[row % held] = decode(images[row])

        if threads == 1:
            for begin in range(0, len(images), 256):
                piece(begin)
            return
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(piece, range(0, len(images), 256)))

    return rates(run, records(folder))


def pillow(folder, threads):
    import numpy as np
    from PIL import Image

    return decoded(folder, lambda data: np.asarray(Image.open(io.BytesIO(data))), threads)


def opencv(folder, threads):
    import cv2
    import numpy as np

    cv2.setNumThreads(1)
    flag = cv2.IMREAD_UNCHANGED if folder.name == "A" else cv2.IMREAD_COLOR_RGB
    return decoded(folder, lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), flag), threads)


def jpeg(folder, threads):
    import simplejpeg

    return decoded(folder, simplejpeg.decode_jpeg, threads)
