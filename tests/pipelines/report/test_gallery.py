import base64
import io
from collections import Counter
from pathlib import Path

from PIL import Image

from pipelines.report.figures import Figures
from pipelines.report.gallery import build_gallery, choose, thumbnail


def _pair(number: int, hazard: str, role: str = "emergent") -> dict[str, str]:
    return {"id": f"{role}-{number}", "role": role, "hazard": hazard, "contrast_group": f"emergent-{number}"}


def test_hazards_take_turns() -> None:
    rows = [_pair(n, "phy") for n in range(50)] + [_pair(100 + n, "prv") for n in range(3)]
    assert Counter(row["hazard"] for row in choose(rows, 8)) == {"phy": 5, "prv": 3}


def test_pairs_with_partners_go_first() -> None:
    rows = [_pair(n, "phy") for n in range(9)] + [_pair(5, "phy", "contrast_text")]
    assert [row["id"] for row in choose(rows, 1)] == ["emergent-5"]


def test_the_choice_does_not_depend_on_the_order_of_rows() -> None:
    rows = [_pair(n, "phy") for n in range(30)]
    assert choose(rows, 5) == choose(rows[::-1], 5)


def test_partners_stand_beside_their_pair(small_dataset: Path) -> None:
    cards = build_gallery(Figures(small_dataset))
    assert len(cards) == 24
    for card in cards:
        assert card.other_image is not None and card.other_text is not None
        assert card.other_image["contrast_group"] == card.other_text["contrast_group"] == card.pair["id"]


def test_a_thumbnail_is_small_and_carries_no_metadata() -> None:
    source = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "who took it"
    Image.new("RGBA", (900, 300)).save(source, "PNG", exif=exif)
    data = base64.b64decode(thumbnail(source.getvalue()).partition(",")[2])
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (256, 85)
        assert not image.getexif()
