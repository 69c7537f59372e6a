"""A server in this process, like that of a vision-language model, which sees `EXAMPLE` in every picture."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pipelines.training.scenealign.judged import EXAMPLE


class Server(ThreadingHTTPServer):
    """Answers chat completions with a graph, and a question of "broken" with something else."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, Any]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *arguments: Any) -> None:
        """Silent."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(asked)
        message = {"role": "assistant", "content": EXAMPLE.model_dump_json()}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        broken = asked["messages"][0]["content"][1]["text"] == "broken"
        body = json.dumps(
            {"id": "1", "object": "chat.completion", "choices": [] if broken else choices}
        ).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving() -> Iterator[Server]:
    """A running one."""
    with Server() as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield one
        one.shutdown()
