"""The card: metadata that the libraries accept, this build's figures, and nothing foreign unescaped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard

from pipelines.release import Facts, Terms, write_description
from pipelines.release.card import _model_name, card_text, escape_markdown
from schemas.canary import canary_of
from schemas.config import BuildConfig
from schemas.records import Adjudication, Annotation
from schemas.tables import adjudication_schema, annotation_schema
from tests.hub import card_errors

Change = Callable[[Callable[[dict[str, Any]], object]], None]


def _metadata(facts: Facts) -> dict[str, Any]:
    data: dict[str, Any] = DatasetCard(card_text(facts), ignore_metadata_errors=False).data.to_dict()
    return data


def _relicensed(dataset: Path, licences: list[str | None]) -> None:
    path = next((dataset / "data").glob("train-*"))
    table = pq.read_table(path)
    changed = pa.array([licences[n % len(licences)] for n in range(table.num_rows)], pa.string())
    place = table.schema.get_field_index("image_licence")
    pq.write_table(table.set_column(place, "image_licence", changed), path)


def test_the_same_folder_has_the_same_card(template: Path) -> None:
    assert card_text(Facts(template)) == card_text(Facts(template))


def test_its_metadata_are_whole_and_the_gate_is_in_them(template: Path) -> None:
    data = _metadata(Facts(template))
    assert card_errors(card_text(Facts(template))) == []
    assert (data["license"], data["language"], data["size_categories"]) == ("cc-by-4.0", ["en"], ["n<1K"])
    assert "not-for-all-audiences" in data["tags"]
    assert data["extra_gated_prompt"] and "checkbox" in data["extra_gated_fields"].values()


@pytest.mark.parametrize("licences", [["CC-BY-4.0", "MIT"], [None], ["my own"]])
def test_mixed_and_unknown_licences_are_other(licences: list[str | None], dataset: Path) -> None:
    _relicensed(dataset, licences)
    facts = Facts(dataset)
    assert _metadata(facts)["license"] == "other"
    assert all((licence or "unknown") in card_text(facts) for licence in licences)


def test_it_has_the_figures_of_this_build(template: Path) -> None:
    text = card_text(Facts(template))
    for figure in (
        "| **all pairs** | 8 | 8 | 16 |",
        "| screen images | 19 | 16 | 3 | 0 |",
        "| screen | image | harmful_alone | harmful without its other part | 3 |",
        "| `select.min_joint` | 0.85 |",
        "| Physical danger (`phy`) | 2 | 2 | 4 |",
        "This is a test.",
    ):
        assert figure in text, figure


def test_the_canary_of_the_shards_is_on_it(template: Path) -> None:
    shard = next((template / "data").glob("train-*"))
    assert canary_of("little").encode() in shard.read_bytes()
    assert canary_of("little") in card_text(Facts(template))


def test_the_canary_is_in_no_text_of_the_data(template: Path) -> None:
    rows = [row for path in (template / "data").glob("*") for row in pq.read_table(path).to_pylist()]
    texts = [value for row in rows for value in row.values() if isinstance(value, str)]
    assert texts and not [text for text in texts if "canary" in text or canary_of("little") in text]


def test_what_the_data_say_is_escaped(dataset: Path) -> None:
    hostile = "<script>alert(1)</script> | [x](javascript:y)\n# Heading"
    _relicensed(dataset, [hostile])
    text = card_text(Facts(dataset))
    assert "<script>" not in text and "[x](" not in text and "\n# Heading" not in text
    assert "&lt;script&gt;" in text


def test_a_long_value_is_cut() -> None:
    assert len(escape_markdown("x" * 500, limit=120)) == 120


def test_without_annotations_it_says_that_nobody_checked(template: Path) -> None:
    assert "no person has checked them" in card_text(Facts(template))
    assert _metadata(Facts(template))["annotations_creators"] == ["machine-generated"]


def test_annotations_and_their_agreement_are_told(dataset: Path) -> None:
    folder = dataset / "annotations"
    folder.mkdir()
    votes = [_annotation(str(n), f"salted{n % 2}", skipped=n == 3) for n in range(4)]
    pq.write_table(pa.Table.from_pylist(votes, annotation_schema()), folder / "annotations.parquet")
    settled = [dict.fromkeys(Adjudication._fields) | {"pair_id": "p", "status": "settled"}]
    pq.write_table(pa.Table.from_pylist(settled, adjudication_schema()), folder / "adjudicated.parquet")
    alpha = {"questions": {"hazard": {"alpha": 0.7121, "low": 0.6, "high": None, "pairs": 12}}}
    (folder / "agreement.json").write_text(json.dumps(alpha))
    text = card_text(Facts(dataset))
    assert "4 annotations by 2 annotators on 4 pairs" in text and "1 settled" in text
    assert "| hazard | 0.712 | 0.600 to - | 12 |" in text


def _annotation(id: str, annotator: str, *, skipped: bool) -> dict[str, Any]:
    return dict.fromkeys(Annotation._fields) | {
        "id": id,
        "pair_id": id,
        "annotator": annotator,
        "skipped": skipped,
    }


def test_the_audit_of_these_shards_is_told_and_that_of_others_is_not(dataset: Path) -> None:
    check = {"name": "text_auc", "title": "Text alone", "passed": False, "value": 0.8}
    check |= {"limit": {"at_most": 0.55}, "reason": "It can be told."}
    audit = {"passed": False, "checks": [check], "dataset_digest": Facts(dataset).digest}
    (dataset / "audit.json").write_text(json.dumps(audit))
    assert "| Text alone | **failed** | 0.8 | at most 0.55 | It can be told. |" in card_text(Facts(dataset))
    (dataset / "audit.json").write_text(json.dumps(audit | {"dataset_digest": "of others"}))
    assert "No audit has been run on these shards." in card_text(Facts(dataset))


def test_the_publisher_s_terms_are_on_it(template: Path) -> None:
    text = card_text(Facts(template, Terms("owner/little", "someone@example.org", "too small to probe")))
    assert 'load_dataset("owner/little")' in text
    assert "write to someone@example.org" in text
    assert "Published without a passed audit.** Reason given: too small to probe" in text


def test_a_dataset_without_pairs_has_a_card(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    write_description(Facts(tmp_path))
    assert "configs" not in DatasetCard.load(tmp_path / "README.md").data.to_dict()


def test_nothing_of_the_machine_is_in_the_manifest_that_is_given_away(
    dataset: Path, change_manifest: Change
) -> None:
    def name_places(manifest: dict[str, Any]) -> None:
        manifest["configuration"]["images"]["source"] = ["/home/somebody/photos/", "tinyworld"]
        manifest["configuration"]["judge"]["endpoint"] = {"url": "http://10.0.0.7/v1", "model": "judge"}
        manifest["configuration"]["screen"]["hash_list"] = "~/known.txt"

    change_manifest(name_places)
    public = json.dumps(Facts(dataset).manifest)
    assert (
        "somebody" not in public
        and "10.0.0.7" not in public
        and "~" not in public
        and "started" not in public
    )
    assert "photos" in public and "known.txt" in public


def test_every_step_is_shown_with_its_own_model() -> None:
    config = BuildConfig.model_validate({"screen": {"zero_shot": {"path": "./clip"}}}).model_dump(mode="json")
    steps = {
        "screen images: classifier:x": "builtin:tinyworld/screen-image",
        "screen texts: classifier:x": "builtin:tinyworld/screen-text",
        "screen images: zero-shot:./clip": "./clip",
        "embed texts": "builtin:tinyworld/clip",
        "judge": "builtin:tinyworld/judge",
        "rationale": "builtin:tinyworld/judge",
    }
    assert {step: _model_name(step, config) for step in steps} == steps
