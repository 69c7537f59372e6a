import hashlib
import inspect
import io
import logging
import pickle
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from generators.diffusion import (
    FLAGGED,
    DiffusionGenerator,
    ImagePrompt,
    TextToImage,
    call_arguments,
    prompts_of,
    seed_of,
)
from generators.diffusion_loading import check_parameters, economise
from schemas.config import Diffusion
from schemas.records import Provenance

PROMPTS = [*prompts_of(["a toaster by a bath", "a red bicycle", "three hats"], 2)]


def _settings(folder: Path, **changes: Any) -> Diffusion:
    small = {"path": str(folder), "device": "cpu", "steps": 2, "width": 64, "height": 64}
    return Diffusion.model_validate(small | changes)


@pytest.fixture(scope="module")
def settings(diffusion_folder: Path) -> Diffusion:
    return _settings(diffusion_folder)


@pytest.fixture(scope="module")
def generator(settings: Diffusion) -> DiffusionGenerator:
    return DiffusionGenerator(settings)


@pytest.fixture
def model(generator: DiffusionGenerator) -> TextToImage:
    return generator.load_model()


@pytest.fixture(scope="module")
def drawn(generator: DiffusionGenerator) -> dict[ImagePrompt, object]:
    """Every prompt drawn in a batch of its own."""
    alone = generator.load_model()
    alone.batch_size = 1
    return dict(zip(PROMPTS, generator.generate(PROMPTS, alone), strict=True))


def _parameters(call: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(call).parameters


def test_a_seed_depends_on_prompt_and_index_alone() -> None:
    seeds = {seed_of(prompt) for prompt in [*PROMPTS, *PROMPTS]}
    assert len(seeds) == len(PROMPTS)
    assert all(0 <= seed < 2**63 for seed in seeds)
    expected = int(hashlib.sha256(b"a\x001").hexdigest()[:16], 16) >> 1
    assert seed_of(ImagePrompt("a", 1)) == expected


def test_prompts_are_the_distinct_queries_in_order() -> None:
    prompts = [*prompts_of(iter(["b", "a", "b"]), 2)]
    assert prompts == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]


def test_images_are_png_without_metadata_and_differ(drawn: dict[ImagePrompt, bytes]) -> None:
    assert len(set(drawn.values())) == len(PROMPTS)
    for data in drawn.values():
        image = Image.open(io.BytesIO(data))
        assert (image.format, image.mode, image.size, image.info) == ("PNG", "RGB", (64, 64), {})


def test_bytes_are_equal_for_any_batch_size_in_another_run(
    generator: DiffusionGenerator, model: TextToImage, drawn: dict[ImagePrompt, object]
) -> None:
    assert model.batch_size == 4
    assert [*generator.generate(PROMPTS, model)] == [*drawn.values()]


def test_bytes_do_not_depend_on_order_or_neighbours(
    generator: DiffusionGenerator, model: TextToImage, drawn: dict[ImagePrompt, object]
) -> None:
    some = [PROMPTS[4], PROMPTS[0], PROMPTS[5], PROMPTS[0], PROMPTS[2]]
    assert [*generator.generate(some, model)] == [drawn[prompt] for prompt in some]


@pytest.mark.usefixtures("one_thread")
def test_bytes_do_not_depend_on_the_number_of_threads_that_torch_has(
    generator: DiffusionGenerator, model: TextToImage, drawn: dict[ImagePrompt, object]
) -> None:
    assert [*generator.generate(PROMPTS, model)] == [*drawn.values()]


def test_the_prompt_decides_the_picture_and_not_only_the_seed(
    generator: DiffusionGenerator, model: TextToImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generators.diffusion.seed_of", lambda prompt: 7)
    prompts = [ImagePrompt("a dog", 0), ImagePrompt("a dog", 1), ImagePrompt("a cat", 0)]
    one, same, other = generator.generate(prompts, model)
    assert one == same != other


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Kernels whose order of summation, in a batch of one shape, is always the same."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _cramped(pipeline: Any, full: Callable[[list[int]], bool], error: RuntimeError) -> tuple[Any, list[int]]:
    """The pipeline raising where `full` says so, and the sizes of the batches that it was asked for."""
    asked: list[int] = []

    class Cramped(type(pipeline)):  # type: ignore[misc]
        @wraps(type(pipeline).__call__)
        def __call__(self, **arguments: Any) -> Any:
            asked.append(len(arguments["prompt"]))
            if full(asked):
                raise error
            return super().__call__(**arguments)

    cramped = Cramped(**pipeline.components)
    cramped.set_progress_bar_config(disable=True)
    return cramped, asked


@pytest.mark.usefixtures("one_thread")
def test_running_out_of_memory_halves_the_batch_for_good(
    generator: DiffusionGenerator, model: TextToImage, caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    caplog.set_level(logging.WARNING)  # A command that ran before may have raised it.
    full = torch.cuda.OutOfMemoryError("CUDA ran out")
    pipeline, asked = _cramped(model.pipeline, lambda asked: asked[-1] > 2, full)
    cramped, roomy = TextToImage(pipeline, True, 5), TextToImage(model.pipeline, True, 2)
    images = [*generator.generate(PROMPTS, cramped)]
    assert asked == [5, 2, 2, 2]
    assert cramped.batch_size == 2
    assert "out of memory with 5 images at once; going on with 2" in caplog.text
    assert images == [*generator.generate(PROMPTS, roomy)]


@pytest.mark.parametrize("message", ["DefaultCPUAllocator: can't allocate memory", "Out of memory"])
def test_fewer_images_are_under_way_where_memory_runs_out_on_a_cpu(
    message: str, generator: DiffusionGenerator, model: TextToImage, drawn: dict[ImagePrompt, object]
) -> None:
    pipeline, asked = _cramped(model.pipeline, lambda asked: len(asked) == 1, RuntimeError(message))
    cramped = TextToImage(pipeline, False, 3)
    assert [*generator.generate(PROMPTS[:4], cramped)] == [drawn[prompt] for prompt in PROMPTS[:4]]
    assert set(asked) == {1}
    assert cramped.batch_size == 1


def test_an_image_that_does_not_fit_alone_says_what_to_do(
    generator: DiffusionGenerator, model: TextToImage
) -> None:
    pipeline, asked = _cramped(model.pipeline, lambda asked: True, RuntimeError("out of memory"))
    with pytest.raises(
        RuntimeError, match=r"one image of 64x64: lower `width` and `height`, or set `offload`"
    ):
        [*generator.generate(PROMPTS, TextToImage(pipeline, True, 4))]
    assert asked == [4, 2, 1]


def test_other_errors_of_the_pipeline_are_not_swallowed(
    generator: DiffusionGenerator, model: TextToImage
) -> None:
    pipeline, asked = _cramped(model.pipeline, lambda asked: True, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        [*generator.generate(PROMPTS, TextToImage(pipeline, True, 4))]
    assert asked == [4]


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("together", [False, True])
def test_what_the_safety_checker_flags_is_refused(
    generator: DiffusionGenerator, model: TextToImage, together: bool
) -> None:
    import torch

    checker, scores = model.pipeline.safety_checker, []
    checker.concept_embeds.data = torch.eye(16)[:1].repeat(17, 1)
    record = checker.visual_projection.register_forward_hook(
        lambda module, inputs, output: scores.extend(torch.nn.functional.normalize(output)[:, 0].tolist())
    )
    model.batch_size, model.together = 1, together
    clean = [*generator.generate(PROMPTS, model)]
    record.remove()
    low, high = sorted(scores)[2:4]
    checker.concept_embeds_weights.data.fill_((low + high) / 2)
    expected = [FLAGGED if score >= high else image for score, image in zip(scores, clean, strict=True)]
    assert [*generator.generate(PROMPTS, model)] == expected
    assert expected.count(FLAGGED) == 3


def test_the_fingerprint_tells_what_decides_pixels(settings: Diffusion) -> None:
    def of(**changes: Any) -> str:
        return DiffusionGenerator(settings.model_copy(update=changes)).fingerprint()

    spared = {
        "batch_size": 1,
        "offload": "model",
        "attention_slicing": True,
        "vae_slicing": True,
        "per_query": 2,
    }
    assert of(**spared) == of()
    changes: list[dict[str, Any]] = [
        {"steps": 3}, {"guidance": 1.0}, {"width": 128}, {"height": 128}, {"negative_prompt": "blur"},
        {"dtype": "bfloat16"}, {"device": "cuda"},
        {"path": "stable/diffusion", "revision": "a1"}, {"path": "stable/diffusion", "revision": "b2"},
    ]  # fmt: skip
    assert len({of(), *(of(**change) for change in changes)}) == 1 + len(changes)


def test_the_fingerprint_follows_the_weights_and_not_the_place(settings: Diffusion, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for name in ("copy", "changed"):
        shutil.copytree(settings.path, tmp_path / name)
    (tmp_path / "copy" / "notes.md").write_text("mine")
    weights = tmp_path / "changed" / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    tensors["conv_in.bias"][0] += 1
    save_file(tensors, weights)
    original, copied, changed = (
        DiffusionGenerator(_settings(Path(path))).fingerprint()
        for path in (settings.path, tmp_path / "copy", tmp_path / "changed")
    )
    assert original == copied != changed


def test_a_generator_pickles_to_its_settings(generator: DiffusionGenerator, model: TextToImage) -> None:
    [*generator.generate(PROMPTS[:1], model)]
    data = pickle.dumps(generator)
    assert len(data) < 2000
    assert pickle.loads(data).fingerprint() == generator.fingerprint()  # noqa: S301 - our own bytes


def test_provenance_tells_weights_settings_prompt_and_seed(settings: Diffusion) -> None:
    hub = settings.model_copy(update={"path": "stable/diffusion", "revision": "abc", "dtype": "float16"})
    prompt = ImagePrompt("a red bicycle", 1)
    assert DiffusionGenerator(hub).provenance(prompt) == Provenance(
        source="diffusion",
        name=f"{hashlib.sha256(b'a red bicycle').hexdigest()[:16]}-1",
        origin="generated",
        generator="stable/diffusion@abc steps=2 guidance=5 size=64x64 dtype=float16",
        prompt="a red bicycle",
        seed=seed_of(prompt),
    )


def test_provenance_of_a_local_folder_holds_no_directories(
    generator: DiffusionGenerator, settings: Diffusion
) -> None:
    told = generator.provenance(PROMPTS[0]).generator
    assert told.startswith("pipeline@")
    assert str(Path(settings.path).parent) not in told


@pytest.mark.parametrize("method", [DiffusionGenerator.fingerprint, DiffusionGenerator.load_model])
def test_a_folder_that_is_no_pipeline_is_named_with_what_is_expected(method: Any, tmp_path: Path) -> None:
    for path, found in ((tmp_path / "nowhere", "does not exist"), (tmp_path, "holds no model_index.json")):
        with pytest.raises(ValueError, match=f"{path} {found}: give the folder of a diffusers pipeline"):
            method(DiffusionGenerator(_settings(path)))


@pytest.mark.parametrize(
    "index", ["{", "{}", '{"_class_name": "NoSuchPipeline"}', '{"_class_name": ["custom", "Custom"]}']
)
def test_a_broken_pipeline_is_named(index: str, tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text(index)
    (tmp_path / "custom.py").write_text("raise SystemExit('run')")
    with pytest.raises(ValueError, match=f"{tmp_path} cannot be loaded as a diffusers pipeline"):
        DiffusionGenerator(_settings(tmp_path)).load_model()


def test_weights_that_are_no_safetensors_are_refused(settings: Diffusion, tmp_path: Path) -> None:
    import torch

    shutil.copytree(settings.path, tmp_path / "pickled")
    weights = tmp_path / "pickled" / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save({}, weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(ValueError, match="pickled cannot be loaded as a diffusers pipeline"):
        DiffusionGenerator(_settings(tmp_path / "pickled")).load_model()


def test_a_hub_pipeline_that_is_not_here_is_named_when_offline() -> None:
    hub = Diffusion(path="nobody/nothing", revision="abc", device="cpu")
    with pytest.raises(ValueError, match="nobody/nothing cannot be loaded"):
        DiffusionGenerator(hub).load_model()


def test_a_call_gets_only_the_arguments_that_its_pipeline_takes(settings: Diffusion) -> None:
    from diffusers import (
        FluxPipeline,
        LatentConsistencyModelPipeline,
        QwenImagePipeline,
        StableDiffusionPipeline,
    )

    def of(pipeline: Any, **changes: Any) -> dict[str, Any]:
        changed = settings.model_copy(update=changes)
        given = call_arguments(_parameters(pipeline.__call__), changed, 2)
        return {
            k: v
            for k, v in given.items()
            if k not in ("width", "height", "num_inference_steps", "output_type")
        }

    assert of(StableDiffusionPipeline) == {"guidance_scale": 5.0}
    assert of(FluxPipeline, negative_prompt="x") == {"guidance_scale": 5.0, "negative_prompt": ["x", "x"]}
    assert of(LatentConsistencyModelPipeline, negative_prompt="x") == {"guidance_scale": 5.0}
    assert of(QwenImagePipeline) == {"true_cfg_scale": 5.0, "negative_prompt": ["", ""]}


def test_a_negative_prompt_changes_the_picture(
    settings: Diffusion, model: TextToImage, drawn: dict[ImagePrompt, object]
) -> None:
    other = DiffusionGenerator(settings.model_copy(update={"negative_prompt": "blurred"}))
    (image,) = other.generate(PROMPTS[:1], model)
    assert image != drawn[PROMPTS[0]]


def test_a_pipeline_that_needs_an_image_is_refused(settings: Diffusion) -> None:
    def upscale(prompt: str, image: object, **rest: object) -> None: ...
    def unconditional(count: int = 1) -> None: ...

    with pytest.raises(ValueError, match=r"no text-to-image pipeline: it needs \['image'\]"):
        check_parameters(_parameters(upscale), settings)
    with pytest.raises(ValueError, match="no text-to-image pipeline: it takes no prompt"):
        check_parameters(_parameters(unconditional), settings)


def test_slicing_is_applied(settings: Diffusion, model: TextToImage) -> None:
    economise(model.pipeline, settings)
    assert not model.pipeline.vae.use_slicing
    economise(model.pipeline, settings.model_copy(update={"attention_slicing": True, "vae_slicing": True}))
    assert model.pipeline.vae.use_slicing
    processors = model.pipeline.unet.attn_processors.values()
    assert {type(processor).__name__ for processor in processors} == {"SlicedAttnProcessor"}


def test_a_gpu_that_is_not_there_is_an_error(settings: Diffusion) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ValueError, match="torch sees no GPU"):
        DiffusionGenerator(settings.model_copy(update={"device": "cuda"})).load_model()
