from typing import Any

import datasets
import pytest
from PIL import Image

from pipelines.training.concatenation import join, joinable, joined_rows, side_by_side
from schemas.reasoning import BENIGN, HARMFUL


def _row(name: str, text: str, harmful: bool) -> dict[str, Any]:
    return {
        "id": name,
        "text": text,
        "verdict": HARMFUL if harmful else BENIGN,
        "role": "benign",
        "hazard": "phy" if harmful else "",
        "mechanism": "",
        "contrast_group": "set",
        "references": [f"{name} is why"] if harmful else [],
        "image_says": [f"picture of {name}"],
        "text_says": [text],
        "p_image": 0.1 if harmful else 0.3,
        "p_text": 0.2,
    }


ROWS = [
    _row("a", "Touch it.", True),
    _row("b", "Touch it.", False),
    _row("c", "Touch it.", False),
    _row("d", "Leave it.", False),
    _row("e", "Eat it.", True),
]


def test_benign_rows_are_joined_only_where_they_share_their_text() -> None:
    for seed in range(20):
        for first, second in joinable(ROWS, 10, seed):
            if ROWS[first]["verdict"] == ROWS[second]["verdict"] == BENIGN:
                assert {first, second} == {1, 2}


def test_no_more_rows_are_joined_than_asked_for() -> None:
    assert len(joinable(ROWS, 1, 0)) == 1
    assert joinable(ROWS, 0, 0) == []


def test_a_harmful_part_makes_the_whole_harmful() -> None:
    joined = join(ROWS[3], ROWS[0])
    assert (joined["verdict"], joined["hazard"], joined["references"]) == (HARMFUL, "phy", ["a is why"])
    assert joined["text"] == "Leave it.\nTouch it."
    assert joined["image_says"] == ["picture of d beside picture of a"]
    assert joined["contrast_group"] == ""
    assert (joined["p_image"], joined["p_text"]) == (0.3, 0.2)


def test_a_shared_text_is_not_said_twice() -> None:
    assert join(ROWS[1], ROWS[2])["text"] == "Touch it."


def test_pictures_stand_side_by_side_in_the_height_of_the_left_one() -> None:
    whole = side_by_side(Image.new("RGB", (30, 20), "red"), Image.new("RGB", (40, 40), "blue"))
    assert whole.size == (50, 20)
    assert (whole.getpixel((29, 10)), whole.getpixel((31, 10))) == ((255, 0, 0), (0, 0, 255))


@pytest.fixture
def examples() -> datasets.Dataset:
    pictures = [{"image": Image.new("RGB", (8, 8), (40 * n, 0, 0))} for n in range(len(ROWS))]
    return datasets.Dataset.from_list([row | picture for row, picture in zip(ROWS, pictures, strict=True)])


def test_where_nothing_can_be_joined_there_are_no_rows_and_the_columns_stay(
    examples: datasets.Dataset,
) -> None:
    for rows in ([3, 4], [0], [1]):
        joined = joined_rows(examples.select(rows), 4, 0)
        assert len(joined) == 0 and joined.features == examples.features


def test_joined_rows_have_the_columns_of_examples_and_both_pictures(examples: datasets.Dataset) -> None:
    joined = joined_rows(examples, 4, 0)
    assert joined.features == examples.features
    assert {row["verdict"] for row in joined} == {HARMFUL, BENIGN}
    assert all(row["image"].size == (16, 8) for row in joined)
