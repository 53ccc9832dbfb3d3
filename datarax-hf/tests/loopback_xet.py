"""Xet storage on the loopback interface, which the real hf_xet client downloads from.

A file is cut into chunks, runs of chunks are packed into xorbs, and a file is told as terms, each a
range of chunks of one xorb; the facts are those of https://huggingface.co/docs/xet (`api`, `xorb`,
`download-protocol`). What a file and a xorb are called is any 64 hexadecimal digits here: hf_xet
compares nothing that it fetches with them.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow as pa

CHUNK = 4096
"""Bytes of a chunk, but for the last one of a file."""

PER_XORB = 3
"""Chunks of a xorb, and of a term."""

TOKEN = "xet_token"
"""What the storage takes for a token."""


@dataclass
class Term:
    """A whole xorb: its name, the chunks and the bytes in it, and the bytes that they become."""

    xorb: str
    chunks: int
    stored: int
    size: int


@dataclass
class LoopbackXet:
    """Serves what was stored; `requests` holds (method, path, Authorization) of each request.

    Attributes:
        newest: The newest version of the API that it knows.
        lifetime: Seconds that a token is good for.
        faults: The status to answer instead, by what a path begins with.
        flip: The byte of every xorb that is damaged.
        silent: Set, nothing is answered, until `close`.
        pause: Seconds that each xorb takes; one comes after the other.
    """

    newest: int = 2
    lifetime: float = 3600
    faults: dict[str, int] = field(default_factory=dict)
    flip: int | None = None
    silent: bool = False
    pause: float = 0
    files: dict[str, list[Term]] = field(default_factory=dict)
    xorbs: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    one_by_one: threading.Lock = field(default_factory=threading.Lock)
    closed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self):
        class Handler(_Handler):
            xet = self

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    def close(self):
        """End; from then on nobody listens."""
        if not self.closed.is_set():
            self.closed.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def store(self, data):
        """Keep a file and return its name."""
        name = hashlib.sha256(b"file" + data).hexdigest()
        if name not in self.files:
            pieces = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
            runs = [pieces[start : start + PER_XORB] for start in range(0, len(pieces), PER_XORB)]
            self.files[name] = [self._pack(run) for run in runs]
        return name

    def connection(self):
        """Return what the Hub says to those who may read."""
        exp = int(time.time() + self.lifetime)
        return {"casUrl": self.endpoint, "accessToken": TOKEN, "exp": exp}

    def sent(self):
        """Return the names of the xorbs that were asked for."""
        return [path.split("/")[-1] for _, path, _ in self.requests if path.startswith("/xorbs/")]

    def _pack(self, chunks):
        body = b"".join(_stored(chunk) for chunk in chunks)
        name = hashlib.sha256(body).hexdigest()
        self.xorbs[name] = body
        return Term(name, len(chunks), len(body), sum(map(len, chunks)))


def _stored(chunk):
    """Return a chunk behind its header: version, stored size, scheme (0 none, 1 LZ4), size."""
    packed = pa.compress(chunk, codec="lz4", asbytes=True)
    scheme, body = (1, packed) if len(packed) < len(chunk) else (0, chunk)
    sizes = [len(part).to_bytes(3, "little") for part in (body, chunk)]
    return b"\0" + sizes[0] + bytes([scheme]) + sizes[1] + body


class _Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Say nothing: that the client leaves is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a body would wait 40 ms for an acknowledgement
    xet: LoopbackXet

    def log_message(self, *args):
        pass

    def do_GET(self):
        self._answer()

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer()

    def _answer(self):
        xet = self.xet
        xet.requests.append((self.command, self.path, self.headers["Authorization"]))
        if xet.silent:
            xet.closed.wait(60)
        for start, status in xet.faults.items():
            if self.path.startswith(start):
                return self._send(status)
        match self.path.strip("/").split("/"):
            case ["v1", "telemetry"]:
                return self._send(200)
            case ["v1" | "v2" as version, "reconstructions", name]:
                if int(version[1:]) > xet.newest:
                    return self._send(404)
                if self.headers["Authorization"] != f"Bearer {TOKEN}":
                    return self._send(401)
                return self._reconstruction(version, xet.files.get(name))
            case ["xorbs", name] if name in xet.xorbs:
                return self._xorb(xet.xorbs[name])
        return self._send(404)

    def _reconstruction(self, version, terms):
        """Tell the terms that hold the bytes asked for."""
        if terms is None:
            return self._send(404)
        start, stop = self._range(sum(term.size for term in terms))
        wanted, begin = [], 0
        for term in terms:
            if begin < stop and begin + term.size > start:
                wanted.append((begin, term))
            begin += term.size
        if not wanted:
            return self._send(416)
        said = {
            "offset_into_first_range": start - wanted[0][0],
            "terms": [
                {
                    "hash": term.xorb,
                    "unpacked_length": term.size,
                    "range": {"start": 0, "end": term.chunks},
                }
                for _, term in wanted
            ],
            "fetch_info" if version == "v1" else "xorbs": {
                term.xorb: [self._place(version, term)] for _, term in wanted
            },
        }
        return self._send(200, json.dumps(said).encode())

    def _place(self, version, term):
        url = f"{self.xet.endpoint}/xorbs/{term.xorb}"
        chunks = {"start": 0, "end": term.chunks}
        stored = {"start": 0, "end": term.stored - 1}
        if version == "v1":
            return {"url": url, "range": chunks, "url_range": stored}
        return {"url": url, "ranges": [{"chunks": chunks, "bytes": stored}]}

    def _xorb(self, body):
        with self.xet.one_by_one:
            time.sleep(self.xet.pause)
        if self.xet.flip is not None:
            body = bytearray(body)
            body[self.xet.flip] ^= 0xFF
        start, stop = self._range(len(body))
        place = {"Content-Range": f"bytes {start}-{stop - 1}/{len(body)}"}
        return self._send(206, bytes(body[start:stop]), **place)

    def _range(self, size):
        asked = self.headers.get("Range")
        if asked is None:
            return 0, size
        first, _, last = asked.removeprefix("bytes=").partition("-")
        return int(first), min(int(last) + 1, size)

    def _send(self, status, body=b"{}", **headers):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
