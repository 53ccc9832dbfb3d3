"""Asking again what the Hub could not answer: how often, after which wait, and saying so.

A wait is logged before it begins, and what cannot get better by waiting is never asked again.
"""

from __future__ import annotations

import email.utils
import importlib
import logging
import os
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from datarax_hf.tokens import hidden

LOGGER = logging.getLogger("datarax_hf")
"""Where waits are said: on standard error unless the application decides otherwise."""

HTTP_ERROR = HfHubHTTPError.__bases__[0]
"""The HTTP library's base class: httpx's or httpx2's, as huggingface_hub's version has it."""

_HTTP: Any = importlib.import_module(HTTP_ERROR.__module__.partition(".")[0])
_HOPELESS = (_HTTP.UnsupportedProtocol, _HTTP.LocalProtocolError, OfflineModeIsEnabled)
_BAD_CERTIFICATE = "CERTIFICATE_VERIFY_FAILED"
_TRANSIENT_STATUS = {408, 425, 429}
_RATE_LIMIT = re.compile(r"\br\s*=\s*0\b.*\bt\s*=\s*(?P<seconds>\d+)")

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How often something is asked again, and after which waits.

    Attributes:
        retries: How often at most. A download counts anew whenever bytes arrived.
        first: Seconds before the first; each further wait is twice the one before.
        longest: Seconds that such a wait takes at most.
        asked: Seconds that a server may ask for (`Retry-After`); more is an error at once.
    """

    retries: int = 5
    first: float = 1.0
    longest: float = 8.0
    asked: float = 300.0

    @classmethod
    def from_environment(cls) -> Patience:
        """Return the patience that DATARAX_HF_RETRIES and DATARAX_HF_RETRY_SECONDS ask for."""
        first = _number("DATARAX_HF_RETRY_SECONDS", cls.first)
        return cls(
            retries=int(_number("DATARAX_HF_RETRIES", cls.retries)),
            first=first,
            longest=first * cls.longest,
        )

    def brief(self) -> Patience:
        """Return the patience where the cache can serve instead: one more try."""
        return replace(self, retries=min(self.retries, 1))

    def wait(self, tries: int, error: BaseException) -> float | None:
        """Return the seconds to wait after `tries` tries that ended in `error`; None is give up."""
        if tries > self.retries or not is_transient(error):
            return None
        asked = _asked_wait(error)
        if asked is not None:
            return asked if asked <= self.asked else None
        spread = 1 + random.random() / 4  # noqa: S311  # so that hosts do not all come back at once
        return float(min(self.longest, self.first * 2 ** (tries - 1)) * spread)


def persist(
    ask: Callable[[], T],
    patience: Patience,
    what: str,
    *,
    stopped: threading.Event | None = None,
    count: Callable[[], int] | None = None,
) -> T:
    """Return what `ask` returns, asking again while its errors may pass.

    Args:
        ask: What is done.
        patience: How often, and how long is waited.
        what: What is asked for, as in "a/b".
        stopped: Set by another thread, it ends the waiting.
        count: Returns what was reached so far; where it grew, tries are counted anew.

    Raises:
        Exception: The last error of `ask`.
    """
    tries = 0
    reached = 0 if count is None else count()
    while True:
        try:
            return ask()
        except Exception as error:
            if count is not None and count() > reached:
                tries, reached = 0, count()
            tries += 1
            seconds = patience.wait(tries, error)
            if seconds is None or (stopped is not None and stopped.is_set()):
                raise
            LOGGER.warning(
                "hf:%s: %s; asking again in %.1f s (retry %d of %d)",
                what,
                told(error),
                seconds,
                tries,
                patience.retries,
            )
            (stopped or threading.Event()).wait(seconds)


def is_transient(error: BaseException) -> bool:
    """Return whether asking again may help: no answer, half an answer, 429, 408 or 5xx."""
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        return status in _TRANSIENT_STATUS or status >= 500
    if isinstance(error, _HOPELESS) or _BAD_CERTIFICATE in str(error):
        return False
    return isinstance(error, _HTTP.TransportError | ConnectionError | TimeoutError)


def told(error: BaseException) -> str:
    """Return in one line what went wrong."""
    if isinstance(error, HfHubHTTPError):
        said = f", {hidden(error.server_message)!r}" if error.server_message else ""
        return f"the Hub answered HTTP {error.response.status_code}{said}"
    text = " ".join(hidden(str(error)).split())
    return f"{type(error).__name__}{f': {text}' if text else ''}"


def asked_too_long(error: BaseException) -> float | None:
    """Return the seconds that a server asked to wait, where they are the reason for giving up."""
    asked = _asked_wait(error) if is_transient(error) else None
    return asked if asked is not None and asked > Patience.asked else None


_ODD_DIGITS = 10
"""A wait of so many digits, in seconds, is no wait."""


def _asked_wait(error: BaseException) -> float | None:
    """Return the seconds that the answer asks to wait, or None."""
    if not isinstance(error, HfHubHTTPError):
        return None
    headers: Mapping[str, str] = error.response.headers
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) < _ODD_DIGITS else None
    if text:
        try:
            return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
        except (ValueError, OverflowError):
            return None
    limit = _RATE_LIMIT.search(headers.get("RateLimit", ""))
    return float(limit["seconds"]) if limit and error.response.status_code == 429 else None


def _number(variable: str, default: float) -> float:
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError(f"{variable} is a number, 0 or more, got {text!r}")
    return value
