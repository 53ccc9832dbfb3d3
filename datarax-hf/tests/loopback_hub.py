"""A Hub on the loopback interface that the real huggingface_hub client speaks to."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Repo:
    """One dataset repository: commits, what refs point at, and how access is refused."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    refusal: tuple[int, str, str] | None = None
    gated: bool = False
    token: str | None = None


class LoopbackHub:
    """Serves repositories; `requests` holds (method, path) of each request."""

    def __init__(self):
        self.repos: dict[str, Repo] = {}
        self.redirects: dict[str, str] = {}
        self.requests: list[tuple[str, str]] = []
        self.failing: int | None = None
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
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

    def downloads(self):
        """Return the paths of files whose bytes were asked for, the card left out."""
        return [
            path.split("/resolve/", 1)[1].split("/", 1)[1]
            for method, path in self.requests
            if method == "GET" and "/resolve/" in path and not path.endswith("README.md")
        ]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: LoopbackHub

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def _answer(self):
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        if path == "/api/agent-harnesses":
            return self._send(200, b'{"harnesses": []}')
        if self.hub.failing is not None:
            return self._send(self.hub.failing, b'{"error": "too busy"}')
        for old, new in self.hub.redirects.items():
            for stem in ("/api/datasets/", "/datasets/"):
                start = stem + old
                if path == start or path.startswith(start + "/"):
                    return self._send(307, b"", Location=stem + new + self.path[len(start) :])
        if path.startswith("/api/datasets/"):
            return self._api(path.removeprefix("/api/datasets/"))
        if path.startswith("/datasets/") and "/resolve/" in path:
            return self._resolve(*path.removeprefix("/datasets/").split("/resolve/", 1))
        return self._refuse(404, "EntryNotFound", "no such page")

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
        for word in ("revision", "tree"):
            if f"/{word}/" in rest:
                dataset, argument = rest.split(f"/{word}/", 1)
                verb = word
        repo = self._repo(dataset)
        if repo is None:
            return None
        commit = self._commit(repo, argument or "main")
        if commit is None:
            return None
        files = repo.commits[commit]
        if verb == "tree":
            listing = [
                {"type": "file", "path": name, "size": len(data), "oid": _oid(data)}
                for name, data in sorted(files.items())
            ]
            return self._send(200, json.dumps(listing).encode())
        info = {
            "id": dataset,
            "sha": commit,
            "private": False,
            "gated": "manual" if repo.gated else False,
            "tags": [],
            "downloads": 0,
            "siblings": [{"rfilename": name} for name in sorted(files)],
        }
        return self._send(200, json.dumps(info).encode())

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
        headers = {
            "ETag": f'"{_oid(data)}"',
            "X-Repo-Commit": commit,
            "X-Linked-Etag": f'"{_oid(data)}"',
            "X-Linked-Size": str(len(data)),
            "Accept-Ranges": "bytes",
        }
        wanted = self.headers.get("Range")
        if wanted is not None and self.command == "GET":
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            stop = int(last) + 1 if last else len(data)
            headers["Content-Range"] = f"bytes {first}-{stop - 1}/{len(data)}"
            return self._send(206, data[int(first) : stop], **headers)
        return self._send(200, data, **headers)

    def _commit(self, repo, revision):
        commit = repo.refs.get(revision, revision)
        if commit not in repo.commits:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return commit

    def _refuse(self, status, code, message, headers=None):
        body = json.dumps({"error": message}).encode()
        self._send(
            status, body, **{"X-Error-Code": code, "X-Error-Message": message, **(headers or {})}
        )

    def _send(self, status, body, **headers):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _oid(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
