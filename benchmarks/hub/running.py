"""Running cases, each in a process of its own, beside each other in rounds."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time

NAMES = ("datarax-core", "datarax-hf", "jax", "pyarrow", "pillow", "datasets", "torch")


def settle():
    """Set what every case runs under, before anything reads it."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ["DATARAX_PROGRESS"] = "0"
    os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"


def run(script, folder, case, *, warm=False):
    """Run a case of a script in a new process; None where a package is not installed.

    Args:
        script: The script, which has the options `--folder` and `--case`; its environment says in
            `BEGUN` when it was begun.
        folder: Where the data are.
        case: The words of `--case`, the last of which names whose it is.
        warm: Whether it finds what an earlier process of its own left, as in a cold process.
    """
    command = [sys.executable, script, "--folder", str(folder), "--case", *case]
    environment = {
        **os.environ,
        "HF_HOME": f"{folder}/home",
        "DATARAX_CACHE": f"{folder}/derived",
        "BEGUN": repr(time.time()),
    }
    if case[-1].startswith("datarax") and not warm:
        shutil.rmtree(f"{folder}/derived", ignore_errors=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        if "ModuleNotFoundError" in done.stderr:
            return None
        raise SystemExit(f"{' '.join(case)} failed:\n{done.stderr}")
    result = json.loads(done.stdout.splitlines()[-1])
    print(*case, result, file=sys.stderr, flush=True)
    return result


def medians(cases, rounds, run_one):
    """Return the figures of each case: medians of rounds, in each of which all cases run."""
    found = {case: [] for case in cases}
    for _ in range(rounds):
        for case in cases:
            found[case].append(run_one(case))
    return {
        case: results[0] and {key: statistics.median(r[key] for r in results) for key in results[0]}
        for case, results in found.items()
    }


def cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def versions():
    found = []
    for name in NAMES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    return f"Python {platform.python_version()}, {cores()} cores, CPU; " + ", ".join(found)
