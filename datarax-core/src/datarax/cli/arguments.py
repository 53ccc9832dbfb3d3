"""The arguments of every command that takes a URI, and what they come to.

`--option` is another way to write the URI's query, so the plugin's config types it, and an option
given twice with different values is an error.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from datarax.core.frozen import FrozenDict
from datarax.errors import InvalidURIError
from datarax.registry.uri import SourceURI, parse_uri

_SECRET = frozenset({"token"})
"""Options whose values stay out of the URI, which is printed."""


def add_uri(parser: argparse.ArgumentParser) -> None:
    """Add the URI and its options."""
    parser.add_argument("uri", metavar="URI", help="scheme:target[@revision][?key=value&...]")
    parser.add_argument("--split", help="which split, such as train or train[:100]")
    parser.add_argument(
        "-o",
        "--option",
        action="append",
        default=[],
        type=_pair,
        metavar="KEY=VALUE",
        dest="options",
        help="an option of the source, as in the URI's query; may be repeated",
    )
    parser.add_argument("--local-files-only", action="store_true", help="open no socket")


def asked_for(args: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Return the URI with its options in the query, and those that are keywords of `load`.

    Raises:
        InvalidURIError: If the URI is malformed, or an option is given twice.
    """
    place = parse_uri(args.uri)
    options = dict(place.options)
    keywords: dict[str, Any] = {}
    for name, value in args.options:
        if name in _SECRET and value.lower() not in {"true", "false"}:
            if keywords.setdefault(name, value) != value or name in options:
                raise InvalidURIError(f"the option {name!r} is given twice; leave one of them out")
            continue
        if options.setdefault(name, value) != value:
            raise InvalidURIError(
                f"the option {name!r} is given twice: {options[name]!r} and {value!r}; leave one "
                "of them out"
            )
    if args.split is not None:
        keywords["split"] = args.split
    if args.local_files_only:
        keywords["local_files_only"] = True
    return _text(replace(place, options=FrozenDict(options)), args.uri), keywords


def _text(place: SourceURI, given: str) -> str:
    """Return the URI as it was given, where nothing was added to it."""
    return given if place == parse_uri(given) else str(place)


def _pair(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return name, value
