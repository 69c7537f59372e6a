"""Train a vision-language model on a dataset, to reason about emergent harm: `python -m pipelines.train --help`.

`sft` learns reasoning chains made of the dataset's rationales; `grpo` goes on from there by rewards; `dpo` prefers
right reasoning to reasoning that was perturbed. Every run's folder can be the model of the next.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.logs import quiet
from pipelines.profiles import PROFILES

TRAINING = PROFILES / "training"
KINDS = ("sft", "grpo", "dpo")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    known = ", ".join(sorted(path.stem for path in TRAINING.glob("*.toml")))
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("kind", choices=KINDS, help="what to train by")
    add("--dataset", type=Path, required=True, help="the folder that a build or finalize wrote")
    add(
        "--model",
        default="builtin:tinyworld/base",
        help="a folder, a run's folder, a hub id, or builtin:tinyworld/base (default: %(default)s)",
    )
    add("--revision", default="", help="the commit of a hub id")
    add("--out", type=Path, required=True, help="the run's folder; one that holds a finished run is refused")
    add(
        "--profile",
        default="cpu",
        help=f"a profile's name ({known}) or the path of a TOML file (default: cpu)",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="override one value of the profile",
    )
    add("--use-vllm", action="store_true", help="let vLLM, where it is installed, write what GRPO rewards")
    add("--resume", action="store_true", help="go on from the last checkpoint in the run's folder")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Train; 0 if the run is complete, 2 if something cannot be used."""
    arguments = parser().parse_args(argv)
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    quiet(False)
    try:
        _train(arguments)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"crossharm: {error}\n")
        return 2
    return 0


def _train(arguments: argparse.Namespace) -> None:
    from pipelines.training.configuration import TrainConfig
    from pipelines.training.run_folder import RunFolder, shards_digest, versions
    from schemas.profile import read_profile

    named = TRAINING / f"{arguments.profile}.toml"
    vllm = ['grpo.vllm="colocate"'] if arguments.use_vllm else []
    profile = named if named.is_file() else Path(arguments.profile)
    config = read_profile(TrainConfig, profile, [*vllm, *arguments.set])
    run = RunFolder(arguments.out)
    if (run.path / "run.json").is_file():
        raise ValueError(f"{run.path} holds a finished run; name another folder with --out")
    digest = shards_digest(arguments.dataset)
    facts = {
        "name": run.path.resolve().name,
        "kind": arguments.kind,
        "base": _name(arguments.model, arguments.revision),
        "dataset": {"name": arguments.dataset.resolve().name, "digest": digest},
        "configuration": config.model_dump(mode="json"),
        "versions": versions(),
    }
    run.path.mkdir(parents=True, exist_ok=True)
    _fit(arguments, config, run, facts)


def _name(model: str, revision: str) -> str:
    """How a run calls its base: no path of this machine."""
    return f"{model}@{revision}" if revision else model if model.startswith("builtin:") else Path(model).name


def _fit(arguments: argparse.Namespace, config: Any, run: Any, facts: dict[str, Any]) -> None:
    from rich.console import Console
    from transformers import set_seed

    from pipelines.models.devices import device_of
    from pipelines.training.examples import load_examples, spelled_out
    from pipelines.training.fitting import fit
    from pipelines.training.policy import freeze_vision, load_policy
    from schemas.config import Model

    console = Console(stderr=True)
    set_seed(getattr(config, arguments.kind).seed)
    policy = load_policy(arguments.model, config.policy.dtype, arguments.revision)
    examples = spelled_out(load_examples(arguments.dataset, "train"), policy.processor.tokenizer)
    policy.model.to(device_of(Model(path=".", device=config.policy.device)))
    if config.hard.samples:
        examples = _hard(examples, policy, config.hard, console)
    if config.policy.freeze_vision:
        freeze_vision(policy.model)
    trainer = _trainer(arguments, config, run, policy, examples)
    fit(trainer, run, facts, resume=arguments.resume, console=console)
    if arguments.kind == "dpo":
        _measure_margins(trainer, arguments.dataset, config.dpo, run.path / "margins.json")
    console.print(f"The model is in {run.model}; ask it with: python -m pipelines.evaluate --run {run.path}")


def _hard(examples: Any, policy: Any, settings: Any, console: Any) -> Any:
    """The hard examples; ValueError if there is none."""
    from pipelines.training.hard import kept_rows, wrong_counts

    counts = wrong_counts(examples, policy, settings, _shown)
    kept = kept_rows(counts, examples["contrast_group"], settings)
    console.log(f"{len(kept):,} of {len(examples):,} pairs are hard, or partners of hard ones")
    if not kept:
        raise ValueError("no pair is hard for this model; set hard.samples=0 to train on all of them")
    return examples.select(kept)


def _dpo_trainer(arguments: argparse.Namespace, config: Any, run: Any, policy: Any, examples: Any) -> Any:
    """On pairs whose pictures have a scene graph; what became of the others is said."""
    from pipelines.training.arguments import adapter_of, common_arguments
    from pipelines.training.chains import chain_of
    from pipelines.training.dpo import dpo_trainer
    from pipelines.training.scenealign.pairs import preferences

    found = preferences(arguments.dataset, "train", chain_of, examples=examples)
    for kind, counts in found.counts().items():
        sys.stderr.write(f"{kind}: {', '.join(f'{count} {name}' for name, count in counts.items())}\n")
    settings = common_arguments(config.dpo, config.policy, run)
    return dpo_trainer(
        policy.model, policy.processor, found.rows, config.dpo, settings, adapter=adapter_of(config.policy)
    )


def _measure_margins(trainer: Any, dataset: Path, settings: Any, path: Path) -> None:
    """Write and print by how much likelier the right reasoning has become on scenes that were not trained on."""
    from rich.console import Console

    from pipelines.training.scenealign.margins import margin_table, unseen_margins

    found = unseen_margins(trainer, dataset, settings.unseen, settings.unseen_examples, settings.batch_size)
    plain = {split: {kind: one._asdict() for kind, one in kinds.items()} for split, kinds in found.items()}
    path.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
    Console().print(margin_table(found))


def _shown(items: Any, what: str, total: int) -> Any:
    """The items behind a progress bar."""
    from rich.console import Console
    from rich.progress import track

    return track(items, what, total=total, console=Console(stderr=True))


def _trainer(arguments: argparse.Namespace, config: Any, run: Any, policy: Any, examples: Any) -> Any:
    if arguments.kind == "sft":
        from pipelines.training.sft import lessons, sft_trainer

        return sft_trainer(policy, lessons(examples, config, policy, _shown), config, run)
    if arguments.kind == "dpo":
        return _dpo_trainer(arguments, config, run, policy, examples)
    from pipelines.training.grpo import grpo_trainer, questions

    return grpo_trainer(policy, questions(examples, config, arguments.dataset), config, run)


if __name__ == "__main__":
    sys.exit(main())
