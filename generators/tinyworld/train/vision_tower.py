"""The dual encoder's image tower in the layout of transformers' InternVL, for the judge to see with."""

from __future__ import annotations

import open_clip
import torch
from transformers import InternVLVisionConfig

from generators.tinyworld.train.dual_encoder import WIDTH
from generators.tinyworld.train.examples import PATCH, SIDE

LAYERS = 4
NAMES = {
    "ln_1": "layernorm_before",
    "ln_2": "layernorm_after",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "attention.projection_layer",
}


def vision_config() -> InternVLVisionConfig:
    """The configuration whose forward pass equals the open_clip tower's."""
    return InternVLVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=WIDTH // 32,
        attention_bias=True,
        image_size=[SIDE, SIDE],
        patch_size=[PATCH, PATCH],
        layer_norm_eps=1e-5,
        layer_scale_init_value=1.0,
        use_mean_pooling=False,
    )


def vision_weights(model: open_clip.CustomTextCLIP) -> dict[str, torch.Tensor]:
    """The tower's weights under transformers' names; attention's joint projection is split in three."""
    source = {k.removeprefix("visual."): v for k, v in model.state_dict().items() if k.startswith("visual.")}
    patches = source["conv1.weight"]
    weights = {
        "embeddings.cls_token": source["class_embedding"].view(1, 1, -1),
        "embeddings.patch_embeddings.projection.weight": patches,
        "embeddings.patch_embeddings.projection.bias": patches.new_zeros(WIDTH),
        "embeddings.position_embeddings": source["positional_embedding"].unsqueeze(0),
        "layernorm.weight": source["ln_post.weight"],
        "layernorm.bias": source["ln_post.bias"],
    }
    for layer in range(LAYERS):
        weights |= _block(source, f"transformer.resblocks.{layer}.", f"encoder.layer.{layer}.")
    return weights


def _block(source: dict[str, torch.Tensor], ours: str, theirs: str) -> dict[str, torch.Tensor]:
    block = {f"{theirs}lambda_{n}": source["ln_post.weight"].new_ones(WIDTH) for n in (1, 2)}
    for end in ("weight", "bias"):
        block |= {f"{theirs}{new}.{end}": source[f"{ours}{old}.{end}"] for old, new in NAMES.items()}
        parts = source[f"{ours}attn.in_proj_{end}"].chunk(3)
        block |= {f"{theirs}attention.{p}_proj.{end}": w for p, w in zip("qkv", parts, strict=True)}
    return block
