import json

import pytest
from datasets import Dataset
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl import GRPOConfig, GRPOTrainer

from generators.tinyworld.renderer import render as draw
from generators.tinyworld.renderer import sample_scene
from pipelines.training.examples import prompt_of
from pipelines.training.rewards.ascent import MultiplierAscent
from pipelines.training.rewards.catalogue import CATALOGUE, Resources, make_reward
from pipelines.training.rewards.cost import Multiplier
from pipelines.training.rewards.functions import reward_functions
from pipelines.training.rewards.policy_verdicts import PolicyVerdicts
from tests.pipelines.training.rewards.completions import BENIGN, HARM, word_vectors

FOLDER = "generators/tinyworld/weights/judge"


def trained(folder, steps, resume=None):
    """The multiplier and the log after GRPO with every reward, on a policy that writes eight tokens of nonsense."""
    examples = (HARM, BENIGN)
    rows = [
        {"prompt": prompt_of(one.text), "image": draw(sample_scene(at)), **one._asdict()}
        for at, one in enumerate(examples)
    ]
    model, processor = (
        AutoModelForImageTextToText.from_pretrained(FOLDER, dtype="float32"),
        AutoProcessor.from_pretrained(FOLDER),
    )
    verdicts = PolicyVerdicts(model, processor)
    resources = Resources(word_vectors, verdicts, verdicts, multiplier=Multiplier(limit=0.1, rate=0.1))
    rewards = {name: make_reward(name, resources) for name in CATALOGUE}
    options = {"num_generations": 2, "per_device_train_batch_size": 4, "max_completion_length": 8}
    options |= {"logging_steps": 1, "save_steps": 1, "report_to": "none", "use_cpu": True, "bf16": False}
    trainer = GRPOTrainer(
        model=model,
        processing_class=processor,
        reward_funcs=reward_functions(rewards),
        args=GRPOConfig(
            output_dir=str(folder), max_steps=steps, reward_weights=[1.0] * len(rewards), **options
        ),
        train_dataset=Dataset.from_list(rows),
        callbacks=[MultiplierAscent(resources.multiplier)],
    )
    trainer.train(resume_from_checkpoint=resume)
    return resources.multiplier.value, trainer.state.log_history


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return folder, *trained(folder, 2)


def test_trl_takes_every_reward_and_logs_each_by_its_name(run):
    _, _, log = run
    assert {f"rewards/{name}/mean" for name in CATALOGUE} <= log[0].keys()
    assert log[0]["gate/admitted"] == 0


def test_the_multiplier_moves_once_a_step_and_goes_on_where_a_checkpoint_left_it(run):
    folder, value, _ = run
    assert value == pytest.approx(1 + 2 * 0.09)
    state = json.loads((folder / "checkpoint-1" / "trainer_state.json").read_text())
    assert state["stateful_callbacks"]["MultiplierAscent"]["attributes"] == {"value": pytest.approx(1.09)}
    resumed, _ = trained(folder, 2, str(folder / "checkpoint-1"))
    assert resumed == pytest.approx(value)
