"""Measure on a GPU: `make bench-gpu`, or `python -m tests.benchmarks.gpu --help`. Nothing is downloaded.

Each model's way through the pipeline is compared with a bare loop of equal batch, precision and settings, and GRPO
with TRL's own trainer; the pipeline must reach nine tenths of the loop's rate, and training 0.95 of TRL's. The
models have the shapes of SDXL, Qwen2.5-VL-3B and ViT-L-14, and random weights, which cost the same time as trained
ones.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from tests.benchmarks.gpu_paths import Measurable

LIMITS = {"drawing": 0.9, "judging": 0.9, "embedding": 0.9, "training": 0.95}
"""The least share of the bare loop's rate that the pipeline must reach."""


class Size(NamedTuple):
    """How large a measurement is."""

    shape: str
    items: int
    """Images to draw or embed, images to judge with four texts each, or prompts of a step."""
    side: int
    """Pixels of an image."""
    batch: int
    memory: str
    """What it needs of a GPU and of the disk."""
    steps: int = 1


SIZES = {
    "drawing": Size(
        "SDXL (UNet of 2.6 billion, two text encoders, VAE)", 32, 1024, 4, "20 GB, disk 7 GB", 30
    ),
    "judging": Size("Qwen2.5-VL-3B", 256, 512, 16, "16 GB, disk 8 GB"),
    "embedding": Size("open_clip ViT-L-14", 8192, 1024, 64, "4 GB, disk 5 GB"),
    "training": Size(
        "Qwen2.5-VL-3B with LoRA, 32 completions of 256 tokens", 4, 512, 8, "40 GB, disk 8 GB", 3
    ),
}
TINY = {
    "drawing": Size("SDXL in tiny", 3, 64, 2, "none"),
    "judging": Size("Qwen2.5-VL in tiny", 3, 56, 4, "none"),
    "embedding": Size("the dual encoder of tinyworld", 9, 64, 4, "none"),
    "training": Size("Qwen2.5-VL in tiny with LoRA, 4 completions of 8 tokens", 2, 56, 4, "none", 1),
}
UNITS = {"drawing": "images/s", "judging": "pairs/s", "embedding": "images/s", "training": "tokens/s"}


class Setting(NamedTuple):
    """Where and how everything is measured."""

    folder: Path
    device: Any
    dtype: Any
    tiny: bool
    repeats: int


class Comparison(NamedTuple):
    """One line of the result."""

    measurement: str
    shape: str
    batch: int
    dtype: str
    pipeline: float
    """Items a second."""
    bare: float
    unit: str
    memory: float
    """The most that was taken of the GPU by the pipeline, in GB; 0 on a CPU."""
    bare_memory: float
    """And by the loop."""
    limit: float | None
    """None where it is not judged."""

    @property
    def ratio(self) -> float:
        """Rate of the pipeline by that of the loop."""
        return self.pipeline / self.bare

    @property
    def ok(self) -> bool:
        """Whether the pipeline is fast enough."""
        return self.limit is None or self.ratio >= self.limit


def drawing(size: Size, setting: Setting) -> Measurable:
    """Prompts through the stage `generate` against a diffusers loop."""
    from schemas.config import Diffusion
    from tests.benchmarks.gpu_models import stable_diffusion_xl
    from tests.benchmarks.gpu_paths import Drawing

    folder = setting.folder / "sdxl"
    stable_diffusion_xl(folder, setting.device, setting.dtype, tiny=setting.tiny)
    settings = Diffusion(
        path=str(folder),
        device=setting.device,
        dtype=setting.dtype,
        steps=size.steps,
        width=size.side,
        height=size.side,
        batch_size=size.batch,
    )
    return Drawing(settings, setting.folder / "drawn", size.items)


def judging(size: Size, setting: Setting) -> Measurable:
    """Candidates through the stage `judge` against a transformers loop over the same questions."""
    from generators.tinyworld.grammar import utter
    from schemas.config import Model
    from schemas.policy import load_policy
    from tests.benchmarks.gpu_models import qwen_vl
    from tests.benchmarks.gpu_paths import POLICY, Judging

    texts = sorted({utter(seed).text for seed in range(size.items)})
    policy = load_policy(POLICY)
    corpus = [policy.question(True, "", 0), *(policy.question(True, text, 1) for text in texts)]
    folder = setting.folder / "qwen"
    qwen_vl(folder, setting.device, setting.dtype, corpus, tiny=setting.tiny)
    settings = Model(path=str(folder), device=setting.device, dtype=setting.dtype, batch_size=size.batch)
    work = setting.folder / "judged"
    return Judging(settings, work, pictures(work, size.items, size.side), texts)


def embedding(size: Size, setting: Setting) -> Measurable:
    """Stored images through the stage `embed` against an open_clip loop."""
    from schemas.config import Model
    from tests.benchmarks.embedding import save_random_model
    from tests.benchmarks.gpu_paths import Embedding

    folder = setting.folder / "clip"
    if not setting.tiny:
        save_random_model(folder, "ViT-L-14")
    path = "builtin:tinyworld/clip" if setting.tiny else str(folder)
    settings = Model(path=path, device=setting.device, dtype=setting.dtype, batch_size=size.batch)
    work = setting.folder / "embedded"
    return Embedding(settings, work, pictures(work, size.items, size.side))


def training(size: Size, setting: Setting) -> Measurable:
    """GRPO's steps through `pipelines.training` against TRL's trainer."""
    from generators.tinyworld.grammar import utter
    from pipelines.training.examples import prompt_of
    from tests.benchmarks.gpu_models import qwen_vl
    from tests.benchmarks.gpu_training import Steps, Training

    folder = setting.folder / "qwen"
    corpus = [prompt_of(utter(seed).text)[0]["content"][1]["text"] for seed in range(64)]
    qwen_vl(folder, setting.device, setting.dtype, corpus, tiny=setting.tiny)
    generations, completion = (2, 8) if setting.tiny else (8, 256)
    steps = Steps(size.steps, size.items, generations, size.batch, completion, size.side)
    return Training(folder, setting.folder, steps, setting.device, setting.dtype)


MEASUREMENTS: dict[str, Callable[[Size, Setting], Measurable]] = {
    "drawing": drawing,
    "judging": judging,
    "embedding": embedding,
    "training": training,
}


def pictures(work: Path, count: int, side: int) -> list[str]:
    """Ids of stored JPEG files as ingest stores them: up to 64 pictures, told apart by a few bytes after their end."""
    from PIL import Image

    from pipelines.storage.blobs import BlobStore
    from tests.benchmarks.pool import QUALITY, picture

    encoded = []
    for number in range(min(count, 64)):
        buffer = io.BytesIO()
        picture(number).resize((side, side), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=QUALITY)
        encoded.append(buffer.getvalue())
    blobs = BlobStore(work / "blobs")
    return [blobs.put(encoded[number % len(encoded)] + str(number).encode()) for number in range(count)]


def compare(name: str, setting: Setting) -> Comparison:
    """Measure both ways in turn, so that neither has the cooler GPU."""
    from tests.benchmarks.gpu_paths import release

    size = (TINY if setting.tiny else SIZES)[name]
    ways = MEASUREMENTS[name](size, setting)
    ways.warm_up()
    seconds, peaks = {"pipeline": 0.0, "bare": 0.0}, {"pipeline": 0.0, "bare": 0.0}
    for repeat in range(setting.repeats):
        for way in ("pipeline", "bare")[:: 1 if repeat % 2 else -1]:
            took, took_memory = timed(
                ways.through_pipeline if way == "pipeline" else ways.bare, setting.device
            )
            seconds[way] += took
            peaks[way] = max(peaks[way], took_memory)
    release()
    pipeline, bare = (ways.count * setting.repeats / seconds[way] for way in ("pipeline", "bare"))
    limit = None if setting.tiny else LIMITS[name]
    return Comparison(
        *(name, size.shape, size.batch, setting.dtype, pipeline, bare, UNITS[name]), *peaks.values(), limit
    )


def timed(work: Callable[[], None], device: str) -> tuple[float, float]:
    """Seconds until the work is done on the device, too, and the most memory of it in GB."""
    import torch

    gpu = device == "cuda"
    if gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    work()
    if gpu:
        torch.cuda.synchronize()
    peak = torch.cuda.max_memory_allocated() / 1e9 if gpu else 0.0
    return time.perf_counter() - started, peak


def show(comparisons: Sequence[Comparison], where: str, console: Console) -> None:
    """Print the table of results."""
    table = Table("measurement", title=f"rates on {where}", title_justify="left")
    for column in ("batch", "pipeline", "bare loop", "ratio", "limit", "memory (bare)", ""):
        table.add_column(column, justify="right")
    for one in comparisons:
        verdict = "[green]ok" if one.ok else "[bold red]missed"
        table.add_row(
            one.measurement,
            str(one.batch),
            f"{one.pipeline:,.2f} {one.unit}",
            f"{one.bare:,.2f} {one.unit}",
            f"{one.ratio:.3f}",
            "" if one.limit is None else f"{one.limit:.2f}",
            f"{one.memory:.1f} ({one.bare_memory:.1f}) GB" if one.memory else "",
            "not judged" if one.limit is None else verdict,
        )
    console.print(table)
    for one in comparisons:
        console.print(f"{one.measurement}: {one.shape}, {one.dtype}")
    console.print(
        "Loading is left out. Decoding, preprocessing, PNG files and results are in, both ways, and so are both "
        "orders of the answers; a pair is one question together, and each distinct image and text one alone. "
        "Qwen2.5-VL's image tower runs for every question, both ways. Training counts the tokens of completions, which "
        "all have the same length, from prompts to the optimiser's step; both ways train one adapter."
    )


def explain(names: Sequence[str], console: Console) -> None:
    """Say what would be measured if there were a GPU."""
    console.print("torch finds no GPU here, so nothing was measured. On a GPU this would be compared:")
    for name in names:
        size = SIZES[name]
        items = f"{size.items * 4:,} pairs" if name == "judging" else f"{size.items:,} images"
        items = f"{size.items} prompts a step" if name == "training" else items
        console.print(
            f"- {name}: {size.shape}; {items}, {size.side} x {size.side} pixels, batches of {size.batch}"
            f"{f', {size.steps} steps' if size.steps > 1 else ''}; needs {size.memory}"
        )
    console.print("`--tiny` runs every measurement with tiny shapes on the CPU; it judges no rate.")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gpu", description=__doc__)
    add = parser.add_argument
    add("--only", action="append", choices=sorted(MEASUREMENTS), help="measure this alone (may be repeated)")
    add("--dtype", choices=("bfloat16", "float16"), default="bfloat16", help="default: %(default)s")
    add("--repeats", type=int, default=3, help="how often each way is timed (default: %(default)s)")
    add("--tiny", action="store_true", help="tiny shapes on the CPU, to see that all of it runs")
    add("--json", type=Path, metavar="FILE", help="write the figures there, too")
    add("--folder", type=Path, help="where 20 GB fit for a while (default: the system's)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if a limit is missed."""
    arguments = parser().parse_args(argv)
    console, names = Console(), arguments.only or list(MEASUREMENTS)
    import torch

    if not (arguments.tiny or torch.cuda.is_available()):
        explain(names, console)
        return 0
    device, repeats = ("cpu", 1) if arguments.tiny else ("cuda", arguments.repeats)
    where = "the CPU" if arguments.tiny else torch.cuda.get_device_name()
    comparisons = []
    for name in names:
        console.print(f"measuring [bold]{name}[/bold]")
        with tempfile.TemporaryDirectory(prefix="crossharm-gpu-", dir=arguments.folder) as folder:
            setting = Setting(Path(folder), device, arguments.dtype, arguments.tiny, repeats)
            comparisons.append(compare(name, setting))
    show(comparisons, where, console)
    if arguments.json:
        rows = [{**one._asdict(), "ratio": one.ratio, "ok": one.ok, "device": where} for one in comparisons]
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0 if all(one.ok for one in comparisons) else 1


if __name__ == "__main__":
    sys.exit(main())
