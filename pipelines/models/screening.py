"""Screening classifiers as Beam ModelHandlers: the probability that one image, or one text, is harmful alone."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from apache_beam.ml.inference.base import ModelHandler

from pipelines.models.batches import map_batches
from pipelines.models.devices import accelerated, concatenated, moved, placed
from pipelines.models.resolve import fingerprint, model_folder
from pipelines.storage.workspace import Workspace
from schemas.config import Model

LENGTH_STEP = 16


class Harmful(NamedTuple):
    """Which of a classifier's classes count as harmful."""

    indices: list[int]
    independent: bool
    """Whether several classes may hold at once, as the classifier's configuration says (`problem_type`)."""


@dataclass(frozen=True, eq=False)
class Classifier:
    """A loaded classifier, its preprocessor, and the classes that count as harmful."""

    model: Any
    processor: Any
    harmful: Harmful


class ImageScreener(ModelHandler[str, bytes, Classifier]):
    """Blob ids to the probability of the harmful labels, as one little-endian float32."""

    def __init__(self, model: Model, harmful_labels: tuple[str, ...], workspace: Workspace) -> None:
        super().__init__()
        self._model, self._labels, self._workspace = model, harmful_labels, workspace

    @property
    def name(self) -> str:
        """The member's name in screening scores."""
        return f"classifier:{self._model.path}"

    def fingerprint(self) -> str:
        """sha256 (hex) of everything a probability depends on."""
        return fingerprint("screen-image", self._model, *self._labels)

    def load_model(self) -> Classifier:
        """Load an `AutoModelForImageClassification`."""
        import torch
        from transformers import AutoImageProcessor, AutoModelForImageClassification

        folder = str(model_folder(self._model))
        model = AutoModelForImageClassification.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True
        )
        return Classifier(
            placed(model, self._model),
            AutoImageProcessor.from_pretrained(folder),
            _harmful(model, self._labels),
        )

    def run_inference(
        self, batch: Sequence[str], model: Classifier, inference_args: dict[str, Any] | None = None
    ) -> Iterable[bytes]:
        """Read and classify the images of a batch."""
        import torch
        from PIL import Image

        blobs = self._workspace.blobs()

        def load(id: str) -> dict[str, torch.Tensor]:
            with Image.open(io.BytesIO(blobs.get(id))) as image:
                return dict(model.processor(images=[image.convert("RGB")], return_tensors="pt"))

        def classify(inputs: dict[str, torch.Tensor]) -> list[bytes]:
            with torch.inference_mode():
                return _harm(model.model(**inputs).logits, model.harmful)

        return map_batches(
            classify,
            batch,
            size=self._model.batch_size,
            threads=self._model.threads,
            load=load,
            join=lambda images: moved(concatenated(images), model.model),
            one_by_one=accelerated(model.model),
        )

    def get_num_bytes(self, batch: Sequence[str]) -> int:
        """Bytes of the blob ids, without pickling them."""
        return 64 * len(batch)


class TextScreener(ModelHandler[str, bytes, Classifier]):
    """Texts to the probability of the harmful labels, as one little-endian float32."""

    def __init__(self, model: Model, harmful_labels: tuple[str, ...]) -> None:
        super().__init__()
        self._model, self._labels = model, harmful_labels

    @property
    def name(self) -> str:
        """The member's name in screening scores."""
        return f"classifier:{self._model.path}"

    def fingerprint(self) -> str:
        """sha256 (hex) of everything a probability depends on."""
        return fingerprint("screen-text", self._model, *self._labels)

    def load_model(self) -> Classifier:
        """Load an `AutoModelForSequenceClassification`."""
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        folder = str(model_folder(self._model))
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder)
        return Classifier(placed(model, self._model), tokenizer, _harmful(model, self._labels))

    def run_inference(
        self, batch: Sequence[str], model: Classifier, inference_args: dict[str, Any] | None = None
    ) -> Iterable[bytes]:
        """Classify the texts of a batch; longer ones are cut at the model's length."""
        import torch

        def classify(rows: list[list[int]]) -> list[bytes]:
            inputs = model.processor.pad(
                {"input_ids": rows}, padding=True, pad_to_multiple_of=LENGTH_STEP, return_tensors="pt"
            )
            with torch.inference_mode():
                return _harm(model.model(**moved(inputs, model.model)).logits, model.harmful)

        if not batch:
            return []
        # Tokenized here, since Hugging Face's fast tokenizers may raise when threads share one.
        encoded = model.processor(list(batch), truncation=True, max_length=_longest(model))["input_ids"]
        lengths = [-(-len(ids) // LENGTH_STEP) for ids in encoded]
        return map_batches(
            classify,
            encoded,
            size=self._model.batch_size,
            threads=self._model.threads,
            shapes=lengths,
            one_by_one=accelerated(model.model),
        )

    def get_num_bytes(self, batch: Sequence[str]) -> int:
        """Bytes of the texts, without pickling them."""
        return sum(map(len, batch))


def _longest(model: Classifier) -> int:
    """The most tokens the model takes, in whole steps; not every tokenizer knows its model's limit."""
    limit = min(model.processor.model_max_length, getattr(model.model.config, "max_position_embeddings", 512))
    return limit // LENGTH_STEP * LENGTH_STEP


def _harmful(model: Any, labels: tuple[str, ...]) -> Harmful:
    # Not `label2id`: where a configuration writes its numbers as strings, they stay strings.
    known = {label: index for index, label in model.config.id2label.items()}
    missing = [label for label in labels if label not in known]
    if missing:
        raise ValueError(f"the classifier has no label {missing}; its labels are {sorted(known)}")
    independent = model.config.problem_type == "multi_label_classification"
    return Harmful([known[label] for label in labels], independent)


def _harm(logits: Any, harmful: Harmful) -> list[bytes]:
    """The probability that a harmful label holds: the sum of exclusive ones, the greatest of independent ones."""
    if harmful.independent:
        p = logits.float().sigmoid()[:, harmful.indices].amax(dim=-1)
    else:
        p = logits.float().softmax(dim=-1)[:, harmful.indices].sum(dim=-1).clamp(0, 1)
    return [np.float32(value).astype("<f4").tobytes() for value in p.tolist()]
