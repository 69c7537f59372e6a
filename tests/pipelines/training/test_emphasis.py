import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from PIL import Image

from pipelines.training.chains import lesson_of
from pipelines.training.configuration import TrainConfig
from pipelines.training.emphasis import DecidingTokens, EmphasisTrainer, deciding
from pipelines.training.policy import load_policy
from pipelines.training.run_folder import RunFolder
from pipelines.training.sft import sft_trainer
from schemas.reasoning import BENIGN, HARMFUL
from tests.pipelines.training.test_chains import HARM

WEIGHT = 20.0
CALM = HARM | {"verdict": BENIGN, "hazard": "", "references": []}


def test_the_word_after_together_and_the_verdict_decide_however_they_are_cut() -> None:
    pieces = [
        "To",
        "gether",
        ":",
        " wh",
        "at",
        " the",
        " x.",
        '{"',
        'verdict": "',
        "ben",
        'ign", ',
        '"hazard"',
    ]
    chosen = [piece for piece, decides in zip(pieces, deciding(pieces), strict=True) if decides]
    assert chosen == [" wh", "at", "ben", 'ign", ']


class Stripping:
    """A decoder that drops the space before a first word, as that of Llama 2 does."""

    words = ("", "Together:", " what", " the", " image", " shows.")

    def decode(self, ids: list[int]) -> str:
        return "".join(self.words[one] for one in ids).removeprefix(" ")


def test_words_stay_apart_where_a_decoder_drops_the_first_space() -> None:
    ids = torch.tensor([[1, 2, 3, 4, 5, 0]])
    assert DecidingTokens(Stripping())(ids, ids > 0).tolist() == [[False, True, False, False, False, False]]


def test_a_completion_without_either_decides_nothing() -> None:
    assert deciding(["It is", " harmful", ' "verdict"']) == [False, False, False]
    assert deciding([]) == []


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmphasisTrainer]:
    run = RunFolder(Path(tmp_path_factory.mktemp("emphasis")))
    config = TrainConfig.model_validate({"sft": {"verdict_weight": WEIGHT}, "policy": {"device": "cpu"}})
    picture = Image.new("RGB", (64, 64), "teal")
    rows = datasets.Dataset.from_list([{"image": picture, **lesson_of(row)} for row in (HARM, CALM)])
    yield sft_trainer(load_policy("builtin:tinyworld/base", "float32"), rows, config, run)


@pytest.fixture
def batch(trainer: EmphasisTrainer) -> dict[str, Any]:
    (found,) = list(trainer.get_train_dataloader())[:1]
    return dict(found)


def test_the_deciding_tokens_of_both_verdicts_weigh_as_much_as_the_profile_says(
    trainer: EmphasisTrainer, batch: dict[str, Any]
) -> None:
    labels = batch["labels"]
    weights = trainer.weights(
        labels, trainer._deciding(labels, labels != -100), torch.zeros_like(labels, dtype=torch.bool)
    )
    learned = labels != -100
    assert weights[~learned].eq(0).all()
    assert weights[learned].mean().item() == pytest.approx(1)
    heavy = weights == weights.max()
    assert weights.max().item() == pytest.approx(WEIGHT * weights[learned].min().item())
    decode = trainer.processing_class.tokenizer.decode
    words = [decode(labels[chosen]) for labels, chosen in zip(labels, heavy, strict=True)]
    assert sorted(word.strip() for word in words) == [f"The{HARMFUL}", f"what{BENIGN}"]


@pytest.mark.parametrize("certainty", [1.0, 1e-9])
def test_the_loss_is_the_weighted_mean_without_verdicts_that_are_certain_enough(
    trainer: EmphasisTrainer, batch: dict[str, Any], certainty: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "_certainty", certainty)
    labels = batch["labels"]
    with torch.no_grad():
        logits = trainer.model(**{name: x for name, x in batch.items() if name != "labels"}).logits
        loss = trainer.compute_loss(trainer.model, dict(batch), num_items_in_batch=(labels != -100).sum())
    total = weight = left_out = 0.0
    for row, given in enumerate(labels):
        places = [place for place in range(1, len(given)) if given[place] != -100]
        pieces = [trainer.processing_class.tokenizer.decode([int(given[place])]) for place in places]
        for place, decides in zip(places, deciding(pieces), strict=True):
            log_prob = logits[row, place - 1].log_softmax(-1)[given[place]].item()
            certain = decides and log_prob > math.log(certainty)
            left_out += certain
            share = 0.0 if certain else WEIGHT if decides else 1.0
            total -= share * log_prob
            weight += share
    assert (left_out > 0) == (certainty < 1)
    assert loss.item() == pytest.approx(total / weight, rel=1e-4)
