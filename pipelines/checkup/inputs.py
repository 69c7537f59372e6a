"""What the build reads beside models: sources, scenarios, policy, hash list, concepts and fonts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.checkup.findings import Finding, Status
from schemas.config import BuildConfig

GENERATED = ("tinyworld", "diffusion", "language")


def examine_inputs(config: BuildConfig, say: Callable[[str], None]) -> list[Finding]:
    """Open every input as the build would, without reading it through."""
    from generators.corpora import open_images, open_texts
    from generators.scenarios import load_scenarios
    from schemas.policy import load_policy

    def scenarios() -> str:
        return f"{len(load_scenarios(config.scenarios.source))} scenarios"

    checks: list[tuple[str, str, Callable[[], Any]]] = [
        ("scenarios.source", config.scenarios.source, scenarios),
        ("judge.policy", config.judge.policy, lambda: load_policy(config.judge.policy) and ""),
    ]
    for source in config.images.source:
        checks.append(("images.source", source, _opened(source, open_images)))
    for source in config.texts.source:
        open_one = partial(open_texts, column=config.texts.column)
        checks.append(("texts.source", source, _opened(source, open_one)))
    if config.screen.hash_list:
        checks.append(("screen.hash_list", config.screen.hash_list, lambda: _hashes(config.screen.hash_list)))
    if config.screen.concepts:
        checks.append(("screen.concepts", config.screen.concepts, lambda: _concepts(config.screen.concepts)))
    checks.append(
        ("compose.fonts", ", ".join(config.compose.fonts) or "DejaVu Sans", partial(_fonts, config))
    )
    findings = []
    for key, name, check in checks:
        say(f"{key} {name}")
        findings.append(_tried(key, name, check))
    return findings


def _opened(source: str, open_source: Callable[[str], Any]) -> Callable[[], str]:
    def check() -> str:
        if source in GENERATED:
            return "generated"
        open_source(source)
        return "there"

    return check


def _tried(key: str, name: str, check: Callable[[], Any]) -> Finding:
    try:
        said = check()
    except (OSError, ValueError) as error:
        option = {"images.source": "--images", "texts.source": "--texts"}.get(key)
        todo = f"correct `{key}`" + (f", or give the build {option}" if option else "")
        return Finding("inputs", key, Status.MISSING, str(error), todo)
    return Finding("inputs", key, Status.OK, f"{name}: {said}" if said else name)


def _hashes(path: str) -> str:
    from pipelines.stages.hashlist import HashList

    return f"{len(HashList.read(path))} PDQ hashes"


def _concepts(path: str) -> str:
    from pipelines.models.zero_shot import Concepts

    concepts = Concepts.read(Path(path))
    return f"{len(concepts.harmful)} harmful and {len(concepts.benign)} benign concepts"


def _fonts(config: BuildConfig) -> str:
    """Draw a word in every style, as the build would."""
    from PIL import Image

    from pipelines.stages.layout import STYLES, check_fonts, lay_out

    check_fonts(config.compose.fonts)
    for style in STYLES:
        lay_out(Image.new("RGB", (64, 64)), "A word", style, 128)
    return f"drawn in {len(STYLES)} styles"
