import pickle
from typing import get_args

import pytest

from schemas import records
from schemas.records import ROLES, SPLITS, ImageAsset, Provenance, RawAsset, Role, Score, Split, TextAsset

MADE = Provenance("pool", "a.png", "retrieved")


def test_the_lists_of_splits_and_roles_are_those_of_the_types() -> None:
    assert get_args(Split) == SPLITS
    assert get_args(Role) == ROLES


@pytest.mark.parametrize(
    "record",
    [
        RawAsset("a.png", MADE),
        ImageAsset("1" * 64, 8, 8, "0" * 64, MADE, (Score("classifier", 0.5),), "1" * 64, "train"),
        TextAsset("2" * 64, "good morning", MADE),
    ],
)
def test_records_survive_pickling(record: object) -> None:
    assert pickle.loads(pickle.dumps(record)) == record  # noqa: S301


def test_records_are_values() -> None:
    assert len({TextAsset("2" * 64, "hello", MADE), TextAsset("2" * 64, "hello", MADE)}) == 1
    with pytest.raises(AttributeError):
        MADE.source = "other"  # type: ignore[misc]


def test_no_record_has_a_field_for_pixels() -> None:
    fields = [f for kind in vars(records).values() if hasattr(kind, "_fields") for f in kind._fields]
    assert not {"bytes", "pixels", "image", "data"} & set(fields)
