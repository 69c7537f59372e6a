import hashlib
import io
import json
import logging
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

import apache_beam as beam
import numpy as np
import pdqhash
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that
from PIL import Image, ImageDraw, ImageEnhance

from pipelines.progress import Tally
from pipelines.stages.dedupe import Asset, AssetModality, Dedupe, split_of
from schemas.config import Dedupe as DedupeConfig
from schemas.records import SPLITS, Excluded, ImageAsset, Provenance, TextAsset

CONFIG = DedupeConfig()


def _picture(number: int) -> Image.Image:
    chance = random.Random(number)
    image = Image.new("RGB", (256, 256), (chance.randrange(256), chance.randrange(256), 90))
    draw = ImageDraw.Draw(image)
    for _ in range(14):
        x, y, side = chance.randrange(220), chance.randrange(220), chance.randrange(20, 110)
        shape = chance.choice([draw.ellipse, draw.rectangle])
        shape((x, y, x + side, y + side), fill=tuple(chance.randrange(256) for _ in range(3)))
    return image


def _image(name: str, picture: Image.Image) -> ImageAsset:
    bits, _ = pdqhash.compute(np.asarray(picture.convert("RGB")))
    id = hashlib.sha256(picture.tobytes()).hexdigest()
    provenance = Provenance("pool", name, "generated")
    return ImageAsset(id, *picture.size, np.packbits(bits).tobytes().hex(), provenance)


def _text(name: str, text: str) -> TextAsset:
    return TextAsset(hashlib.sha256(text.encode()).hexdigest(), text, Provenance("pool", name, "generated"))


def _recompressed(picture: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=40)
    return Image.open(buffer).convert("RGB")


COPIES = {
    "recompressed": _recompressed,
    "resized": lambda picture: picture.resize((150, 150)),
    "cropped": lambda picture: picture.crop((2, 2, 254, 254)),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.1),
}


@lru_cache(maxsize=1)
def _pool() -> tuple[ImageAsset, ...]:
    originals = [_image(f"{number:03}", _picture(number)) for number in range(60)]
    planted = [
        _image(f"{kind}-{n:03}", copy(_picture(n))) for kind, copy in COPIES.items() for n in range(0, 60, 4)
    ]
    return (*originals, *planted)


def _dedupe(
    assets: Sequence[Asset], modality: AssetModality, shards: int = 4, workers: int = 1
) -> tuple[list[Asset], list[Excluded]]:
    options = PipelineOptions([], direct_num_workers=workers)
    with tempfile.TemporaryDirectory() as folder:
        with beam.Pipeline(runner=FnApiRunner(), options=options) as pipeline:
            pool = pipeline | beam.Create(assets, reshuffle=workers > 1)
            tally = Tally("", "dedupe")
            dedupe = Dedupe(CONFIG, 7, modality, run_dir=f"{folder}/run", tally=tally, shards=shards)
            kept, excluded = pool | dedupe
            assert_that(kept, partial(_store, f"{folder}/kept"), "kept")
            assert_that(excluded, partial(_store, f"{folder}/excluded"), "excluded")
        record = ImageAsset if modality == "image" else TextAsset
        assets = [record(*row) for row in json.loads(Path(folder, "kept").read_text())]
        assets = [asset._replace(provenance=Provenance(*asset.provenance)) for asset in assets]
        return assets, [Excluded(*row) for row in json.loads(Path(folder, "excluded").read_text())]


def _store(path: str, found: list[object]) -> None:
    Path(path).write_text(json.dumps(sorted(found)))  # type: ignore[type-var]


def _distance(one: Asset, other: Asset) -> int:
    assert isinstance(one, ImageAsset)
    assert isinstance(other, ImageAsset)
    return (int(one.pdq, 16) ^ int(other.pdq, 16)).bit_count()


def test_planted_near_copies_of_pictures_are_found() -> None:
    kept, excluded = _dedupe(_pool(), "image")
    assert len(kept) <= 62
    assert len(kept) + len(excluded) == 120
    assert all(
        row.reason == "near_duplicate" and row.score is not None and row.score <= 31 for row in excluded
    )


def test_no_two_kept_images_are_within_the_distance() -> None:
    kept, _ = _dedupe(_pool(), "image")
    assert all(_distance(one, other) > 31 for one in kept for other in kept if one is not other)


def test_every_excluded_row_names_a_kept_asset() -> None:
    kept, excluded = _dedupe(_pool(), "image")
    assert {row.detail for row in excluded} <= {asset.id for asset in kept}
    assert all(asset.cluster == asset.id and asset.split in SPLITS for asset in kept)


@pytest.mark.parametrize("shards", [1, 3, 7])
@pytest.mark.parametrize("workers", [1, 3])
def test_the_result_depends_neither_on_order_nor_on_shards_nor_on_workers(shards: int, workers: int) -> None:
    shuffled = random.Random(shards).sample(_pool(), len(_pool()))
    assert _dedupe(shuffled, "image", shards, workers) == _dedupe(_pool(), "image")


def test_of_exact_copies_the_first_by_source_and_name_is_kept() -> None:
    copies = [_text(name, "the same words again") for name in ("c", "a", "b")]
    kept, excluded = _dedupe(copies, "text")
    assert [asset.provenance.name for asset in kept] == ["a"]
    assert [(row.name, row.reason, row.detail) for row in excluded] == [
        ("b", "exact_duplicate", "a"),
        ("c", "exact_duplicate", "a"),
    ]


def test_near_copies_of_texts_are_found_and_others_kept() -> None:
    words = [f"word{number}" for number in range(30)]
    texts = [
        " ".join(words),
        " ".join([*words, "more"]),
        " ".join(words).upper() + "!",
        " ".join(words[::-1]),
        "hi",
        "ho",
    ]
    kept, excluded = _dedupe([_text(str(number), text) for number, text in enumerate(texts)], "text")
    assert len(kept) == 4
    assert {row.reason for row in excluded} == {"near_duplicate"}
    assert all(row.score is not None and 0.8 <= row.score <= 1 for row in excluded)


def test_a_chain_of_near_copies_ends_in_one_cluster() -> None:
    chain = [(1 << 20 * step) - 1 for step in range(11)]
    assets = [
        ImageAsset(
            hashlib.sha256(bytes([n])).hexdigest(),
            9,
            9,
            f"{bits:064x}",
            Provenance("pool", str(n), "generated"),
        )
        for n, bits in enumerate(chain)
    ]
    kept, excluded = _dedupe(assets, "image")
    assert [asset.id for asset in kept] == [min(asset.id for asset in assets)]
    assert len(excluded) == 10


def test_a_cluster_of_more_than_half_the_pool_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    texts = [_text(str(number), "the same words again" + "!" * number) for number in range(51)]
    with caplog.at_level(logging.WARNING):
        _dedupe(texts, "text")
    assert "one cluster of near-duplicate texts holds 51 of 51" in caplog.text


def test_an_empty_pool_stays_empty() -> None:
    assert _dedupe([], "image") == ([], [])


def test_splits_have_their_shares_and_depend_on_the_seed() -> None:
    counts = Counter(split_of(str(number), 0, CONFIG.split) for number in range(20_000))
    assert all(abs(counts[split] / 20_000 - share) < 0.02 for split, share in CONFIG.split.items())
    assert any(split_of(str(n), 0, CONFIG.split) != split_of(str(n), 1, CONFIG.split) for n in range(20))


def test_a_split_with_no_share_gets_nothing() -> None:
    shares = {"train": 1.0, "validation": 0.0, "test": 0.0, "test_ood": 0.0}
    assert {split_of(str(number), 0, shares) for number in range(100)} == {"train"}  # type: ignore[arg-type]
