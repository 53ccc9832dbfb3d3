"""The speed of `hf:`: eager and lazy, beside `datasets` and a torch DataLoader over it.

    python benchmarks/hf.py [--write docs/benchmarks-hf.md] [--folder FOLDER] [--rows 1.0]

Every case runs in a process of its own. The data are parquet files as the Hub has them, in row
groups of 1,000 (JPEG: 100): A, 60,000 PNG images of 28 x 28 and a label; B, 200,000 rows of
int32[512] and an id; C, 2,000 JPEG images of 256 x 256 and a label; D, 100,000 short strings. E and
F are text: 500,000 rows of five numbers as CSV, 250,000 objects of three values as JSON lines. G is
20,000 images as in C. The images of C lie in their file as `datasets` 5.2 writes them, not
compressed; those of G as older ones did, compressed by snappy, so that they are laid out first.
Epochs deliver batches of 128 as jax arrays; A, B, C and G are shuffled. The first epoch counts what
reading needs once; the others are medians of three, or of those that a minute had room for. Nothing
is downloaded. Peers that are not installed are named as such.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import io
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BATCH = 128
REPEATS = 3
ENOUGH_SECONDS = 60
ROWS = {
    "A": 60_000,
    "B": 200_000,
    "C": 2_000,
    "D": 100_000,
    "E": 500_000,
    "F": 250_000,
    "G": 20_000,
}
AT_ONCE = {"C": 2_000, "G": 2_000}  # what a decoder alone holds of epochs, which hold a batch
AS_THEY_ARE = {
    "compression": {"image.bytes": "none", "image.path": "none", "label": "snappy"},
    "use_dictionary": ["label"],
    "column_encoding": {"image.bytes": "PLAIN", "image.path": "PLAIN"},
    "write_page_index": True,
    "use_content_defined_chunking": True,
}
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["DATARAX_PROGRESS"] = "0"
os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"


def cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


# Data


def make(folder, scale):
    """Write the datasets."""
    import numpy as np
    import pyarrow as pa
    from PIL import Image

    random = np.random.default_rng(0)
    stored = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = {name: int(count * scale) for name, count in ROWS.items()}

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


# Measuring


def rates(epoch, rows):
    """Return the rows per second of the first epoch, of the median of those after, and of all."""
    times = []
    for _ in range(REPEATS + 1):
        begin = time.perf_counter()
        epoch()
        times.append(time.perf_counter() - begin)
        if len(times) > 1 and sum(times) > ENOUGH_SECONDS:
            break
    return {
        "first": rows / times[0],
        "rate": rows / statistics.median(times[1:]),
        "all": rows * len(times) / sum(times),
    }


def delivered(rows):
    """Return how many of an epoch's rows come in whole batches."""
    return rows - rows % BATCH


def consumed(batches):
    """Take every batch, and wait for the last one."""
    import jax

    last = deque(batches, maxlen=1)
    jax.block_until_ready(last[0])


class AnonymousPeak:
    """The most anonymous memory that this process had; pages of mapped files are not counted."""

    def __init__(self):
        self.peak = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @staticmethod
    def now():
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("this system does not tell anonymous memory")

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        self._thread.join()

    def _watch(self):
        while not self._stopped.wait(0.002):
            self.peak = max(self.peak, self.now())


# Ours


def source(folder, **options):
    from datarax_hf import HFSource, HFSourceConfig

    return HFSource(HFSourceConfig(name=str(folder), local_files_only=True, **options))


def our_load(folder, **options):
    import jax

    import datarax_hf.source  # noqa: F401  # no case counts imports, but those of a cold process

    def load():
        loaded = source(folder, mode="eager", **options)
        jax.block_until_ready(loaded.get_batch_at(0, 1))
        loaded.close()

    return rates(load, records(folder))


def our_epoch(folder, mode):
    import datarax_hf.source  # noqa: F401  # as above

    opened = []

    def epoch():
        if not opened:
            opened.append(source(folder, mode=mode, shuffle=True))
        consumed(opened[0].batches(BATCH))

    return rates(epoch, delivered(records(folder)))


def our_elements(folder, by_row):
    import numpy as np

    opened = source(folder, mode="lazy")
    count = records(folder)

    def epoch():
        if by_row:
            for _element in opened:
                continue
            return
        for begin in range(0, count, 1000):
            rows = np.arange(begin, min(begin + 1000, count))
            for text in opened.reader.read(rows, ["text"])["text"]:
                _row = {"text": text}

    return rates(epoch, count)


def our_parse(folder):
    import datarax_hf.source  # noqa: F401  # as above

    def parse():
        with tempfile.TemporaryDirectory() as empty:
            source(folder, mode="lazy", derived_dir=empty).close()

    return rates(parse, text_rows(folder))


def our_peak(folder):
    import jax.numpy as jnp

    import datarax_hf.source  # noqa: F401  # imports are what the peak is counted from

    jnp.zeros(8).block_until_ready()
    before = AnonymousPeak.now()
    with AnonymousPeak() as memory:
        consumed(
            source(folder, mode="lazy", shuffle=True, derived_dir=folder / "new").batches(BATCH)
        )
        consumed(source(folder, mode="lazy").batches(BATCH))
    shutil.rmtree(folder / "new", ignore_errors=True)
    return {"rate": (memory.peak - before) / 2**20}


def our_first_batch(folder, mode):
    def first(begin):
        import jax

        batch = next(source(folder, mode=mode, shuffle=True).batches(BATCH))
        jax.block_until_ready(batch)
        return time.time() - begin

    return first


# Limits


def records(folder):
    import pyarrow.parquet as pq

    return pq.read_metadata(folder / "train.parquet").num_rows


def text_rows(folder):
    (file,) = folder.glob("train.*")
    return file.read_bytes().count(b"\n") - (file.suffix == ".csv")


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


def mapped_gather(folder, columns):
    """Gather shuffled batches from memory-mapped arrays, to jax arrays."""
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
            index = order[begin : begin + BATCH]
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


# Peers


def peer(folder, form=None):
    import datasets

    held = datasets.load_dataset(
        "parquet",
        data_files=str(folder / "train.parquet"),
        split="train",
        cache_dir=str(folder / "datasets"),
    )
    return held.with_format(form) if form else held


def as_jax(batch):
    import jax.numpy as jnp
    import numpy as np

    return {name: jnp.asarray(np.asarray(values)) for name, values in batch.items()}


def datasets_epoch(folder, form):
    """Shuffled batches by index: `datasets` shuffles by a table of indices."""
    import numpy as np

    held = peer(folder, form)
    random = np.random.default_rng(0)

    def batches():
        order = random.permutation(len(held))
        for begin in range(0, len(order) - BATCH + 1, BATCH):
            batch = held[order[begin : begin + BATCH].tolist()]
            yield batch if form == "jax" else as_jax(batch)

    return rates(lambda: consumed(batches()), delivered(len(held)))


def datasets_load(folder, form):
    """Every row as jax arrays, in pieces: the jax format stacks a whole split for minutes."""
    held = peer(folder, form)

    def load():
        pieces = [batch if form == "jax" else as_jax(batch) for batch in held.iter(1000)]
        consumed(pieces)

    return rates(load, len(held))


def datasets_parse(folder):
    import datasets

    kind, name = {"E": ("csv", "train.csv"), "F": ("json", "train.jsonl")}[folder.name]

    def parse():
        with tempfile.TemporaryDirectory() as empty:
            datasets.load_dataset(
                kind, data_files=str(folder / name), split="train", cache_dir=empty
            )

    return rates(parse, text_rows(folder))


def datasets_elements(folder, by_row):
    held = peer(folder)

    def epoch():
        if by_row:
            for _row in held:
                continue
            return
        for batch in held.iter(1000):
            for text in batch["text"]:
                _row = {"text": text}

    return rates(epoch, len(held))


def torch_epoch(folder, workers):
    import numpy as np
    import torch

    held = peer(folder, "numpy")

    def collate(rows):
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    loader = torch.utils.data.DataLoader(
        held,
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        collate_fn=collate,
    )
    return rates(lambda: consumed(as_jax(batch) for batch in loader), delivered(len(held)))


def datasets_first_batch(folder, form):
    def first(begin):
        import jax

        held = peer(folder, form).shuffle(seed=0)
        batch = held[list(range(BATCH))]
        jax.block_until_ready(batch if form == "jax" else as_jax(batch))
        return time.time() - begin

    return first


A_COLUMNS = {"image": (28, 28), "label": ()}
B_COLUMNS = {"x": (512,), "id": ()}
FIRST = {
    "datarax, eager": lambda folder: our_first_batch(folder, "eager"),
    "datarax, lazy": lambda folder: our_first_batch(folder, "lazy"),
    "datasets, jax": lambda folder: datasets_first_batch(folder, "jax"),
    "datasets, numpy": lambda folder: datasets_first_batch(folder, "numpy"),
}
EPOCHS = {
    "datarax, lazy": lambda folder: our_epoch(folder, "lazy"),
    "datarax, eager": lambda folder: our_epoch(folder, "eager"),
    "datasets, jax": lambda folder: datasets_epoch(folder, "jax"),
    "datasets, numpy": lambda folder: datasets_epoch(folder, "numpy"),
    "torch DataLoader over datasets": lambda folder: torch_epoch(folder, 0),
    "torch DataLoader, 2 workers": lambda folder: torch_epoch(folder, 2),
}
DECODERS = {
    f"{name}, {threads} thread{'s' if threads > 1 else ''}": (
        lambda folder, run=run, threads=threads: run(folder, threads)
    )
    for name, run in {"Pillow": pillow, "OpenCV": opencv, "simplejpeg": jpeg}.items()
    for threads in sorted({1, cores()})
}
LOADS = {
    "datarax, eager": our_load,
    "datasets, jax": lambda folder: datasets_load(folder, "jax"),
    "datasets, numpy": lambda folder: datasets_load(folder, "numpy"),
}
ELEMENTS = {
    "datarax, by row": lambda folder: our_elements(folder, by_row=True),
    "datarax, in batches": lambda folder: our_elements(folder, by_row=False),
    "datasets, by row": lambda folder: datasets_elements(folder, by_row=True),
    "datasets, in batches": lambda folder: datasets_elements(folder, by_row=False),
}
PARSES = {
    "pyarrow, parsed alone": read_text,
    "pandas": read_pandas,
    "datarax": our_parse,
    "datasets": datasets_parse,
}
KEPT = {"datarax, eager, nothing kept": lambda folder: our_load(folder, derived_limit=0)}
TABLES = {
    "load": {
        "A": {**{k: v for k, v in DECODERS.items() if "simplejpeg" not in k}, **KEPT, **LOADS},
        "B": {"pyarrow read_table": read_table, **LOADS},
        "C": {**DECODERS, **LOADS},
    },
    "epoch": {
        "A": {"memory-mapped gather": lambda folder: mapped_gather(folder, A_COLUMNS), **EPOCHS},
        "B": {"memory-mapped gather": lambda folder: mapped_gather(folder, B_COLUMNS), **EPOCHS},
        "C": {**DECODERS, **EPOCHS},
        "G": {
            **{name: decode for name, decode in DECODERS.items() if name.endswith("threads")},
            **{name: EPOCHS[name] for name in ("datarax, lazy", "datasets, numpy")},
        },
    },
    "elements": {"D": {"pyarrow read_table": read_table, **ELEMENTS}},
    "parse": dict.fromkeys("EF", PARSES),
    "first": dict.fromkeys("ABC", FIRST),
    "peak": {name: {"datarax, lazy": our_peak} for name in "AB"},
}
ROUNDS = {
    **{("load", name): 3 for name in "AB"},
    **{("epoch", name): 3 for name in "ACG"},
    **{("first", name): 3 for name in "ABC"},
}
LIMITS = ("Pillow", "OpenCV", "simplejpeg", "pyarrow", "memory-mapped")


def run(table, name, case, folder):
    """Run a case in a process of its own; None where a package is not installed."""
    command = [sys.executable, __file__, "--folder", folder, "--case", table, name, case]
    environment = {**os.environ, "HF_HOME": f"{folder}/home", "DATARAX_CACHE": f"{folder}/derived"}
    if case.startswith("datarax"):  # whose first time finds nothing that an earlier case left
        shutil.rmtree(f"{folder}/derived", ignore_errors=True)
    for _ in range(2 if table == "first" else 1):  # the first fills the peer's cache, and ours
        done = subprocess.run(
            [*command, "--begun", repr(time.time())],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        if done.returncode:
            if "ModuleNotFoundError" in done.stderr:
                return None
            raise SystemExit(f"{table} {name} {case} failed:\n{done.stderr}")
    result = json.loads(done.stdout.splitlines()[-1])
    print(table, name, case, result, file=sys.stderr, flush=True)
    return result


def measured(table, name, cases, folder):
    """Return the figures of each case: medians of rounds, each case in a new process in each."""
    found = {case: [] for case in cases}
    for _ in range(ROUNDS.get((table, name), 1)):
        for case in cases:
            found[case].append(run(table, name, case, folder))
    return {
        case: results[0] and {key: statistics.median(r[key] for r in results) for key in results[0]}
        for case, results in found.items()
    }


def one(table, name, case, folder, begun):
    call = TABLES[table][name][case]
    if table == "first":
        return {"rate": call(folder / name)(begun)}
    import jax.numpy as jnp

    jnp.zeros(8).block_until_ready()  # the backend is there, for whoever uses it
    return call(folder / name)


def speeds(table, name, results):
    """Return the lines of a table of rows per second."""
    limits = [r["rate"] for case, r in results.items() if r and case.startswith(LIMITS)]
    heads = ["rows per second"]
    for times in ("later", "the first time", "all, the first included"):
        heads += [times, "of the limit"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for case, result in results.items():
        if result is None:
            lines.append(f"| {case} | not installed | | | | | |")
            continue
        cells = [
            cell
            for rate in (result["rate"], result["first"], result["all"])
            for cell in (f"{rate:,.0f}", f"{rate / max(limits):.2f}")
        ]
        lines.append(f"| {case} | {' | '.join(cells)} |")
    return [f"### {HEADINGS[table, name]}", "", *lines, ""]


HEADINGS = {
    ("load", "A"): "Loading A eagerly: 28 x 28 PNG",
    ("load", "B"): "Loading B eagerly: int32[512]",
    ("load", "C"): "Loading C eagerly: 256 x 256 JPEG",
    ("epoch", "A"): "Shuffled epochs of A",
    ("epoch", "B"): "Shuffled epochs of B",
    ("epoch", "C"): "Shuffled epochs of C: 256 x 256 JPEG, as they are in the file",
    ("epoch", "G"): "Shuffled epochs of G: ten times as many, compressed in the file",
    ("elements", "D"): "Elements of D: strings",
    ("parse", "E"): "Opening E: CSV of numbers that nothing was kept of",
    ("parse", "F"): "Opening F: JSON lines that nothing was kept of",
}


def report(folder):
    lines = []
    for table in ("load", "epoch", "elements", "parse"):
        for name, cases in TABLES[table].items():
            lines += speeds(table, name, measured(table, name, cases, folder))
    lines += ["### A cold process to its first batch", ""]
    lines += ["| seconds, everything cached | A | B | C |", "|---|---|---|---|"]
    found = {name: measured("first", name, FIRST, folder) for name in TABLES["first"]}
    for case in FIRST:
        results = [found[name][case] for name in TABLES["first"]]
        cells = ["not installed" if r is None else f"{r['rate']:.2f}" for r in results]
        lines.append(f"| {case} | {' | '.join(cells)} |")
    lines += ["", "### Memory while lazy, layout built on the way", ""]
    lines += ["| MiB beyond the imports, anonymous, at the peak | A | B |", "|---|---|---|"]
    cells = [f"{run('peak', name, 'datarax, lazy', folder)['rate']:.0f}" for name in TABLES["peak"]]
    lines.append(f"| datarax, lazy | {' | '.join(cells)} |")
    return "\n".join(lines)


def versions():
    names = ("datarax-core", "datarax-hf", "jax", "pyarrow", "pillow", "datasets", "torch")
    found = []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    return f"Python {platform.python_version()}, {cores()} cores, CPU; " + ", ".join(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, help="a Markdown file to write the tables to")
    parser.add_argument("--folder", type=Path, help="where the data are kept; else a temporary one")
    parser.add_argument("--rows", type=float, default=1.0, help="a part of the rows, for a trial")
    parser.add_argument("--case", nargs=3, metavar=("TABLE", "DATA", "CASE"))
    parser.add_argument("--begun", type=float)
    arguments = parser.parse_args()
    if arguments.case:
        table, name, case = arguments.case
        print(json.dumps(one(table, name, case, arguments.folder.absolute(), arguments.begun)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).absolute()
        if not (folder / "G").exists():
            make(folder, arguments.rows)
        text = (
            "# Benchmarks: the Hub\n\n"
            f"Written by `python benchmarks/hf.py --write docs/benchmarks-hf.md`. {versions()}.\n"
            "Ratios are what to remember: absolute figures hold for one machine. Parquet files\n"
            "as the Hub has them: A, 60,000 PNG images of 28 x 28 and a label; B, 200,000 rows of\n"
            "int32[512] and an id; C, 2,000 JPEG images of 256 x 256 and a label; D, 100,000\n"
            "short strings; E, as text, 500,000 rows of five numbers in CSV, F, 250,000 objects\n"
            "of three values in JSON lines; and G, 20,000 images as in C. Those of C lie in their\n"
            "file as `datasets` 5.2 writes them, not compressed; those of G as older ones wrote\n"
            "them, compressed. Epochs deliver batches of 128 as jax arrays.\n"
            "Every case runs in a fresh process; the first time includes what is done once\n"
            "(laying out columns, converting to Arrow); later times are medians of three, or of\n"
            "what a minute had room for. Loading A and B, epochs of A, C and G and cold processes\n"
            "were measured in three rounds, whose medians are given. The limit is the later speed\n"
            "of the fastest of the rows that only read or decode. `nothing kept` is\n"
            "`derived_limit=0`: every load decodes, where others find pixels that are kept.\n\n"
            f"{report(str(folder))}\n"
        )
    print(text)
    if arguments.write:
        arguments.write.write_text(text)


if __name__ == "__main__":
    main()
