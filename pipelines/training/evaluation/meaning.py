"""How near rationales are to their references in meaning: embedding similarity, and entailment.

What measures must be another model than the one that rewarded; else a model that learned to please it looks good.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from generators.weights import ModelMissingError, weights_folder, weights_identity
from pipelines.training.embedders import Embedder, tokens_of
from pipelines.training.evaluation.bootstrap import Floats
from schemas.config import Model

BATCH = 64


def refuse_the_rewards(embedder: str, run: str, facts: Mapping[str, Any]) -> None:
    """Check that a run was not rewarded by the embedder that is to measure it.

    Args:
        embedder: The folder or name of what is to measure.
        run: The run's name, for the message.
        facts: Its `run.json`, whose `configuration.rewards.embedder` names the model of the reward.

    Raises:
        ValueError: They are the same weights.
    """
    rewards = ((facts.get("configuration") or {}).get("rewards") or {}).get("embedder") or {}
    path = rewards.get("path", "") if isinstance(rewards, dict) else str(rewards)
    revision = rewards.get("revision", "") if isinstance(rewards, dict) else ""
    if path and _identity(path, revision) == _identity(embedder, ""):
        raise ValueError(
            f"{run} was rewarded by the embedder {path}, so {embedder} cannot measure it: name another --embedder"
        )


def _identity(path: str, revision: str) -> str:
    try:
        return weights_identity(path, revision)
    except (ModelMissingError, OSError):
        return path


def similarities(embed: Embedder, rationales: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """The cosine of each rationale to the nearest of its references, (n,); 0 for an empty rationale."""
    texts = sorted(
        {text for text in rationales if text.strip()} | {one for some in references for one in some}
    )
    if not texts:
        return np.zeros(len(rationales))
    vectors = dict(zip(texts, embed(texts), strict=True))
    found = [
        max(float(vectors[rationale] @ vectors[one]) for one in some) if rationale.strip() and some else 0.0
        for rationale, some in zip(rationales, references, strict=True)
    ]
    return np.array(found)


def load_entailment(path: str, device: str = "auto") -> Callable[[Sequence[str], Sequence[str]], Floats]:
    """A classifier of natural-language inference: premises and hypotheses to the probability of entailment, (n,).

    Raises:
        ModelMissingError: There is no such folder, or it holds no safetensors.
        ValueError: None of its labels is entailment.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from pipelines.models.devices import moved, placed

    folder = str(weights_folder(path, ""))
    settings = Model.model_validate({"path": path, "device": device})
    model = placed(AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True), settings)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    entailed = [id for id, name in model.config.id2label.items() if name.lower() == "entailment"]
    if not entailed:
        raise ValueError(f"{path} has no label `entailment` but {', '.join(model.config.id2label.values())}")

    def entail(premises: Sequence[str], hypotheses: Sequence[str]) -> Floats:
        found = [np.zeros(0)]
        for start in range(0, len(premises), BATCH):
            part = slice(start, start + BATCH)
            inputs = moved(tokens_of(tokenizer, model, premises[part], hypotheses[part]), model)
            with torch.inference_mode():
                p = model(**inputs).logits.float().softmax(-1)[:, entailed[0]]
            found.append(p.cpu().numpy())
        return np.concatenate(found).astype(np.float64)

    return entail


def entailments(
    entail: Callable[[Sequence[str], Sequence[str]], Floats],
    rationales: Sequence[str],
    references: Sequence[Sequence[str]],
) -> Floats:
    """How far the likeliest of its references entails each rationale, (n,) in [0, 1]; 0 for an empty rationale."""
    asked = [
        (number, one)
        for number, (rationale, some) in enumerate(zip(rationales, references, strict=True))
        for one in some
        if rationale.strip()
    ]
    found = np.zeros(len(rationales))
    p = entail([one for _, one in asked], [rationales[number] for number, _ in asked])
    np.maximum.at(found, np.array([number for number, _ in asked], dtype=np.int64), p)
    return found
