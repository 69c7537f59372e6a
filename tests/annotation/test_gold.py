from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annotation.dataset import AnnotationError
from annotation.gold import read_gold, store_gold, stored_gold
from schemas.taxonomy import load_taxonomy

TAXONOMY = load_taxonomy()


def test_known_answers_are_read_from_csv_and_parquet_alike(tmp_path: Path) -> None:
    (tmp_path / "known.csv").write_text("pair_id,joint_harmful,hazard\n1,yes,phy\n2,no,\n")
    table = pa.table({"pair_id": ["1", "2"], "joint_harmful": ["yes", "no"], "hazard": ["phy", None]})
    pq.write_table(table, tmp_path / "known.parquet")

    one, other = (read_gold(tmp_path / f"known.{kind}", {"1", "2"}, TAXONOMY) for kind in ("csv", "parquet"))

    assert one == other
    assert one["1"] == {
        "pair_id": "1",
        "joint_harmful": "yes",
        "image_harmful": "",
        "text_harmful": "",
        "hazard": "phy",
    }


def test_known_answers_are_kept_with_the_dataset(tmp_path: Path) -> None:
    (tmp_path / "known.csv").write_text("pair_id,joint_harmful\n2,no\n1,yes\n")
    gold = read_gold(tmp_path / "known.csv", {"1", "2"}, TAXONOMY)

    store_gold(tmp_path, gold)

    assert stored_gold(tmp_path) == gold
    assert list(stored_gold(tmp_path)) == ["1", "2"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("pair_id\n1\n", "has no column joint_harmful"),
        ("pair_id,joint_harmful\n9,yes\n", "row 1: the dataset has no such pair"),
        ("pair_id,joint_harmful\n1,maybe\n", "row 1: joint_harmful must be yes or no"),
        ("pair_id,joint_harmful\n1,yes\n1,no\n", "row 2: the pair is there twice"),
        ("pair_id,joint_harmful,text_harmful\n1,yes,true\n", "must be yes, no or empty"),
        ("pair_id,joint_harmful,hazard\n1,yes,cse\n", "hazard 'cse' is not in the taxonomy, or closed"),
        ("", "cannot be read as CSV or Parquet"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_row(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "known.csv"
    path.write_text(content)

    with pytest.raises(AnnotationError, match=said):
        read_gold(path, {"1"}, TAXONOMY)
