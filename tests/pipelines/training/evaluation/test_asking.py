from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from generators.weights import weights_folder
from pipelines.training.evaluation.answering import Answered, Question
from pipelines.training.evaluation.asking import ask, ask_answerer
from pipelines.training.evaluation.faithfulness import change_measures
from pipelines.training.evaluation.items import Item
from pipelines.training.evaluation.loading import zero_shot_contestant
from pipelines.training.evaluation.predictions import Prediction
from pipelines.training.evaluation.settings import Settings
from pipelines.training.regions import GREY, Masks
from schemas.reasoning import Answer, Reasoned
from schemas.records import Region
from tests.pipelines.training.evaluation.made_up import example, tinyworld_dataset

RED, BLUE = (200, 30, 30), (30, 30, 200)
CORNER = Masks(Region(0.0, 0.0, 0.4, 0.4), Region(0.6, 0.6, 0.4, 0.4))


class Oracle:
    """Calls a pair harmful if its image is red somewhere and its text says `bite`; nothing is asked twice at once."""

    def __init__(self, looks: bool = True) -> None:
        self._looks = looks
        self.batches: list[int] = []

    def answer(self, batch: Sequence[Question]) -> list[Answered]:
        self.batches.append(len(batch))
        return [self._one(question) for question in batch]

    def _one(self, question: Question) -> Answered:
        red = not self._looks or RED in {colour for _, colour in question.image.getcolors(10_000) or ()}
        harmful = red and "bite" in question.text
        answer = Answer("harmful", "phy", "It poisons.") if harmful else Answer("benign", "", "")
        return Answered("said", Reasoned("so", answer), 3.0 if harmful else -3.0)


def scene(object_colour: tuple[int, int, int]) -> Image.Image:
    """A blue image with a square in its upper left corner."""
    image = Image.new("RGB", (50, 50), BLUE)
    image.paste(object_colour, (2, 2, 18, 18))
    return image


def items(masks: Masks | None = CORNER) -> list[Item]:
    benign = example(id="2", verdict="benign", hazard="", mechanism="", references=(), role="contrast_image")
    return [
        Item(example(), "test", "g", lambda: scene(RED), masks),
        Item(benign, "test", "g", lambda: scene((30, 200, 30)), masks),
    ]


def asked(oracle: Oracle, pairs: list[Item], **settings: Any) -> list[Prediction]:
    def track(starts: Iterable[Any], what: str, total: int) -> Iterable[Any]:
        return starts

    return ask_answerer(oracle, "oracle", {"test": pairs}, Settings(Path(), **settings), track)


def changes(rows: list[Prediction]) -> dict[str, float]:
    import numpy as np

    return {
        name: float(measure(np.ones((1, len(rows))))[0]) for name, measure in change_measures(rows).items()
    }


def test_answers_come_with_what_was_expected() -> None:
    rows = asked(Oracle(), items())
    assert [(row.expected, row.verdict) for row in rows] == [("harmful", "harmful"), ("benign", "benign")]
    assert rows[0].rationale == "It poisons." and rows[0].predicted_hazard == "phy"
    assert rows[0].p_harmful == 0.9526 and rows[0].well_formed and rows[0].cluster == "g"


def test_one_modality_alone_is_asked_without_the_other() -> None:
    rows = asked(Oracle(), items())
    assert [row.image_only for row in rows] == ["benign", "benign"], "the text is empty"
    assert [row.text_only for row in rows] == ["benign", "benign"], "the image is grey"
    blind = asked(Oracle(looks=False), items())
    assert [row.text_only for row in blind] == ["harmful", "harmful"]


def test_a_model_that_looks_changes_its_verdict_with_the_evidence_alone() -> None:
    found = changes(asked(Oracle(), items()))
    assert found["masked_changes"] == 1.0 and found["control_changes"] == 0.0


def test_a_model_that_does_not_look_does_not() -> None:
    assert changes(asked(Oracle(looks=False), items()))["masked_changes"] == 0.0


def test_only_rightly_harmful_verdicts_are_asked_about_again() -> None:
    rows = asked(Oracle(), items())
    assert rows[0].masked == "benign" and rows[0].control == "harmful"
    assert rows[1].masked is None and rows[1].control is None


def test_the_whole_image_is_masked_where_the_evidence_is_not_known() -> None:
    seen: list[Image.Image] = []

    class Watching(Oracle):
        def answer(self, batch: Sequence[Question]) -> list[Answered]:
            seen.extend(question.image for question in batch)
            return super().answer(batch)

    rows = asked(Watching(), items(masks=None))
    assert seen[-1] == Image.new("RGB", (50, 50), GREY) and rows[0].control is None
    found = changes(rows)
    assert found["masked_changes_image"] == 1.0 and found["masked_changes"] != found["masked_changes"]


def test_without_ablations_every_pair_is_asked_about_once() -> None:
    oracle = Oracle()
    rows = asked(oracle, items() * 3, ablations=False, batch_size=4)
    assert oracle.batches == [4, 2]
    assert all(row.image_only is None and row.masked is None for row in rows)


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize("model", ["builtin:tinyworld/judge", f"tiny/judge@{COMMIT}"])
def test_a_real_model_is_asked_about_real_scenes(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.training.evaluation.items import dataset_items

    snapshot = tmp_path / "hub" / "models--tiny--judge" / "snapshots" / COMMIT
    shutil.copytree(weights_folder("builtin:tinyworld/judge", ""), snapshot)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    dataset = tinyworld_dataset(tmp_path, sets=1, splits=("test",))
    parts = {"test": dataset_items(dataset, "test")}
    settings = Settings(dataset, max_new_tokens=4, device="cpu", ablations=False)
    contestant = zero_shot_contestant(model)
    rows = ask(contestant, parts, settings, lambda starts, what, total: starts)
    assert contestant.name == "judge (zero-shot)"
    assert [row.id for row in rows] == [item.example.id for item in parts["test"]]
    assert [row.verdict for row in rows] == ["", ""] and not rows[0].well_formed
