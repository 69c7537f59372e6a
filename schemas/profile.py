"""Reading a typed configuration: a TOML profile, `--set section.key=value` overrides, one class a section."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

UNPINNED = "unpinned"
"""Type of the error, and key of the context, of hub models without a revision."""


class ConfigError(ValueError):
    """A profile or an override that cannot be used; the message names every offending key."""


class Section(BaseModel):
    """Base of every section: unknown keys, infinities and NaN are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


Configuration = TypeVar("Configuration", bound=Section)


def read_profile(
    kind: type[Configuration], profile: Path, overrides: list[str] | None = None, *, unpinned: bool = False
) -> Configuration:
    """Read a profile and apply overrides of the form `section.key=value` (value in TOML, or a bare string).

    What neither names keeps its default, key by key, inside models too.

    Args:
        kind: The class of the whole configuration; all its sections have defaults.
        profile: The file.
        overrides: Applied in their order.
        unpinned: Let hub models without a revision pass; only what pins or checks a profile may do so.

    Raises:
        ConfigError: Not TOML, an unknown key, or an impossible value; each is named.
    """
    try:
        data = tomllib.loads(profile.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"there is no profile {profile}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{profile} is not TOML: {error}") from None
    data = _over(kind().model_dump(), data)
    for override in overrides or []:
        _apply(data, override)
    try:
        return kind.model_validate(data, context={UNPINNED: unpinned})
    except ValidationError as error:
        raise ConfigError(_explain(error, profile)) from None


def _over(defaults: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """The defaults with the data laid over them, section by section."""
    merged = dict(defaults)
    for key, value in data.items():
        below = merged.get(key)
        merged[key] = _over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _apply(data: dict[str, Any], override: str) -> None:
    path, equals, value = override.partition("=")
    keys = path.strip().split(".")
    if not equals or len(keys) < 2 or not all(keys):
        raise ConfigError(f"--set {override!r}: write it as stage.key=value, e.g. --set select.min_joint=0.9")
    section: Any = data
    for key in keys[:-1]:
        if section.get(key) is None:
            section[key] = {}
        section = section[key]
        if not isinstance(section, dict):
            raise ConfigError(f"--set {override!r}: {key!r} is a value, not a section")
    section[keys[-1]] = _parse(value.strip())


def _parse(value: str) -> Any:
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value


def _explain(error: ValidationError, profile: Path) -> str:
    lines = []
    problems = error.errors()
    for problem in problems:
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"unknown key `{key}`")
        elif problem["type"] == UNPINNED:
            lines.append(f"`{key}`: {problem['msg']}")
        elif not key:  # About several sections; what it got is all of the configuration.
            lines.append(problem["msg"].removeprefix("Value error, "))
        else:
            lines.append(f"`{key}`: {problem['msg']} (got {problem['input']!r})")
    if any(problem["type"] == UNPINNED for problem in problems):
        command = f"python -m pipelines.doctor {os.path.relpath(profile)} --pin pinned.toml"
        lines.append(f"pin them with `{command}`, then use pinned.toml")
    return "the configuration cannot be used:\n  " + "\n  ".join(lines)
