"""Embedding of stored images, through the pipeline or by a plain open_clip loop: prints a line of JSON.

Both load the same ViT-B-32 (random weights), read, decode, preprocess and encode the same blobs in batches of 32.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

BATCH, THREADS = 32, 2
ARCHITECTURE = "ViT-B-32"


def save_random_model(folder: Path, architecture: str = ARCHITECTURE) -> None:
    """Write a model of random weights in open_clip's local-dir format."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = open_clip.create_model(architecture, pretrained=None)
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": open_clip.get_model_config(architecture), "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(weights, str(folder / "open_clip_model.safetensors"))


def through_pipeline(ids: Sequence[str], work: Path, model: Path) -> None:
    """The stage `embed` on the in-process engine."""
    import apache_beam as beam

    from pipelines.engine import choose_engine
    from pipelines.models.clip import ImageEmbedder
    from pipelines.progress import Tally
    from pipelines.stages.embed import Embed
    from pipelines.storage.workspace import Workspace
    from schemas.config import Model
    from schemas.records import ImageAsset, Provenance

    workspace = Workspace(str(work))
    handler = ImageEmbedder(Model(path=str(model), batch_size=BATCH, threads=THREADS), workspace)
    assets = [ImageAsset(id, 320, 320, id, Provenance("images", id, "retrieved")) for id in ids]
    with choose_engine("DirectRunner", []).pipeline() as pipeline:
        _ = pipeline | beam.Create(assets) | Embed(handler, "image", workspace, Tally("", "embed"))


def plain_loop(ids: Sequence[str], work: Path, model: Path) -> None:
    """What one would write without a pipeline."""
    import open_clip
    import torch
    from PIL import Image

    from pipelines.storage.blobs import BlobStore

    torch.set_num_threads(THREADS)
    blobs = BlobStore(work / "blobs")
    clip, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{model}", weights_only=True)
    clip.eval()
    vectors = []
    for start in range(0, len(ids), BATCH):
        images = [preprocess(Image.open(blobs.path(id))) for id in ids[start : start + BATCH]]
        with torch.inference_mode():
            vectors.append(clip.encode_image(torch.stack(images), normalize=True))
    torch.cat(vectors).numpy().tofile(work / "vectors.bin")


def main(argv: Sequence[str] | None = None) -> int:
    """Time one of the two ways, imports left out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", choices=("pipeline", "loop", "save"), required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    arguments = parser.parse_args(argv)
    import apache_beam  # noqa: F401
    import open_clip  # noqa: F401

    ids = sorted(path.name for path in (arguments.work / "blobs").glob("*/*"))
    started = time.perf_counter()
    if arguments.way == "save":
        save_random_model(arguments.model)
    else:
        way = {"pipeline": through_pipeline, "loop": plain_loop}[arguments.way]
        way(ids, arguments.work, arguments.model)
    seconds = time.perf_counter() - started
    sys.stdout.write(json.dumps({"seconds": seconds, "images": len(ids)}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
