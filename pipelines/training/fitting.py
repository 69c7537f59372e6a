"""Running a trainer of TRL to its end: progress, metrics as they come, resume, and what a run's folder holds then."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState
from transformers.integrations.integration_utils import TensorBoardCallback
from transformers.trainer_utils import get_last_checkpoint

from pipelines.training.card import model_card
from pipelines.training.curves import draw_curves
from pipelines.training.policy import ADAPTER, REFERENCE
from pipelines.training.run_folder import RunFolder

SHOWN = ("loss", "reward", "mean_token_accuracy", "completions/mean_length")


class Watch(TrainerCallback):
    """Appends every logged step to `metrics.jsonl` and moves a progress bar."""

    def __init__(self, run: RunFolder, name: str, console: Console) -> None:
        self.run, self.name = run, name
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.progress = Progress(*columns, TextColumn("{task.fields[shown]}"), console=console)
        self.task = self.progress.add_task(name, total=None, shown="")

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Start the bar where the run goes on."""
        self.progress.update(self.task, total=state.max_steps, completed=state.global_step)
        self.progress.start()

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Move the bar."""
        self.progress.update(self.task, completed=state.global_step)

    def on_log(
        self, args: Any, state: TrainerState, control: TrainerControl, logs: Any = None, **_: Any
    ) -> None:
        """Keep the numbers."""
        values: Mapping[str, Any] = logs or {}
        self.run.log(state.global_step, values)
        shown = "  ".join(f"{name.split('/')[-1]} {values[name]:.3g}" for name in SHOWN if name in values)
        if shown:
            self.progress.update(self.task, shown=shown)
        if shown and not self.progress.console.is_terminal:
            self.progress.console.log(f"{self.name}: step {state.global_step} of {state.max_steps}, {shown}")

    def on_train_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """End the bar."""
        self.progress.stop()


def fit(trainer: Any, run: RunFolder, facts: Mapping[str, Any], *, resume: bool, console: Console) -> None:
    """Train, then write model, card, curves and `run.json`.

    Args:
        trainer: A trainer of TRL, not yet started.
        run: Where everything goes; begun already.
        facts: What `run.json` says beside the metrics; `kind`, `base` and `dataset` are in the card.
        resume: Go on from the last checkpoint.
        console: Where progress is shown.

    Raises:
        ValueError: There is no checkpoint to go on from.
    """
    from torch.utils.tensorboard import SummaryWriter

    checkpoint = _checkpoint(run) if resume else None
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Watch(run, str(facts["kind"]), console))
    trainer.add_callback(TensorBoardCallback(SummaryWriter(str(run.tensorboard))))
    if checkpoint:
        restore_weights(trainer.model, Path(checkpoint))
        run.forget_after(int(Path(checkpoint).name.rpartition("-")[2]))
    trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_model(str(run.model))
    shutil.rmtree(run.model / REFERENCE, ignore_errors=True)
    trainer.processing_class.save_pretrained(str(run.model))
    lines = run.logged()
    draw_curves(lines, run.path / "curves.png", f"{run.path.name}: {facts['kind']}")
    complete = {**facts, "steps": trainer.state.global_step, "metrics": _last(lines)}
    (run.model / "README.md").write_text(model_card(complete), encoding="utf-8")
    run.write_run(complete)


def restore_weights(model: Any, checkpoint: Path) -> None:
    """Give a model the weights of a checkpoint; adapters are left to the trainer.

    The trainer loads a checkpoint's tensors by the names they have in the file. Where a model is saved under other
    names than it has in memory (InternVL, some of Qwen-VL) it would load nothing, and say nothing.
    """
    if (checkpoint / ADAPTER).is_file():
        return
    saved = type(model).from_pretrained(str(checkpoint), dtype=model.dtype, use_safetensors=True)
    model.load_state_dict(saved.state_dict())


def _checkpoint(run: RunFolder) -> str:
    found = get_last_checkpoint(str(run.checkpoints)) if run.checkpoints.is_dir() else None
    if found is None:
        raise ValueError(f"{run.path} holds no checkpoint to resume from; did the profile set save_every?")
    return str(found)


def _last(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The last value of everything that was logged."""
    last: dict[str, Any] = {}
    for line in lines:
        last |= line
    return last
