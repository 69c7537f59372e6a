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
from collections.abc import Iterable, Iterator, Sequence
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
from pipelines.stages.write import WritePairs
from pipelines.storage.assets import AssetStore
from pipelines.storage.packing import bucket_of
from pipelines.storage.workspace import Workspace
from schemas.config import BuildConfig
from schemas.records import Candidate, ImageAsset, Judgement, Pair, Provenance, TextAsset

CONFIG = BuildConfig()
GROUPS = 8
"""Pieces of a split in which images are paired with texts."""
Key = tuple[str, int]


class HashPairs(beam.PTransform[Any, Any]):
    """`{"images", "texts"}` of assets -> a benign `Pair` for every image with some text of its split."""

    def expand(self, pools: dict[str, Any]) -> Any:
        """Group ids and texts by split and hash, and pair them off."""
        keyed = (
            pools["images"] | "Image ids" >> beam.Map(_image_part),
            pools["texts"] | "Text parts" >> beam.Map(_text_part),
        )
        return keyed | beam.Flatten() | beam.GroupByKey() | "Pair off" >> beam.FlatMap(pair_off)


def _image_part(asset: ImageAsset) -> tuple[Key, bytes]:
    return (asset.split, bucket_of(asset.id) % GROUPS), asset.id.encode()


def _text_part(asset: TextAsset) -> tuple[Key, bytes]:
    return (asset.split, bucket_of(asset.id) % GROUPS), f"{asset.id} {asset.text}".encode()


def pair_off(group: tuple[Key, Iterable[bytes]]) -> Iterator[Pair]:
    """Pair every image of a group with one of its texts, in turn."""
    (split, _), parts = group
    split_parts = [part.decode().partition(" ") for part in sorted(parts)]
    texts = [(id, text) for id, space, text in split_parts if space]
    images = [id for id, space, _ in split_parts if not space]
    for place, image_id in enumerate(images):
        text_id, text = texts[place % len(texts)]
        yield benign_pair(image_id, text_id, text, split)


def benign_pair(image_id: str, text_id: str, text: str, split: str) -> Pair:
    """A pair that nobody judged: all probabilities are zero."""
    # Not by `stages.candidates`: with it comes Beam's inference package, which imports torch (500 MB).
    id = hashlib.sha256(f"{image_id}+{text_id}".encode()).hexdigest()
    candidate = Candidate(id, image_id, text_id, text, split, "random", 0.0)
    return Pair(Judgement(candidate, 0.0, 0.0, 0.0, 0.0, "none"), "benign", id)


def whole_way(pipeline: Any, arguments: argparse.Namespace) -> Any:
    """Ingest to write; returns the files."""
    workspace, seed, limit = Workspace(str(arguments.work)), CONFIG.build.seed, arguments.count
    images, texts = open_images(str(arguments.images)), open_texts(str(arguments.texts))
    raw_images = pipeline | "Images" >> ReadRows(images, limit, _tally("ingest images"))
    stored = raw_images["kept"] | IngestImages(
        CONFIG.ingest, images, workspace=workspace, tally=_tally("ingest images")
    )
    raw_texts = pipeline | "Texts" >> ReadRows(texts, limit, _tally("ingest texts"))
    clean = raw_texts["kept"] | IngestTexts(CONFIG.ingest, tally=_tally("ingest texts"))
    pools: dict[str, Any] = {}
    pools["images"], _ = stored["kept"] | "Dedupe images" >> Dedupe(
        CONFIG.dedupe, seed, "image", _tally("dedupe images")
    )
    pools["texts"], _ = clean["kept"] | "Dedupe texts" >> Dedupe(
        CONFIG.dedupe, seed, "text", _tally("dedupe texts")
    )
    run_dir = str(workspace.run_dir("route"))
    pools = {name: pool | f"Keep {name}" >> Keep(run_dir) for name, pool in pools.items()}
    return (
        pools
        | HashPairs()
        | WritePairs(workspace, AssetStore(run_dir), str(arguments.out), CONFIG.write, _tally("write"))
    )


def write_only(pipeline: Any, arguments: argparse.Namespace) -> Any:
    """The stage `write` alone, over pictures that are in the blob store; returns the files."""
    workspace = Workspace(str(arguments.work))
    ids = sorted(path.name for path in workspace.blobs().root.glob("*/*"))[: arguments.count]
    assets = AssetStore(str(workspace.run_dir("route")))
    assets.put_many(asset for id in ids for asset in _assets(id))
    pairs = (
        pipeline | beam.Create(ids) | "Pair" >> beam.Map(lambda id: benign_pair(id, id, _words(id), "train"))
    )
    return pairs | WritePairs(workspace, assets, str(arguments.out), CONFIG.write, _tally("write"))


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
    with choose_engine("DirectRunner", flags).pipeline() as pipeline:
        _ = {"whole": whole_way, "write": write_only}[arguments.way](pipeline, arguments)
    sys.stdout.write(json.dumps({"seconds": time.perf_counter() - started}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
