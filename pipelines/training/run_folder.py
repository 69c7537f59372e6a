"""A run's folder: what was trained on what, its metrics as they came, curves to look at, and the model with a card.

R/.begun.json     what a run that is not finished was begun with
R/run.json        configuration, base model, dataset and its digest, versions, final metrics
R/metrics.jsonl   one line a logged step
R/margins.json    DPO's margins on unseen scenes, before and after
R/curves.png      the metrics that people look at
R/tensorboard/    the same for TensorBoard
R/checkpoints/    to resume from, if the profile asks for any
R/model/          weights (or adapter) and processor; R/model/README.md is the model card
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

LIBRARIES = ("crossharm", "torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers")


BEGUN = ".begun.json"


class RunFolder(NamedTuple):
    """Where a run writes."""

    path: Path

    @property
    def model(self) -> Path:
        """Weights and processor."""
        return self.path / "model"

    @property
    def metrics(self) -> Path:
        """One line a logged step."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The trainer's own folders."""
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        """Event files."""
        return self.path / "tensorboard"

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Append the finite numbers of a step."""
        numbers = {name: value for name, value in values.items() if _is_finite(value)}
        with self.metrics.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"step": step} | numbers) + "\n")

    def forget_after(self, step: int) -> None:
        """Drop the lines of steps after a checkpoint that a resumed run goes on from."""
        kept = [line for line in self.logged() if line["step"] <= step]
        self.metrics.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")

    def logged(self) -> list[dict[str, Any]]:
        """The lines so far; a last one that a kill cut in two is left out."""
        if not self.metrics.is_file():
            return []
        lines = self.metrics.read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in lines[:-1]]

    def require_ours(self) -> None:
        """Refuse a folder with files that no training wrote, and one with checkpoints; nothing is changed.

        Raises:
            ValueError: It is such a folder.
        """
        first = next((one.name for one in sorted(self.path.glob("*"))), None)
        if first and not (self.path / BEGUN).is_file():
            raise ValueError(
                f"--out {self.path} holds files that no training wrote, such as {first!r}; name another folder"
            )
        if any(self.checkpoints.glob("checkpoint-*")):
            raise ValueError(
                f"{self.path} has checkpoints of a run that was cut off: give --resume to go on from the last one, or "
                "delete the folder to begin again"
            )

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Clear what an earlier try left, and note what this one is of."""
        for folder in (self.checkpoints, self.tensorboard):
            shutil.rmtree(folder, ignore_errors=True)
        self.metrics.unlink(missing_ok=True)
        self._write(BEGUN, facts)

    def require_same(self, facts: Mapping[str, Any]) -> list[str]:
        """Compare with what the run was begun with; returns a line a changed value of the configuration.

        Raises:
            ValueError: It was another kind of training, model or dataset.
        """
        if not (self.path / BEGUN).is_file():
            return []
        begun = json.loads((self.path / BEGUN).read_text(encoding="utf-8"))
        for name in ("kind", "base", "dataset"):
            if begun[name] != facts[name]:
                raise ValueError(
                    f"{self.path} was begun with the {name} {begun[name]}, not {facts[name]}; leave out --resume to "
                    "begin again"
                )
        before, now = (_flat(one["configuration"]) for one in (begun, facts))
        return [
            f"resumed with {key} = {now.get(key)}; it was {before.get(key)}"
            for key in sorted({*before, *now})
            if before.get(key) != now.get(key)
        ]

    def write_run(self, facts: Mapping[str, Any]) -> None:
        """Write `run.json`, whole or not at all; the run is finished then."""
        self._write("run.json", facts)
        (self.path / BEGUN).unlink(missing_ok=True)

    def _write(self, name: str, facts: Mapping[str, Any]) -> None:
        part = self.path / f"{name}.part"
        part.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(part, self.path / name)


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": value}
    return found


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def shards_digest(dataset: Path) -> str:
    """sha256 (hex) over paths and digests of the shards of `data/` as they are, equal to the manifest's if untouched.

    Raises:
        ValueError: There are no shards.
    """
    shards = sorted((dataset / "data").glob("*.parquet"))
    if not shards:
        raise ValueError(f"{dataset} holds no dataset: there is no data/*.parquet")
    whole = hashlib.sha256()
    for shard in shards:
        with shard.open("rb") as file:
            whole.update(f"data/{shard.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()


def versions() -> dict[str, str]:
    """Installed versions of what a run's result may depend on."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
