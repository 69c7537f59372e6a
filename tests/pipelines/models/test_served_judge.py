"""The served judge against a server on this machine: what is sent, what is read, and what fails alone."""

import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from generators import endpoint as endpoint_module
from pipelines.models.judge import Question
from pipelines.models.served_judge import NoAnswerError, ServedJudge, ServedRationaliser, probability_of
from pipelines.storage.cache import CachedInference, InferenceError
from pipelines.storage.workspace import Workspace
from schemas.config import Endpoint
from schemas.policy import Answers, load_policy

POLICY = load_policy("everyday")


class Server(ThreadingHTTPServer):
    """Answers like a model that holds everything with `qbad` to be harmful, and prefers option A besides."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.refusals = 0


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(asked)
        if self.server.refusals:
            self.server.refusals -= 1
            self.send_error(429)
            return
        choice = {"index": 0, "finish_reason": "stop", **_choice(asked)}
        whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        body = json.dumps(whole).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _choice(asked: dict[str, Any]) -> dict[str, Any]:
    words = asked["messages"][0]["content"][-1]["text"]
    if not asked.get("logprobs"):
        return {"message": {"role": "assistant", "content": " The two mislead. "}}
    letters = ("X", "Y") if "qodd" in words else ("A", "B")
    harmful = "A" if "A. Yes" in words else "B"
    p = {"A": 0.3, "B": 0.2}
    p[harmful] += 0.4 if "qbad" in words else 0.0
    top = [
        {"token": f" {letter}", "logprob": math.log(mass), "bytes": None}
        for letter, mass in zip(letters, p.values(), strict=True)
    ]
    message = {"role": "assistant", "content": letters[0]}
    if "qmute" in words:
        return {"message": message}
    return {"message": message, "logprobs": {"content": [{**top[0], "top_logprobs": top}]}}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(endpoint_module, "FIRST_WAIT", 0.001)
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def settings(server: Server) -> Endpoint:
    return Endpoint(url=f"http://127.0.0.1:{server.server_port}/v1", model="judge", concurrency=2)


def _asked(judge: ServedJudge, *questions: Question) -> list[Any]:
    return [
        answer if isinstance(answer, Exception) else float(np.frombuffer(answer, "<f4")[0])
        for answer in judge.run_inference(questions, None)
    ]


def test_the_preference_for_an_option_cancels_out(settings: Endpoint, workspace: Workspace) -> None:
    (benign, harmful) = _asked(
        ServedJudge(settings, POLICY, workspace), Question("", "a walk"), Question("", "a qbad walk")
    )
    assert benign == pytest.approx((0.3 / 0.5 + 0.2 / 0.5) / 2)
    assert harmful == pytest.approx((0.7 / 0.9 + 0.6 / 0.9) / 2)


def test_an_image_travels_with_its_question_alone(
    settings: Endpoint, server: Server, workspace: Workspace, images: list[str]
) -> None:
    _asked(ServedJudge(settings, POLICY, workspace), Question(images[0], ""), Question("", "a walk"))
    kinds = sorted(tuple(part["type"] for part in asked["messages"][0]["content"]) for asked in server.asked)
    assert kinds == [("image_url", "text")] * 2 + [("text",)] * 2
    assert all((asked["max_tokens"], asked["temperature"]) == (1, 0) for asked in server.asked)


def test_a_question_that_gets_no_answer_fails_alone_and_is_not_remembered(
    settings: Endpoint, workspace: Workspace
) -> None:
    infer = CachedInference(ServedJudge(settings, POLICY, workspace), workspace)
    odd, mute, fine = infer(
        [(text, Question("", text)) for text in ("a qodd walk", "a qmute walk", "a walk")]
    )
    assert isinstance(odd, InferenceError) and "none of 'A' and 'B'" in str(odd.cause)
    assert isinstance(mute, InferenceError) and "sends no logprobs" in str(mute.cause)
    assert isinstance(fine, bytes)
    assert len(workspace.cache(ServedJudge(settings, POLICY, workspace).fingerprint())) == 1


def test_a_busy_server_is_asked_again(settings: Endpoint, server: Server, workspace: Workspace) -> None:
    server.refusals = 3
    assert _asked(ServedJudge(settings, POLICY, workspace), Question("", "a walk")) == [pytest.approx(0.5)]


def test_a_server_that_is_gone_fails_every_question_with_advice(
    settings: Endpoint, server: Server, workspace: Workspace
) -> None:
    server.shutdown()
    server.server_close()
    few = settings.model_copy(update={"attempts": 2})
    answers = _asked(ServedJudge(few, POLICY, workspace), Question("", "a walk"), Question("", "b"))
    assert all("check that the server runs" in str(answer) for answer in answers)


def test_a_rationale_is_read_from_the_answer(
    settings: Endpoint, workspace: Workspace, images: list[str]
) -> None:
    rationaliser = ServedRationaliser(settings, POLICY, workspace)
    assert list(rationaliser.run_inference([Question(images[0], "a walk")], None)) == [b"The two mislead."]


def test_spellings_of_an_answer_are_added_up() -> None:
    tokens = [("A", math.log(0.2)), (" a", math.log(0.1)), ("B.", math.log(0.1)), ("C", math.log(0.5))]
    assert probability_of(tokens, Answers("A", "B")) == pytest.approx(0.75)


def test_no_answer_among_the_tokens_is_no_probability() -> None:
    with pytest.raises(NoAnswerError, match="'Sorry'"):
        probability_of([("Sorry", -0.1)], Answers("A", "B"))
