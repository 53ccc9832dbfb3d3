"""Source URIs: `scheme:target[@revision][?key=value&...]`.

One string that fits a config file or a command line. The scheme is never guessed. In the target,
`@`, `?` and `%` are written as `%40`, `%3F` and `%25`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode

from datarax.core.frozen import FrozenDict
from datarax.errors import InvalidURIError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_PLAIN = "/:*+,=~ []{}!&#$();'"
_GRAMMAR = "scheme:target[@revision][?key=value&...], for example 'hf:ylecun/mnist'"


@dataclass(frozen=True)
class SourceURI:
    """A parsed source URI.

    Attributes:
        scheme: The word before the colon, in lower case.
        target: What the plugin is to open; empty only where the plugin takes an empty one.
        revision: What stood after '@', or None.
        options: The query, as strings.
    """

    scheme: str
    target: str = ""
    revision: str | None = None
    options: Mapping[str, str] = field(default_factory=FrozenDict)

    def __str__(self) -> str:
        text = f"{self.scheme}:{quote(self.target, safe=_PLAIN)}"
        if self.revision is not None:
            text += f"@{quote(self.revision, safe='/:')}"
        return text + (f"?{urlencode(dict(self.options))}" if self.options else "")


def is_scheme(text: str) -> bool:
    """Return whether `text` can be a scheme: a word of letters, digits, '-' and '_'."""
    return _SCHEME.fullmatch(text) is not None


def parse_uri(text: str) -> SourceURI:
    """Return the parts of a source URI.

    Raises:
        TypeError: If `text` is not a string.
        InvalidURIError: If it does not follow the grammar, or gives an option twice.
    """
    if not isinstance(text, str):
        raise TypeError(f"a source URI is a string, got {type(text).__name__}: {_GRAMMAR}")
    scheme, colon, rest = text.partition(":")
    if not colon:
        raise InvalidURIError(
            f"{text!r} names no scheme, and none is guessed; a source URI is {_GRAMMAR}"
        )
    if not is_scheme(scheme):
        raise InvalidURIError(
            f"{text!r}: the scheme {scheme!r} is not a word of letters, digits, '-' and '_'; "
            f"a source URI is {_GRAMMAR}"
        )
    rest, mark, query = rest.partition("?")
    target, at, revision = rest.partition("@")
    if at and not revision:
        raise InvalidURIError(f"{text!r}: a revision is expected after '@' (write %40 for an '@')")
    return SourceURI(
        scheme=scheme.lower(),
        target=unquote(target),
        revision=unquote(revision) if at else None,
        options=FrozenDict(_options(text, query) if mark else {}),
    )


def _options(text: str, query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    except ValueError as error:
        raise InvalidURIError(
            f"{text!r}: the query {query!r} is not key=value&key=value"
        ) from error
    options: dict[str, str] = {}
    for key, value in pairs:
        if options.setdefault(key, value) != value:
            raise InvalidURIError(
                f"{text!r} gives the option {key!r} twice: {options[key]!r} and {value!r}"
            )
    return options
