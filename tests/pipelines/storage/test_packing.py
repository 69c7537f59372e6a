"""Packing: records survive unchanged, and small."""

import pytest

from pipelines.storage.packing import bucket_of, pack, unpack
from schemas.records import Excluded, ImageAsset, Provenance, RawAsset, Score, TextAsset

PROVENANCE = Provenance("pool", "a.jpg", "retrieved", caption="bad \udcff name", seed=7)
IMAGE = ImageAsset(
    "ab" * 32, 8, 9, "0f" * 32, PROVENANCE, (Score("judge", 0.25), Score("x", 1.0)), split="test"
)


@pytest.mark.parametrize(
    "record",
    [
        IMAGE,
        TextAsset("cd" * 32, "ü \ud800\n" * 5000, PROVENANCE),
        Excluded("image", "", "n", "dedupe", "r", None, 0.5),
        [RawAsset("locator", PROVENANCE)] * 3,
        (IMAGE, 3),
        0,
    ],
)
def test_a_record_comes_back_as_it_was(record: object) -> None:
    assert unpack(pack(record)) == record
    assert type(unpack(pack(record))) is type(record)


def test_nested_records_keep_their_types() -> None:
    unpacked = unpack(pack(IMAGE))
    assert isinstance(unpacked.provenance, Provenance)
    assert all(isinstance(score, Score) for score in unpacked.screening)


def test_a_packed_asset_is_small() -> None:
    assert len(pack(IMAGE)) < 200


def test_every_id_has_a_bucket() -> None:
    assert all(0 <= bucket_of(id, 7) < 7 for id in ("", "c", "\udcff", "ab" * 32))
