"""Finalized rows keep the machine's columns, and what leaves is accounted for."""

from pathlib import Path

import pyarrow.parquet as pq

from pipelines.finalized import exclusions, finalized_row, labelled, read_light, write_excluded
from pipelines.relabel import fates
from schemas.config import Write
from schemas.records import Excluded
from schemas.tables import finalized_schema
from tests.pipelines.test_relabel import said
from tests.planted import pair_id, plant_dataset


def test_every_column_of_the_schema_is_filled(tmp_path: Path) -> None:
    path = plant_dataset(tmp_path / "d") / "data" / "train-00000-of-00001.parquet"
    (row, *_) = pq.read_table(path).to_pylist()
    for adjudication in (None, said("yes"), said("", status="tie")):
        (fate,) = fates([labelled(row)], {row["id"]: adjudication} if adjudication else {}).values()
        made = finalized_row(row, fate, adjudication)
        assert sorted(made) == sorted(finalized_schema().names)
        assert made["machine_label"] == row["label"]
        assert made["labelled_by"] == ("people" if adjudication and adjudication.joint_harmful else "machine")


def test_assets_that_no_pair_uses_any_more_are_excluded(tmp_path: Path) -> None:
    rows = read_light(plant_dataset(tmp_path / "d", groups=1))
    alone = said("no", image_harmful="yes")
    found = fates([labelled(row) for row in rows], {pair_id(0, "emergent"): alone})
    left = {(one.modality, one.reason): one.id for one in exclusions(rows, found)}
    assert left["image", "unused"] == "image 0 "
    assert left["text", "unused"] == "text 0 other"


def test_further_exclusions_are_sorted_in_among_the_earlier(tmp_path: Path) -> None:
    source, target = plant_dataset(tmp_path / "d"), tmp_path / "out"
    (file,) = write_excluded(source, target, [Excluded("candidate", "b", "b", "finalize", "r")], Write())
    rows = pq.read_table(target / file.path).to_pylist()
    assert [row["id"] for row in rows] == ["b", "c", "i"]
    assert file.rows == 3
