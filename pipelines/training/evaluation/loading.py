"""The models that are evaluated: from a run's folder, a base model's folder, a packaged or a pinned hub model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from generators.weights import is_local
from pipelines.training.evaluation.meaning import refuse_the_rewards
from pipelines.training.evaluation.settings import Settings
from pipelines.training.policy import Policy, load_policy
from schemas.config import Model

PROBES = {"CLIP probe, linear": False, "CLIP probe, kernel": True}
"""Name of a probe to whether it is the one with a kernel."""


class Contestant(NamedTuple):
    """Something that gives verdicts."""

    name: str
    """What tables and files call it."""
    path: str
    """The folder (or name) of its weights."""
    kind: str
    """`run`, `zero-shot` or `probe`."""
    facts: dict[str, Any]
    """Of a run: what `run.json` says."""
    revision: str = ""
    """Of a model on the hub: its commit."""


def contestants_of(settings: Settings) -> list[Contestant]:
    """Everything that is evaluated: models as they are, the probes, then runs.

    Raises:
        ValueError: There is nothing, something is no run, a hub model has no commit, two have one name, or a run's
            reward would measure itself.
    """
    found = [zero_shot_contestant(path) for path in settings.models]
    if settings.probe:
        found += [Contestant(name, settings.probe, "probe", {}) for name in PROBES]
    found += [run_contestant(folder) for folder in settings.runs]
    if not found:
        raise ValueError("there is nothing to evaluate: name a --run, a --model or a --probe")
    names = [file_name(one.name) for one in found]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"two of what is evaluated are called {repeated[0]}: give their folders different names"
        )
    for one in found:
        if settings.embedder and one.kind == "run":
            refuse_the_rewards(settings.embedder, one.name, one.facts)
    return found


def file_name(name: str) -> str:
    """A name of letters, digits and `._-`, as the predictions of a model are called."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-") or "model"


def run_contestant(folder: Path) -> Contestant:
    """A run that `python -m pipelines.train` left behind.

    Raises:
        ValueError: There is no model in it, or its `run.json` is not JSON.
    """
    if not (folder / "model").is_dir():
        raise ValueError(
            f"{folder} is no run: there is no {folder / 'model'}; name a base model with --model"
        )
    described = folder / "run.json"
    try:
        facts = json.loads(described.read_text(encoding="utf-8")) if described.is_file() else {}
    except ValueError as error:
        raise ValueError(f"{described} is not JSON: {error}") from None
    return Contestant(
        folder.resolve().name, str(folder / "model"), "run", facts if isinstance(facts, dict) else {}
    )


def zero_shot_contestant(path: str) -> Contestant:
    """A model as it is, without our training.

    Args:
        path: A folder, `builtin:WORLD/NAME`, or `OWNER/NAME@COMMIT` on the hub.

    Raises:
        ValueError: It is on the hub, and no commit is given.
    """
    revision = ""
    if not is_local(path):
        path, _, revision = path.partition("@")
        if not revision:
            raise ValueError(f"{path} is no folder here; a model of the hub is named as {path}@COMMIT")
    return Contestant(f"{path.rstrip('/').rpartition('/')[2]} (zero-shot)", path, "zero-shot", {}, revision)


def load_model(settings: Model) -> Policy:
    """A model and its processor for inference, on its device.

    Raises:
        ModelMissingError: The folder does not exist or holds no safetensors.
        ValueError: The model has no chat template.
    """
    from pipelines.models.devices import placed

    policy = load_policy(settings.path, settings.dtype, settings.revision)
    return policy._replace(model=placed(policy.model, settings))
