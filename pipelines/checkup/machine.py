"""This machine: GPU, memory and disks, against what the profile's models need."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipelines.checkup.findings import Finding, Status, gigabytes
from pipelines.checkup.models import Examined
from schemas.config import Diffusion

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
ROOM = 1.2
"""What a model takes over its weights, an estimate: it grows with `batch_size`."""
LEAST_FREE = 5e9
"""Bytes that the work directory and the dataset should have at least, an estimate for some ten thousand images."""


def examine_device(examined: Sequence[Examined]) -> list[Finding]:
    """Whether the GPU that the models want is there, and whether they fit into its memory and into this machine's."""
    used = [one for one in examined if one.use.used]
    gpus = gpu_memory()
    absent = [one.use.key for one in used if one.use.settings.device == "cuda" and not gpus]
    if absent:
        said = f"{', '.join(absent)}: `device` is cuda, but torch finds no GPU"
        return [
            Finding("device", "GPU", Status.MISSING, said, "set `device` to auto, or use a machine with one")
        ]
    findings = []
    on_gpu = [one for one in used if gpus and one.use.settings.device != "cpu" and not _offloaded(one)]
    if gpus:
        findings.append(_fit("GPU memory", gpus[0], on_gpu))
    else:
        findings.append(Finding("device", "GPU", Status.OK, "none: every model runs on the CPU"))
    on_cpu = [one for one in used if one not in on_gpu]
    findings.append(_fit("memory", main_memory(), on_cpu, passing_through=on_gpu))
    unknown = [one.use.key for one in used if not one.parameters]
    if unknown:
        said = f"the size of {', '.join(unknown)} is not known, so it is not counted above"
        findings.append(Finding("device", "models", Status.WARNING, said, "see what is said of the models"))
    return findings


def gpu_memory() -> list[int]:
    """Bytes of every GPU that torch finds, the first of them first."""
    import torch

    if not torch.cuda.is_available():
        return []
    count = torch.cuda.device_count()
    return [int(torch.cuda.get_device_properties(number).total_memory) for number in range(count)]


def main_memory() -> int:
    """Bytes of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class _Disk(NamedTuple):
    """A folder that is written to, and how much."""

    name: str
    path: Path
    """The nearest folder that exists."""
    need: float
    """Bytes."""
    option: str
    """What moves it to another disk."""


def examine_disks(examined: Sequence[Examined], work_dir: Path, out: Path) -> list[Finding]:
    """Whether hub cache, work directory and dataset can be written to, and their disks have room for all of them."""
    from huggingface_hub.constants import HF_HUB_CACHE

    to_fetch = sum({one.use.settings.path: one.to_fetch for one in examined if one.use.used}.values())
    disks = [
        _Disk("hub cache", _existing(Path(HF_HUB_CACHE)), to_fetch, "HF_HOME"),
        _Disk("work directory", _existing(work_dir), LEAST_FREE, "--work-dir"),
        _Disk("dataset", _existing(out), 0.0, "--out"),
    ]
    wanted: Counter[int] = Counter()
    for disk in disks:
        wanted[disk.path.stat().st_dev] += int(disk.need)
    return [_room(disk, wanted[disk.path.stat().st_dev]) for disk in disks]


def _room(disk: _Disk, wanted: int) -> Finding:
    """How one of the folders stands, given what is wanted of its disk in all."""
    if not os.access(disk.path, os.W_OK):
        todo = f"choose another folder ({disk.option}), or ask for the right to write there"
        return Finding("disk", disk.name, Status.MISSING, f"{disk.path} cannot be written to", todo)
    free = shutil.disk_usage(disk.path).free
    said = f"{gigabytes(free)} free"
    if disk.name == "hub cache":
        said += f", {gigabytes(disk.need)} to fetch"
    if free >= wanted:
        return Finding("disk", disk.name, Status.OK, said)
    status = Status.MISSING if disk.name == "hub cache" and free < disk.need else Status.WARNING
    return Finding("disk", disk.name, status, said, f"make room, or use another disk ({disk.option})")


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    path = path.expanduser().absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _offloaded(one: Examined) -> bool:
    return isinstance(one.use.settings, Diffusion) and one.use.settings.offload != "none"


def _needed(one: Examined) -> float:
    """Bytes of a model's weights."""
    return one.parameters * BYTES[one.use.settings.dtype]


def _fit(
    name: str, size: int, models: Sequence[Examined], passing_through: Sequence[Examined] = ()
) -> Finding:
    """Whether the models fit: the largest must, all at once should.

    Those for the GPU pass through the machine's memory one at a time.
    """
    single = {one.use.key: _needed(one) * ROOM for one in models}
    single |= {one.use.key: _needed(one) for one in passing_through}
    every = max(sum(_needed(one) * ROOM for one in models), *single.values(), 0.0)
    said = f"{gigabytes(size)}; the models need up to {gigabytes(every)} (estimate)"
    largest = max(single, key=lambda key: single[key], default="")
    if largest and single[largest] > size:
        todo = "choose a smaller model, `dtype` bfloat16, or a larger machine"
        return Finding(
            "device", name, Status.MISSING, f"{said}; {largest} alone {gigabytes(single[largest])}", todo
        )
    if every > size:
        todo = "it may run out where several are held at once; a smaller model or `dtype` bfloat16 is safe"
        return Finding("device", name, Status.WARNING, said, todo)
    return Finding("device", name, Status.OK, said)
