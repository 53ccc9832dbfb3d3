"""Dataset names: what the Hub calls a dataset, and the folders a cache may keep it under.

The short names of the Hub's first years (`mnist`) redirect to `namespace/name` online. Offline
nobody can be asked, so the redirects that are known for certain stand here.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

CANONICAL = {
    "ag_news": "fancyzhx/ag_news",
    "ai2_arc": "allenai/ai2_arc",
    "amazon_polarity": "fancyzhx/amazon_polarity",
    "anli": "facebook/anli",
    "beans": "AI-Lab-Makerere/beans",
    "boolq": "google/boolq",
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
    "cnn_dailymail": "abisee/cnn_dailymail",
    "common_gen": "allenai/common_gen",
    "conll2003": "eriktks/conll2003",
    "dbpedia_14": "fancyzhx/dbpedia_14",
    "emotion": "dair-ai/emotion",
    "fashion_mnist": "zalando-datasets/fashion_mnist",
    "food101": "ethz/food101",
    "glue": "nyu-mll/glue",
    "gsm8k": "openai/gsm8k",
    "hellaswag": "Rowan/hellaswag",
    "imagenet-1k": "ILSVRC/imagenet-1k",
    "imdb": "stanfordnlp/imdb",
    "mnist": "ylecun/mnist",
    "multi_nli": "nyu-mll/multi_nli",
    "openai_humaneval": "openai/openai_humaneval",
    "openbookqa": "allenai/openbookqa",
    "piqa": "ybisk/piqa",
    "rotten_tomatoes": "cornell-movie-review-data/rotten_tomatoes",
    "samsum": "Samsung/samsum",
    "sciq": "allenai/sciq",
    "snli": "stanfordnlp/snli",
    "squad": "rajpurkar/squad",
    "squad_v2": "rajpurkar/squad_v2",
    "sst2": "stanfordnlp/sst2",
    "super_glue": "aps/super_glue",
    "svhn": "ufldl-stanford/svhn",
    "trec": "CogComp/trec",
    "trivia_qa": "mandarjoshi/trivia_qa",
    "wikitext": "Salesforce/wikitext",
    "winogrande": "allenai/winogrande",
    "xsum": "EdinburghNLP/xsum",
    "yelp_polarity": "fancyzhx/yelp_polarity",
    "yelp_review_full": "Yelp/yelp_review_full",
}
"""Short names of well-known datasets and what they are called today."""

LONGEST = 96
"""Characters of a dataset's name, and of a namespace, at most."""

_CLOSE = 0.75
_SHORT = {canonical: short for short, canonical in CANONICAL.items()}
_DRIVE = re.compile(r"[A-Za-z]:")
_ADDRESS = re.compile(
    r"(?:https?:/+[^/]+/|//)?datasets/+(?P<name>[\w.-]+(?:/[\w.-]+)?)(?:[/@?#]|$)", re.ASCII
)
_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")


def canonical(name: str) -> str:
    """Return what the Hub calls `name` today, as far as that is known offline."""
    return CANONICAL.get(name, name)


def aliases(name: str) -> tuple[str, ...]:
    """Return the names that a cache may keep the dataset under, the one asked for first."""
    others = (CANONICAL.get(name), _SHORT.get(name))
    return (name, *(other for other in others if other is not None))


def stays_inside(path: str) -> bool:
    """Return whether a file's path in a repository cannot lead out of the repository's folder.

    An absolute path, a drive, a UNC path, a backslash or a part '..' can.
    """
    parts = path.split("/")
    forbidden = "\\\0:" if os.name == "nt" else "\\\0"
    return (
        not any(part in {"", ".", ".."} for part in parts)
        and not set(path) & set(forbidden)
        and _DRIVE.match(path) is None
    )


def user_path(path: str) -> Path:
    """Return a path with the home folder in place of `~`; `~nobody` stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  # that of Path raises where nobody is one


def is_local(name: str) -> bool:
    """Return whether `name` is a path to a folder and not a name on the Hub."""
    return name in {".", ".."} or name.startswith(("./", "../", "/", "~", ".\\", "..\\"))


def meant_name(name: str) -> str:
    """Return '; write ...' for the address of a dataset's page or an `hf://` path, or ''."""
    match = _ADDRESS.match(name)
    return "" if match is None else f"; write 'hf:{match['name']}' for the dataset on the Hub"


def near_name(name: str) -> str:
    """Return ' Did you mean ...?' for a well-known dataset of nearly that name, or an empty string.

    Of 'namespace/dataset' the dataset decides: many are looked for under another namespace.
    """
    own = name.rpartition("/")[2]
    known = dict(zip(CANONICAL, CANONICAL, strict=True))
    if "/" in name:
        known = {full.rpartition("/")[2]: full for full in CANONICAL.values()}
    matches = difflib.get_close_matches(own, known, n=1, cutoff=_CLOSE)
    return f" Did you mean {known[matches[0]]!r}?" if matches else ""


def is_dataset_name(name: str) -> bool:
    """Return whether `name` has the form 'dataset' or 'namespace/dataset'."""
    parts = name.split("/")
    return (
        len(parts) <= 2
        and all(_PART.fullmatch(part) and len(part) <= LONGEST for part in parts)
        and not name.endswith(".git")
        and ".." not in name
        and "--" not in name
    )
