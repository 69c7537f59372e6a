"""Loading a diffusers pipeline: from safetensors, checked, on its device, in the way the settings ask for."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from generators.hub import described, hub_errors
from generators.weights import folder_digest, is_local
from schemas.config import Device, Diffusion

INDEX = "model_index.json"
_log = logging.getLogger(__name__)


def device_of(device: Device) -> str:
    """`cpu` or `cuda`; `auto` is the GPU if there is one."""
    import torch

    return device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def check_device(device: str) -> None:
    """Refuse a GPU that is not there, with a ValueError."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("`device` is cuda, but torch sees no GPU: set it to cpu or auto")


def local_folder(settings: Diffusion) -> Path | None:
    """The folder of a local pipeline, None for one of the hub.

    Raises:
        ValueError: The folder does not exist or is no diffusers pipeline.
    """
    folder = Path(settings.path).expanduser()
    if not is_local(settings.path):
        return None
    if not (folder / INDEX).is_file():
        found = f"holds no {INDEX}" if folder.is_dir() else "does not exist"
        raise ValueError(
            f"{settings.path} {found}: give the folder of a diffusers pipeline, with its {INDEX}"
        )
    return folder.resolve()


def check_parameters(parameters: Mapping[str, inspect.Parameter], settings: Diffusion) -> None:
    """Check what a pipeline can be called with; a negative prompt that it does not take is logged.

    Raises:
        ValueError: It takes no prompt, or cannot do without something else, such as an image.
    """
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = {n for n, p in parameters.items() if p.default is p.empty and p.kind not in kinds} - {"prompt"}
    if "prompt" not in parameters or needed:
        wants = f"needs {sorted(needed)}" if needed else "takes no prompt"
        raise ValueError(f"{settings.path} is no text-to-image pipeline: it {wants}")
    if settings.negative_prompt and "negative_prompt" not in parameters:
        _log.warning("%s takes no negative prompt; it is left out", settings.path)


def place(pipeline: Any, settings: Diffusion, device: str) -> None:
    """Put a pipeline on an accelerator in the way that the settings ask for."""
    economise(pipeline, settings)
    if settings.offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif settings.offload == "sequential":
        pipeline.enable_sequential_cpu_offload(device=device)
    else:
        pipeline.to(device)


def economise(pipeline: Any, settings: Diffusion) -> None:
    """Slice attention and VAE, and compile the denoiser, where the settings ask for it."""
    if settings.attention_slicing:
        pipeline.enable_attention_slicing()
    if settings.vae_slicing:
        pipeline.vae.enable_slicing()
    if settings.compile:
        components = pipeline.components
        (components.get("transformer") or components["unet"]).compile()


def fetch_pipeline(settings: Diffusion) -> None:
    """Download the parts of a hub pipeline that are not in the cache; nothing for a local one.

    Raises:
        HubError: They cannot be fetched.
    """
    from diffusers import DiffusionPipeline

    if local_folder(settings):
        return
    path, revision = settings.path, settings.revision
    options = {"revision": revision, "use_safetensors": True, "trust_remote_code": False}
    try:
        DiffusionPipeline.download(path, **options, local_files_only=True)
    except OSError:
        # Asked first, since a download would try again for most of a minute where there is no network.
        described(path, revision)
        with hub_errors(path, revision):
            DiffusionPipeline.download(path, **options)


def load_pipeline(settings: Diffusion) -> Any:
    """A pipeline with its own safety checker; ValueError says what is wrong with the folder or the hub id."""
    import torch
    from diffusers import AutoPipelineForText2Image, DiffusionPipeline
    from huggingface_hub import is_offline_mode

    folder = local_folder(settings)
    options = {
        "revision": settings.revision or None,
        "dtype": getattr(torch, settings.dtype),
        "use_safetensors": True,
        "trust_remote_code": False,
        "local_files_only": is_offline_mode(),
    }
    try:
        try:
            return AutoPipelineForText2Image.from_pretrained(str(folder or settings.path), **options)
        except ValueError:
            # Not every text-to-image pipeline is known to the automatic class.
            return DiffusionPipeline.from_pretrained(str(folder or settings.path), **options)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{settings.path} cannot be loaded as a diffusers pipeline ({INDEX}, safetensors): {error}"
        ) from error


def weights_of(settings: Diffusion) -> str:
    """A local pipeline counts by the content of its files, one of the hub by its pinned revision."""
    folder = local_folder(settings)
    return folder_digest(str(folder)) if folder else f"{settings.path}@{settings.revision}"


def parameters_of(pipeline: Any) -> Mapping[str, inspect.Parameter]:
    """What a pipeline can be called with."""
    return inspect.signature(pipeline.__call__).parameters
