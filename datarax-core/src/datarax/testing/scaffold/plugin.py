"""`new_plugin`: write the distribution of a new plugin, whole or not at all."""

from __future__ import annotations

import functools
import keyword
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from datarax import __version__
from datarax.errors import listing
from datarax.registry.catalogue import KNOWN

PLACEHOLDER = "newname"
RANGE = ">=0,<1"
LONGEST = 30
"""Letters of a name; with more, lines of the generated code would be too long for its own lint."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TAKEN = {**KNOWN, "memory": "datarax-core", "core": "datarax-core"}


def new_plugin(name: str, folder: Path) -> tuple[Path, ...]:
    """Write the distribution `datarax-<name>`, which offers the scheme `<name>`, into `folder`.

    Args:
        name: The scheme, as distributions are spelt: words of lower-case letters and digits with
            '-' between them, such as "sklearn" or "my-lab".
        folder: Where the folder `datarax-<name>` is made.

    Returns:
        The files written, sorted.

    Raises:
        ValueError: If the name cannot be a scheme, or is that of a source that exists.
        FileExistsError: If `datarax-<name>` is there already.
        FileNotFoundError: If `folder` is not.
        OSError: If it cannot be written to; then nothing is left of the attempt.
    """
    _check_name(name)
    folder = Path(folder)
    target = folder / f"datarax-{name}"
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder; make it, or choose another")
    if os.path.lexists(target):
        raise FileExistsError(f"{target} is there already; move it away, or choose another name")
    texts = _rendered(name)
    try:
        with tempfile.TemporaryDirectory(prefix=".datarax-", dir=folder) as partial:
            made = Path(partial) / target.name
            for path, text in texts.items():
                (made / path).parent.mkdir(parents=True, exist_ok=True)
                (made / path).write_text(text, encoding="utf-8", newline="\n")
            made.rename(target)
    except OSError as error:
        raise type(error)(
            error.errno, f"{target} cannot be written: {error.strerror}", error.filename
        ) from error
    return tuple(sorted(path for path in target.rglob("*") if path.is_file()))


def _check_name(name: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"a plugin's name is a string, got {type(name).__name__} {name!r}")
    if _NAME.fullmatch(name) is None:
        better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-").removeprefix("datarax-")
        hint = f"; write {better!r}" if _NAME.fullmatch(better) else ""
        raise ValueError(
            f"a plugin's name is words of lower-case letters and digits, the first a letter, with "
            f"'-' between them; got {name!r}{hint}"
        )
    if name.startswith("datarax-"):
        raise ValueError(
            f"the name is that of the scheme, and 'datarax-' is put before it for the "
            f"distribution; write {name.removeprefix('datarax-')!r}, not {name!r}"
        )
    if len(name) > LONGEST:
        raise ValueError(f"a plugin's name has at most {LONGEST} letters, {name!r} has {len(name)}")
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise ValueError(
            f"{name!r} is a word of Python; choose a name that says where data is from"
        )
    if name in _TAKEN:
        raise ValueError(
            f"{name!r} is taken, by {_TAKEN[name]}; taken are {listing(sorted(_TAKEN))}"
        )


def _rendered(name: str) -> Mapping[str, str]:
    """Return the text of each file, by its path within the distribution."""
    words = {
        f"datarax_{PLACEHOLDER}": f"datarax_{name.replace('-', '_')}",
        PLACEHOLDER.title(): "".join(word.title() for word in name.split("-")),
        PLACEHOLDER: name,
        RANGE: _range(),
    }
    texts = {"LICENSE": _licence()}
    for path, text in _templates(files("datarax.testing.scaffold") / "templates", ""):
        place = path.replace("dot_", ".").replace(PLACEHOLDER, name.replace("-", "_"))
        texts[place] = functools.reduce(lambda done, pair: done.replace(*pair), words.items(), text)
    return texts


def _templates(folder: Traversable, within: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        if entry.name == "__pycache__" or entry.name.startswith("."):  # left by tools
            continue
        if entry.is_dir():
            yield from _templates(entry, f"{within}{entry.name}/")
        else:
            yield f"{within}{entry.name}", entry.read_text(encoding="utf-8")


def _range() -> str:
    """Return the releases of datarax-core that a plugin made with this one works with."""
    major, minor = (int(part) for part in __version__.split(".")[:2])
    breaking = f"{major}.{minor + 1}" if major == 0 else f"{major + 1}"
    return f">={major}.{minor},<{breaking}"


def _licence() -> str:
    """Return the licence that datarax-core came with: Apache-2.0."""
    import importlib_metadata

    about = importlib_metadata.distribution("datarax-core")
    text = about.read_text("licenses/LICENSE") or about.read_text("LICENSE")
    if text is None:
        raise FileNotFoundError(
            "the licence of datarax-core is not where it was installed; "
            "run: pip install --force-reinstall --no-deps datarax-core"
        )
    return text
