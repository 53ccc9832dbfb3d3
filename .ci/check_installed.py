"""Fail unless each distribution named was installed from a wheel, not from the checkout."""

from __future__ import annotations

import sys
from importlib.metadata import distribution
from pathlib import Path


def check(name: str) -> str:
    """Return where `name` is installed."""
    installed = distribution(name)
    root = Path(str(installed.locate_file(""))).resolve()
    if not root.is_relative_to(Path(sys.prefix).resolve()):
        sys.exit(f"{name} is imported from {root}, not from the environment {sys.prefix}")
    links = [str(file) for file in installed.files or () if file.suffix == ".pth"]
    if links:
        sys.exit(f"{name} is an editable install of a checkout: {', '.join(links)}")
    return str(root)


for asked in {"datarax-core", *sys.argv[1:]}:
    check(asked)
