from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import numpy as np
import pytest

from pipelines.training.evaluation.opinion import opinions, rating_of
from schemas.config import Endpoint
from tests.pipelines.training.evaluation.made_up import example

ANSWERS = {"good": "5", "poor": "Rating: 2", "odd": "I would rather not."}


class Handler(BaseHTTPRequestHandler):
    """Rates a rationale by the word it holds."""

    asked: ClassVar[list[str]] = []

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        content = request["messages"][0]["content"]
        self.asked.append(content)
        said = next(answer for word, answer in ANSWERS.items() if f"a {word} rationale" in content)
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
        body = json.dumps(
            {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
        )
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(body.encode())


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield Endpoint(url=f"http://127.0.0.1:{server.server_port}/v1", model="judge", attempts=1)
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("answer", "rating"),
    [
        ("5", 1.0),
        ("1", 0.0),
        (" Rating: 3\n", 0.5),
        ("4/5", 0.75),
        ("10", None),
        ("0", None),
        ("2.5", None),
        ("none", None),
    ],
)
def test_a_rating_is_the_first_number_from_one_to_five(answer: str, rating: float | None) -> None:
    assert rating_of(answer) == rating


def test_rationales_are_rated_beside_their_references(endpoint: Endpoint) -> None:
    Handler.asked.clear()
    said = ["a good rationale", "", "a poor rationale", "a odd rationale"]
    found = opinions(endpoint, said, [example()] * 4)
    assert found.ratings[:3].tolist() == [1.0, 0.0, 0.25] and np.isnan(found.ratings[3])
    assert found.failed == {"no rating in the answer": 1}
    assert len(Handler.asked) == 3, "an empty rationale is not sent"
    assert all("a red mushroom" in asked and example().references[0] in asked for asked in Handler.asked)


def test_a_server_that_is_gone_leaves_no_ratings() -> None:
    gone = Endpoint(url="http://127.0.0.1:9/v1", model="judge", attempts=1, timeout=2)
    found = opinions(gone, ["a good rationale"], [example()])
    assert np.isnan(found.ratings[0]) and "cannot be reached" in next(iter(found.failed))
