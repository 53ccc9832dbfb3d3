"""The datasets that are measured: files as the Hub has them."""

from __future__ import annotations

import io
import json

from hub.timing import BATCH

ROWS = {
    "A": 60_000,
    "B": 200_000,
    "C": 2_000,
    "D": 100_000,
    "E": 500_000,
    "F": 250_000,
    "G": 20_000,
    "H": 1_000_000,
}

AS_THEY_ARE = {
    "compression": {"image.bytes": "none", "image.path": "none", "label": "snappy"},
    "use_dictionary": ["label"],
    "column_encoding": {"image.bytes": "PLAIN", "image.path": "PLAIN"},
    "write_page_index": True,
    "use_content_defined_chunking": True,
}


def make(folder, scale):
    """Write the datasets, of a part of their rows, but of two batches at the least."""
    import numpy as np
    import pyarrow as pa
    from PIL import Image

    random = np.random.default_rng(0)
    stored = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = {name: max(2 * BATCH, int(count * scale)) for name, count in ROWS.items()}

    def encoded(pixels, **options):
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, **options)
        return {"bytes": out.getvalue(), "path": None}

    def value(dtype):
        return {"dtype": dtype, "_type": "Value"}

    digits = np.zeros((rows["A"], 28, 28), np.uint8)
    digits[:, 6:22, 8:20] = random.integers(0, 256, (rows["A"], 16, 12))
    image, label = {"_type": "Image"}, {"names": list("0123456789"), "_type": "ClassLabel"}
    write(
        folder / "A",
        {
            "image": pa.array([encoded(pixels, format="PNG") for pixels in digits], stored),
            "label": pa.array(random.integers(0, 10, rows["A"])),
        },
        {"image": image, "label": label},
    )
    numbers = random.integers(0, 255, rows["B"] * 512, np.int32)
    write(
        folder / "B",
        {
            "x": pa.FixedSizeListArray.from_arrays(pa.array(numbers), 512),
            "id": pa.array(np.arange(rows["B"], dtype=np.int32)),
        },
        {"x": {"feature": value("int32"), "length": 512, "_type": "List"}, "id": value("int32")},
    )
    for name, options in (("C", AS_THEY_ARE), ("G", {})):
        photos = []
        for _ in range(rows[name]):
            coarse = Image.fromarray(random.integers(0, 256, (24, 24, 3), np.uint8))
            pixels = np.asarray(coarse.resize((256, 256)))
            photos.append(encoded(pixels, format="JPEG", quality=90))
        labels = pa.array(random.integers(0, 10, rows[name]))
        columns = {"image": pa.array(photos, stored), "label": labels}
        write(folder / name, columns, {"image": image, "label": label}, 100, **options)
    words = np.array(["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog"])
    texts = [" ".join(words[random.integers(0, 9, n)]) for n in random.integers(2, 12, rows["D"])]
    write(folder / "D", {"text": pa.array(texts)}, {"text": value("string")})
    few = {
        "a": pa.array(random.integers(0, 1000, rows["H"], np.int32)),
        "b": pa.array(random.random(rows["H"], np.float32)),
        "label": pa.array(random.integers(0, 10, rows["H"])),
    }
    write(folder / "H", few, {"a": value("int32"), "b": value("float32"), "label": label})
    whole = random.integers(0, 10**9, (3, rows["E"])).tolist()
    fractions = random.normal(size=(2, rows["E"])).tolist()
    (folder / "E").mkdir(parents=True, exist_ok=True)
    with (folder / "E" / "train.csv").open("w") as file:
        file.write("a,b,c,d,e\n")
        file.writelines(
            f"{a},{b},{c},{d},{e:.3f}\n" for a, b, c, d, e in zip(*whole, *fractions, strict=True)
        )
    (folder / "F").mkdir(parents=True, exist_ok=True)
    with (folder / "F" / "train.jsonl").open("w") as file:
        for row in range(rows["F"]):
            file.write(json.dumps({"x": row, "text": f"text {row}", "y": row / 7}) + "\n")


def write(folder, columns, features, row_group_size=1000, **options):
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    info = json.dumps({"info": {"features": features}})
    table = pa.table(columns).replace_schema_metadata({"huggingface": info})
    pq.write_table(table, folder / "train.parquet", row_group_size=row_group_size, **options)


def records(folder):
    import pyarrow.parquet as pq

    return pq.read_metadata(folder / "train.parquet").num_rows


def text_rows(folder):
    (file,) = folder.glob("train.*")
    return file.read_bytes().count(b"\n") - (file.suffix == ".csv")
