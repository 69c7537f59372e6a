"""What is evaluated, and how: the command line of `python -m pipelines.evaluate` as values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from schemas.config import Endpoint

Track = Callable[[Iterable[Any], str, int], Iterable[Any]]
"""Wraps something to go through, what that is, and its length, to show progress."""


class Settings(NamedTuple):
    """What is evaluated, and how."""

    dataset: Path
    runs: tuple[Path, ...] = ()
    models: tuple[str, ...] = ()
    probe: str = ""
    """An open_clip folder; empty leaves the probe out."""
    benchmarks: tuple[str, ...] = ()
    """`KIND:FOLDER` each."""
    splits: tuple[str, ...] = ("test", "test_ood")
    out: Path = Path("datasets_out/evaluation")
    embedder: str = ""
    nli: str = ""
    judge: Endpoint | None = None
    ablations: bool = True
    """Whether to ask again without the text, without the image, and without the evidence."""
    limit: int = 0
    """About how many pairs of each part; 0 means all."""
    batch_size: int = 32
    max_new_tokens: int = 256
    device: str = "auto"
    dtype: str = "float32"
    seed: int = 0
