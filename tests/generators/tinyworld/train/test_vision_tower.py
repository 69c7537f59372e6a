import torch
from transformers import InternVLVisionModel

from generators.tinyworld.train.dual_encoder import untrained
from generators.tinyworld.train.vision_tower import vision_config, vision_weights


def test_the_judges_image_tower_sees_what_the_dual_encoder_sees() -> None:
    torch.manual_seed(0)
    encoder = untrained().eval()
    encoder.visual.output_tokens = True
    for parameter in encoder.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    tower = InternVLVisionModel(vision_config()).eval()
    tower.load_state_dict(vision_weights(encoder))
    images = torch.randn(3, 3, 64, 64)
    with torch.inference_mode():
        patches = encoder.visual(images)[1]
        seen = tower(images).last_hidden_state[:, 1:]
    assert patches.abs().max() > 0.1
    torch.testing.assert_close(seen, patches, atol=1e-5, rtol=0)
