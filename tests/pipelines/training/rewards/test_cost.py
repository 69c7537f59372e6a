import pytest
from transformers.trainer_callback import TrainerControl, TrainerState

from pipelines.training.rewards.ascent import MultiplierAscent
from pipelines.training.rewards.cost import Cost, Multiplier
from tests.pipelines.training.rewards.completions import BENIGN, HARM, batch, right, wrong

ALL = [(right(HARM), HARM), (wrong(HARM), HARM), (wrong(BENIGN), BENIGN), ("", BENIGN)]


def test_missed_harm_and_no_answer_cost_the_multiplier():
    assert Cost(Multiplier(value=2.0)).scores(batch(ALL)) == [0, -2, 0, -2]


def test_false_alarms_cost_what_is_said():
    assert Cost(Multiplier(value=2.0), alarm=0.25).scores(batch(ALL)) == [0, -2, -0.5, -2]


def test_the_multiplier_rises_with_the_excess_of_the_mean_cost():
    multiplier = Multiplier(limit=0.1, rate=0.5, value=1.0)
    Cost(multiplier).scores(batch(ALL))
    assert multiplier.ascend() == pytest.approx(1 + 0.5 * (2 / 4 - 0.1))


def test_the_multiplier_falls_to_nothing_where_nothing_is_missed():
    multiplier = Multiplier(limit=0.4, rate=0.5, value=0.3)
    for value in (0.1, 0.0):
        multiplier.observe([0.0, 0.0])
        assert multiplier.ascend() == pytest.approx(value)


def test_the_multiplier_stops_at_its_highest():
    multiplier = Multiplier(rate=5, highest=2)
    multiplier.observe([1.0])
    assert multiplier.ascend() == 2


def test_nothing_observed_moves_nothing():
    multiplier = Multiplier()
    multiplier.observe([1.0])
    multiplier.ascend()
    value = multiplier.value
    assert multiplier.ascend() == value


def test_what_evaluation_costs_moves_nothing():
    multiplier = Multiplier()
    callback = MultiplierAscent(multiplier)
    Cost(multiplier).scores(batch(ALL))
    callback.on_evaluate(None, TrainerState(), TrainerControl())
    callback.on_step_end(None, TrainerState(), TrainerControl())
    assert multiplier.value == 1


def test_training_that_is_resumed_goes_on_with_the_multiplier_of_the_checkpoint(tmp_path):
    first = Multiplier()
    first.observe([1.0])
    before = MultiplierAscent(first)
    before.on_step_end(None, TrainerState(), TrainerControl())
    TrainerState(global_step=1, stateful_callbacks=[before]).save_to_json(tmp_path / "state.json")

    second = Multiplier()
    state = TrainerState.load_from_json(tmp_path / "state.json")
    MultiplierAscent(second).on_train_begin(None, state, TrainerControl())
    assert second.value == first.value != 1


def test_a_new_training_begins_with_its_own_multiplier():
    multiplier = Multiplier(value=3)
    callback = MultiplierAscent(multiplier)
    state = TrainerState(stateful_callbacks=[MultiplierAscent(Multiplier(value=1))])
    callback.on_train_begin(None, state, TrainerControl())
    assert multiplier.value == 3


@pytest.mark.parametrize("parameters", [{"rate": 0}, {"value": 20}, {"limit": -1}])
def test_a_multiplier_that_cannot_move_is_refused(parameters):
    with pytest.raises(ValueError, match="positive rate"):
        Multiplier(**parameters)


@pytest.mark.parametrize("costs", [{"missed": -1.0}, {"missed": 0.0}])
def test_costs_that_cost_nothing_are_refused(costs):
    with pytest.raises(ValueError, match="must be positive"):
        Cost(**costs)
