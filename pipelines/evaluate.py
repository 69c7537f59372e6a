"""Evaluate trained models on a dataset and on external benchmarks, and compare them.

Writes into --out: predictions/<model>.parquet (a row a pair), metrics.json, comparison.md, bars.png, reliability.png,
by_hazard.png, and failed.jsonl with the rows of benchmarks that could not be used.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.logs import quiet

if TYPE_CHECKING:
    from pipelines.training.evaluation.run import Outcome
    from pipelines.training.evaluation.settings import Settings
    from schemas.config import Endpoint

BENCHMARKS = """benchmarks, as KIND:FOLDER:
  folder         images with *.jsonl of image (a path from the folder), text, label (harmful or 1, benign or 0), and
                 if there are any id, rationale (one or several), hazard, contrast_group
  hateful-memes  img/ with dev*.jsonl and test*.jsonl of id, img, label, text
  msts           data/prompts/english_multimodal.csv with data/unsafe_images/ (the prompts are all harmful)
  siuo           siuo_gen.json with images/ (all harmful)
  mossbench      data/images_information/information.json with data/images/ (all benign), and data_contrast/ if it is
                 there (all harmful); or information.csv with images/
  vlsbench       data.json with imgs/ (all harmful)
A row without an image, text or label, or with an image that does not decode, is listed in failed.jsonl.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=BENCHMARKS,
    )
    add = parser.add_argument
    many: dict[str, Any] = {"action": "append", "default": []}
    add("--dataset", type=Path, required=True, help="the folder that a build or finalize wrote")
    add("--run", type=Path, metavar="R", **many, help="a run of pipelines.train; may be given several times")
    add(
        "--model",
        metavar="M",
        **many,
        help="a model as it is, asked zero-shot: a folder, OWNER/NAME@COMMIT of the hub, or builtin:WORLD/NAME",
    )
    add(
        "--probe", default="", metavar="CLIP", help="add two probes on this open_clip folder, fitted on train"
    )
    add("--benchmark", metavar="KIND:FOLDER", **many, help="an external benchmark, see below")
    add("--splits", default="test,test_ood", help="of the dataset, by commas (default: %(default)s)")
    add("--out", type=Path, default=Path("datasets_out/evaluation"), help="default: %(default)s")
    _add_readers(parser)
    _add_asking(parser)
    return parser


def _add_readers(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what reads the rationales")
    add = group.add_argument
    add("--embedder", default="", help="an open_clip or transformers encoder, another than the reward's")
    add("--nli", default="", help="a transformers classifier with a label `entailment`")
    add("--judge-url", default="", help="an OpenAI-compatible server, up to and with /v1")
    add("--judge-model", default="", help="the model's name on that server")
    add("--judge-key", default="", metavar="VARIABLE", help="the environment variable that holds its key")


def _add_asking(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how models are asked")
    add = group.add_argument
    add("--no-ablations", action="store_true", help="only whole pairs: nothing hidden, a quarter of the time")
    add(
        "--limit",
        type=int,
        default=0,
        help="about how many pairs of each part, in whole contrast sets; 0: all",
    )
    add("--batch-size", type=int, default=32, help="pairs asked about at once (default: %(default)s)")
    add("--max-new-tokens", type=int, default=256, help="of an answer (default: %(default)s)")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: %(default)s")
    add("--dtype", choices=("float32", "bfloat16", "float16"), default="float32", help="default: %(default)s")
    add("--seed", type=int, default=0, help="of the resamples (default: %(default)s)")


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate, write and print; 0, or 2 if something named cannot be used."""
    arguments = parser().parse_args(argv)
    quiet(False)
    from generators.chat import EndpointError
    from pipelines.training.evaluation.run import evaluate

    try:
        outcome = evaluate(_settings(arguments), _track)
    except (ValueError, OSError, EndpointError) as error:
        sys.stderr.write(f"crossharm: {error}\n")
        return 2
    _print(outcome, arguments.out)
    return 0


def _settings(arguments: argparse.Namespace) -> Settings:
    from pipelines.training.evaluation.settings import Settings

    if arguments.limit < 0 or arguments.batch_size < 1 or arguments.max_new_tokens < 1:
        raise ValueError("--limit is 0 or more, --batch-size and --max-new-tokens are 1 or more")
    return Settings(
        dataset=arguments.dataset,
        runs=tuple(arguments.run),
        models=tuple(arguments.model),
        probe=arguments.probe,
        benchmarks=tuple(arguments.benchmark),
        splits=tuple(filter(None, arguments.splits.split(","))),
        out=arguments.out,
        embedder=arguments.embedder,
        nli=arguments.nli,
        judge=_judge(arguments),
        ablations=not arguments.no_ablations,
        limit=arguments.limit,
        batch_size=arguments.batch_size,
        max_new_tokens=arguments.max_new_tokens,
        device=arguments.device,
        dtype=arguments.dtype,
        seed=arguments.seed,
    )


def _judge(arguments: argparse.Namespace) -> Endpoint | None:
    """The judge on a server, if one is named."""
    from pydantic import ValidationError

    from schemas.config import Endpoint

    if not arguments.judge_url and not arguments.judge_model:
        return None
    if not arguments.judge_url or not arguments.judge_model:
        raise ValueError("--judge-url and --judge-model go together")
    key = {"key": arguments.judge_key} if arguments.judge_key else {}
    try:
        return Endpoint.model_validate({"url": arguments.judge_url, "model": arguments.judge_model} | key)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"the judge's {first['loc'][0]}: {first['msg']}") from None


def _track(items: Iterable[Any], what: str, total: int) -> Iterable[Any]:
    from rich.console import Console
    from rich.progress import track

    return track(items, what, total=total, console=Console(stderr=True))


def _print(outcome: Outcome, out: Path) -> None:
    from rich.console import Console

    console = Console()
    for table in outcome.tables:
        console.print(table.rich())
    for name, failed in outcome.failed.items():
        if failed:
            console.print(
                f"{name}: {failed} rows could not be used, see {out / 'failed.jsonl'}", highlight=False
            )
    console.print(f"wrote {out}", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
