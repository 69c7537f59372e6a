"""Each model's way through the pipeline, and the bare loop that one would write without it, for the same work.

A bare loop is no strawman: it has the same loaded model, batch, precision and inputs, its own threads decode and
preprocess ahead of the model, prompts of about one length share a batch (padded to the longest of it alone), and
pictures are encoded as PNG in threads while the next are drawn.
"""

from __future__ import annotations

import io
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import apache_beam as beam
import torch
from PIL import Image

from generators.diffusion import DiffusionGenerator, ImagePrompt, seed_of
from pipelines.engine import choose_engine
from pipelines.models.clip import ImageEmbedder
from pipelines.models.generation import ImageMaker
from pipelines.models.judge import Judge
from pipelines.progress import Tally
from pipelines.stages.candidates import pair_id
from pipelines.stages.embed import Embed
from pipelines.stages.generate import Generate
from pipelines.stages.judge import JudgePairs, questions
from pipelines.storage.blobs import BlobStore
from pipelines.storage.workspace import Workspace
from schemas.config import Diffusion, Model
from schemas.policy import load_policy
from schemas.records import Candidate, ImageAsset, Provenance

AHEAD = 4
"""Batches that a bare loop's threads prepare ahead of the model."""
POLICY = "everyday"
T = TypeVar("T")
_held: dict[str, Any] = {}


class Measurable(Protocol):
    """What is measured: both ways do all of the work once."""

    count: int

    def warm_up(self) -> None:
        """Load the model and use it."""
        ...

    def through_pipeline(self) -> None:
        """By the stage, on the in-process engine, with an empty cache."""
        ...

    def bare(self) -> None:
        """By a loop."""
        ...


class Loaded(NamedTuple):
    """Keeps a model from run to run, so that loading is not measured; both ways use the same one."""

    name: str

    def of(self, load: Callable[[], Any]) -> Any:
        """The model, loaded by the first call."""
        if self.name not in _held:
            _held[self.name] = load()
        return _held[self.name]


def release() -> None:
    """Forget all loaded models."""
    _held.clear()


class HeldMaker(ImageMaker):
    """An image maker that loads once."""

    def load_model(self) -> Any:
        """The loaded pipeline."""
        return Loaded("draw").of(super().load_model)


class HeldJudge(Judge):
    """A judge that loads once."""

    def load_model(self) -> Any:
        """The loaded model."""
        return Loaded("judge").of(super().load_model)


class HeldEmbedder(ImageEmbedder):
    """An embedder that loads once."""

    def load_model(self) -> Any:
        """The loaded model."""
        return Loaded("embed").of(super().load_model)


def batches(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """The items in order, `size` at a time; the last may be shorter."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def prepared(prepare: Callable[[T], Any], items: Sequence[T], ahead: int) -> Iterator[Any]:
    """What `prepare` makes of the items, in order, by threads that are so many items ahead."""
    with ThreadPoolExecutor() as executor:
        waiting = deque(executor.submit(prepare, item) for item in items[:ahead])
        for item in items[ahead:]:
            yield waiting.popleft().result()
            waiting.append(executor.submit(prepare, item))
        while waiting:
            yield waiting.popleft().result()


def run(transform: Callable[[Any], Any]) -> None:
    """Run a pipeline on the in-process engine."""
    with choose_engine("DirectRunner", []).pipeline() as pipeline:
        transform(pipeline)


def emptied(work: Path) -> Workspace:
    """A workspace that has its blobs and has asked no model yet."""
    shutil.rmtree(work / "cache", ignore_errors=True)
    return Workspace(str(work))


class Drawing:
    """Prompts to stored PNG files."""

    def __init__(self, settings: Diffusion, work: Path, count: int) -> None:
        self.count, self._settings, self._work = count, settings, work
        self._prompts = [ImagePrompt(f"a photo of object number {n}", 0) for n in range(count)]

    def _maker(self) -> HeldMaker:
        return HeldMaker(DiffusionGenerator(self._settings), emptied(self._work))

    def warm_up(self) -> None:
        """Draw one batch."""
        maker = self._maker()
        list(maker.run_inference(self._prompts[: self._settings.batch_size], maker.load_model()))

    def through_pipeline(self) -> None:
        """The stage `generate`."""
        workspace, maker = emptied(self._work), self._maker()
        run(
            lambda pipeline: (
                pipeline
                | Generate("image", self._prompts, maker, workspace=workspace, tally=Tally("", "generate"))
            )
        )

    def bare(self) -> None:
        """The diffusers pipeline, a batch at a time, each image with its own seed."""
        settings, pipeline = self._settings, self._maker().load_model().pipeline
        saved: list[Future[None]] = []
        with ThreadPoolExecutor() as encoders:
            for batch in batches(self._prompts, settings.batch_size):
                images = pipeline(
                    prompt=[one.prompt for one in batch],
                    generator=[torch.Generator("cpu").manual_seed(seed_of(one)) for one in batch],
                    num_inference_steps=settings.steps,
                    guidance_scale=settings.guidance,
                    width=settings.width,
                    height=settings.height,
                ).images
                for prompt, image in zip(batch, images, strict=True):
                    saved.append(encoders.submit(image.save, self._work / f"{seed_of(prompt)}.png"))
            for one in saved:
                one.result()


class Judging:
    """Candidates to judgements: each distinct image and text is asked about alone, each pair together."""

    def __init__(self, settings: Model, work: Path, images: Sequence[str], texts: Sequence[str]) -> None:
        self._settings, self._work = settings, work
        self._policy = load_policy(POLICY)
        self._candidates = [
            Candidate(pair_id(image, text), image, text, text, "train", "scenario", 0.5)
            for number, image in enumerate(images)
            for text in (texts[(number * 4 + place) % len(texts)] for place in range(4))
        ]
        self.count = len(self._candidates)

    def _judge(self) -> HeldJudge:
        return HeldJudge(self._settings, self._policy, emptied(self._work))

    def warm_up(self) -> None:
        """Ask one batch of each kind of question."""
        judge = self._judge()
        asked = [q for c in self._candidates[: self._settings.batch_size] for _, q in questions(c)]
        list(judge.run_inference(asked, judge.load_model()))

    def through_pipeline(self) -> None:
        """The stage `judge`."""
        workspace, judge = emptied(self._work), self._judge()
        run(
            lambda pipeline: (
                pipeline | beam.Create(self._candidates) | JudgePairs(judge, workspace, Tally("", "judge"))
            )
        )

    def bare(self) -> None:
        """The model's processor and `forward` on batches of prompts of about one length."""
        loaded, blobs = self._judge().load_model(), BlobStore(self._work / "blobs")
        device, dtype = loaded.model.device, loaded.model.dtype
        asked = dict(keyed for c in self._candidates for keyed in questions(c)).values()
        prompts = [
            loaded.prompt(q.image_id, self._policy.question(bool(q.image_id), q.text, order))
            for q in asked
            for order in range(self._policy.orders)
        ]
        prompts.sort(key=lambda prompt: (bool(prompt.image_id), len(prompt.text)))
        kinds = [[p for p in prompts if bool(p.image_id) == has_image] for has_image in (False, True)]
        chosen = [batch for kind in kinds for batch in batches(kind, self._settings.batch_size)]
        letters = list(loaded.answer_tokens(self._policy.answers(0)))

        def prepare(batch: Sequence[Any]) -> Any:
            images = [
                Image.open(io.BytesIO(blobs.get(p.image_id))).convert("RGB") for p in batch if p.image_id
            ]
            inputs = loaded.in_threads(
                text=[p.text for p in batch], images=images or None, padding=True, padding_side="left",
                add_special_tokens=False, return_tensors="pt",
            )  # fmt: skip
            return {n: v.to(dtype) if v.is_floating_point() else v for n, v in inputs.items()}

        with torch.inference_mode():
            for inputs in prepared(prepare, chosen, AHEAD):
                moved = {name: value.to(device) for name, value in inputs.items()}
                logits = loaded.model(**moved, logits_to_keep=1, use_cache=False).logits[:, -1, letters]
                logits.float().softmax(dim=-1)[:, 0].tolist()


class Embedding:
    """Stored images to vectors."""

    def __init__(self, settings: Model, work: Path, images: Sequence[str]) -> None:
        self.count, self._settings, self._work, self._images = len(images), settings, work, images

    @cached_property
    def _assets(self) -> list[ImageAsset]:
        return [ImageAsset(id, 1, 1, id, Provenance("images", id, "retrieved")) for id in self._images]

    def _embedder(self) -> HeldEmbedder:
        return HeldEmbedder(self._settings, emptied(self._work))

    def warm_up(self) -> None:
        """Embed a few batches."""
        embedder = self._embedder()
        embedder.run_inference(self._images[: 4 * self._settings.batch_size], embedder.load_model())

    def through_pipeline(self) -> None:
        """The stage `embed`."""
        workspace, embedder = emptied(self._work), self._embedder()
        run(
            lambda pipeline: (
                pipeline | beam.Create(self._assets) | Embed(embedder, "image", workspace, Tally("", "embed"))
            )
        )

    def bare(self) -> None:
        """The model's preprocessing and `encode_image`."""
        loaded, blobs = self._embedder().load_model(), BlobStore(self._work / "blobs")
        weight, size = next(loaded.model.parameters()), self._settings.batch_size

        def prepare(id: str) -> Any:
            return loaded.preprocess(Image.open(io.BytesIO(blobs.get(id)))).to(weight.dtype)

        images = prepared(prepare, self._images, AHEAD * size)
        vectors = []
        with torch.inference_mode():
            for start in range(0, self.count, size):
                batch = torch.stack([next(images) for _ in range(min(size, self.count - start))])
                vectors.append(
                    loaded.model.encode_image(batch.to(weight.device), normalize=True).float().cpu()
                )
        torch.cat(vectors).numpy().tofile(self._work / "vectors.bin")
