"""Second views of images: repeatable, by sample, and in the layouts that processors give."""

import pytest
import torch

from pipelines.training.mechanisms.views import add_noise, changed, mask_patches, rows_by_sample


def images(count: int = 4, side: int = 28) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1)) + 1


def batch(pixels: torch.Tensor) -> dict[str, object]:
    return {"pixel_values": pixels, "num_images": [1] * len(pixels)}


def test_whole_squares_are_blanked_in_all_channels():
    view = mask_patches(0.5, 14)(images(16), torch.Generator().manual_seed(0))
    squares = view.unfold(2, 14, 14).unfold(3, 14, 14).permute(0, 2, 3, 1, 4, 5).flatten(3)
    blank = (squares == 0).all(-1)
    assert blank.any() and not blank.all()
    assert torch.equal(blank, (squares == 0).any(-1))


def test_a_picture_that_squares_do_not_fill_is_masked_to_its_edge():
    assert mask_patches(1.0, 14)(images(1, 20), torch.Generator()).eq(0).all()


def test_about_the_asked_share_is_masked():
    view = mask_patches(0.6, 4)(images(64, 32), torch.Generator().manual_seed(0))
    assert (view == 0).float().mean().item() == pytest.approx(0.6, abs=0.02)


def test_pixels_laid_out_as_patches_are_masked_by_patch():
    view = mask_patches(0.5, 14)(torch.ones(200, 6), torch.Generator().manual_seed(0))
    assert set(view.sum(1).tolist()) == {0.0, 6.0}


def test_noise_has_the_asked_deviation():
    pixels = images(32)
    noise = add_noise(0.4)(pixels, torch.Generator().manual_seed(0)) - pixels
    assert noise.std().item() == pytest.approx(0.4, abs=0.01)


def test_a_sample_has_the_same_view_whatever_its_neighbours():
    pixels = images()
    whole, turned = (changed(batch(p), 3, mask_patches(0.5, 7)) for p in (pixels, pixels.flip(0)))
    assert torch.equal(whole, turned.flip(0))


def test_equal_images_have_equal_views():
    view = changed(batch(images(1).repeat(2, 1, 1, 1)), 3, add_noise(0.4))
    assert torch.equal(view[0], view[1])


def test_another_step_has_another_view():
    first, second = (changed(batch(images()), step, mask_patches(0.5, 7)) for step in (3, 4))
    assert not torch.equal(first, second)


def test_half_precision_images_can_be_changed():
    assert changed(batch(images().bfloat16()), 0, add_noise(0.1)).dtype == torch.bfloat16


def test_rows_are_counted_in_each_layout():
    grid = torch.tensor([[1, 2, 2], [1, 4, 2], [1, 2, 2]])
    patches = {"pixel_values": torch.ones(16, 6), "image_grid_thw": grid, "num_images": [2, 1]}
    assert rows_by_sample(patches) == [12, 4]
    assert rows_by_sample({"pixel_values": images(5), "num_images": [1, 1], "num_tiles": [2, 3]}) == [2, 3]
    assert rows_by_sample({"pixel_values": images(3), "num_images": [2, 0, 1]}) == [2, 0, 1]
    assert rows_by_sample({"pixel_values": torch.ones(2, 3, 3, 8, 8), "num_images": [3, 1]}) == [1, 1]
