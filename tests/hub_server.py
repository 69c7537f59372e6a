"""A server on this machine that answers like the Hugging Face hub for datasets in a folder, as far as reading goes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_a_token_that_opens_the_gate"


@contextmanager
def hub_server(root: Path, gated: str = "") -> Iterator[tuple[str, list[str]]]:
    """Serve every folder `owner/name` below a root, at one commit.

    Args:
        root: Where the folders are.
        gated: The id of a dataset that needs `TOKEN`.

    Yields:
        The address, and the list of the requests so far, as in `GET /path 206`.
    """
    requests: list[str] = []

    class Handler(_Handler):
        folder, closed, log = root, gated, requests

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", requests
        server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path
    closed: str
    log: list[str]

    def log_message(self, *_: Any) -> None:
        """Nothing on the screen."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0].removeprefix("/api").removeprefix("/datasets/")
        owner, title, kind, revision, *below = [*path.split("/"), "", "", ""]
        name, rest = f"{owner}/{title}", "/".join(below).strip("/")
        if name == self.closed and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(401, b"", {"X-Error-Code": "GatedRepo"})
        elif not (self.folder / name).is_dir():
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif revision != COMMIT:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif kind == "resolve":
            self._file(self.folder / name / rest)
        else:
            self._send(200, json.dumps(self._described(name, kind, rest)).encode())

    def _described(self, name: str, kind: str, below: str) -> Any:
        folder = self.folder / name
        if kind == "revision":
            return {"id": name, "sha": COMMIT, "siblings": [], "tags": [], "private": False}
        return [
            {
                "type": "directory" if path.is_dir() else "file",
                "path": str(path.relative_to(folder)),
                "oid": "1",
            }
            | {"size": path.stat().st_size}
            for path in sorted(
                (folder / below).glob("**/*" if "recursive=true" in self.path.lower() else "*")
            )
        ]

    def _file(self, path: Path) -> None:
        if not path.is_file():
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        data, asked = path.read_bytes(), self.headers.get("Range", "")
        headers = {"ETag": f'"{path.name}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if asked:
            start, _, end = asked.removeprefix("bytes=").partition("-")
            last = min(int(end or len(data)), len(data) - 1)
            headers["Content-Range"] = f"bytes {start}-{last}/{len(data)}"
            data = data[int(start) : last + 1]
        self._send(206 if asked else 200, data, headers)

    def _send(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.log.append(f"{self.command} {self.path} {status}")
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
