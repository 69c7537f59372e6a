"""Build a dataset of image-text pairs whose harm is emergent: `python -m pipelines.build --help`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pipelines.engine import choose_engine
from pipelines.logs import quiet
from pipelines.profiles import add_profile_options, profile_names, profile_path
from schemas.config import BuildConfig, load_config

if TYPE_CHECKING:
    from pipelines.kit import Kit

STAGES = (
    "ingest images",
    "quarantine",
    "screen images",
    "dedupe images",
    "embed images",
    "ingest texts",
    "personal data",
    "screen texts",
    "dedupe texts",
    "embed texts",
    "pair",
    "judge",
    "contrast",
    "select",
    "rationale",
    "reserve",
    "compose",
    "write",
    "write dropped",
)
"""The stages that progress is shown for, in the order the data meets them."""


def assemble(pipeline: Any, config: BuildConfig, kit: Kit) -> Any:
    """The whole way of the data; returns the files that it writes, as a PCollection of `ShardFile`."""
    import apache_beam as beam

    from pipelines.pools import image_pool, text_pool
    from pipelines.stages.compose import Compose
    from pipelines.stages.contrast import Contrast
    from pipelines.stages.judge import JudgePairs
    from pipelines.stages.pair import Pairing
    from pipelines.stages.rationale import Rationale
    from pipelines.stages.select import Select
    from pipelines.stages.unused import Unused
    from pipelines.stages.write import WriteDropped, WritePairs

    images, texts = image_pool(pipeline, config, kit), text_pool(pipeline, config, kit)
    pools = {"images": images.kept, "texts": texts.kept}
    seed = config.build.seed
    encoders: dict[str, Any] = {"images": kit.image_embedder, "texts": kit.text_embedder}

    candidates = pools | "Pair" >> Pairing(
        config.pair,
        seed,
        kit.scenarios,
        *encoders.values(),
        workspace=kit.workspace,
        run_dir=kit.run_dir,
        tally=kit.tally("pair"),
    )
    judged = candidates | "Judge" >> JudgePairs(kit.judge, kit.workspace, kit.tally("judge"))
    contrasts = judged["judgements"] | "Contrast" >> Contrast(
        config.contrast,
        config.select,
        config.pair,
        scenarios=kit.scenarios,
        judge=kit.judge,
        tally=kit.tally("contrast"),
        workspace=kit.workspace,
        run_dir=kit.run_dir,
        **encoders,
    )
    judgements = (judged["judgements"], contrasts["judgements"]) | "AllJudgements" >> beam.Flatten()
    selected = judgements | "Select" >> Select(config.select, seed, kit.tally("select"))
    explained = selected["pairs"] | "Rationale" >> Rationale(
        kit.rationaliser, kit.workspace, kit.tally("rationale")
    )
    # Other thresholds may find a contrast set for these, and should not need the model again.
    selected["reserve"] | "Reserve" >> Rationale(kit.rationaliser, kit.workspace, kit.tally("reserve"))
    composed, torn = explained["kept"] | "Compose" >> Compose(
        config.compose, kit.workspace, kit.tally("compose"), processes=kit.processes
    )
    unused = [
        {"assets": images.kept, "pairs": composed} | "UnusedImages" >> Unused("image"),
        {"assets": texts.kept, "pairs": composed} | "UnusedTexts" >> Unused("text"),
    ]
    excluded = [*images.excluded, *texts.excluded, selected["excluded"], *unused]
    failed = [*images.failed, *texts.failed, judged["failed"], contrasts["failed"], explained["failed"], torn]

    out, dropped, run = str(kit.out), kit.tally("write dropped"), kit.run_dir
    rows = {
        "Pairs": (
            composed,
            WritePairs(
                kit.workspace,
                out,
                config.write,
                name=config.build.name,
                run_dir=run,
                tally=kit.tally("write"),
            ),
        ),
        "Excluded": (
            excluded | "AllExcluded" >> beam.Flatten(),
            WriteDropped("excluded", out, config.write, run_dir=run, tally=dropped),
        ),
        "Failed": (
            failed | "AllFailed" >> beam.Flatten(),
            WriteDropped("failed", out, config.write, run_dir=run, tally=dropped),
        ),
    }
    files = [collection | f"Write{name}" >> write for name, (collection, write) in rows.items()]
    return files | "Files" >> beam.Flatten()


def parser() -> argparse.ArgumentParser:
    """The command line; what it does not know is handed to Beam."""
    known = ", ".join(profile_names())
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.build",
        description=__doc__,
        epilog="Beam's own flags pass through, e.g. --direct_running_mode=multi_processing --direct_num_workers=2.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--profile", default="tinyworld", help=f"a profile's name ({known}) or the path of a TOML file")
    add("--out", type=Path, help="folder of the dataset (default: datasets_out/NAME of the profile)")
    add(
        "--images",
        metavar="SRC",
        help="your images: a folder, a WebDataset .tar, a .parquet file or hf:DATASET",
    )
    add("--texts", metavar="SRC", help="your texts: a .txt, .csv, .jsonl or .parquet file or hf:DATASET")
    add_profile_options(parser)
    add("--runner", default="DirectRunner", help="Beam runner (default: %(default)s, the in-process engine)")
    add("--verbose", action="store_true", help="show the log of Beam and of the models")
    return parser


def configure(arguments: argparse.Namespace) -> BuildConfig:
    """The profile with the command line's overrides; ConfigError names what is wrong."""
    profile = profile_path(arguments.profile)
    sources = [("images", arguments.images), ("texts", arguments.texts)]
    overrides = [f"{section}.source={_quoted(source)}" for section, source in sources if source]
    if arguments.out:
        overrides.append(f"build.name={_quoted(arguments.out.resolve().name)}")
    return load_config(profile, overrides + arguments.set)


def _default_folder(profile: str, config: BuildConfig) -> Path:
    """Where a dataset goes without --out; ValueError if that is the place of the profile's own images and texts."""
    out = Path("datasets_out") / config.build.name
    own = load_config(profile_path(profile), unpinned=True)
    is_own = (config.images.source, config.texts.source) == (own.images.source, own.texts.source)
    if config.build.name == own.build.name and not is_own:
        raise ValueError(f"name the folder of your dataset with --out; {out} is the profile's own")
    return out


def _quoted(value: str) -> str:
    import json

    return json.dumps(value)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a build; 0 if it finished, 2 if it could not be started as asked, 1 if rows are lost or there were none."""
    arguments, flags = parser().parse_known_args(argv)
    try:
        config = configure(arguments)
        out = arguments.out or _default_folder(arguments.profile, config)
        engine = choose_engine(arguments.runner, flags)
        quiet(arguments.verbose)
        from pipelines.run import prepare, run_build

        ready = prepare(config, out, arguments.work_dir, engine)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"crossharm: {error}\n")
        return 2
    # A copy, since a build with workers sends standard error to a file.
    signal.signal(signal.SIGINT, partial(_stop, os.dup(2)))
    return run_build(ready)


def _stop(screen: int, number: int, frame: object) -> NoReturn:
    """End at once after Ctrl-C: Beam would make an error of its own of it, and a build may be cut off anywhere."""
    cursor = "\x1b[?25h" if os.isatty(screen) else ""
    said = f"{cursor}\ncrossharm: stopped; the same command goes on, and asks no model twice\n"
    os.write(screen, said.encode())
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
