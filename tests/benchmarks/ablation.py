"""Measure what each reward and each mechanism is worth: `python -m tests.benchmarks.ablation --help`, `make ablation`.

For every seed one SFT run, and from it one GRPO run with the profile as it is, one without each reward and each
mechanism of the profile, and one with each other mechanism switched on; all are asked about test and test_ood. The
table (also in `ablation.md`) has the difference from the SFT run, mean and standard deviation over the seeds. What is
finished is not run again, so it can be stopped at any time. With `--jobs` above 1, cores are shared out and each run
prints to a log.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

from rich.console import Console
from rich.markdown import Markdown

from pipelines.profiles import PROFILES
from pipelines.training.configuration import TrainConfig
from pipelines.training.evaluation.tables import COLUMNS, Table
from pipelines.training.mechanisms.settings import Mechanisms
from schemas.profile import read_profile

ROOT = Path(__file__).parents[2]
MEASURED = {
    "test": ("f1", "contrast_accuracy", "auroc", "grounding"),
    "test_ood": ("f1", "contrast_accuracy", "auroc", "grounding"),
}
NEEDED = {
    # A clip range acts where completions are used more than once.
    "clipping": ("grpo.iterations=2", "mechanisms.clipping={}"),
    # As many harmful pairs as benign ones.
    "mixture": (
        "mechanisms.mixture.weights={emergent = 0.5, contrast_image = 0.2, contrast_text = 0.2, benign = 0.1}",
    ),
}
"""How a mechanism is switched on that needs more than its section."""


class Variant(NamedTuple):
    """One way to run GRPO."""

    name: str
    settings: tuple[str, ...]

    @property
    def folder(self) -> str:
        """The name as a folder's."""
        return self.name.replace(" ", "-")


def variants(profile: Path) -> Iterator[Variant]:
    """The profile as it is, then without each of its rewards and mechanisms, then with each other mechanism."""
    config = read_profile(TrainConfig, profile, [])
    yield Variant("as it is", ())
    for reward in config.rewards.weights:
        yield Variant(f"without {reward}", (f"rewards.weights.{reward}=0",))
    for name in Mechanisms.model_fields:
        on = getattr(config.mechanisms, name) is not None
        switch = (f"mechanisms.{name}=off",) if on else NEEDED.get(name, (f"mechanisms.{name}={{}}",))
        yield Variant(f"{'without' if on else 'with'} {name}", switch)


class Runs(NamedTuple):
    """Where runs lie, and what they are made of."""

    out: Path
    dataset: Path
    model: str
    profile: str
    settings: tuple[str, ...]
    jobs: int

    def sft(self, seed: int) -> dict[str, dict[str, float]]:
        """What the run measures that those of a seed start from; made if it is not there."""
        return self._measured(self._train("sft", self._start(seed), seed, self.model, ()))

    def grpo(self, seed: int, variant: Variant) -> dict[str, dict[str, float]]:
        """What the run of a variant measures; made if it is not there, from that of its seed."""
        run = self.out / f"seed{seed}-{variant.folder}"
        return self._measured(self._train("grpo", run, seed, str(self._start(seed)), variant.settings))

    def _start(self, seed: int) -> Path:
        return self.out / f"seed{seed}-sft"

    def _measured(self, run: Path) -> dict[str, dict[str, float]]:
        """Part to measure to value, of a run; asked if it was not yet."""
        out = run / "evaluation"
        if not (out / "metrics.json").is_file():
            line = (f"--dataset={self.dataset}", f"--run={run}", f"--out={out}", "--no-ablations")
            self._call(run.name, "pipelines.evaluate", *line)
        parts = json.loads((out / "metrics.json").read_text(encoding="utf-8"))["parts"]
        return {
            part: {name: parts[part]["models"][run.name]["measures"][name]["value"] for name in names}
            for part, names in MEASURED.items()
        }

    def _train(self, kind: str, run: Path, seed: int, model: str, settings: Sequence[str]) -> Path:
        if not (run / "run.json").is_file():
            overrides = (*self.settings, *settings, f"{kind}.seed={seed}")
            self._call(
                run.name,
                *("pipelines.train", kind, f"--dataset={self.dataset}", f"--model={model}", f"--out={run}"),
                *(f"--profile={self.profile}", *(f"--set={one}" for one in overrides)),
            )
        return run

    def _call(self, name: str, *line: str) -> None:
        command = [sys.executable, "-m", *line]
        if self.jobs == 1:
            subprocess.run(command, cwd=ROOT, check=True)
            return
        threads = str(max(1, (os.cpu_count() or 1) // self.jobs))
        self.out.mkdir(parents=True, exist_ok=True)
        with (self.out / f"{name}.log").open("ab") as log:
            environment = os.environ | {"OMP_NUM_THREADS": threads}
            subprocess.run(command, cwd=ROOT, check=True, stdout=log, stderr=log, env=environment)


def table(differences: dict[str, list[dict[str, dict[str, float]]]], seeds: Sequence[int]) -> Table:
    """A row a variant: the rise over the SFT run of its seed, mean and standard deviation over the seeds."""
    columns = [(part, name) for part, names in MEASURED.items() for name in names]
    lines = []
    for variant, rises in differences.items():
        cells = [[rise[part][name] for rise in rises] for part, name in columns]
        lines.append([variant, *(f"{fmean(cell):+.3f} ± {stdev(cell):.3f}" for cell in cells)])
    head = ["GRPO", *(f"{part} {COLUMNS[name]}" for part, name in columns)]
    return Table(f"Rise over SFT, {len(seeds)} seeds", head, lines)


def main() -> int:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ablation", description=__doc__)
    add = parser.add_argument
    add("--dataset", type=Path, default=Path("datasets_out/tinyworld"), help="default: %(default)s")
    add("--model", default="builtin:tinyworld/base", help="where SFT starts (default: %(default)s)")
    add("--profile", default="cpu", help="of pipelines.train (default: %(default)s)")
    add("--out", type=Path, default=Path("datasets_out/ablation"), help="default: %(default)s")
    add("--seeds", type=int, default=3, help="how many, at least 2 (default: %(default)s)")
    add("--only", action="append", default=[], metavar="VARIANT", help="by its name, such as 'with clipping'")
    add("--jobs", type=int, default=1, help="runs at a time (default: %(default)s)")
    add("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="for all runs")
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        parser.error("--seeds is 2 or more: the table has a standard deviation")
    if arguments.jobs < 1:
        parser.error("--jobs is 1 or more")
    out = arguments.out.resolve()
    runs = Runs(
        out,
        arguments.dataset.resolve(),
        arguments.model,
        arguments.profile,
        tuple(arguments.set),
        arguments.jobs,
    )
    known = list(variants(PROFILES / "training" / f"{arguments.profile}.toml"))
    unknown = set(arguments.only) - {one.name for one in known}
    if unknown:
        parser.error(f"unknown {', '.join(unknown)}; known: {', '.join(one.name for one in known)}")
    chosen = [one for one in known if not arguments.only or one.name in arguments.only]
    seeds = range(arguments.seeds)
    console = Console(width=200)
    found: dict[str, list[dict[str, dict[str, float]]]] = {one.name: [] for one in chosen}
    with ThreadPoolExecutor(arguments.jobs) as pool:
        bases = [pool.submit(runs.sft, seed) for seed in seeds]

        def rise(seed: int, variant: Variant) -> dict[str, dict[str, float]]:
            base = bases[seed].result()
            return _rise(runs.grpo(seed, variant), base)

        asked = [(seed, one) for seed in seeds for one in chosen]
        for (seed, one), found_rise in zip(asked, pool.map(rise, *zip(*asked, strict=True)), strict=True):
            console.print(f"seed {seed}, {one.name}: done")
            found[one.name].append(found_rise)
    rises = table(found, seeds).markdown()
    (out / "ablation.md").write_text(rises, encoding="utf-8")
    console.print(Markdown(rises))
    return 0


def _rise(one: dict[str, dict[str, float]], base: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {part: {name: values[name] - base[part][name] for name in values} for part, values in one.items()}


if __name__ == "__main__":
    sys.exit(main())
