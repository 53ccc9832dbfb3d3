"""`no_network`: a block in which opening a socket is an error. The air gap is not left to trust."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any, NoReturn
from unittest import mock


class NetworkTouchedError(AssertionError):
    """Something opened a socket, or asked for an address, where nothing may."""


@contextlib.contextmanager
def no_network() -> Iterator[None]:
    """Make every attempt to open a socket or to resolve a name raise NetworkTouchedError."""

    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise NetworkTouchedError(f"the network was touched: {args!r} {kwargs!r}")

    with (
        mock.patch.object(socket.socket, "__init__", refuse),
        mock.patch.object(socket.socket, "connect", refuse),
        mock.patch.object(socket, "getaddrinfo", refuse),
        mock.patch.object(socket, "create_connection", refuse),
    ):
        yield
