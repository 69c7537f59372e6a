"""DPO with TRL on the judge of tinyworld: what moves, what stays, resuming, and the margins on unseen scenes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from peft import LoraConfig
from transformers import AutoModelForImageTextToText, AutoProcessor

import generators
from generators.tinyworld.renderer import sample_scene
from pipelines.training.configuration import Dpo
from pipelines.training.dpo import as_strings, dpo_trainer
from pipelines.training.fitting import restore_weights
from pipelines.training.scenealign.margins import log_ratios, margins
from pipelines.training.scenealign.pairs import preferences
from pipelines.training.scenealign.perturbations import KINDS
from pipelines.training.scenealign.scenes import graph_of
from schemas.reasoning import BENIGN, Answer, Reasoned
from tests.checkpoints import qwen_vl
from tests.pipelines.training.scenealign.scenes import dataset, row

BASE = Path(generators.__file__).parent / "tinyworld/weights/base"
ADAPTER = {
    "r": 4,
    "target_modules": "all-linear",
    "exclude_modules": ".*vision_tower.*",
    "task_type": "CAUSAL_LM",
}
CONCEPTS = ("cow", "beer mug", "guitar", "wallet")
SETTINGS = ("kitchen", "beach", "park")


def _told(example: Mapping[str, Any]) -> Reasoned:
    """A short reasoning, so that a training takes seconds."""
    return Reasoned(
        f"The image shows {example['image_says'][0]}. The text is fine alone.", Answer(BENIGN, "", "")
    )


def _pairs(folder: Path, start: int, count: int) -> datasets.Dataset:
    """Pairs of the first scenes from a seed on that play in one of few settings; each shows one of few concepts."""
    found = ((seed, (CONCEPTS[seed % len(CONCEPTS)],)) for seed in range(start, start + 100 * count))
    scenes = {seed: sample_scene(seed, concepts=shown) for seed, shown in found}
    scenes = dict(islice(((seed, one) for seed, one in scenes.items() if one.setting in SETTINGS), count))
    graphs = {row(seed)["id"]: graph_of(scene) for seed, scene in scenes.items()}
    return preferences(dataset(folder, scenes), "train", _told, graphs=graphs).rows


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> datasets.Dataset:
    return _pairs(tmp_path_factory.mktemp("data") / "seen", 0, 48)


@pytest.fixture(scope="module")
def unseen(tmp_path_factory: pytest.TempPathFactory) -> datasets.Dataset:
    return _pairs(tmp_path_factory.mktemp("data") / "unseen", 10_000, 16)


@pytest.fixture(scope="module")
def processor() -> Any:
    return AutoProcessor.from_pretrained(BASE, padding_side="left")


@pytest.fixture
def model() -> Any:
    loaded = AutoModelForImageTextToText.from_pretrained(BASE, dtype=torch.float32)
    loaded.model.vision_tower.requires_grad_(False)
    return loaded


def _arguments(folder: Path, steps: int, **others: Any) -> dict[str, Any]:
    return {
        "output_dir": str(folder),
        "max_steps": steps,
        "learning_rate": 3e-4,
        "lr_scheduler_type": "constant",
        "per_device_train_batch_size": 2,
        "gradient_checkpointing": False,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "bf16": False,
        "disable_tqdm": True,
        **others,
    }


def _changed(model: Any, before: Mapping[str, torch.Tensor]) -> set[str]:
    return {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}


def _losses(trainer: Any) -> list[float]:
    return [line["loss"] for line in trainer.state.log_history if "loss" in line]


def test_all_that_is_trained_moves_and_the_frozen_tower_does_not(
    model: Any, processor: Any, seen: datasets.Dataset, tmp_path: Path
) -> None:
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    trainable = {name for name, value in model.named_parameters() if value.requires_grad}
    trainer = dpo_trainer(model, processor, seen, Dpo(), _arguments(tmp_path, 3))
    trainer.train()
    assert _changed(model, before) == trainable
    assert any("vision_tower" in name for name in set(before) - trainable)
    assert not _changed(trainer.ref_model, before)


def test_adapters_move_and_the_model_under_them_does_not(
    model: Any, processor: Any, seen: datasets.Dataset, tmp_path: Path
) -> None:
    adapter = LoraConfig(**ADAPTER)
    trainer = dpo_trainer(model, processor, seen, Dpo(), _arguments(tmp_path, 3), adapter=adapter)
    before = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
    trainer.train()
    trainable = {name for name, value in trainer.model.named_parameters() if value.requires_grad}
    assert trainable and all("lora_" in name for name in trainable)
    assert _changed(trainer.model, before) == trainable
    found = margins(trainer.model, None, processor, seen.select(range(4)))
    assert all(one.before != one.after for one in found.values())


@pytest.mark.parametrize("adapted", [False, True])
def test_a_resumed_run_goes_on_as_if_it_had_not_stopped(
    adapted: bool, processor: Any, seen: datasets.Dataset, tmp_path: Path
) -> None:
    def run(folder: Path, checkpoint: Path | None = None) -> list[float]:
        model = AutoModelForImageTextToText.from_pretrained(BASE, dtype=torch.float32)
        arguments = _arguments(folder, 3, save_strategy="steps", save_steps=2)
        adapter = LoraConfig(**ADAPTER) if adapted else None
        trainer = dpo_trainer(model, processor, seen, Dpo(), arguments, adapter=adapter)
        if checkpoint:
            restore_weights(trainer.model, checkpoint)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        return _losses(trainer)

    whole = run(tmp_path / "whole")
    resumed = run(tmp_path / "resumed", tmp_path / "whole/checkpoint-2")
    assert len(set(whole)) == 3
    assert resumed == pytest.approx(whole, rel=1e-3)


def test_margins_rise_on_unseen_scenes_for_every_perturbation(
    model: Any, processor: Any, seen: datasets.Dataset, unseen: datasets.Dataset, tmp_path: Path
) -> None:
    reference = copy.deepcopy(model)
    arguments = _arguments(tmp_path, 16, per_device_train_batch_size=4, learning_rate=1e-3)
    trainer = dpo_trainer(model, processor, seen, Dpo(), arguments)
    trainer.train()
    found = margins(trainer.model, reference, processor, unseen)
    assert set(found) == set(KINDS)
    for kind, one in found.items():
        assert one.after - one.before > one.error, (kind, one)


def test_a_margin_is_the_difference_of_the_log_probabilities_of_both_completions(
    model: Any, processor: Any, seen: datasets.Dataset
) -> None:
    rows = seen.select([0])
    written = as_strings(rows, processor)[0]
    expected = _log_probability(model, processor, written, "chosen") - _log_probability(
        model, processor, written, "rejected"
    )
    assert log_ratios(model, processor, rows) == pytest.approx([expected], abs=1e-2)


def _log_probability(model: Any, processor: Any, row: Mapping[str, Any], side: str) -> float:
    """Token by token, without padding."""
    prompt = processor(
        images=[row["image"]], text=[row["prompt"]], add_special_tokens=False, return_tensors="pt"
    )
    answer = processor.tokenizer(row[side], add_special_tokens=False, return_tensors="pt")["input_ids"]
    ids = torch.cat((prompt["input_ids"], answer), dim=1)
    with torch.no_grad():
        logits = model(input_ids=ids, pixel_values=prompt["pixel_values"]).logits[0].log_softmax(-1)
    start = prompt["input_ids"].shape[1]
    return sum(float(logits[place - 1, ids[0, place]]) for place in range(start, ids.shape[1]))


def test_the_prompt_ends_where_the_model_answers_and_the_answers_end(
    processor: Any, seen: datasets.Dataset
) -> None:
    row = as_strings(seen, processor)[0]
    assert row["prompt"].endswith("<assistant>") and row["prompt"].count("<image>") == 1
    assert row["chosen"] == seen[0]["chosen"] + "</s>" and row["rejected"].endswith("</s>")


def test_other_models_are_trained_alike(seen: datasets.Dataset, tmp_path: Path) -> None:
    folder = qwen_vl(tmp_path / "qwen")
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    trainer = dpo_trainer(
        model, AutoProcessor.from_pretrained(folder), seen, Dpo(), _arguments(tmp_path / "run", 2)
    )
    trainer.train()
    assert _losses(trainer)[0] == pytest.approx(0.6931, abs=1e-3)
    assert _losses(trainer)[1] != _losses(trainer)[0]


def test_without_pairs_there_is_nothing_to_learn(model: Any, processor: Any, seen: datasets.Dataset) -> None:
    with pytest.raises(ValueError, match="no preference pairs"):
        dpo_trainer(model, processor, seen.select([]), Dpo(), {})
