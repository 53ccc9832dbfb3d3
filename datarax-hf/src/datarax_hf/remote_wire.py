"""Byte ranges over HTTP, from one background thread; several at once, each retried where it broke.

Every request is a task of an event loop that runs in a thread of its own, so that closing ends it
wherever it waits. A range that breaks off goes on with its first missing byte, never from its
beginning; the client is huggingface_hub's, with the proxies and certificates that it was given.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import dataclass, field
from inspect import CORO_CREATED, getcoroutinestate
from types import CoroutineType
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import constants, get_async_session
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # public, by its docs
    hf_raise_for_status,
)

from datarax.errors import SourceClosedError
from datarax_hf.errors import HubConnectionError
from datarax_hf.retry import LOGGER, Patience, asked_too_long, is_transient, told
from datarax_hf.tokens import shows_token

AT_ONCE = 8
_JOIN_SECONDS = 5.0
_PAST_THE_END = 416
_EXPIRED = {400, 401, 403, 404, 410}
"""What an address that was redirected to answers once its signature has expired."""

_CONTENT_RANGE = re.compile(r"bytes\s+(?P<first>\d+)-")


class Wire:
    """Reads byte ranges of URLs; the thread starts with the first and ends with `close`.

    Args:
        headers: The headers of requests to the endpoint. Other hosts, to which it redirects, are
            sent none of them.
        endpoint: The endpoint whose requests bear them.
    """

    def __init__(self, headers: Mapping[str, str], endpoint: str) -> None:
        self._headers = dict(headers)
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._requests: _Requests | None = None
        self._stop: Callable[[], Any] | None = None
        self._closed = False

    def read(self, url: str, begin: int, end: int) -> Future[bytearray]:
        """Ask for bytes [begin, end) of a file; cancelling the future ends the request.

        Raises:
            SourceClosedError: If the wire is closed.
        """
        with self._lock:
            if self._closed:
                raise SourceClosedError("reading from the Hub was closed; load the dataset again")
            if self._requests is None or self._requests.process != os.getpid():
                self._start()
            assert self._requests is not None
            wanted = _Range(url, begin, end)
            return asyncio.run_coroutine_threadsafe(
                self._requests.read(wanted), self._requests.loop
            )

    def close(self) -> None:
        """End all requests and the thread; who waits for one of them gets a CancelledError."""
        with self._lock:
            self._closed = True
            stop, self._stop, self._requests = self._stop, None, None
        if stop is not None:
            stop()

    def _start(self) -> None:
        requests = _Requests(self._headers, self._endpoint)
        thread = threading.Thread(target=requests.run, name="datarax-hf-remote", daemon=True)
        thread.start()
        self._requests = requests
        self._stop = weakref.finalize(self, _end, requests, thread)


@dataclass
class _Range:
    """Some bytes of a file, [begin, end), and those of them that have come."""

    url: str
    begin: int
    end: int
    data: bytearray = field(default_factory=bytearray)

    @property
    def place(self) -> int:
        """The first byte that is still missing."""
        return self.begin + len(self.data)

    @property
    def whole(self) -> bool:
        return self.place >= self.end


class _Requests:
    """What the tasks of one loop share; it holds no `Wire`, so that one can be collected."""

    def __init__(self, headers: Mapping[str, str], endpoint: str) -> None:
        self.process = os.getpid()
        self.loop = asyncio.new_event_loop()
        self._headers = headers
        self._home = urlsplit(endpoint).netloc
        self._client: Any = get_async_session()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self.stopped = asyncio.Event()
        self._moved: dict[str, str] = {}
        self._patience = Patience.from_environment()
        silent = constants.HF_HUB_DOWNLOAD_TIMEOUT
        self._timeout = (silent, silent, silent, None)

    def run(self) -> None:
        """Run the loop until it is stopped; the body of the thread."""
        try:
            self.loop.run_until_complete(self._serve())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        finally:
            self.loop.close()

    async def _serve(self) -> None:
        await self.stopped.wait()
        await _all_begun()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()

    async def read(self, wanted: _Range) -> bytearray:
        """Return the bytes once all of them have come, as `_read` does; may be cancelled."""
        reading = asyncio.ensure_future(self._read(wanted))
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError:
            await _all_begun()
            reading.cancel()
            await asyncio.wait([reading])
            raise

    async def _read(self, wanted: _Range) -> bytearray:
        """Return the bytes once all of them have come.

        Raises:
            HfHubHTTPError: If the Hub refuses them.
            HubConnectionError: If they do not come, try after try.
        """
        tries = 0
        while not wanted.whole:
            place = wanted.place
            try:
                async with self._slots:
                    await self._ask(wanted)
            except Exception as error:
                if isinstance(error, HubConnectionError) or not is_transient(error):
                    raise
                tries = 1 if wanted.place > place else tries + 1
                seconds = self._patience.wait(tries, error)
                if seconds is None:
                    gave_up = HubConnectionError(_gave_up(wanted, tries, error))
                    raise gave_up from None if shows_token(error) else error
                LOGGER.warning(
                    "%s: %s; asking for the rest in %.1f s", wanted.url, told(error), seconds
                )
                await asyncio.sleep(seconds)
        return wanted.data

    async def _ask(self, wanted: _Range) -> None:
        """Add to a range what one request for the rest of it brings."""
        moved = self._moved.get(wanted.url)
        url = moved or wanted.url
        headers = {
            "Range": f"bytes={wanted.place}-{wanted.end - 1}",
            "Accept-Encoding": "identity",
        }
        if urlsplit(url).netloc == self._home:
            headers = {**self._headers, **headers}
        asking = self._client.stream(
            "GET", url, headers=headers, follow_redirects=True, timeout=self._timeout
        )
        async with asking as answer:
            if moved is not None and answer.status_code in _EXPIRED:
                self._moved.pop(wanted.url, None)  # another request may have found it out
                return
            if answer.status_code >= 400 and answer.status_code != _PAST_THE_END:
                await answer.aread()
                hf_raise_for_status(answer)
            if _place(answer) != wanted.place:
                raise HubConnectionError(_other_bytes(wanted, answer))
            self._moved[wanted.url] = str(answer.url)
            async with aclosing(answer.aiter_raw()) as chunks:
                async for chunk in chunks:
                    wanted.data += chunk
                    if wanted.whole:
                        del wanted.data[wanted.end - wanted.begin :]
                        return
        raise ConnectionError("the answer ended before its bytes did")


async def _all_begun() -> None:
    """Wait until every task of the loop has begun: anyio warns of one that is cancelled before."""
    while any(_is_new(task.get_coro()) for task in asyncio.all_tasks()):  # noqa: ASYNC110  # at the next turn
        await asyncio.sleep(0)


def _is_new(coroutine: object) -> bool:
    return isinstance(coroutine, CoroutineType) and getcoroutinestate(coroutine) == CORO_CREATED


def _end(requests: _Requests, thread: threading.Thread) -> None:
    if requests.process != os.getpid():  # in the child of a fork, whose threads stayed behind
        return
    requests.loop.call_soon_threadsafe(requests.stopped.set)
    if thread is not threading.current_thread():
        thread.join(_JOIN_SECONDS)


def _place(answer: Any) -> int | None:
    """Return where in its file an answer begins, or None where it does not say."""
    if answer.status_code == 200:
        return 0
    match = _CONTENT_RANGE.match(answer.headers.get("Content-Range", "").strip())
    return int(match["first"]) if answer.status_code == 206 and match is not None else None


def _other_bytes(wanted: _Range, answer: Any) -> str:
    asked = f"{wanted.url} was asked for the bytes from {wanted.place} to {wanted.end - 1}"
    if answer.status_code == _PAST_THE_END:
        return f"{asked}, which it lists and does not have (HTTP {_PAST_THE_END}); try again later"
    return (
        f"{asked} and answered HTTP {answer.status_code} with others; a server without byte ranges "
        "cannot be streamed from: load it with mode='lazy', which downloads it"
    )


def _gave_up(wanted: _Range, tries: int, error: Exception) -> str:
    seconds = asked_too_long(error)
    wait = (
        "check the network, or try again later"
        if seconds is None
        else f"try again in {seconds:.0f} s, as it asks"
    )
    return (
        f"{wanted.url} could not be read on from byte {wanted.place} in {tries} "
        f"{'try' if tries == 1 else 'tries'} ({told(error)}); {wait}: a saved state goes on from "
        "where it was taken"
    )
