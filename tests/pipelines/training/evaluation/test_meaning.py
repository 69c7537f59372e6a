from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import BertForSequenceClassification

from generators.weights import ModelMissingError, weights_folder
from pipelines.training.embedders import load_embedder
from pipelines.training.evaluation.meaning import (
    entailments,
    load_entailment,
    refuse_the_rewards,
    similarities,
)
from tests.checkpoints import bert_classifier

CLIP, BERT = "builtin:tinyworld/clip", "builtin:tinyworld/screen-text"


def rewarded_by(embedder: Any) -> dict[str, Any]:
    return {"configuration": {"rewards": {"embedder": embedder}}}


@pytest.mark.parametrize("named", [CLIP, {"path": CLIP}])
def test_the_embedder_of_the_reward_cannot_measure(named: Any) -> None:
    with pytest.raises(ValueError, match="was rewarded by"):
        refuse_the_rewards(CLIP, "grpo", rewarded_by(named))


def test_a_copy_of_it_cannot_either(tmp_path: Path) -> None:
    copy = shutil.copytree(weights_folder(CLIP, ""), tmp_path / "copy")
    with pytest.raises(ValueError, match="name another --embedder"):
        refuse_the_rewards(str(copy), "grpo", rewarded_by(CLIP))


@pytest.mark.parametrize("facts", [{}, rewarded_by(None), rewarded_by(BERT), rewarded_by("gone/from/here")])
def test_another_embedder_can(facts: dict[str, Any]) -> None:
    refuse_the_rewards(CLIP, "grpo", facts)


@pytest.mark.parametrize("path", [CLIP, BERT])
def test_an_embedder_finds_the_same_words_nearest(path: str) -> None:
    embed = load_embedder(path, device="cpu")
    found = similarities(
        embed, ["a red apple", "a red apple", ""], [["a red apple"], ["somebody shouts", "a cat"], ["x"]]
    )
    assert found[0] == pytest.approx(1.0, abs=1e-4) and found[1] < found[0] and found[2] == 0.0


def test_an_embedding_does_not_depend_on_longer_neighbours() -> None:
    embed = load_embedder(BERT, device="cpu")
    alone, beside = embed(["a cat"])[0], embed(["a cat", "a much longer text than that one about a cat"])[0]
    assert alone == pytest.approx(beside, abs=1e-5)


def test_the_best_of_several_references_counts() -> None:
    def embed(texts: Sequence[str]) -> Any:
        known = {"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [0.6, 0.8]}
        return np.array([known[text] for text in texts])

    assert similarities(embed, ["a", "a"], [["b", "c"], ["b"]]) == pytest.approx([0.6, 0.0])


def nli(folder: Path) -> Path:
    """A classifier with random weights and the labels of natural-language inference."""
    bert_classifier(folder)
    model = BertForSequenceClassification.from_pretrained(folder)
    model.config.id2label = {0: "contradiction", 1: "ENTAILMENT"}
    model.config.label2id = {"contradiction": 0, "ENTAILMENT": 1}
    model.save_pretrained(folder)
    return folder


def test_entailment_is_the_probability_of_the_likeliest_reference(tmp_path: Path) -> None:
    entail = load_entailment(str(nli(tmp_path / "nli")), "cpu")
    each = entail(["it burns", "it is hot"], ["fire hurts", "fire hurts"])
    found = entailments(entail, ["fire hurts", ""], [["it burns", "it is hot"], ["it burns"]])
    assert found == pytest.approx([max(each), 0.0], abs=1e-5) and 0 < found[0] < 1


def test_a_classifier_without_entailment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no label `entailment`"):
        load_entailment(str(bert_classifier(tmp_path / "other")), "cpu")


def test_an_embedder_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelMissingError, match="not/here"):
        load_embedder("./not/here")
