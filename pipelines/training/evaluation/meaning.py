"""How near rationales are to their references in meaning: embedding similarity, and entailment.

What measures must be another model than the one that rewarded; else a model that learned to please it looks good.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from generators.weights import ModelMissingError, weights_folder, weights_identity
from pipelines.training.evaluation.bootstrap import Floats
from schemas.config import Model

BATCH = 64
Embed = Callable[[Sequence[str]], Floats]
"""Texts to unit vectors, (n, d)."""


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


def load_embedder(path: str, device: str = "auto") -> Embed:
    """The text tower of an open_clip folder, or any transformers encoder with the mean of its last states.

    Raises:
        ModelMissingError: There is no such folder, or it holds no safetensors.
    """
    model = Model.model_validate({"path": path, "batch_size": BATCH, "device": device})
    folder = weights_folder(path, "")
    return _clip(model) if (folder / "open_clip_config.json").is_file() else _encoder(model, folder)


def similarities(embed: Embed, rationales: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
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


def _clip(model: Model) -> Embed:
    from pipelines.models.clip import TextEmbedder
    from pipelines.storage.cache import decode_floats

    embedder = TextEmbedder(model)
    loaded = embedder.load_model()
    return lambda texts: np.stack(list(map(decode_floats, embedder.run_inference(texts, loaded)))).astype(
        np.float64
    )


def _encoder(model: Model, folder: Path) -> Embed:
    import torch
    from transformers import AutoModel, AutoTokenizer

    from pipelines.models.devices import moved, placed

    encoder = placed(AutoModel.from_pretrained(str(folder), use_safetensors=True), model)
    tokenizer = AutoTokenizer.from_pretrained(str(folder))

    def embed(texts: Sequence[str]) -> Floats:
        found = []
        for start in range(0, len(texts), BATCH):
            inputs = moved(_tokens(tokenizer, encoder, texts[start : start + BATCH]), encoder)
            with torch.inference_mode():
                states = encoder(**inputs).last_hidden_state.float()
            mask = inputs["attention_mask"][..., None]
            mean = (states * mask).sum(1) / mask.sum(1)
            found.append(torch.nn.functional.normalize(mean, dim=-1).cpu().numpy())
        return np.concatenate(found).astype(np.float64)

    return embed


def _tokens(
    tokenizer: Any, model: Any, texts: Sequence[str], pairs: Sequence[str] | None = None
) -> dict[str, Any]:
    longest = getattr(model.config, "max_position_embeddings", 512)
    options = {"padding": True, "truncation": True, "max_length": longest, "return_tensors": "pt"}
    return dict(tokenizer(list(texts), list(pairs) if pairs is not None else None, **options))


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
            inputs = moved(_tokens(tokenizer, model, premises[part], hypotheses[part]), model)
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
