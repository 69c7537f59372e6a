"""A tiny Stable Diffusion pipeline with random weights, in the format that real ones have."""

from pathlib import Path
from typing import Any

import pytest

WORDS = 77
"""Tokens of a prompt, as in Stable Diffusion."""
SIZE = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 32, "intermediate_size": 64}


def stable_diffusion_folder(path: Path) -> Path:
    """Write a pipeline of a few hundred thousand weights; its safety checker is real and flags nothing."""
    import torch
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    torch.manual_seed(0)
    unet, vae = _unet_and_vae()
    tokenizer, text_encoder = _tokenizer_and_encoder(path / "vocabulary")
    checker, extractor = _safety_checker()
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(clip_sample=False, steps_offset=1),
        safety_checker=checker,
        feature_extractor=extractor,
    )
    pipeline.save_pretrained(path / "pipeline", safe_serialization=True)
    return path / "pipeline"


def _unet_and_vae() -> tuple[Any, Any]:
    from diffusers import AutoencoderKL, UNet2DConditionModel

    unet = UNet2DConditionModel(
        block_out_channels=(32, 64),
        norm_num_groups=8,
        layers_per_block=1,
        sample_size=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=SIZE["hidden_size"],
        attention_head_dim=4,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=64,
    )
    return unet, vae


def _tokenizer_and_encoder(path: Path) -> tuple[Any, Any]:
    """A tokenizer of single letters, and a text encoder for it."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    letters = [*"abcdefghijklmnopqrstuvwxyz0123456789,."]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=WORDS)
    start, end = vocabulary["<|startoftext|>"], vocabulary["<|endoftext|>"]
    config = CLIPTextConfig(
        **SIZE,
        vocab_size=len(tokens),
        max_position_embeddings=WORDS,
        bos_token_id=start,
        eos_token_id=end,
        pad_token_id=end,
    )
    return tokenizer, CLIPTextModel(config)


def _safety_checker() -> tuple[Any, Any]:
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor

    config = CLIPConfig(
        vision_config={**SIZE, "image_size": 32, "patch_size": 8}, text_config=SIZE, projection_dim=16
    )
    size = {"height": 32, "width": 32}
    return StableDiffusionSafetyChecker(config), CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size=size
    )


@pytest.fixture(scope="session")
def diffusion_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stable_diffusion_folder(tmp_path_factory.mktemp("stable-diffusion"))
