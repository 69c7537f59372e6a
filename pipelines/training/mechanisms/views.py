"""A second view of the images of a batch (patches masked, or noise added), and what the policy thinks of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from trl.trainer.grpo_trainer import GRPOTrainer

Change = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
"""Makes another view of one sample's pixel values."""
_IMAGE_INPUTS = (
    *("image_grid_thw", "num_images", "pixel_attention_mask", "spatial_shapes", "num_tiles", "image_sizes"),
    *("token_type_ids", "mm_token_type_ids", "image_position_ids"),
)
"""What else TRL's `GRPOTrainer` carries from generation to the loss about the images, beside `pixel_values`."""


class Scored(NamedTuple):
    """What a policy makes of completions, both (B, T)."""

    logps: torch.Tensor
    entropies: torch.Tensor


class ViewingTrainer(GRPOTrainer):
    """A `GRPOTrainer` that can score the completions of a batch given another view of its images."""

    model: torch.nn.Module
    num_generations: int

    def scored_given(
        self, model: torch.nn.Module, inputs: Mapping[str, Any], pixels: torch.Tensor, rows: int | None = None
    ) -> Scored:
        """Score the completions of a batch given these pixel values.

        Args:
            model: The policy.
            inputs: A batch as `_generate_and_score_completions` returns it.
            pixels: In place of its `pixel_values`, of the same shape.
            rows: How many completions to score at once; all by default.
        """
        completions = inputs["completion_ids"]
        logps, entropies, _ = self._get_per_token_logps_and_entropies(
            model,
            torch.cat([inputs["prompt_ids"], completions], dim=1),
            torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1),
            completions.size(1),
            batch_size=rows,
            compute_entropy=True,
            pixel_values=pixels,
            **{name: inputs.get(name) for name in _IMAGE_INPUTS},
        )
        return Scored(logps, entropies)

    @torch.no_grad()
    def compared(self, inputs: Mapping[str, Any], change: Change) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities, each (B, T), of fresh completions given their images and given changed ones.

        Neither has a gradient.
        """
        rows, pixels = self.args.per_device_train_batch_size, inputs["pixel_values"]
        other = changed(inputs, self.state.global_step, change)
        seen = inputs.get("old_per_token_logps")
        if seen is None:
            seen = self.scored_given(self.model, inputs, pixels, rows).logps
        return seen, self.scored_given(self.model, inputs, other, rows).logps

    def note(self, name: str, values: torch.Tensor) -> None:
        """Log the mean of some values over all processes beside TRL's own metrics."""
        mode = "train" if self.model.training else "eval"
        mean = self.accelerator.gather(values.detach().float().mean())
        self._metrics[mode][name].append(mean.nanmean().item())


def token_advantages(batch: Mapping[str, Any]) -> torch.Tensor:
    """The advantages of a batch as (B, 1), or as (B, T) where tokens have weights already."""
    advantages: torch.Tensor = batch["advantages"]
    return advantages if advantages.ndim == 2 else advantages.unsqueeze(1)


def token_mask(inputs: Mapping[str, Any]) -> torch.Tensor:
    """The mask, (B, T), of the tokens that the policy wrote itself: no padding, no answers of tools."""
    mask: torch.Tensor = inputs["completion_mask"]
    return mask * inputs["tool_mask"] if "tool_mask" in inputs else mask


def changed(inputs: Mapping[str, Any], step: int, change: Change) -> torch.Tensor:
    """The batch's pixel values with each sample changed by itself, at random but repeatably.

    The random numbers come from the sample's own pixels and the step, so neither the other samples, nor their order,
    nor a resumed run matter, and all completions of one prompt get the same view.
    """
    samples = torch.split(inputs["pixel_values"], rows_by_sample(inputs))
    return torch.cat([_changed(pixels, step, change) for pixels in samples])


def rows_by_sample(inputs: Mapping[str, Any]) -> list[int]:
    """How many rows of `pixel_values` belong to each sample: patches, tiles or images, as TRL lays them out."""
    pixels, images = inputs["pixel_values"], inputs.get("num_images")
    if inputs.get("image_grid_thw") is not None and images is not None:
        patches = inputs["image_grid_thw"].prod(-1)
        return [int(group.sum()) for group in torch.split(patches, images)]
    if inputs.get("num_tiles") is not None:
        return list(inputs["num_tiles"])
    if images is not None and sum(images) == len(pixels):
        return list(images)
    return [1] * len(pixels)


def mask_patches(share: float, patch: int) -> Change:
    """A view in which each patch is blanked with probability `share`, to 0, the mean colour of processed images.

    Pixel values with two image dimensions, (..., C, H, W), are masked in squares of `patch` pixels; those that are
    patches already, (..., N, D), by patch.
    """

    def change(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        if pixels.ndim < 4:
            kept = torch.rand(*pixels.shape[:-1], 1, generator=generator) >= share
            return pixels * kept.to(pixels)
        height, width = pixels.shape[-2:]
        cells = (*pixels.shape[:-3], 1, -(-height // patch), -(-width // patch))
        kept = torch.rand(cells, generator=generator) >= share
        kept = kept.repeat_interleave(patch, -2).repeat_interleave(patch, -1)[..., :height, :width]
        return pixels * kept.to(pixels)

    return change


def add_noise(deviation: float) -> Change:
    """A view with Gaussian noise of this standard deviation, in units of the processed image."""

    def change(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return pixels + deviation * torch.randn(pixels.shape, generator=generator).to(pixels)

    return change


def _changed(pixels: torch.Tensor, step: int, change: Change) -> torch.Tensor:
    content = pixels.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
    digest = hashlib.blake2b(content, digest_size=8, salt=step.to_bytes(16, "big")).digest()
    return change(pixels, torch.Generator().manual_seed(int.from_bytes(digest, "big")))
