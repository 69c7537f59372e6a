"""The models of a profile: local folders, and hub models as far as the hub or its cache tells without a download."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from generators.hub import FETCHED, TIMEOUT, HubError, cached_snapshot, described, explain, hub_errors
from pipelines.checkup.findings import Finding, Status, gigabytes
from pipelines.checkup.folders import (
    CONFIGS,
    BrokenFolderError,
    check_config,
    examine_folder,
    local_folder,
    parameters,
    weight_files,
)
from pipelines.checkup.references import ModelUse, hub_facts

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

COMMIT = re.compile(r"[0-9a-f]{40}")
VARIANT = re.compile(r"\.(fp16|bf16|non_ema|ema)\b")
"""Other precisions beside the weights of a diffusers pipeline, which are not fetched."""


class Examined(NamedTuple):
    """What is known of one model after its check."""

    use: ModelUse
    findings: list[Finding]
    parameters: float = 0.0
    """How many; 0 if that is not known."""
    to_fetch: float = 0.0
    """Bytes."""
    unreachable: bool = False
    """Whether the hub gave no answer."""


def examine_models(uses: Iterable[ModelUse], say: Callable[[str], None]) -> list[Examined]:
    """Check every model; a hub that does not answer is asked once."""
    examined: list[Examined] = []
    for use in uses:
        say(f"model {use.shown}")
        if not use.on_hub:
            examined.append(Examined(use, [examine_folder(use)], _parameters(use)))
        else:
            reachable = not any(one.unreachable for one in examined)
            examined.append(_examine_hub(use, reachable))
    return examined


def unpinned(uses: Iterable[ModelUse]) -> list[ModelUse]:
    """The hub models without a revision."""
    return [use for use in uses if use.on_hub and not use.settings.revision]


def _parameters(use: ModelUse) -> float:
    try:
        return float(sum(parameters(path) for path in weight_files(local_folder(use))))
    except (OSError, ValueError):
        return 0.0


def _examine_hub(use: ModelUse, reachable: bool) -> Examined:
    known = hub_facts().get(use.settings.path)
    estimated = known.parameters * 1e9 if known else 0.0
    try:
        if _is_cached(use):
            finding = Finding("models", use.key, Status.OK, f"{use.shown}: in the cache")
            return Examined(use, [finding], estimated)
        if reachable:
            return _described(use, described(use.settings.path, use.settings.revision), estimated)
    except HubError as error:
        cause = error.__cause__ or error
        trouble = explain(cause, use.settings.path, use.settings.revision)
        if not trouble.unknown:
            finding = Finding("models", use.key, Status.MISSING, f"{use.shown}: {trouble.said}", trouble.todo)
            return Examined(use, [finding], estimated)
        said, todo = f"{use.shown}: not checked: {trouble.said}", trouble.todo
    else:
        said, todo = f"{use.shown}: not checked: no network", ""
    size = known.download * 1e9 if known else 0.0
    if size:
        said += f"; about {gigabytes(size)} to fetch"
    return Examined(use, [Finding("models", use.key, Status.WARNING, said, todo)], estimated, size, True)


def _is_cached(use: ModelUse) -> bool:
    from huggingface_hub import try_to_load_from_cache

    path, revision = use.settings.path, use.settings.revision
    if not revision:
        return False
    if use.loader == "diffusers":
        with hub_errors(path, revision):
            return isinstance(try_to_load_from_cache(path, CONFIGS[use.loader], revision=revision), str)
    return cached_snapshot(path, revision) is not None


def _described(use: ModelUse, info: ModelInfo, estimated: float) -> Examined:
    """What follows from what the hub says of a model."""
    files = needed_files(use, info)
    to_fetch = sum(size for name, size in files.items() if not _file_is_cached(use, info, name))
    counted = float((info.safetensors.total if info.safetensors else 0) or estimated)
    findings = [_of_files(use, info, files, to_fetch)]
    if info.gated:
        findings += _of_access(use)
    if use.loader == "classifier" and findings[0].status is Status.OK:
        findings += _of_labels(use, str(info.sha))
    revision = use.settings.revision
    if revision and not COMMIT.fullmatch(revision):
        said = f"{use.shown}: the revision is no commit, so it may change"
        findings.append(Finding("models", use.key, Status.WARNING, said, "pin the profile with --pin"))
    return Examined(use, findings, counted, to_fetch)


def needed_files(use: ModelUse, info: ModelInfo) -> dict[str, float]:
    """Name to bytes of the files that would be fetched (of a diffusers pipeline at most those)."""
    names = {file.rfilename: float(file.size or 0) for file in info.siblings or []}
    chosen = {n: s for n, s in names.items() if any(fnmatch.fnmatch(n, pattern) for pattern in FETCHED)}
    if use.loader != "diffusers":
        return chosen
    parts = {n: s for n, s in chosen.items() if "/" in n and not VARIANT.search(n)}
    return parts | {n: s for n, s in chosen.items() if n == CONFIGS["diffusers"]}


def _file_is_cached(use: ModelUse, info: ModelInfo, name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(use.settings.path, name, revision=info.sha), str)


def _of_files(use: ModelUse, info: ModelInfo, files: dict[str, float], to_fetch: float) -> Finding:
    lacking = [CONFIGS[use.loader]] if CONFIGS[use.loader] not in files else []
    if not any(name.endswith(".safetensors") for name in files):
        lacking.append("safetensors")
    if lacking:
        said = f"{use.shown}: the hub has no {' and no '.join(lacking)} of it"
        return Finding("models", use.key, Status.MISSING, said, "choose another model or revision")
    said = f"{use.shown}: on the hub, {gigabytes(to_fetch)} to fetch of {gigabytes(sum(files.values()))}"
    if info.gated:
        said += ", gated"
    return Finding("models", use.key, Status.OK, said)


def _of_access(use: ModelUse) -> list[Finding]:
    from huggingface_hub import HfApi

    path = use.settings.path
    try:
        with hub_errors(path, use.settings.revision):
            HfApi().auth_check(path)
    except HubError as error:
        trouble = explain(error.__cause__ or error, path, use.settings.revision)
        status = Status.WARNING if trouble.unknown else Status.MISSING
        return [Finding("models", use.key, status, f"{use.shown}: {trouble.said}", trouble.todo)]
    return []


def _of_labels(use: ModelUse, commit: str) -> list[Finding]:
    """A finding if a classifier on the hub lacks a label; its configuration is read, a kilobyte."""
    from huggingface_hub import HfApi, get_session, hf_hub_url

    path = use.settings.path
    url = hf_hub_url(path, CONFIGS[use.loader], revision=commit)
    try:
        with hub_errors(path, commit):
            headers = HfApi()._build_hf_headers()
            answer = get_session().get(url, headers=headers, timeout=TIMEOUT, follow_redirects=True)
            config: Any = answer.raise_for_status().json()
        check_config(use, config if isinstance(config, dict) else {})
    except BrokenFolderError as error:
        todo = "name labels of the classifier in `screen.image_labels` and `screen.text_labels`"
        return [Finding("models", use.key, Status.MISSING, str(error), todo)]
    except (HubError, ValueError) as error:
        said = f"{use.shown}: its labels were not checked ({error})"
        return [Finding("models", use.key, Status.WARNING, said)]
    return []
