"""Which format a file has, by its name: the formats that are read, and those that are only known.

A split is read in one format: that of the extension which most of its files have, as the Hub
decides it. Works on names alone and imports nothing, so that a plan costs no file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
"""The files that describe an image folder."""

READ = {
    "parquet": (".parquet", ".geoparquet", ".gpq"),
    "arrow": (".arrow",),
    "json": (".jsonl", ".ndjson", ".json"),
    "csv": (".csv", ".tsv"),
    "text": (".txt",),
    "image folder": (
        *(".apng", ".avif", ".blp", ".bmp", ".bw", ".dds", ".dib", ".gif", ".icb", ".icns"),
        *(".ico", ".im", ".j2c", ".j2k", ".jfif", ".jp2", ".jpc", ".jpe", ".jpeg", ".jpf"),
        *(".jpg", ".jpx", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".psd", ".ras"),
        *(".rgb", ".rgba", ".sgi", ".tga", ".tif", ".tiff", ".vda", ".vst", ".webp", ".xbm"),
        *(".xpm", ".cur", ".dcx", ".fit", ".fits", ".flc", ".fli", ".ftc", ".ftu", ".gbr"),
        *(".iim", ".msp", ".pcd", ".pxr"),
    ),
}
"""The extensions of each format that is read."""

KNOWN = {
    "webdataset": (".tar",),
    "zip": (".zip",),
    "audio folder": (
        *(".aac", ".aif", ".aiff", ".au", ".caf", ".flac", ".m4a", ".mp3", ".oga", ".ogg"),
        *(".opus", ".voc", ".w64", ".wav", ".wma"),
    ),
    "video folder": (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"),
    "document folder": (".pdf",),
    "HDF5": (".h5", ".hdf5"),
    "lance": (".lance",),
    "XML": (".xml",),
    "CoNLL": (".conll", ".conllu"),
    "pickle": (".pickle", ".pkl"),
    "NumPy": (".npy", ".npz"),
    "SQLite": (".db", ".sqlite"),
}
"""The extensions of formats that are not read, but are data: they decide what a split is."""

PARSED = ("json", "csv", "text")
"""The formats whose files may be compressed, a zip archive of one file included."""

SUPPORTED = "parquet, Arrow, JSON lines, JSON, CSV, TSV, text and image folders"

_KIND_OF = {
    extension: kind
    for kinds in (READ, KNOWN)
    for kind, extensions in kinds.items()
    for extension in extensions
}
_RANK = (".csv", ".json", ".jsonl", ".arrow", ".parquet")
"""Of extensions that equally many files have, the last of these decides."""


@dataclass(frozen=True)
class Choice:
    """What a split is made of.

    Attributes:
        kind: The format of its files, or None where none of them is data.
        names: Those of its files that are read; empty where the format is not.
    """

    kind: str | None
    names: tuple[str, ...]


def is_data(name: str) -> bool:
    """Return whether a file's name is that of data of any known format."""
    return kind_of(name) is not None


def kind_of(name: str) -> str | None:
    """Return the format of a file by its extensions: `a.csv.txt` and `a.csv.zip` are CSV.

    Of several, the one that `datasets` prefers decides: parquet, Arrow, JSON, CSV, else the last in
    the alphabet.
    """
    known = _telling(name)
    return _KIND_OF[max(known, key=_preference)] if known else None


def is_tabbed(name: str) -> bool:
    """Return whether a CSV file is one of fields between tabs, by its last extension of CSV."""
    listed = [extension for extension in _extensions(name) if extension in READ["csv"]]
    return listed[-1:] == [".tsv"]


def is_read(name: str) -> bool:
    """Return whether a file's name is that of a format that is read."""
    return kind_of(name) in READ


def is_metadata(name: str) -> bool:
    """Return whether a file describes an image folder."""
    return name.rsplit("/", 1)[-1] in METADATA


def choose(names: Iterable[str]) -> Choice:
    """Return the format that most of these files have, and those of them that it reads.

    All extensions of a name count, as `datasets` counts them; a file of another format, such as
    the `0.png.txt` beside a `0.png`, is left out.
    """
    names = tuple(names)
    votes = Counter(
        (extension, is_metadata(name)) for name in names for extension in _telling(name)
    )
    kinds = {kind_of(name) for name in names}
    known = [vote for vote in votes if _KIND_OF[vote[0]] in kinds]
    if not known:
        return Choice(None, ())
    extension, _ = max(known, key=lambda vote: (not vote[1], votes[vote], *_preference(vote[0])))
    kind = _KIND_OF[extension]
    if kind not in READ:
        return Choice(kind, ())
    images = kind == "image folder"
    chosen = (name for name in names if kind_of(name) == kind or (images and is_metadata(name)))
    return Choice(kind, tuple(chosen))


def _preference(extension: str) -> tuple[int, str]:
    """Return what orders extensions of which equally many files have."""
    return _RANK.index(extension) if extension in _RANK else -1, extension


def _telling(name: str) -> tuple[str, ...]:
    """Return the extensions of a name that tell of formats; of an archive, the one that decides."""
    known = tuple(extension for extension in _extensions(name) if extension in _KIND_OF)
    if not known or known[-1] != ".zip":
        return known
    parsed = tuple(extension for extension in known if _KIND_OF[extension] in PARSED)
    return parsed if len(parsed) == len(known) - 1 and parsed else (".zip",)


def _extensions(name: str) -> tuple[str, ...]:
    return _split(name[name.rfind("/") + 1 :].partition(".")[2])


@lru_cache(maxsize=1024)
def _split(extensions: str) -> tuple[str, ...]:
    return tuple(f".{part.lower()}" for part in extensions.split(".")) if extensions else ()
