"""Images drawn by any diffusers text-to-image pipeline: prompts in, PNG bytes out; flagged images are refused.

Matrix kernels pick their order of summation from the shape of a batch and the number of threads. On a CPU every image
is therefore drawn by itself, on one thread, and several are under way at once instead: its bytes depend on its prompt,
index and settings alone. On a GPU a batch is one call of the pipeline, so the last bits may differ with batch size.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import io
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, NamedTuple

from generators.diffusion_loading import (
    check_device,
    check_parameters,
    device_of,
    load_pipeline,
    local_folder,
    parameters_of,
    place,
    weights_of,
)
from schemas.config import Diffusion
from schemas.records import Provenance

SOURCE = "diffusion"
FLAGS = ("nsfw_content_detected", "nsfw_detected")
"""What pipelines with a safety checker call its findings."""
_log = logging.getLogger(__name__)


class ImagePrompt(NamedTuple):
    """What one image is drawn from."""

    prompt: str
    index: int  # type: ignore[assignment]
    """From 0; tells apart the images of one prompt."""


class Refusal(NamedTuple):
    """In an image's place when there is none."""

    reason: str


FLAGGED = Refusal("flagged_by_safety_checker")


@dataclass(eq=False)
class TextToImage:
    """A loaded pipeline."""

    pipeline: Any
    together: bool
    """Whether a batch is one call (GPU), or one call an image in threads of their own (CPU)."""
    batch_size: int
    """Images under way at once; halved whenever memory runs out."""


def seed_of(prompt: ImagePrompt) -> int:
    """The seed of an image's latents, in [0, 2**63): the sha256 of its prompt and index."""
    digest = hashlib.sha256(f"{prompt.prompt}\0{prompt.index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def prompts_of(queries: Iterable[str], per_query: int) -> Iterator[ImagePrompt]:
    """The prompts of the distinct queries in sorted order, each with indices 0 to `per_query - 1`."""
    for query in sorted(set(queries)):
        for index in range(per_query):
            yield ImagePrompt(query, index)


class DiffusionGenerator:
    """Draws images; pickles to its settings.

    Args:
        settings: A local folder that holds `model_index.json` and safetensors, or a hub id with its revision; and
            how to draw. `offload`, slicing and `compile` are for a GPU and not applied on a CPU.
    """

    def __init__(self, settings: Diffusion) -> None:
        self._settings = settings

    @property
    def per_query(self) -> int:
        """How many are made for every query."""
        return self._settings.per_query

    def fingerprint(self) -> str:
        """sha256 (hex) of the weights, the libraries and every setting that decides pixels.

        Batch size, offload, slicing and `compile` do not count: they change last bits at most, on a CPU none.

        Raises:
            ValueError: The folder does not exist or is no diffusers pipeline.
        """
        s = self._settings
        libraries = [".".join(version(name).split(".")[:2]) for name in ("diffusers", "torch")]
        drawn = (s.steps, s.guidance, s.width, s.height, s.negative_prompt, s.dtype, device_of(s.device))
        parts = (SOURCE, weights_of(s), *libraries, *map(str, drawn))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def provenance(self, prompt: ImagePrompt) -> Provenance:
        """Where an image came from; of a local folder its name and the start of its digest are told."""
        s = self._settings
        how = f"steps={s.steps} guidance={s.guidance:g} size={s.width}x{s.height} dtype={s.dtype}"
        folder = local_folder(s)
        weights = f"{folder.name}@{weights_of(s)[:12]}" if folder else weights_of(s)
        name = f"{hashlib.sha256(prompt.prompt.encode()).hexdigest()[:16]}-{prompt.index}"
        return Provenance(
            source=SOURCE,
            name=name,
            origin="generated",
            generator=f"{weights} {how}",
            prompt=prompt.prompt,
            seed=seed_of(prompt),
        )

    def load_model(self) -> TextToImage:
        """Load the pipeline with its own safety checker, from safetensors; remote code is never run.

        Raises:
            ValueError: There is no such pipeline, it cannot be loaded, it needs more than a prompt, or `device`
                is `cuda` and there is none.
        """
        from diffusers.utils import logging as diffusers_logging

        settings, device = self._settings, device_of(self._settings.device)
        check_device(device)
        diffusers_logging.disable_progress_bar()
        pipeline = load_pipeline(settings)
        pipeline.set_progress_bar_config(disable=True)
        check_parameters(parameters_of(pipeline), settings)
        if device == "cpu":
            pipeline.to(device)
        else:
            place(pipeline, settings, device)
        return TextToImage(pipeline, device != "cpu", settings.batch_size)

    def generate(self, prompts: Sequence[ImagePrompt], model: TextToImage) -> Iterator[bytes | Refusal]:
        """Draw one RGB PNG a prompt, in order; what the pipeline's safety checker flags is a `Refusal`.

        A batch is encoded while the next one is drawn. Where memory runs out, the batch is halved from then on.

        Raises:
            RuntimeError: One image alone does not fit into memory.
        """
        with ThreadPoolExecutor(os.cpu_count()) as encoders:
            waiting: list[Future[bytes | Refusal]] = []
            done = 0
            while done < len(prompts):
                batch = prompts[done : done + model.batch_size]
                pictures = self._try(batch, model)
                if pictures is None:
                    _make_room(model, len(batch))
                else:
                    encoding = [encoders.submit(_encoded, picture) for picture in pictures]
                    yield from (one.result() for one in waiting)
                    waiting = encoding
                    done += len(batch)
            yield from (one.result() for one in waiting)

    def _try(self, batch: Sequence[ImagePrompt], model: TextToImage) -> list[Any] | None:
        """The pictures or refusals of a batch, or None if it does not fit into memory."""
        try:
            return self._draw(batch, model)
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            if len(batch) > 1:
                return None
            raise RuntimeError(
                f"{self._settings.path} runs out of memory on one image of "
                f"{self._settings.width}x{self._settings.height}: lower `width` and `height`, or set `offload`"
            ) from error

    def _draw(self, batch: Sequence[ImagePrompt], model: TextToImage) -> list[Any]:
        if model.together:
            return self._call(model.pipeline, batch)
        pipelines = [with_own_state(model.pipeline) for _ in batch]
        workers = min(len(batch), os.cpu_count() or 1)
        with ThreadPoolExecutor(workers, initializer=_one_thread) as executor:
            parts = executor.map(lambda pipeline, prompt: self._call(pipeline, [prompt]), pipelines, batch)
            return [result for part in parts for result in part]

    def _call(self, pipeline: Any, batch: Sequence[ImagePrompt]) -> list[Any]:
        import torch

        result = pipeline(
            prompt=[prompt.prompt for prompt in batch],
            generator=[torch.Generator("cpu").manual_seed(seed_of(prompt)) for prompt in batch],
            **call_arguments(parameters_of(pipeline), self._settings, len(batch)),
        )
        found = next((result[name] for name in FLAGS if result.get(name)), [False] * len(batch))
        return [FLAGGED if flag else image for image, flag in zip(result.images, found, strict=True)]


def call_arguments(
    parameters: Mapping[str, inspect.Parameter], settings: Diffusion, count: int
) -> dict[str, Any]:
    """The settings as arguments of a pipeline's call for `count` images, as far as it takes them."""
    guidance = "guidance_scale"
    # In Qwen-Image `guidance_scale` is for distilled models alone, and guides nothing without a negative prompt.
    if "true_cfg_scale" in parameters and (
        guidance not in parameters or parameters[guidance].default is None
    ):
        guidance = "true_cfg_scale"
    wanted: dict[str, Any] = {
        "num_inference_steps": settings.steps,
        guidance: settings.guidance,
        "width": settings.width,
        "height": settings.height,
        "output_type": "pil",
    }
    if settings.negative_prompt or guidance == "true_cfg_scale":
        wanted["negative_prompt"] = [settings.negative_prompt] * count
    return {name: value for name, value in wanted.items() if name in parameters}


def with_own_state(pipeline: Any) -> Any:
    """A pipeline on the same weights, with a scheduler and tokenizers of its own: threads cannot share those."""
    import torch

    own = copy.copy(pipeline)
    for name, component in pipeline.components.items():
        if component is not None and not isinstance(component, torch.nn.Module):
            setattr(own, name, copy.deepcopy(component))
    return own


def _is_out_of_memory(error: RuntimeError) -> bool:
    import torch

    said = str(error).lower()
    out = "out of memory" in said or "can't allocate memory" in said
    return out or isinstance(error, torch.cuda.OutOfMemoryError)


def _make_room(model: TextToImage, tried: int) -> None:
    """Halve the batch after one of `tried` images did not fit, and free what the failed call left behind."""
    import torch

    model.batch_size = tried // 2
    _log.warning("out of memory with %d images at once; going on with %d", tried, model.batch_size)
    if model.together:
        model.pipeline.maybe_free_model_hooks()
        torch.cuda.empty_cache()


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _encoded(picture: Any) -> bytes | Refusal:
    """A picture as PNG; a refusal as it is."""
    if isinstance(picture, Refusal):
        return picture
    rgb = picture.convert("RGB")
    # Pillow would write some of `info` into the file.
    rgb.info = {}
    buffer = io.BytesIO()
    rgb.save(buffer, "PNG")
    return buffer.getvalue()
