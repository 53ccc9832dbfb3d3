"""A Hub on the loopback interface that the real huggingface_hub client speaks to."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit


@dataclass
class Repo:
    """One dataset repository: commits, what refs point at, and how access is refused.

    `said` stands in what is answered for its metadata, in the place of what is right.
    """

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    refusal: tuple[int, str, str] | None = None
    gated: bool = False
    token: str | None = None
    said: dict = field(default_factory=dict)


@dataclass
class Fault:
    """What goes wrong with the next `times` answers to GETs whose path holds `where`.

    `status` is answered instead, with `body`; `flip` is a byte of the body that is damaged; `more` is sent
    after the body; after `cut` bytes of the body the connection ends, by a reset where `reset` is
    true, once `hold` is set where there is one; `stall` is the seconds before the answer.
    """

    where: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"error": "too busy"}'
    cut: int | None = None
    reset: bool = False
    hold: threading.Event | None = None
    flip: int | None = None
    more: bytes = b""
    stall: float = 0
    times: int = 1


class LoopbackHub:
    """Serves repositories; `requests` holds (method, path) of each request.

    `ranges` holds (path, Range header) of each file that was asked for, and `tokens` the
    Authorization headers; parquet files are large ones, which `elsewhere` makes come from a host
    of another name, as a content network's. Without `resumes`, ranges are not heeded. With `xet`, a
    `LoopbackXet`, they are listed as stored there, and the Hub sends them to those who ask it.
    """

    def __init__(self):
        self.repos: dict[str, Repo] = {}
        self.redirects: dict[str, str] = {}
        self.requests: list[tuple[str, str]] = []
        self.failing: int | None = None
        self.failing_headers: dict[str, str] = {}
        self.upstream = ""  # in whose name listings go on, where that is not the endpoint
        self.faults: list[Fault] = []
        self.ranges: list[tuple[str, str | None]] = []
        self.tokens: list[tuple[str, str, str | None]] = []
        self.at_once = self.most_at_once = 0
        self.elsewhere = False
        self.resumes = True
        self.xet = None
        self.page = 1000
        self.lock = threading.Lock()
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def publish(self, dataset, files, *refs):
        """Add a commit of `files`, point refs (main unless given) at it, and return it."""
        files = {
            name: data.encode() if isinstance(data, str) else data for name, data in files.items()
        }
        repo = self.repos.setdefault(dataset, Repo())
        digest = hashlib.sha1(dataset.encode())
        for name, data in sorted(files.items()):
            digest.update(name.encode() + b"\0" + data)
        commit = digest.hexdigest()
        repo.commits[commit] = files
        for ref in refs or ("main",):
            repo.refs[ref] = commit
        return commit

    def fault(self, where, **what):
        """Let something go wrong with the next answer whose path holds `where`."""
        self.faults.append(Fault(where, **what))

    def next_fault(self, path):
        """Return the fault of this answer, counted, or None."""
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.where in path:
                    fault.times -= 1
                    return fault
        return None

    def downloads(self):
        """Return the paths of files whose bytes were asked for, the card left out."""
        return [
            path.split("/resolve/", 1)[1].split("/", 1)[1]
            for method, path in self.requests
            if method == "GET" and "/resolve/" in path and not path.endswith("README.md")
        ]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Say what went wrong, but not that a client left: some tests have it do so."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a body would wait 40 ms for an acknowledgement
    hub: LoopbackHub

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def do_POST(self):
        self._answer()

    def _answer(self):
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        self.hub.tokens.append((path, self.headers["Host"], self.headers["Authorization"]))
        self.fault = self.hub.next_fault(path) if self.command == "GET" else None
        if path == "/api/agent-harnesses":
            return self._send(200, b'{"harnesses": []}')
        if self.hub.failing is not None:
            return self._send(
                self.hub.failing, b'{"error": "too busy"}', **self.hub.failing_headers
            )
        if self.fault is not None:
            self._stall(self.fault.stall)
            if self.fault.status is not None:
                fault, self.fault = self.fault, None
                return self._send(fault.status, fault.body, **fault.headers)
        for old, new in self.hub.redirects.items():
            for stem in ("/api/datasets/", "/datasets/"):
                start = stem + old
                if path == start or path.startswith(start + "/"):
                    return self._send(307, b"", Location=stem + new + self.path[len(start) :])
        if path.startswith("/api/datasets/"):
            return self._api(path.removeprefix("/api/datasets/"))
        if path.startswith("/content/"):
            return self._content(path.removeprefix("/content/"))
        if path.startswith("/datasets/") and "/resolve/" in path:
            return self._resolve(*path.removeprefix("/datasets/").split("/resolve/", 1))
        return self._refuse(404, "EntryNotFound", "no such page")

    def _stall(self, seconds):
        with self.hub.lock:
            self.hub.at_once += 1
            self.hub.most_at_once = max(self.hub.most_at_once, self.hub.at_once)
        time.sleep(seconds)
        with self.hub.lock:
            self.hub.at_once -= 1

    def _repo(self, dataset):
        repo = self.hub.repos.get(dataset)
        if repo is None:
            self._refuse(404, "RepoNotFound", "Repository not found")
        elif repo.refusal is not None:
            self._refuse(*repo.refusal)
            return None
        elif repo.token is not None and self.headers["Authorization"] != f"Bearer {repo.token}":
            self._refuse(401, "RepoNotFound", "Repository not found")
            return None
        return repo

    def _api(self, rest):
        dataset, verb, argument = rest, None, None
        for word in ("revision", "tree", "commits", "paths-info", "xet-read-token"):
            if f"/{word}/" in rest:
                dataset, argument = rest.split(f"/{word}/", 1)
                verb = word
        repo = self._repo(dataset)
        if repo is None:
            return None
        revision, folder = argument or "main", ""
        if verb == "tree" and revision not in {*repo.refs, *repo.commits}:
            revision, _, folder = revision.partition("/")
        commit = self._commit(repo, revision)
        if commit is None:
            return None
        files = repo.commits[commit]
        if verb == "xet-read-token":
            return self._xet_token()
        if verb == "commits":
            return self._commits(repo)
        if verb == "tree":
            root = f"{folder}/" if folder else ""
            inside = {name: data for name, data in files.items() if name.startswith(root)}
            if "recursive=true" in self.path.lower():
                return self._tree(inside, repo.said)
            parts = [name.removeprefix(root).split("/") for name in inside]
            direct = {
                root + names[0]: inside[root + names[0]] for names in parts if len(names) == 1
            }
            return self._tree(direct, repo.said, {root + names[0] for names in parts if names[1:]})
        if verb == "paths-info":
            form = parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode())
            asked = {value for key, value in form if key == "paths"}
            return self._tree({name: files[name] for name in asked & set(files)}, repo.said)
        info = {
            "id": dataset,
            "sha": commit,
            "private": False,
            "gated": "manual" if repo.gated else False,
            "tags": [],
            "downloads": 0,
            "siblings": [{"rfilename": name} for name in sorted(files)],
            **repo.said,
        }
        return self._send(200, json.dumps(info).encode())

    def _xet_token(self):
        if self.hub.xet is None:
            return self._refuse(404, "EntryNotFound", "no such page")
        said = self.hub.xet.connection()
        headers = {
            "X-Xet-Cas-Url": said["casUrl"],
            "X-Xet-Access-Token": said["accessToken"],
            "X-Xet-Token-Expiration": str(said["exp"]),
        }
        return self._send(200, json.dumps(said).encode(), **headers)

    def _commits(self, repo):
        said = {"authors": [], "date": "2026-01-01T00:00:00.000Z", "title": "", "message": ""}
        return self._send(200, json.dumps([{"id": id, **said} for id in repo.commits]).encode())

    def _tree(self, files, said, folders=()):
        query = dict(parse_qsl(urlsplit(self.path).query))
        start = int(query.get("cursor", 0))
        names = sorted(files)
        listing = [
            {"type": "directory", "path": name, "size": 0, "oid": "0" * 40}
            for name in sorted(folders)
        ]
        for name in names[start : start + self.hub.page]:
            data = files[name]
            entry = {"type": "file", "path": name, "size": len(data), "oid": _oid(data)}
            if _is_large(name):
                entry["lfs"] = {"oid": _etag(name, data), "size": len(data), "pointerSize": 130}
                if self.hub.xet is not None:
                    entry["xetHash"] = self.hub.xet.store(data)
            if "oid" in said:
                entry.update(said, lfs=None)
            listing.append(entry)
        headers = {}
        if start + self.hub.page < len(names):
            query["cursor"] = str(start + self.hub.page)
            path = urlsplit(self.path).path
            endpoint = self.hub.upstream or self.hub.endpoint
            headers["Link"] = f'<{endpoint}{path}?{urlencode(query)}>; rel="next"'
        return self._send(200, json.dumps(listing).encode(), **headers)

    def _content(self, etag):
        for repo in self.hub.repos.values():
            for files in repo.commits.values():
                for name, data in files.items():
                    if _etag(name, data) == etag:
                        return self._bytes(data, {"Accept-Ranges": "bytes"})
        return self._refuse(404, "EntryNotFound", "no such content")

    def _resolve(self, dataset, rest):
        repo = self._repo(dataset)
        if repo is None:
            return None
        if repo.gated:
            return self._refuse(403, "GatedRepo", "Access to this dataset is restricted")
        revision = next(
            (ref for ref in (*repo.refs, *repo.commits) if rest.startswith(f"{ref}/")), rest
        )
        commit = self._commit(repo, revision)
        if commit is None:
            return None
        data = repo.commits[commit].get(rest.removeprefix(f"{revision}/"))
        if data is None:
            return self._refuse(404, "EntryNotFound", "no such file", {"X-Repo-Commit": commit})
        name = rest.removeprefix(f"{revision}/")
        etag = _etag(name, data)
        headers = {
            "ETag": f'"{etag}"',
            "X-Repo-Commit": commit,
            "X-Linked-Etag": f'"{etag}"',
            "X-Linked-Size": str(len(data)),
            "Accept-Ranges": "bytes",
        }
        if self.command == "GET":
            self.hub.ranges.append((name, self.headers.get("Range")))
        if self.hub.elsewhere and _is_large(name):
            port = self.hub.endpoint.rsplit(":", 1)[1]
            location = f"http://localhost:{port}/content/{etag}"
            return self._send(302, b"", Location=location, **headers)
        return self._bytes(data, headers)

    def _bytes(self, data, headers):
        wanted = self.headers.get("Range")
        if wanted is None or self.command != "GET" or not self.hub.resumes:
            return self._send(200, data, **headers)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(len(data) - int(last), 0)
        stop = min(int(last) + 1, len(data)) if first and last else len(data)
        if start >= len(data):
            return self._send(416, b"", **{"Content-Range": f"bytes */{len(data)}"})
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        return self._send(206, data[start:stop], **headers)

    def _commit(self, repo, revision):
        commit = repo.refs.get(revision, revision)
        if commit not in repo.commits:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return commit

    def _refuse(self, status, code, message, headers=None):
        body = json.dumps({"error": message}).encode()
        return self._send(
            status, body, **{"X-Error-Code": code, "X-Error-Message": message, **(headers or {})}
        )

    def _send(self, status, body, **headers):
        fault, self.fault = self.fault, None
        if fault is not None:
            body = _damaged(body, fault)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault is None or fault.cut is None:
            self.wfile.write(body)
            return
        self.wfile.write(body[: fault.cut])
        self.wfile.flush()
        if fault.hold is not None:
            fault.hold.wait(30)
        if fault.reset:
            # What was sent is read before the reset only if it has time to arrive.
            time.sleep(0.05)
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()


def _damaged(body, fault):
    body = bytearray(body + fault.more)
    if fault.flip is not None:
        body[fault.flip] ^= 0xFF
    return bytes(body)


def _is_large(name):
    return name.endswith(".parquet")


def _etag(name, data):
    return hashlib.sha256(data).hexdigest() if _is_large(name) else _oid(data)


def _oid(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
