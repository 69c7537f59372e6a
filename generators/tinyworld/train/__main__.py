"""Train tinyworld's five models from scratch and write them, with a model card, as package data."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

STAGES = ("clip", "screen-image", "screen-text", "judge", "base")
WEIGHTS = Path(__file__).parents[1] / "weights"


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m generators.tinyworld.train", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=WEIGHTS, help="folder of the five models (default: the package's)"
    )
    parser.add_argument("--scenes", type=int, default=30_000, help="scenes to render for training")
    parser.add_argument(
        "--effort",
        type=float,
        default=1.0,
        help="scales every model's number of steps (0.01 for a trial run)",
    )
    parser.add_argument(
        "--only",
        choices=STAGES,
        nargs="+",
        default=list(STAGES),
        help="train only these; others are read from --out",
    )
    parser.add_argument(
        "--device", default="", help="torch device (default: cuda where there is one, else cpu)"
    )
    return parser.parse_args()


def main() -> None:
    """Render, train, measure on unseen scenes, write the card."""
    arguments = parse_arguments()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from generators.tinyworld.train.run import train_all

    started = time.monotonic()
    train_all(
        arguments.out,
        only=frozenset(arguments.only),
        scenes=arguments.scenes,
        effort=arguments.effort,
        device=arguments.device,
        started=started,
    )


if __name__ == "__main__":
    main()
