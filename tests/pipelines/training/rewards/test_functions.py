from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from pipelines.training.rewards.batch import Batch
from pipelines.training.rewards.functions import reward_functions
from pipelines.training.rewards.gate import Gate
from pipelines.training.rewards.thinking import Thinking
from pipelines.training.rewards.verdict import Verdict
from tests.pipelines.training.rewards.completions import HARM, columns, right, wrong

PAIRS = [(right(HARM), HARM), (wrong(HARM), HARM)]


def call(function, pairs=PAIRS, completions=None, **more):
    """Call a reward function the way TRL does."""
    said = completions or [[{"role": "assistant", "content": completion}] for completion, _ in pairs]
    given = {"completion_ids": [[1]] * len(pairs), "log_extra": print, "trainer_state": None}
    return function(prompts=["?"] * len(pairs), completions=said, **given, **columns(pairs), **more)


@dataclass
class Noted:
    """Scores 0, and notes what it was called with."""

    seen: list
    score: float = 0.0
    bounds: tuple = (0.0, 1.0)

    def scores(self, batch):
        self.seen.append(batch)
        return [self.score] * len(batch.rows)


def test_a_reward_is_called_by_its_name_and_scores_what_trl_gives():
    (function,) = reward_functions({"verdict": Verdict()})
    assert (function.__name__, call(function)) == ("verdict", [1, 0])


def test_the_step_is_that_of_the_trainer():
    seen = []
    (function,) = reward_functions({"noted": Noted(seen)})
    function(completions=[""], trainer_state=SimpleNamespace(global_step=7), **columns([("", HARM)]))
    assert seen[0].step == 7


def test_a_batch_is_read_once_for_all_rewards_and_anew_for_the_next():
    seen = []
    first, second = reward_functions({"a": Noted(seen), "b": Noted(seen)})
    completions = [[{"content": right(HARM)}]]
    for function in (first, second):
        call(function, PAIRS[:1], completions)
    call(first, PAIRS[:1], [[{"content": right(HARM)}]])
    assert seen[0] is seen[1] is not seen[2]


def test_how_many_completions_are_admitted_is_logged_once_with_what_rewards_log():
    logged = []
    thinking = Thinking(lambda rows: [1.0] * len(rows))
    verdict, thinking = reward_functions({"verdict": Verdict(), "thinking": thinking})
    said = [right(HARM), ""]
    for function in (verdict, thinking):
        call(function, completions=said, log_metric=lambda *metric: logged.append(metric))
    assert logged == [("gate/admitted", 0.5), ("thinking/trust", 0.0)]


def test_the_gate_is_the_one_given():
    (function,) = reward_functions({"verdict": Verdict()}, Gate(max_think=10))
    assert call(function) == [0, 0]


@pytest.mark.parametrize("score", [float("nan"), float("inf"), 1.1])
def test_a_score_that_is_not_finite_or_out_of_bounds_is_an_error(score):
    (function,) = reward_functions({"noted": Noted([], score)})
    with pytest.raises(ValueError, match=r"noted scored .*, outside of \[0.0, 1.0\]"):
        call(function)


def test_reading_without_examples_is_refused():
    with pytest.raises(ValueError, match="need the columns id, text, verdict"):
        Batch.of([""], {})
