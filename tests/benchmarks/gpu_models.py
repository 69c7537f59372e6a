"""Checkpoints for the measurements on a GPU: the shapes of real models with random weights, and tiny ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.checkpoints import QWEN_TEMPLATE, byte_tokenizer

Config = dict[str, Any]
CLIP_TEXTS: tuple[Config, Config] = (
    {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
     "projection_dim": 768, "hidden_act": "quick_gelu"},
    {"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 20, "intermediate_size": 5120,
     "projection_dim": 1280, "hidden_act": "gelu"},
)  # fmt: skip
UNET: Config = {
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
VAE: Config = {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "sample_size": 1024}
QWEN_TEXT: Config = {
    "hidden_size": 2048,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "intermediate_size": 11008,
    "vocab_size": 151_936,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
}
QWEN_VISION: Config = {
    "depth": 32,
    "hidden_size": 1280,
    "num_heads": 16,
    "intermediate_size": 3420,
    "out_hidden_size": 2048,
    "fullatt_block_indexes": [7, 15, 23, 31],
    "window_size": 112,
}
"""The shapes are those of the configurations that SDXL base 1.0 and Qwen2.5-VL-3B are published with."""

TINY_CLIP: Config = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "projection_dim": 32,
}
TINY_UNET: Config = {
    "sample_size": 8,
    "block_out_channels": (32, 64, 64),
    "transformer_layers_per_block": (1, 1, 1),
    "attention_head_dim": (2, 4, 4),
    "cross_attention_dim": 64,
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 80,
    "norm_num_groups": 8,
}
TINY_VAE: Config = {"block_out_channels": (8, 8, 16, 16), "layers_per_block": 1, "norm_num_groups": 4}
TINY_TEXT: Config = QWEN_TEXT | {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 4_096,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]},
}
TINY_VISION: Config = QWEN_VISION | {
    "depth": 2,
    "hidden_size": 32,
    "num_heads": 2,
    "intermediate_size": 64,
    "out_hidden_size": 32,
    "fullatt_block_indexes": [1],
    "window_size": 56,
}
QWEN_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "<|video_pad|>",
)  # fmt: skip


@contextmanager
def drawn_on(device: str, dtype: str) -> Iterator[None]:
    """Modules made here draw their weights on the device, in the precision: billions of them take minutes on a CPU."""
    import torch

    before = torch.get_default_dtype()
    torch.manual_seed(0)
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(before)


def stable_diffusion_xl(folder: Path, device: str, dtype: str, *, tiny: bool) -> Path:
    """Write a pipeline of SDXL's shape with tokenizers of single letters."""
    from diffusers import (
        AutoencoderKL,
        EulerDiscreteScheduler,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    tokenizer, tokens = _clip_tokenizer()
    texts = [
        CLIPTextConfig(**size, **tokens, max_position_embeddings=77)
        for size in ((TINY_CLIP, TINY_CLIP) if tiny else CLIP_TEXTS)
    ]
    with drawn_on(device, dtype):
        unet = UNet2DConditionModel(
            **(TINY_UNET if tiny else UNET),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            addition_embed_type="text_time",
            use_linear_projection=True,
        )
        vae = AutoencoderKL(
            **(TINY_VAE if tiny else VAE),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            scaling_factor=0.13025,
        )
        encoders = CLIPTextModel(texts[0]), CLIPTextModelWithProjection(texts[1])
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
    )
    StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=encoders[0],
        text_encoder_2=encoders[1],
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet,
        scheduler=scheduler,
        add_watermarker=False,
    ).save_pretrained(folder, safe_serialization=True)
    return folder


def _clip_tokenizer() -> tuple[Any, Config]:
    from transformers import CLIPTokenizer

    letters = [*"abcdefghijklmnopqrstuvwxyz0123456789,."]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    known = {token: number for number, token in enumerate(tokens)}
    end = known["<|endoftext|>"]
    ids = {"bos_token_id": known["<|startoftext|>"], "eos_token_id": end, "pad_token_id": end}
    return CLIPTokenizer(vocab=known, merges=[], model_max_length=77), {"vocab_size": 49_408, **ids}


def qwen_vl(folder: Path, device: str, dtype: str, corpus: Iterable[str], *, tiny: bool) -> Path:
    """Write a Qwen2.5-VL whose tokenizer has learned the words of a corpus, so that prompts have a real length."""
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    tokenizer = byte_tokenizer([*QWEN_TOKENS], corpus, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.image_token, tokenizer.video_token = "<|image_pad|>", "<|video_pad|>"
    text, vision = (TINY_TEXT, TINY_VISION) if tiny else (QWEN_TEXT, QWEN_VISION)
    of = tokenizer.convert_tokens_to_ids
    ends: Config = {"bos_token_id": of("<|endoftext|>"), "eos_token_id": of("<|im_end|>")}
    config = Qwen2_5_VLConfig(
        text_config=text | ends | {"vocab_size": max(text["vocab_size"], len(tokenizer))},
        vision_config=vision,
        image_token_id=of("<|image_pad|>"),
        video_token_id=of("<|video_pad|>"),
        vision_start_token_id=of("<|vision_start|>"),
        tie_word_embeddings=True,
        **ends,
    )
    with drawn_on(device, dtype):
        model = Qwen2_5_VLForConditionalGeneration(config)
    model.save_pretrained(folder)
    Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=QWEN_TEMPLATE,
    ).save_pretrained(folder)
    return folder
