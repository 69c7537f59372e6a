"""Model servers in processes of their own, each behind a thin proxy that counts, turns down, and sees them die."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
START_SECONDS = 120.0


def text_server(folder: Path, port: int) -> list[str]:
    """The command of `transformers serve`."""
    program = str(Path(sys.executable).with_name("transformers"))
    return [program, "serve", str(folder), "--host=127.0.0.1", f"--port={port}", "--device=cpu"]


def judge_server(folder: Path, port: int) -> list[str]:
    """The command of a server with logprobs."""
    return [sys.executable, "-m", "tests.judge_server", str(folder), str(port), "A", "B"]


class Asked(NamedTuple):
    """A request that reached the proxy."""

    body: str
    status: int
    """What was answered; 0 if the server was gone."""


class Served:
    """A server behind a proxy, whose address stays when the server dies and comes back.

    Args:
        command: Makes the server's command from a folder and a port.
        folder: The model's.
    """

    def __init__(self, command: Any, folder: Path) -> None:
        self._command, self._folder = command, folder
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self.asked: list[Asked] = []
        self.dies_after = -1
        """Answers until the server is killed with signal 9; never if negative."""
        self.busy_seconds = 0.0
        """How long requests are turned down with 429 from the first one on."""
        self._busy_until = 0.0
        self._proxy = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._proxy.daemon_threads = True
        threading.Thread(target=self._proxy.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """Address for clients."""
        return f"http://127.0.0.1:{self._proxy.server_port}/v1"

    def start(self) -> None:
        """Start the server; `wait` for it before it is asked."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        quiet = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
        with self._folder.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(self._folder, self._port),
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=os.environ | quiet,
            )

    def wait(self) -> None:
        """Until the server answers."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process and self._process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self._port}/health", timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        said = self._folder.with_suffix(".log").read_text(encoding="utf-8")[-2000:]
        raise RuntimeError(f"the server of {self._folder} did not start: {said}")

    def kill(self) -> None:
        """`kill -9` the server."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """End server and proxy."""
        self.kill()
        self._proxy.shutdown()
        self._proxy.server_close()

    def forward(self, path: str, body: bytes) -> tuple[int, bytes]:
        """What the server answers; status 0 if it is gone, 429 while it is busy."""
        with self._lock:
            if self.busy_seconds:
                self._busy_until, self.busy_seconds = time.monotonic() + self.busy_seconds, 0.0
            if time.monotonic() < self._busy_until:
                return self._told(body, 429, b'{"error": {"message": "too many requests"}}')
            if self.dies_after == 0:
                self.kill()
            self.dies_after -= 1
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request("POST", path, body, {"content-type": "application/json"})
            response = connection.getresponse()
            return self._told(body, response.status, response.read())
        except (OSError, http.client.HTTPException):
            return self._told(body, 0, b"")
        finally:
            connection.close()

    def _told(self, body: bytes, status: int, answer: bytes) -> tuple[int, bytes]:
        self.asked.append(Asked(json.dumps(json.loads(body), sort_keys=True), status))
        return status, answer


def _handler(served: Served) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

        def do_POST(self) -> None:
            status, body = served.forward(self.path, self.rfile.read(int(self.headers["content-length"])))
            if not status:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(status)
            if status == 429:
                self.send_header("retry-after", "1")
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
