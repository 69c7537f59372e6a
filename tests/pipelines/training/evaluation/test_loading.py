from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from generators.weights import ModelMissingError, weights_folder
from pipelines.training.evaluation.loading import (
    PROBES,
    contestants_of,
    file_name,
    load_model,
    run_contestant,
)
from pipelines.training.evaluation.settings import Settings
from schemas.config import Model

JUDGE = "builtin:tinyworld/judge"


def run(folder: Path, facts: str = "{}") -> Path:
    (folder / "model").mkdir(parents=True)
    (folder / "run.json").write_text(facts, encoding="utf-8")
    return folder


def test_a_run_is_known_by_its_folder(tmp_path: Path) -> None:
    found = run_contestant(run(tmp_path / "sft", '{"base": "x"}'))
    assert (found.name, found.kind, found.facts) == ("sft", "run", {"base": "x"})
    assert found.path == str(tmp_path / "sft" / "model")


def test_a_folder_without_a_model_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no run.*--model"):
        run_contestant(tmp_path)


def test_a_damaged_description_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"run.json is not JSON"):
        run_contestant(run(tmp_path / "sft", "{"))


def test_models_come_before_the_probe_and_runs(tmp_path: Path) -> None:
    settings = Settings(tmp_path, runs=(run(tmp_path / "sft"),), models=(JUDGE,), probe="clip")
    assert [one.name for one in contestants_of(settings)] == ["judge (zero-shot)", *PROBES, "sft"]


def test_a_model_of_the_hub_without_a_commit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="named as tiny/base@COMMIT"):
        contestants_of(Settings(tmp_path, models=("tiny/base",)))


def test_two_runs_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = (run(tmp_path / "a" / "sft"), run(tmp_path / "b" / "sft"))
    with pytest.raises(ValueError, match="called sft"):
        contestants_of(Settings(tmp_path, runs=twice))


def test_nothing_to_evaluate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to evaluate"):
        contestants_of(Settings(tmp_path))


def test_the_embedder_of_a_runs_reward_is_refused(tmp_path: Path) -> None:
    facts = json.dumps({"configuration": {"rewards": {"embedder": "builtin:tinyworld/clip"}}})
    settings = Settings(tmp_path, runs=(run(tmp_path / "grpo", facts),), embedder="builtin:tinyworld/clip")
    with pytest.raises(ValueError, match="grpo was rewarded"):
        contestants_of(settings)


def test_file_names_are_plain() -> None:
    assert file_name("judge (zero-shot)") == "judge-zero-shot" and file_name("../..") == "../..".replace(
        "/", "-"
    )


def test_an_adapter_is_merged_into_the_model_that_it_was_trained_on(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoProcessor

    torch.manual_seed(0)
    base, _ = load_model(Model(path=JUDGE, device="cpu"))
    before = base.get_output_embeddings().weight.clone()
    base.config.name_or_path = JUDGE
    adapted = get_peft_model(base, LoraConfig(target_modules=["q_proj"], init_lora_weights=False))
    adapted.peft_config["default"].base_model_name_or_path = JUDGE
    adapted.save_pretrained(tmp_path / "adapter")
    AutoProcessor.from_pretrained(str(weights_folder(JUDGE, ""))).save_pretrained(tmp_path / "adapter")
    loaded, processor = load_model(Model(path=str(tmp_path / "adapter"), device="cpu"))
    name = next(name for name, _ in loaded.named_parameters() if "q_proj.weight" in name)
    plain, _ = load_model(Model(path=JUDGE, device="cpu"))
    assert not torch.equal(loaded.get_parameter(name), plain.get_parameter(name))
    assert torch.equal(loaded.get_output_embeddings().weight, before)
    assert processor.tokenizer.padding_side == "left"


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(weights_folder(JUDGE, ""), tmp_path / "mute")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ValueError, match="no chat template"):
        load_model(Model(path=str(folder), device="cpu"))


def test_a_folder_without_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError, match="safetensors"):
        load_model(Model(path=str(tmp_path), device="cpu"))
