import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from generators.chat import DeclinedError
from generators.extension import Coverage, Extension, extend, main
from generators.proposals import messages_for
from generators.scenarios import load_scenarios
from schemas.taxonomy import CLOSED_HAZARDS, ClosedHazardError

SEEDS = load_scenarios("seeds")
CELL = ("phy", "burn_or_shock")
OF_CELL = [seed for seed in SEEDS if (seed.hazard, seed.mechanism) == CELL]
WHY = "The image shows one thing and the text says another; together they lead somebody into an accident."
Answer = Callable[[str, int], str | Exception]


def _proposed(number: int) -> dict[str, str]:
    image = f"a photo of lantern{number} near tent{number} at dusk{number}"
    return {
        "image_query": image,
        "text_query": f"someone praises warmth{number} and light{number}",
        "why": WHY,
    }


def _copy() -> dict[str, str]:
    return {"image_query": OF_CELL[0].image_query, "text_query": OF_CELL[0].text_query, "why": WHY}


class Answering:
    """Answers by a function of a conversation's text and of how many came before; remembers what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[tuple[str, int]] = []

    def complete_many(self, requests: Sequence[tuple[list[dict[str, str]], int]]) -> list[str | Exception]:
        answers: list[str | Exception] = []
        for messages, seed in requests:
            content = messages[0]["content"]
            answers.append(self.answer(content, len(self.asked)))
            self.asked.append((content, seed))
        return answers


def _fresh(content: str, before: int) -> str:
    """As many new scenarios as a prompt asks for."""
    count = re.search(r"Write (\d+) new", content)
    assert count
    return json.dumps([_proposed(100 * before + i) for i in range(int(count[1]))])


def _in_turn(*answers: str | Exception) -> Answering:
    return Answering(lambda content, before: answers[min(before, len(answers) - 1)])


def _coverage(extension: Extension) -> Coverage:
    return extension.counts[CELL]


def test_every_cell_gets_as_many_as_were_asked_for() -> None:
    extension = extend(SEEDS, Answering(_fresh), per_cell=2)
    assert extension.counts.keys() == {(s.hazard, s.mechanism) for s in SEEDS}
    assert set(extension.counts.values()) == {Coverage(2, 2, 0, 0, 0, 0)}
    assert len({s.id for s in extension.scenarios} | {s.id for s in SEEDS}) == 2 * 24 + len(SEEDS)


def test_a_new_scenario_has_the_cell_it_was_asked_for_and_is_not_held_out() -> None:
    (scenario,) = extend(OF_CELL, _in_turn(json.dumps([_proposed(1) | {"hazard": "iwp"}])), 1).scenarios
    assert (scenario.hazard, scenario.mechanism, scenario.held_out) == (*CELL, False)
    assert (scenario.image_query, scenario.why) == (_proposed(1)["image_query"], WHY)


def test_copies_of_seeds_and_of_each_other_are_dropped_and_counted() -> None:
    again = _proposed(1) | {"text_query": _proposed(1)["text_query"] + " too"}
    answer = json.dumps([_copy(), _proposed(1), again, _proposed(2)])
    assert _coverage(extend(OF_CELL, _in_turn(answer), 2)) == Coverage(2, 2, 2, 0, 0, 0)


def test_a_copy_of_a_held_out_seed_is_dropped() -> None:
    held_out = next(seed for seed in OF_CELL if seed.held_out)
    copy = {"image_query": held_out.image_query, "text_query": held_out.text_query, "why": WHY}
    assert _coverage(extend(OF_CELL, _in_turn(json.dumps([copy])), 1, attempts=1)).duplicate == 1


def test_a_malformed_answer_is_asked_again_with_another_seed_and_fewer_wanted() -> None:
    model = _in_turn(
        '[{"image_query": ', json.dumps([_proposed(1), {"why": "no"}]), json.dumps([_proposed(2)])
    )
    assert _coverage(extend(OF_CELL, model, 2)) == Coverage(2, 2, 0, 2, 0, 0)
    assert ["Write 2 new" in content for content, _ in model.asked] == [True, True, False]
    assert len({seed for _, seed in model.asked}) == 3


def test_a_refusing_model_is_asked_so_many_times_and_no_more() -> None:
    model = _in_turn(
        "I'm sorry, but I can't help with that.", DeclinedError("the filter"), "I cannot assist."
    )
    extension = extend(OF_CELL, model, 2, attempts=3)
    assert (extension.scenarios, _coverage(extension)) == ((), Coverage(2, 0, 0, 0, 3, 0))
    assert len(model.asked) == 3


def test_a_cell_whose_request_failed_is_given_up() -> None:
    model = _in_turn(ConnectionError("no server"), json.dumps([_proposed(1)]))
    assert _coverage(extend(OF_CELL, model, 1)) == Coverage(1, 0, 0, 0, 0, 1)


def test_more_proposals_than_wanted_are_left_alone() -> None:
    answer = json.dumps([_proposed(1), _proposed(2), {"why": "no"}])
    assert _coverage(extend(OF_CELL, _in_turn(answer), 1)) == Coverage(1, 1, 0, 0, 0, 0)


def test_three_examples_are_shown_and_none_is_held_out() -> None:
    model = Answering(lambda content, before: "[]")
    extend(OF_CELL, model, 1, attempts=8)
    shown = [[seed for seed in OF_CELL if seed.text_query in content] for content, _ in model.asked]
    assert {len({seed.text_query for seed in seeds}) for seeds in shown} == {3}
    assert not any(seed.held_out for seeds in shown for seed in seeds)
    assert len({content for content, _ in model.asked}) > 1


def test_a_cell_of_held_out_seeds_alone_is_not_asked_for() -> None:
    model = Answering(_fresh)
    assert extend([seed for seed in SEEDS if seed.held_out], model, 2) == Extension((), {})
    assert model.asked == []


def test_the_same_answers_give_the_same_scenarios_and_another_seed_other_requests() -> None:
    one, other, varied = Answering(_fresh), Answering(_fresh), Answering(_fresh)
    assert extend(SEEDS, one, 2) == extend(SEEDS, other, 2)
    extend(SEEDS, varied, 2, seed=1)
    assert one.asked == other.asked != varied.asked
    assert all(0 <= seed < 2**31 for _, seed in one.asked)


@pytest.mark.parametrize("hazard", sorted(CLOSED_HAZARDS))
def test_a_closed_hazard_is_refused_before_anything_is_asked(hazard: str) -> None:
    model = Answering(_fresh)
    with pytest.raises(ClosedHazardError, match=hazard):
        extend([*OF_CELL, OF_CELL[0]._replace(hazard=hazard)], model, 2)
    assert model.asked == []


@pytest.mark.parametrize("numbers", [(0, 3), (3, 0), (-1, 1)])
def test_asking_for_nothing_is_an_error(numbers: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        extend(OF_CELL, Answering(_fresh), *numbers)


class _Server(BaseHTTPRequestHandler):
    """An OpenAI-compatible server that writes scenarios for phy, declines ncr, and turns strange models away."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        content, self.server.asked = asked["messages"][-1]["content"], self.server.asked + 1  # type: ignore[attr-defined]
        declined = messages_for(("ncr", "theft"), [], 1)[0]["content"].split("\n\n")[1]
        answer = "I'm sorry, I can't help." if declined in content else _fresh(content, self.server.asked)  # type: ignore[attr-defined]
        message = {"role": "assistant", "content": answer}
        body = {"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}
        body |= {"id": "1", "object": "chat.completion", "created": 0, "model": "m"}
        self._send(200 if asked["model"] == "m" else 401, json.dumps(body).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    server.asked = 0  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_the_command_writes_seeds_and_new_scenarios_and_prints_the_coverage(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scenarios.toml"
    assert main(["--endpoint", url, "--name", "m", "--per-cell", "2", "--out", str(out)]) == 0
    written = load_scenarios(str(out))
    assert {s.id for s in SEEDS} < {s.id for s in written}
    assert len(written) == len(SEEDS) + 2 * 23
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert any("intoxication_of_a_child" in row for row in rows)
    declined = next(row for row in rows if "theft" in row)
    assert [cell for cell in declined if cell.isdigit()] == ["2", "0", "0", "0", "3", "0"]


def test_the_command_writes_nothing_if_there_is_nothing_new(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "scenarios.toml"
    assert main(["--endpoint", url, "--name", "unknown", "--out", str(out)]) == 1
    assert "401" in caplog.text
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--endpoint", "http://127.0.0.1:9/v1"], "needs --name"),
        (["--endpoint", "127.0.0.1", "--name", "m"], "url"),
        (["--model", "nowhere"], "nowhere"),
        (["--model", "nowhere", "--seeds", "none.toml"], "none.toml"),
        (["--model", "nowhere", "--out", "no/such/folder.toml"], "no folder"),
    ],
)
def test_a_command_that_cannot_be_done_says_why(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert named in capsys.readouterr().err
