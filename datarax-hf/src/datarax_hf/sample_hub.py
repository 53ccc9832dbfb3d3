"""A Hub of one machine, read only: what of the Hub's protocol a download asks for.

`datarax validate datarax-hf` downloads its sample from it. Files are small ones, told by git's
hashes, or, where they are parquet, large ones, told by SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


class SampleHub:
    """Serves datasets at `endpoint`, on a port of the loopback interface that was free.

    Args:
        datasets: The files of each dataset, by its name and theirs.
    """

    def __init__(self, datasets: Mapping[str, Mapping[str, bytes]]) -> None:
        class Handler(_Handler):
            repos = {name: _Repo(name, files) for name, files in datasets.items()}  # noqa: RUF012  # read only

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="sample-hub", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Repo:
    """One commit of files, which every revision stands for."""

    def __init__(self, name: str, files: Mapping[str, bytes]) -> None:
        self.name = name
        self.files = dict(sorted(files.items()))
        told = json.dumps([name, [[file, _hash(file, data)] for file, data in self.files.items()]])
        self.commit = hashlib.sha1(told.encode(), usedforsecurity=False).hexdigest()

    def info(self) -> dict[str, Any]:
        siblings = [{"rfilename": name} for name in self.files]
        return {"id": self.name, "sha": self.commit, "private": False, "siblings": siblings}

    def tree(self) -> list[dict[str, Any]]:
        entries = []
        for name, data in self.files.items():
            entry = {"type": "file", "path": name, "size": len(data), "oid": _git_hash(data)}
            if _is_large(name):
                entry["lfs"] = {"oid": _hash(name, data), "size": len(data), "pointerSize": 130}
            entries.append(entry)
        return entries


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a body would wait 40 ms for an acknowledgement
    repos: Mapping[str, _Repo]

    def log_message(self, *args: object) -> None:
        """Say nothing: it serves tests, whose own output counts."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        for name, repo in self.repos.items():
            if path in (f"/api/datasets/{name}", f"/api/datasets/{name}/revision/main"):
                self._send(200, repo.info())
            elif path == f"/api/datasets/{name}/tree/{repo.commit}":
                self._send(200, repo.tree())
            elif path.startswith(f"/datasets/{name}/resolve/{repo.commit}/"):
                self._file(repo, path.split(f"/resolve/{repo.commit}/", 1)[1])
            else:
                continue
            return
        self._missing("RepoNotFound")

    def _file(self, repo: _Repo, name: str) -> None:
        if name not in repo.files:
            self._missing("EntryNotFound")
            return
        data = repo.files[name]
        etag = _hash(name, data)
        headers = {
            "Content-Type": "application/octet-stream",
            "ETag": f'"{etag}"',
            "X-Linked-Etag": f'"{etag}"',
            "X-Linked-Size": str(len(data)),
            "X-Repo-Commit": repo.commit,
            "Accept-Ranges": "bytes",
        }
        wanted = self.headers.get("Range")
        if wanted is None:
            self._send(200, data, headers)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        begin = int(first) if first else max(0, len(data) - int(last))
        end = min(int(last) + 1, len(data)) if first and last else len(data)
        if begin >= len(data):
            self._send(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            return
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(data)}"
        self._send(206, data[begin:end], headers)

    def _missing(self, code: str) -> None:
        self._send(404, {"error": "there is no such thing here"}, {"X-Error-Code": code})

    def _send(self, status: int, said: Any, headers: Mapping[str, str] | None = None) -> None:
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(status)
        told = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in {**told, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _is_large(name: str) -> bool:
    return name.endswith(".parquet")


def _hash(name: str, data: bytes) -> str:
    return hashlib.sha256(data).hexdigest() if _is_large(name) else _git_hash(data)


def _git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
