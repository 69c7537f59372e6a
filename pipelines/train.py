"""Train a vision-language model on a dataset, to reason about emergent harm: `python -m pipelines.train --help`.

`sft` learns reasoning chains made of the dataset's rationales; `grpo` goes on from there by rewards; `dpo` prefers
right reasoning to reasoning that was perturbed. Every run's folder can be the model of the next.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipelines.logs import quiet
from pipelines.profiles import PROFILES

if TYPE_CHECKING:
    import datasets

    from pipelines.training.configuration import Hard, Optimisation, TrainConfig
    from pipelines.training.policy import Policy
    from pipelines.training.run_folder import RunFolder
    from pipelines.training.scenealign.reading import Graphs

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

    _require_one_process()
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
    if arguments.resume:
        for line in run.require_same(facts):
            _say(line)
    else:
        run.require_ours()
        run.begin(facts)
    _fit(Job(arguments, config, run), facts)


def _require_one_process() -> None:
    """Refuse a launcher's many processes, and leave the trainer one GPU, which it would else split batches over.

    Raises:
        ValueError: There are several processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError("training runs in one process, on one GPU; start it without a launcher")
    first, *_ = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")
    os.environ["CUDA_VISIBLE_DEVICES"] = first


def _name(model: str, revision: str) -> str:
    """How a run calls its base: no path of this machine."""
    return f"{model}@{revision}" if revision else model if model.startswith("builtin:") else Path(model).name


class Job(NamedTuple):
    """What is to be trained, on what, and where to."""

    arguments: argparse.Namespace
    config: TrainConfig
    run: RunFolder

    @property
    def settings(self) -> Optimisation:
        """Those of this kind of training."""
        found: Optimisation = getattr(self.config, self.arguments.kind)
        return found


def _fit(job: Job, facts: dict[str, Any]) -> None:
    from rich.console import Console
    from transformers import set_seed

    from pipelines.training.fitting import fit

    arguments, config, run = job
    console = Console(stderr=True)
    set_seed(job.settings.seed)
    graphs = _graphs(job) if arguments.kind == "dpo" else {}
    policy, examples = _loaded(job)
    if config.hard.samples:
        examples = _hard(examples, policy, config.hard)
    if arguments.kind == "dpo":
        trainer = _dpo_trainer(job, policy, examples, graphs["train"])
    else:
        trainer = _trainer(job, policy, examples)
    fit(trainer, run, facts, resume=arguments.resume, console=console)
    if arguments.kind == "dpo":
        _measure_margins(trainer, job, {split: seen for split, seen in graphs.items() if split != "train"})
    asking = f"python -m pipelines.evaluate --dataset {arguments.dataset} --run {run.path}"
    console.print(f"The model is in {run.model}; ask it with: {asking}", soft_wrap=True)


def _loaded(job: Job) -> tuple[Policy, datasets.Dataset]:
    """The model, with what is not to be trained frozen, and the pairs to train on."""
    from pipelines.models.devices import device_of
    from pipelines.training.examples import load_examples, spelled_out
    from pipelines.training.policy import freeze_vision, is_adapter, load_policy
    from schemas.config import Model

    arguments, config, _ = job
    low_rank = config.policy.lora.rank > 0
    if arguments.kind == "grpo" and config.grpo.beta and not low_rank and is_adapter(arguments.model):
        raise ValueError(
            "grpo.beta compares with a model on disk, and this one is adapters: set policy.lora.rank to theirs to go "
            "on with them, or grpo.beta=0"
        )
    policy = load_policy(arguments.model, config.policy.dtype, arguments.revision, keep_adapters=low_rank)
    if config.policy.freeze_vision:
        freeze_vision(policy.model)
    policy.model.to(device_of(Model(path=".", device=config.policy.device)))
    return policy, spelled_out(load_examples(arguments.dataset, "train"), policy.processor.tokenizer)


def _hard(examples: datasets.Dataset, policy: Policy, settings: Hard) -> datasets.Dataset:
    """The hard examples; ValueError if there is none."""
    from pipelines.training.hard import kept_rows, wrong_counts

    counts = wrong_counts(examples, policy, settings, _shown)
    kept = kept_rows(counts, examples["contrast_group"], settings)
    _say(f"{len(kept):,} of {len(examples):,} pairs are hard, or partners of hard ones")
    if not kept:
        raise ValueError("no pair is hard for this model; set hard.samples=0 to train on all of them")
    return examples.select(kept)


def _graphs(job: Job) -> dict[str, Graphs]:
    """Scene graphs by split: of `train`, and of those that the margins are measured on, as far as they are there."""
    from pipelines.training.scenealign.judged import question
    from pipelines.training.scenealign.reading import read_graphs
    from pipelines.training.scenealign.sight import sight_of

    settings, dataset = job.config.dpo, job.arguments.dataset
    # What another model saw, or with another prompt, is not what this one sees.
    seen_by = hashlib.sha256(f"{question()} {settings.sight.model_dump_json()}".encode()).hexdigest()[:8]
    memory = job.run.path / f"scenes-{seen_by}.jsonl"
    sight = sight_of(settings.sight.model, settings.sight.endpoint)
    splits = [one for one in settings.unseen if any((dataset / "data").glob(f"{one}-*.parquet"))]
    return {
        split: read_graphs(
            dataset, split, sight, attempts=settings.sight.attempts, memory=memory, track=_shown
        )
        for split in ("train", *splits)
    }


def _dpo_trainer(job: Job, policy: Policy, examples: datasets.Dataset, graphs: Graphs) -> Any:
    """On pairs whose pictures have a scene graph; what became of the others is said."""
    from pipelines.training.arguments import adapter_of, common_arguments
    from pipelines.training.chains import chain_of
    from pipelines.training.dpo import dpo_trainer
    from pipelines.training.scenealign.checks import perplexity_scorer
    from pipelines.training.scenealign.graph import NoGraph
    from pipelines.training.scenealign.pairs import preferences

    (arguments, config, run), (model, processor) = job, policy
    scorer = perplexity_scorer(model.eval(), processor.tokenizer) if config.dpo.fluency else None
    found = preferences(arguments.dataset, "train", chain_of, examples=examples, graphs=graphs, scorer=scorer)
    for kind, counts in found.counts().items():
        _say(f"{kind}: {', '.join(f'{count} {name}' for name, count in counts.items())}")
    if not len(found.rows):
        foreign = all(isinstance(graph, NoGraph) for graph in graphs.values())
        raise ValueError(
            "no picture has a scene graph: they are not tinyworld's, so name a model or a server that looks at them, "
            "in dpo.sight of the profile"
            if foreign and not config.dpo.sight.given
            else "there is nothing to learn from: the lines above say why each pair was left out"
        )
    settings = common_arguments(config.dpo, config.policy, run)
    adapter = adapter_of(config.policy, model)
    return dpo_trainer(model, processor, found.rows, config.dpo, settings, adapter=adapter)


def _measure_margins(trainer: Any, job: Job, graphs: Mapping[str, Graphs]) -> None:
    """Write and print by how much likelier the right reasoning has become on scenes that were not trained on."""
    from rich.console import Console

    from pipelines.training.scenealign.margins import margin_table, unseen_margins

    settings = job.config.dpo
    found = unseen_margins(
        trainer, job.arguments.dataset, graphs, settings.unseen_examples, settings.batch_size
    )
    plain = {split: {kind: one._asdict() for kind, one in kinds.items()} for split, kinds in found.items()}
    text = json.dumps(plain, indent=2) + "\n"
    (job.run.path / "margins.json").write_text(text, encoding="utf-8")
    Console().print(margin_table(found).rich())


def _shown(items: Any, what: str, total: int) -> Any:
    """The items behind a progress bar."""
    from rich.console import Console
    from rich.progress import track

    return track(items, what, total=total, console=Console(stderr=True))


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _trainer(job: Job, policy: Policy, examples: datasets.Dataset) -> Any:
    arguments, config, run = job
    if arguments.kind == "sft":
        from pipelines.training.sft import lessons, sft_trainer

        return sft_trainer(policy, lessons(examples, config, policy, _shown, _say), config, run)
    from pipelines.training.grpo import grpo_trainer, questions

    return grpo_trainer(policy, questions(examples, config, arguments.dataset), config, run)


if __name__ == "__main__":
    sys.exit(main())
