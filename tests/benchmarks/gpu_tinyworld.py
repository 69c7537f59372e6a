"""The table of `make validate` with a base ten times larger: `python -m tests.benchmarks.gpu_tinyworld --help`.

It makes the base from captions and language as `generators.tinyworld.train` does, then trains by SFT and GRPO and
evaluates as `make validate` does. Minutes on a GPU, most of a day without one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines import evaluate, train

SCENES, STEPS = 30_000, 3000
SETTINGS = {
    "sft": ("sft.share=0.5", "sft.learning_rate=3e-4"),
    "grpo": ("grpo.share=0.5", "grpo.learning_rate=1e-5"),
}
"""Halves as in `make validate`, and smaller steps for a wider model."""
TINY = {
    "sft": ("sft.epochs=1", "sft.batch_size=4", "sft.readings=false"),
    "grpo": (
        "grpo.steps=1",
        "grpo.prompts=2",
        "grpo.generations=2",
        "grpo.batch_size=4",
        "grpo.max_completion=8",
    ),
}
"""Enough to see that all of it runs."""


def make_base(folder: Path, *, tiny: bool) -> None:
    """The base of `generators.tinyworld.train` with a larger language model, which sees by the package's encoder."""
    import torch

    from generators.tinyworld.train.__main__ import WEIGHTS
    from generators.tinyworld.train.base import train_base
    from generators.tinyworld.train.examples import TRAIN_SEEDS, draw_pool
    from generators.tinyworld.train.reader import LARGE
    from generators.tinyworld.train.run import load_dual_encoder

    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pool = draw_pool(TRAIN_SEEDS, 300 if tiny else SCENES)
    encoder = load_dual_encoder(WEIGHTS / "clip").to(device)
    train_base(pool, encoder, folder, steps=2 if tiny else STEPS, device=device, shape=LARGE)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gpu_tinyworld", description=__doc__)
    add = parser.add_argument
    add("--dataset", type=Path, default=Path("datasets_out/tinyworld"), help="default: %(default)s")
    add("--out", type=Path, default=Path("datasets_out/large"), help="default: %(default)s")
    add(
        "--tiny",
        action="store_true",
        help="a few steps of everything, on the CPU too, to see that all of it runs",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Make what is missing, and print the table; the exit status of what failed."""
    arguments = parser().parse_args(argv)
    import torch

    if not (arguments.tiny or torch.cuda.is_available()):
        print(
            "torch finds no GPU here; on one, a base of 28 million parameters would be made, trained and evaluated."
        )
        return 0
    if not (arguments.dataset / "data").is_dir():
        sys.stderr.write(f"{arguments.dataset} holds no dataset; `make build` makes the default one\n")
        return 2
    out, dataset = arguments.out, f"--dataset={arguments.dataset}"
    if not (out / "base" / "model.safetensors").is_file():
        make_base(out / "base", tiny=arguments.tiny)
    start = "base"
    for kind, settings in (TINY if arguments.tiny else SETTINGS).items():
        overrides = [f"--set={one}" for one in settings]
        done = (out / kind / "run.json").is_file()
        line = [kind, dataset, f"--model={out / start}", f"--out={out / kind}", *overrides]
        if status := 0 if done else train.main(line):
            return status
        start = kind
    runs = [f"--run={out / kind}" for kind in SETTINGS]
    less = ["--max-new-tokens=8", "--no-ablations"] if arguments.tiny else []
    compared = [f"--model={out / 'base'}", "--probe=builtin:tinyworld/clip", *runs]
    return evaluate.main([dataset, *compared, *less, f"--out={out / 'evaluation'}"])


if __name__ == "__main__":
    sys.exit(main())
