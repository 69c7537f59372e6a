"""Fetching a profile's hub models before a build starts, so that what cannot be fetched is said at once."""

from __future__ import annotations

from rich.console import Console

from generators.diffusion_loading import fetch_pipeline
from generators.weights import weights_folder
from pipelines.checkup.references import hub_facts, models_of
from schemas.config import BuildConfig, Diffusion


def fetch_models(config: BuildConfig, console: Console) -> None:
    """Bring every hub model that the build loads into the cache.

    Raises:
        HubError: One is not in the cache and cannot be fetched; the message says what to do.
        ModelMissingError: One holds no safetensors.
    """
    for use in models_of(config):
        if not (use.used and use.on_hub):
            continue
        known = hub_facts().get(use.settings.path)
        size = f" ({known.download} GB)" if known else ""
        with console.status(f"looking for {use.shown} in the cache, fetching it if it is not there{size}"):
            if isinstance(use.settings, Diffusion):
                fetch_pipeline(use.settings)
            else:
                weights_folder(use.settings.path, use.settings.revision)
