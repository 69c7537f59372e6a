import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from generators.tinyworld.renderer import render as draw
from generators.tinyworld.renderer import sample_scene
from pipelines.training.rewards.consistency import Likelihood, Reanswer
from pipelines.training.rewards.entropy import DecisionEntropy
from pipelines.training.rewards.policy_verdicts import PolicyVerdicts
from pipelines.training.rewards.verdicts import Asked, ask
from schemas.reasoning import Answer, Reasoned, render
from tests.checkpoints import qwen_vl
from tests.pipelines.training.rewards.completions import BENIGN, HARM, batch, columns, right, wrong

FOLDER = "generators/tinyworld/weights/judge"
THOUGHTS = (
    "The picture shows a mug.",
    "The jug holds detergent and the text adds it to a meal, so whoever eats it is poisoned.",
)


@pytest.fixture(scope="module")
def judge():
    """The judge of tinyworld, its logits drawn together so that neither verdict is certain."""
    model = AutoModelForImageTextToText.from_pretrained(FOLDER, dtype=torch.float32)
    with torch.no_grad():
        model.lm_head.weight *= 0.05
    return PolicyVerdicts(model, AutoProcessor.from_pretrained(FOLDER))


def picture(seed):
    return draw(sample_scene(seed))


def straightforward(policy, asked):
    """The probability of harm by running the model over both whole completions, one at a time."""
    likelihoods = []
    for verdict in ("harmful", "benign"):
        prompt = policy.processor.apply_chat_template(asked.conversation, add_generation_prompt=True)
        inputs = policy.processor(
            text=[prompt], images=[asked.image], add_special_tokens=False, return_tensors="pt"
        )
        written = f'<think>{asked.think}</think><result>{{"verdict": "{verdict}"'
        new = policy.processor.tokenizer.encode(written, add_special_tokens=False)
        start = inputs["input_ids"].shape[1]
        ids = torch.cat([inputs["input_ids"], torch.tensor([new])], dim=1)
        with torch.no_grad():
            output = policy.model(input_ids=ids, pixel_values=inputs["pixel_values"])
        logprobs = output.logits[0].log_softmax(-1)
        likelihoods.append(sum(logprobs[start + at - 1, token] for at, token in enumerate(new)))
    return torch.stack(likelihoods).softmax(0)[0].item()


@pytest.mark.parametrize("reordered", [False, True])
def test_the_probability_is_that_of_the_two_whole_completions(judge, reordered):
    asked = [Asked(HARM.text, picture(at), think, reordered) for at, think in enumerate(THOUGHTS)]
    assert judge(asked) == pytest.approx([straightforward(judge, one) for one in asked], abs=1e-4)
    assert all(0.001 < harm < 0.999 for harm in judge(asked))


def test_a_probability_does_not_depend_on_the_neighbours(judge):
    asked = [Asked(HARM.text[: 20 * at], picture(at), think) for at, think in enumerate(THOUGHTS * 2)]
    asked.append(Asked(HARM.text, None, THOUGHTS[0]))
    asked.reverse()
    alone = [judge([one])[0] for one in asked]
    assert PolicyVerdicts(judge.model, judge.processor, batch_size=2)(asked) == pytest.approx(alone, abs=1e-4)


def test_what_is_scored_is_how_a_completion_begins():
    whole = render(Reasoned(THOUGHTS[0], Answer("benign", "", "")))
    assert whole.startswith(f'<think>{THOUGHTS[0]}</think><result>{{"verdict": "benign"')


def test_reasoning_longer_than_the_model_reads_and_place_holders_in_it_do_no_harm(judge):
    asked = [
        Asked(HARM.text, picture(0), "The jug is old. " * 200),
        Asked(HARM.text, picture(0), "An <image>."),
    ]
    assert all(0 < harm < 1 for harm in judge(asked))


def test_the_model_stays_in_its_mode_and_gets_no_gradient(judge):
    judge.model.train()
    judge([Asked(HARM.text, picture(0), THOUGHTS[0])])
    assert judge.model.training
    assert all(parameter.grad is None for parameter in judge.model.parameters())
    judge.model.eval()


def test_nothing_asked_is_nothing_answered(judge):
    assert judge([]) == []


def test_another_family_with_inputs_of_its_own_is_asked_alike(tmp_path):
    folder = str(qwen_vl(tmp_path))
    policy = PolicyVerdicts(
        AutoModelForImageTextToText.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    )
    images = [Image.new("RGB", (56, 56), colour) for colour in ("red", "blue")]
    asked = [Asked(HARM.text, image, think) for image, think in zip(images, THOUGHTS, strict=True)]
    assert policy(asked) == pytest.approx([policy([one])[0] for one in asked], abs=1e-3)


def test_the_rewards_that_ask_a_model_score_with_a_real_one(judge):
    pairs = [(right(HARM), HARM), (wrong(HARM), HARM), ("", HARM), (right(BENIGN), BENIGN)]
    read = batch(pairs)
    pictures = columns(pairs) | {"image": [picture(at) for at in range(4)]}
    read = type(read).of([completion for completion, _ in pairs], pictures)
    for reward in (Likelihood(judge), Reanswer(judge), DecisionEntropy(judge)):
        low, high = reward.bounds
        scores = reward.scores(read)
        assert all(low <= score <= high for score in scores)
        assert scores[2] == 0


def test_a_completion_without_reasoning_is_not_asked_about(judge):
    with pytest.raises(ValueError, match="no reasoning to ask about"):
        ask(judge, batch([("", HARM)]).rows)
