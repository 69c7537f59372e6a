"""Weights of the tokens that decide: their formula, and completions in which they are found."""

import pytest
import torch

from pipelines.training.mechanisms.emphasis import verdict_weights
from pipelines.training.mechanisms.settings import Emphasis, Mechanisms
from pipelines.training.policy import load_policy
from schemas.reasoning import HARMFUL, Answer, Reasoned, render
from tests.pipelines.training.mechanisms.runs import fresh, ranked, trained, trainer, weights

ON = Mechanisms(emphasis=Emphasis(verdict_weight=4.0))
GOOD = render(Reasoned("A cup, and a toast. Together: the cup is hot.", Answer(HARMFUL, "phy", "It burns.")))


def test_what_decides_weighs_more_where_the_form_is_kept_and_nothing_where_it_is_not():
    decides = torch.tensor([[False, True, False, False], [False, True, False, False]])
    mask = torch.tensor([[1.0, 1, 1, 0], [1, 1, 1, 1]])
    found = verdict_weights(decides, mask, torch.tensor([True, False]), 4.0)
    # 1 + 4 + 1 and 1 + 0 + 1 + 1 are 9 over 7 tokens, scaled to a sum of 7.
    assert (found * 9 / 7).tolist() == [pytest.approx([1, 4, 1, 0]), pytest.approx([1, 0, 1, 1])]


def test_completions_in_which_nothing_is_decided_weigh_alike():
    mask = torch.tensor([[1.0, 1, 0]])
    found = verdict_weights(torch.zeros(1, 3, dtype=torch.bool), mask, torch.tensor([False]), 4.0)
    assert found.tolist() == [[1, 1, 0]]


def test_a_batch_has_the_weights_of_what_its_completions_say(tmp_path):
    made = trainer(tmp_path, ON, rewards=ranked)
    processor = made.processing_class = load_policy("builtin:tinyworld/base", "float32").processor
    texts = [GOOD, GOOD.replace("</result>", "")]
    said = processor.tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
    ids, mask = said["input_ids"], said["attention_mask"]
    good, bad = made._weights({"completion_ids": ids, "completion_mask": mask})
    for row, chosen in ((ids[0], good == good.max()), (ids[1], (bad == 0) & (mask[1] == 1))):
        assert "".join(map(processor.tokenizer.decode, row[chosen])).split() == ["the" + HARMFUL]


def test_advantages_are_weighted_token_by_token(tmp_path):
    batch = fresh(trainer(tmp_path, ON, rewards=ranked))
    assert batch["advantages"].shape == batch["completion_mask"].shape


def test_completions_that_decide_nothing_are_plain_training(plain, tmp_path):
    assert torch.equal(weights(plain), weights(trained(tmp_path, ON)))
