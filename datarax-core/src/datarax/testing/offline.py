"""`no_network`: a block in which opening a socket is an error. The air gap is not left to trust.

Python tells its audit hooks of every socket, whoever opens it. An attempt is refused, and kept, so
that code that catches the refusal and goes on is found out when the block ends.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

_attempts: list[list[str]] = []
"""For each block that is open the attempts in it, the innermost block last."""
_hooked: list[bool] = []


class NetworkTouchedError(AssertionError):
    """Something opened a socket, or asked for an address, where nothing may."""


@contextlib.contextmanager
def no_network() -> Iterator[None]:
    """Make every attempt to open a socket or to resolve a name raise NetworkTouchedError.

    Where the attempt is made its error may be caught; at the end of the block it is raised again.
    """
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_refuse)  # which nothing can remove: it does nothing outside of a block
    attempts: list[str] = []
    _attempts.append(attempts)
    try:
        yield
    finally:
        _attempts.pop()
    if attempts:
        raise NetworkTouchedError(f"the network was touched, and its refusal caught: {attempts}")


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if _attempts and event.startswith("socket."):
        said = f"{event} {arguments[1:]!r}"
        _attempts[-1].append(said)
        raise NetworkTouchedError(f"the network was touched: {said}")
