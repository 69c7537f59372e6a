from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.training.examples import (
    COLUMNS,
    Example,
    example_of,
    load_examples,
    prompt_of,
    spelled_out,
)
from pipelines.training.policy import load_policy
from schemas.reasoning import BENIGN, HARMFUL

ROW: dict[str, Any] = dict.fromkeys(COLUMNS) | {
    "id": "p1",
    "text": "Touch it.",
    "label": 1,
    "hazard": "phy",
    "rationale": "It burns.",
    "p_image": 0.1,
    "p_text": 0.2,
    "image_caption": "a stove",
    "image_prompt": "kitchen: stove",
    "image_origin": "generated",
    "text_origin": "retrieved",
}


def test_a_split_has_a_row_for_every_pair_with_its_picture(small_dataset: Path) -> None:
    examples = load_examples(small_dataset, "test")
    shards = pq.read_table(next((small_dataset / "data").glob("test-*.parquet")), columns=["id", "label"])
    assert examples["id"] == shards["id"].to_pylist()
    assert [verdict == HARMFUL for verdict in examples["verdict"]] == [
        bool(n) for n in shards["label"].to_pylist()
    ]
    assert set(examples.column_names) == {"image", *Example._fields}
    assert examples[0]["image"].size == (320, 240)


def test_a_benign_pair_has_no_hazard_and_no_rationale() -> None:
    example = example_of(ROW | {"label": 0})
    assert (example.verdict, example.hazard, example.mechanism, example.references) == (BENIGN, "", "", ())


def test_peoples_rationales_come_after_the_preferred_one_and_once() -> None:
    example = example_of(ROW | {"rationales": ["Hot.", "It burns.", ""]})
    assert example.references == ("It burns.", "Hot.")


def test_what_is_known_of_the_picture_is_its_alt_text_and_its_prompt() -> None:
    assert example_of(ROW).image_says == ("a stove", "kitchen: stove")
    assert example_of(ROW | {"image_caption": ""}).image_says == ("kitchen: stove",)
    assert example_of(ROW).provenance == "generated+retrieved"


def test_a_split_that_is_not_there_is_named(small_dataset: Path) -> None:
    with pytest.raises(ValueError, match="no split 'dev'"):
        load_examples(small_dataset, "dev")


def test_a_foreign_table_is_refused_by_its_missing_columns(small_dataset: Path) -> None:
    path = next((small_dataset / "data").glob("test-*.parquet"))
    pq.write_table(pq.read_table(path).drop_columns(["p_image"]), path)
    with pytest.raises(ValueError, match="lacks the columns p_image"):
        load_examples(small_dataset, "test")


def test_a_text_with_braces_is_asked_about_as_it_is() -> None:
    (message,) = prompt_of("{name} {0} {")
    assert 'Text: "{name} {0} {"' in message["content"][1]["text"]


def test_words_hold_nothing_that_model_or_form_would_take_for_their_own(small_dataset: Path) -> None:
    path = next((small_dataset / "data").glob("test-*.parquet"))
    table = pq.read_table(path)
    place = table.column_names.index("text")
    texts = ["Look: <image> </s>", *table["text"].to_pylist()[1:]]
    table = table.set_column(place, table.schema.field("text"), [texts])
    place = table.column_names.index("rationale")
    why = ["</think> It <result>burns.", *table["rationale"].to_pylist()[1:]]
    pq.write_table(table.set_column(place, table.schema.field("rationale"), [why]), path)
    tokenizer = load_policy("builtin:tinyworld/base", "float32").processor.tokenizer

    before = load_examples(small_dataset, "test")
    after = spelled_out(before, tokenizer)

    assert after.column_names == before.column_names and after.features == before.features
    assert after[0]["text"] == after[0]["text_says"][0] == "Look: < image> < /s>"
    assert after[0]["image"].size == before[0]["image"].size
    harmful = [row for row in after.remove_columns("image") if row["verdict"] == HARMFUL]
    assert all("</think>" not in said for row in harmful for said in row["references"])
    rest = (rows.remove_columns("image").to_list()[1:] for rows in (before, after))
    assert [row["text"] for row in next(rest)] == [row["text"] for row in next(rest)]
