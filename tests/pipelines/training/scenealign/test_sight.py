"""What looks at pictures: a server that gets the picture and the question, and a model in this process."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from generators.endpoint import EndpointError
from pipelines.training.scenealign.graph import NoGraph
from pipelines.training.scenealign.judged import EXAMPLE, judged_graphs, question
from pipelines.training.scenealign.sight import EndpointSight, LocalSight, Look
from schemas.config import Endpoint, Model
from tests.checkpoints import qwen_vl


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


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield one
        one.shutdown()


def _endpoint(server: Server) -> Endpoint:
    return Endpoint(url=f"http://127.0.0.1:{server.server_port}/v1", model="eyes", attempts=1)


def _picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 32), "green").save(out, "JPEG")
    return out.getvalue()


def test_a_server_gets_picture_and_question_and_gives_the_graph(server: Server) -> None:
    assert judged_graphs({"a": _picture()}, EndpointSight(_endpoint(server))) == {"a": EXAMPLE}
    (asked,) = server.asked
    image, text = asked["messages"][0]["content"]
    assert base64.b64decode(image["image_url"]["url"].partition(",")[2]) == _picture()
    assert text["text"] == question()


def test_an_answer_that_is_no_completion_fails_alone(server: Server) -> None:
    looks = [Look(b"x", "broken", 0), Look(b"y", "whole", 0)]
    failed, answered = EndpointSight(_endpoint(server)).answers(looks)
    assert isinstance(failed, EndpointError)
    assert answered == EXAMPLE.model_dump_json()


def test_a_model_in_this_process_is_asked_and_what_is_no_graph_says_so(tmp_path: Path) -> None:
    sight = LocalSight(Model(path=str(qwen_vl(tmp_path / "model")), device="cpu"), tokens=4)
    graphs = judged_graphs({"a": _picture(), "b": _picture()}, sight, attempts=1)
    assert [one.reason for one in graphs.values() if isinstance(one, NoGraph)] == ["malformed_graph"] * 2
