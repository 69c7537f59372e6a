"""What looks at pictures: a server that gets the picture and the question, and a model in this process."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from generators.endpoint import EndpointError
from pipelines.training.scenealign.graph import NoGraph
from pipelines.training.scenealign.judged import EXAMPLE, judged_graphs, question
from pipelines.training.scenealign.sight import EndpointSight, LocalSight, Look
from schemas.config import Endpoint, Model
from tests.checkpoints import qwen_vl
from tests.pipelines.training.scenealign.looking import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


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
