"""The profiles that ship: every one loads, its models are known, and the README says of them what is true."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.build import main as build
from pipelines.checkup.machine import BYTES, ROOM
from pipelines.checkup.references import endpoints_of, hub_facts, models_of
from pipelines.profiles import PROFILES
from schemas.config import BuildConfig, load_config
from schemas.profile import ConfigError

README = Path(__file__).parents[2] / "README.md"
NAMES = sorted(path.stem for path in PROFILES.glob("*.toml"))


def _config(name: str) -> BuildConfig:
    return load_config(PROFILES / f"{name}.toml", unpinned=True)


def test_the_profiles_are_those_of_the_readme() -> None:
    assert NAMES == ["gpu", "laptop", "server", "tinyworld"]
    assert all(f"| `{name}` |" in README.read_text() for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_model_is_known(name: str) -> None:
    config = _config(name)
    hub = [use.settings.path for use in models_of(config) if use.on_hub]
    served = [use.settings.model for use in endpoints_of(config)]
    assert set(hub) | set(served) <= hub_facts().keys()
    assert bool(hub) == (name != "tinyworld")


def test_no_model_is_known_that_no_profile_names() -> None:
    configs = [_config(name) for name in NAMES]
    named = {use.settings.path for config in configs for use in models_of(config)}
    named |= {use.settings.model for config in configs for use in endpoints_of(config)}
    assert hub_facts().keys() <= named


@pytest.mark.parametrize("name", [name for name in NAMES if name != "tinyworld"])
def test_real_profiles_judge_by_the_everyday_policy_and_the_curated_scenarios(name: str) -> None:
    config = _config(name)
    assert (config.scenarios.source, config.judge.policy) == ("seeds", "everyday")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "tinyworld"])
def test_the_readmes_figures_and_licences_are_those_of_the_models(name: str) -> None:
    facts = hub_facts()
    uses = [use for use in models_of(_config(name)) if use.used and use.on_hub]
    download = sum({use.settings.path: facts[use.settings.path].download for use in uses}.values())
    needs = {use.key: facts[use.settings.path].parameters * BYTES[use.settings.dtype] * ROOM for use in uses}
    memory = sum(needs.values())
    licences = ", ".join(sorted({facts[use.settings.path].licence for use in uses}))
    (row,) = [line for line in README.read_text().splitlines() if line.startswith(f"| `{name}` |")]
    assert row.endswith(f"| {download:.1f} GB | {memory:.1f} GB | {licences} |")
    assert name == "server" or f"{max(needs.values()):.1f} GB" in README.read_text().replace(row, "")


def test_a_model_that_must_be_asked_for_is_told_in_the_readme() -> None:
    gated = [path for path, facts in hub_facts().items() if facts.gated]
    assert ("None of the models is gated" in README.read_text()) == (not gated)


def test_a_real_profile_is_found_by_its_name_and_asks_to_be_pinned(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert build(["--profile=laptop"]) == 2
    said = capsys.readouterr().err
    assert "laptop.toml --pin pinned.toml" in said and "`judge.model`" in said


def test_a_pinned_profile_loads(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load_config(PROFILES / "gpu.toml")
    keys = [use.key for use in models_of(_config("gpu")) if use.on_hub]
    config = load_config(PROFILES / "gpu.toml", [f"{key}.revision={'0' * 40}" for key in keys])
    assert {use.settings.revision for use in models_of(config)} == {"0" * 40}
