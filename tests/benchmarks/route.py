"""The way from ingest to write without models, as one process to be measured: prints a line of JSON.

Ingest, dedupe of both pools, a pair for every image, join, write. There is no model here, so the probabilities
of the rows are zeros, and the partner of an image is drawn by hash within its split.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam

from generators.corpora import open_images, open_texts
from pipelines.engine import choose_engine
from pipelines.progress import Tally
from pipelines.stages.dedupe import Dedupe
from pipelines.stages.ingest import IngestImages, IngestTexts
from pipelines.stages.keep import Keep
from pipelines.stages.sources import ReadRows
from pipelines.stages.spill import Spill
from pipelines.stages.write import WritePairs
from pipelines.storage.assets import AssetStore
from pipelines.storage.packing import bucket_of, pack, unpack
from pipelines.storage.spill import Group, SpillFile, Value
from pipelines.storage.workspace import Workspace
from schemas.config import BuildConfig
from schemas.records import Candidate, ImageAsset, Judgement, Pair, Provenance, TextAsset

CONFIG = BuildConfig()
GROUPS = 8
"""Pieces of a split in which images are paired with texts."""


class HashPairs(beam.PTransform[Any, Any]):
    """`{"images", "texts"}` of assets -> a benign `Pair` for every image with some text of its split.

    The pools are not flattened into one: the in-process engine would hold all assets for that.
    """

    def __init__(self, run_dir: str) -> None:
        super().__init__()
        self._files = {name: SpillFile(Path(run_dir) / f"{name}.sqlite") for name in ("images", "texts")}

    def expand(self, pools: dict[str, Any]) -> Any:
        """Group the assets by split and hash, and pair them off."""
        groups = {
            name: pool
            | f"Spill {name}" >> Spill(self._files[name], _part)
            | f"Key {name}" >> beam.Map(_keyed)
            for name, pool in pools.items()
        }
        return groups | beam.CoGroupByKey() | "Pair off" >> beam.FlatMap(pair_off, self._files)


def _part(asset: ImageAsset | TextAsset) -> Value:
    text = asset.text if isinstance(asset, TextAsset) else ""
    return Value(f"{asset.split}:{bucket_of(asset.id, GROUPS)}", asset.id, pack((asset.id, text)))


def _keyed(group: Group) -> tuple[str, Group]:
    return group.key, group


def pair_off(keyed: tuple[str, dict[str, Sequence[Group]]], files: dict[str, SpillFile]) -> Iterator[Pair]:
    """Pair every image of a group with one of its texts, in turn."""
    key, groups = keyed
    parts = {
        name: [unpack(data) for one in groups[name] for data in file.read(one)]
        for name, file in files.items()
    }
    for place, (image_id, _) in enumerate(parts["images"]):
        text_id, text = parts["texts"][place % len(parts["texts"])]
        yield benign_pair(image_id, text_id, text, key.partition(":")[0])


def benign_pair(image_id: str, text_id: str, text: str, split: str) -> Pair:
    """A pair that nobody judged: all probabilities are zero."""
    # Not by `stages.candidates`: with it comes Beam's inference package, which imports torch (500 MB).
    id = hashlib.sha256(f"{image_id}+{text_id}".encode()).hexdigest()
    candidate = Candidate(id, image_id, text_id, text, split, "random", 0.0)
    return Pair(Judgement(candidate, 0.0, 0.0, 0.0, 0.0, "none"), "benign", id)


def whole_way(pipeline: Any, arguments: argparse.Namespace, processes: int) -> Any:
    """Ingest to write; returns the files."""
    workspace, seed, limit = Workspace(str(arguments.work)), CONFIG.build.seed, arguments.count
    images, texts = open_images(str(arguments.images)), open_texts(str(arguments.texts))
    raw_images = pipeline | "Images" >> ReadRows(images, limit, _tally("ingest images"))
    stored = raw_images["kept"] | IngestImages(
        CONFIG.ingest, images, workspace=workspace, tally=_tally("ingest images"), processes=processes
    )
    raw_texts = pipeline | "Texts" >> ReadRows(texts, limit, _tally("ingest texts"))
    clean = raw_texts["kept"] | IngestTexts(CONFIG.ingest, tally=_tally("ingest texts"))
    pools: dict[str, Any] = {}
    run_dir = str(workspace.run_dir("route"))
    pools["images"], _ = stored["kept"] | "Dedupe images" >> Dedupe(
        CONFIG.dedupe, seed, "image", run_dir=run_dir, tally=_tally("dedupe images")
    )
    pools["texts"], _ = clean["kept"] | "Dedupe texts" >> Dedupe(
        CONFIG.dedupe, seed, "text", run_dir=run_dir, tally=_tally("dedupe texts")
    )
    pools = {name: pool | f"Keep {name}" >> Keep(run_dir) for name, pool in pools.items()}
    return pools | HashPairs(run_dir) | _write(workspace, run_dir, arguments)


def write_only(pipeline: Any, arguments: argparse.Namespace) -> Any:
    """The stage `write` alone, over pictures that are in the blob store; returns the files."""
    workspace = Workspace(str(arguments.work))
    ids = sorted(path.name for path in workspace.blobs().root.glob("*/*"))[: arguments.count]
    run_dir = str(workspace.run_dir("write"))
    AssetStore(run_dir).put_many(asset for id in ids for asset in _assets(id))
    pairs = (
        pipeline | beam.Create(ids) | "Pair" >> beam.Map(lambda id: benign_pair(id, id, _words(id), "train"))
    )
    return pairs | _write(workspace, run_dir, arguments)


def _write(workspace: Workspace, run_dir: str, arguments: argparse.Namespace) -> WritePairs:
    tally = _tally("write")
    return WritePairs(workspace, str(arguments.out), CONFIG.write, name="route", run_dir=run_dir, tally=tally)


def _words(id: str) -> str:
    return f"what is said of {id}"


def _assets(id: str) -> tuple[ImageAsset, TextAsset]:
    provenance = Provenance("images", f"{id[:6]}.jpg", "retrieved")
    image = ImageAsset(id, 320, 320, id, provenance, (), id, "train")
    return image, TextAsset(id, _words(id), provenance, (), id, "train")


def _tally(stage: str) -> Tally:
    return Tally("", stage)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one way and print what it took, on standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("images", "texts", "work", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--way", choices=("whole", "write"), default="whole")
    arguments, flags = parser.parse_known_args(argv)
    started = time.perf_counter()
    engine = choose_engine("DirectRunner", flags)
    with engine.pipeline() as pipeline:
        if arguments.way == "whole":
            whole_way(pipeline, arguments, engine.processes)
        else:
            write_only(pipeline, arguments)
    sys.stdout.write(json.dumps({"seconds": time.perf_counter() - started}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
