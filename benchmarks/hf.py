"""The speed of `hf:`: eager and lazy, beside `datasets` and a torch DataLoader over it.

    python benchmarks/hf.py [--write docs/benchmarks-hf.md] [--folder FOLDER] [--rows 1.0]

Every case runs in a process of its own. The data are parquet files as the Hub has them, in row
groups of 1,000 (JPEG: 100): A, 60,000 PNG images of 28 x 28 and a label; B, 200,000 rows of
int32[512] and an id; C, 2,000 JPEG images of 256 x 256 and a label; D, 100,000 short strings. E and
F are text: 500,000 rows of five numbers as CSV, 250,000 objects of three values as JSON lines. G is
20,000 images as in C. The images of C lie in their file as `datasets` 5.2 writes them, not
compressed; those of G as older ones did, compressed by snappy, so that they are laid out first.
Epochs deliver batches of 128 as jax arrays; those of A, B, C and G are shuffled, and those of A and
B measured in storage order too. The first epoch counts what reading needs once; the others are
medians of three, or of those that a minute had room for. Nothing is downloaded. Peers that are not
installed are named as such.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from hub.data import make
from hub.limits import jpeg, mapped_gather, opencv, pillow, read_pandas, read_table, read_text
from hub.ours import our_elements, our_epoch, our_load, our_parse, our_peak, our_texts
from hub.peers import (
    datasets_elements,
    datasets_epoch,
    datasets_in_order,
    datasets_load,
    datasets_parse,
    datasets_texts,
    torch_epoch,
)
from hub.running import cores, medians, run, settle, versions

A_COLUMNS = {"image": (28, 28), "label": ()}
B_COLUMNS = {"x": (512,), "id": ()}
EPOCHS = {
    "datarax, lazy": lambda folder: our_epoch(folder, "lazy"),
    "datarax, eager": lambda folder: our_epoch(folder, "eager"),
    "datasets, jax": lambda folder: datasets_epoch(folder, "jax"),
    "datasets, numpy": lambda folder: datasets_epoch(folder, "numpy"),
    "torch DataLoader over datasets": lambda folder: torch_epoch(folder, 0),
    "torch DataLoader, 2 workers": lambda folder: torch_epoch(folder, 2),
}
IN_ORDER = {
    "datarax, lazy": lambda folder: our_epoch(folder, "lazy", shuffled=False),
    "datasets, jax": lambda folder: datasets_in_order(folder, "jax"),
    "datasets, numpy": lambda folder: datasets_in_order(folder, "numpy"),
}
DECODERS = {
    f"{name}, {threads} thread{'s' if threads > 1 else ''}": (
        lambda folder, decoder=decoder, threads=threads: decoder(folder, threads)
    )
    for name, decoder in {"Pillow": pillow, "OpenCV": opencv, "simplejpeg": jpeg}.items()
    for threads in sorted({1, cores()})
}
LOADS = {
    "datarax, eager": our_load,
    "datasets, jax": lambda folder: datasets_load(folder, "jax"),
    "datasets, numpy": lambda folder: datasets_load(folder, "numpy"),
}
ELEMENTS = {
    "datarax, by row": our_elements,
    "datarax, in batches": our_texts,
    "datarax, in batches, shuffled": lambda folder: our_texts(folder, shuffled=True),
    "datasets, by row": datasets_elements,
    "datasets, in batches": datasets_texts,
    "datasets, in batches, shuffled": lambda folder: datasets_texts(folder, shuffled=True),
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
        "H": {"pyarrow read_table": read_table, **LOADS},
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
    "order": {
        name: {
            "memory-mapped copy": lambda folder, columns=columns: mapped_gather(
                folder, columns, shuffled=False
            ),
            **IN_ORDER,
        }
        for name, columns in {"A": A_COLUMNS, "B": B_COLUMNS}.items()
    },
    "elements": {"D": {"pyarrow read_table": read_table, **ELEMENTS}},
    "parse": dict.fromkeys("EF", PARSES),
    "peak": {name: {"datarax, lazy": our_peak} for name in "AB"},
}
ROUNDS = {
    **{("load", name): 3 for name in "ABH"},
    **{("epoch", name): 3 for name in "ACG"},
}
LIMITS = ("Pillow", "OpenCV", "simplejpeg", "pyarrow", "memory-mapped")


HEAD = """# Benchmarks: the Hub

Written by `python benchmarks/hf.py --write docs/benchmarks-hf.md`. {versions}.
Ratios are what to remember: absolute figures hold for one machine. Parquet files as the Hub has
them: A, 60,000 PNG images of 28 x 28 and a label; B, 200,000 rows of int32[512] and an id; C,
2,000 JPEG images of 256 x 256 and a label; D, 100,000 short strings; E, as text, 500,000 rows of
five numbers in CSV, F, 250,000 objects of three values in JSON lines; G, 20,000 images as in C;
and H, 1,000,000 rows of three numbers in row groups of 1,000, as A, B and D have them. Those of C
lie in their file as `datasets` 5.2 writes them, not compressed; those of G as older ones wrote
them, compressed. Epochs deliver batches of 128 as jax arrays. Every case runs in a fresh process;
the first time includes what is done once (laying out columns, converting to Arrow; in storage order
it is the second time that lays out); later times are medians of three, or of what a minute had room
for. Loading A, B and H and epochs of A, C and G were measured in three rounds, whose medians are
given. The limit is the later speed of the fastest
of the rows that only read or decode. `nothing kept` is `derived_limit=0`: every load decodes,
where others find pixels that are kept. Cold processes have a table of
[their own](benchmarks-hf-cold.md).

"""


def measured(table, name, folder):
    """Return the figures of the cases of a table."""
    return medians(
        TABLES[table][name],
        ROUNDS.get((table, name), 1),
        lambda case: run(__file__, folder, (table, name, case)),
    )


def one(table, name, case, folder):
    import jax.numpy as jnp

    jnp.zeros(8).block_until_ready()  # the backend is there, for whoever uses it
    return TABLES[table][name][case](folder / name)


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
    ("load", "H"): "Loading H eagerly: three numbers a row",
    ("epoch", "A"): "Shuffled epochs of A",
    ("epoch", "B"): "Shuffled epochs of B",
    ("epoch", "C"): "Shuffled epochs of C: 256 x 256 JPEG, as they are in the file",
    ("epoch", "G"): "Shuffled epochs of G: ten times as many, compressed in the file",
    ("order", "A"): "Epochs of A in storage order",
    ("order", "B"): "Epochs of B in storage order",
    ("elements", "D"): "Elements of D: strings",
    ("parse", "E"): "Opening E: CSV of numbers that nothing was kept of",
    ("parse", "F"): "Opening F: JSON lines that nothing was kept of",
}


def report(folder):
    lines = []
    for table in ("load", "epoch", "order", "elements", "parse"):
        for name in TABLES[table]:
            lines += speeds(table, name, measured(table, name, folder))
    lines += ["### Memory while lazy, layout built on the way", ""]
    lines += ["| MiB beyond the imports, anonymous, at the peak | A | B |", "|---|---|---|"]
    peaks = [measured("peak", name, folder)["datarax, lazy"]["peak"] for name in TABLES["peak"]]
    lines.append(f"| datarax, lazy | {' | '.join(f'{peak:.0f}' for peak in peaks)} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, help="a Markdown file to write the tables to")
    parser.add_argument("--folder", type=Path, help="where the data are kept; else a temporary one")
    parser.add_argument("--rows", type=float, default=1.0, help="a part of the rows, for a trial")
    parser.add_argument("--case", nargs=3, metavar=("TABLE", "DATA", "CASE"))
    arguments = parser.parse_args()
    settle()
    if arguments.case:
        table, name, case = arguments.case
        print(json.dumps(one(table, name, case, arguments.folder.absolute())))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).absolute()
        if not (folder / "F").exists():
            make(folder, arguments.rows)
        text = f"{HEAD.format(versions=versions())}{report(folder)}\n"
    print(text)
    if arguments.write:
        arguments.write.write_text(text)


if __name__ == "__main__":
    main()
