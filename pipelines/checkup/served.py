"""Servers that a profile names: whether they answer, offer the model, and send what the judge needs."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Iterable

from generators.chat import EndpointError
from generators.endpoint import served_models
from pipelines.checkup.findings import Finding, Status
from pipelines.checkup.references import EndpointUse
from schemas.config import BuildConfig, Endpoint

PATIENCE = 30.0
"""Seconds that one answer may take here."""


def examine_servers(
    uses: Iterable[EndpointUse], config: BuildConfig, say: Callable[[str], None]
) -> list[Finding]:
    """Ask each server for its models, and the judge one question about a grey picture in each order of the options."""
    findings = []
    for use in uses:
        say(f"server of {use.key}")
        finding = _listed(use)
        findings.append(finding)
        if use.judges and finding.status is not Status.MISSING:
            say("the judge, with one question about a grey picture")
            findings.append(_judges(use, config))
    return findings


def _hurried(endpoint: Endpoint) -> Endpoint:
    return endpoint.model_copy(update={"attempts": 1, "timeout": min(endpoint.timeout, PATIENCE)})


def _listed(use: EndpointUse) -> Finding:
    endpoint = use.settings
    held = "key set" if os.environ.get(endpoint.key) else f"no key in {endpoint.key}"
    try:
        names = served_models(_hurried(endpoint))
    except EndpointError as error:
        said, _, todo = str(error).rpartition(": ")
        return Finding("server", use.key, Status.MISSING, f"{said} ({held})", todo)
    if endpoint.model not in names:
        said = f"{endpoint.model} is not among its models: {', '.join(names[:5]) or 'none'}"
        return Finding(
            "server", use.key, Status.MISSING, said, f"correct `{use.key}.model`, or serve that model"
        )
    return Finding("server", use.key, Status.OK, f"offers {endpoint.model} ({held})")


def _judges(use: EndpointUse, config: BuildConfig) -> Finding:
    """Whether the server sees a picture and sends logprobs, tried with a question as a build asks it."""
    from PIL import Image

    from pipelines.models.judge import Question
    from pipelines.models.served_judge import ServedJudge
    from pipelines.storage.workspace import Workspace
    from schemas.policy import PolicyError, load_policy

    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "grey").save(picture, "JPEG")
    name = f"{use.key} logprobs"
    try:
        policy = load_policy(config.judge.policy)
    except PolicyError as error:
        return Finding(
            "server", name, Status.WARNING, f"not tried: {error}", "see the finding of `judge.policy`"
        )
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(folder)
        question = Question(workspace.blobs().put(picture.getvalue()), "Good morning.")
        judge = ServedJudge(_hurried(use.settings), policy, workspace)
        (answer,) = judge.run_inference([question], None)
    if isinstance(answer, Exception):
        todo = "serve a model that takes pictures, with at least 20 logprobs (vLLM: --max-logprobs 20)"
        return Finding("server", name, Status.MISSING, str(answer), todo)
    said = "sent, and a picture was taken (asked once in each order of the options)"
    return Finding("server", name, Status.OK, said)
