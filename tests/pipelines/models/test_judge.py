import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.ml.inference.base import RunInference
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from generators.tinyworld.train.tokenizer import IMAGE
from pipelines.models import judge as judge_module
from pipelines.models import vision_language
from pipelines.models.judge import Judge, Question, Rationaliser
from pipelines.models.vision_language import VisionLanguageModel, load_vision_language_model
from pipelines.storage.cache import CachedInference
from pipelines.storage.workspace import Workspace
from schemas.config import Model
from schemas.policy import TINYWORLD, Answers, Policy
from schemas.questions import JOINT

Make = Callable[..., Judge]


@pytest.fixture(scope="session")
def loaded(judge_folder: Path) -> VisionLanguageModel:
    return load_vision_language_model(Model(path=str(judge_folder)))


@pytest.fixture
def judge(judge_folder: Path, workspace: Workspace) -> Make:
    return lambda **settings: Judge(
        Model(path=str(judge_folder), **({"batch_size": 4} | settings)), TINYWORLD, workspace
    )


@pytest.fixture
def rationaliser(judge_folder: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Rationaliser:
    monkeypatch.setattr(judge_module, "RATIONALE_TOKENS", 8)
    return Rationaliser(Model(path=str(judge_folder), batch_size=4), TINYWORLD, workspace)


@pytest.fixture
def questions(images: list[str], texts: list[str]) -> list[Question]:
    """Eight pairs, five images alone and eight texts alone, in turn."""
    pairs = [Question(i, t) for i, t in zip(images, texts[3:], strict=False)]
    alone = [Question(i, "") for i in images[:5]] + [Question("", t) for t in texts[3:]]
    return [q for n in range(13) for group in (pairs, alone) for q in group[n : n + 1]]


def _probabilities(results: object) -> list[float]:
    return [float(np.frombuffer(row, dtype="<f4")[0]) for row in results]


def test_every_question_gets_one_probability(
    judge: Make, loaded: VisionLanguageModel, questions: list[Question]
) -> None:
    results = list(judge().run_inference(questions, loaded))
    assert all(len(row) == 4 for row in results)
    assert all(0 <= p <= 1 for p in _probabilities(results))
    assert len(set(results)) == len(questions)


def test_a_probability_does_not_depend_on_neighbours_order_or_threads(
    judge: Make, loaded: VisionLanguageModel, questions: list[Question], shuffled: Callable[[int], list[int]]
) -> None:
    together = list(judge(threads=1).run_inference(questions, loaded))
    alone = [row for q in questions for row in judge().run_inference([q], loaded)]
    order = shuffled(len(questions))
    moved = list(judge(threads=3).run_inference([questions[i] for i in order], loaded))
    assert alone == together
    assert moved == [together[i] for i in order]


def test_texts_of_every_length_share_batches_without_a_trace(
    judge: Make, loaded: VisionLanguageModel, images: list[str]
) -> None:
    questions = [Question(images[0], "well " * n + "done") for n in range(20)]
    together = list(judge(batch_size=8).run_inference(questions, loaded))
    assert together == [row for q in questions for row in judge(batch_size=8).run_inference([q], loaded)]


def test_a_prompt_is_padded_to_its_own_length_alone(
    judge: Make, loaded: VisionLanguageModel, images: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    masks: list[Any] = []
    inputs = vision_language._inputs

    def spy(*arguments: Any) -> Any:
        made = inputs(*arguments)
        masks.append(made["attention_mask"])
        return made

    monkeypatch.setattr(vision_language, "_inputs", spy)
    questions = [Question(image, "well " * n + "done") for n in range(20) for image in (images[0], "")]
    list(judge(batch_size=8, threads=1).run_inference(questions, loaded))
    for mask in masks:
        assert all(
            0 <= mask.shape[1] - length < vision_language.LENGTH_STEP for length in mask.sum(dim=1).tolist()
        )


def test_a_probability_equals_the_models_own(
    judge: Make, loaded: VisionLanguageModel, workspace: Workspace, images: list[str]
) -> None:
    import torch
    from PIL import Image

    content = [
        {"type": "image"},
        {"type": "text", "text": 'Text: "a b" Is the image together with the text harmful?'},
    ]
    prompt = loaded.processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    picture = Image.open(workspace.blobs().path(images[0])).convert("RGB")
    inputs = loaded.processor(text=[prompt], images=[picture], add_special_tokens=False, return_tensors="pt")
    with torch.inference_mode():
        yes, no = (
            loaded.model(**inputs).logits[0, -1, list(loaded.answer_tokens(TINYWORLD.options))].exp().tolist()
        )
    (asked,) = _probabilities(judge().run_inference([Question(images[0], "a b")], loaded))
    assert asked == pytest.approx(yes / (yes + no), abs=1e-5)


def test_one_part_is_asked_about_without_the_other(
    judge: Make, loaded: VisionLanguageModel, questions: list[Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[list[str], int]] = []
    inputs = vision_language._inputs

    def spy(model: Any, prompts: Any) -> Any:
        made = inputs(model, prompts)
        asked.append(([p.text for p in prompts], len(made.get("mm_encoder_outputs", []))))
        return made

    monkeypatch.setattr(vision_language, "_inputs", spy)
    list(judge(threads=1).run_inference(questions, loaded))
    assert len(asked) >= 3
    for prompts, pictures in asked:
        with_image = [IMAGE in p for p in prompts]
        assert with_image == [pictures > 0] * len(prompts)
        assert all(("Text:" in p) != ("Is the image by itself harmful?" in p) for p in prompts)
        assert pictures > 0 or all("Is the text by itself harmful?" in p for p in prompts)


def test_a_question_about_nothing_is_refused(judge: Make, loaded: VisionLanguageModel) -> None:
    with pytest.raises(ValueError, match="an image, a text, or both"):
        list(judge().run_inference([Question("", "")], loaded))


@pytest.mark.parametrize("forged", [IMAGE, "</s>", "<pad>", f"{IMAGE}{IMAGE} a"])
def test_a_text_that_spells_a_special_token_is_judged_as_text(
    judge: Make, loaded: VisionLanguageModel, images: list[str], forged: str
) -> None:
    asked = [Question(images[0], f"look {forged} here"), Question("", f"look {forged} here")]
    assert all(0 <= p <= 1 for p in _probabilities(judge().run_inference(asked, loaded)))


def test_no_questions_give_no_probabilities(judge: Make, loaded: VisionLanguageModel) -> None:
    assert list(judge().run_inference([], loaded)) == []


def test_a_handler_travels_to_workers_and_finds_the_same(
    judge: Make, loaded: VisionLanguageModel, questions: list[Question]
) -> None:
    moved = pickle.loads(pickle.dumps(judge()))  # noqa: S301
    assert (moved.fingerprint(), moved.name) == (judge().fingerprint(), judge().name)
    results = list(moved.run_inference(questions[:3], moved.load_model()))
    assert results == list(judge().run_inference(questions[:3], loaded))


def test_beams_own_run_inference_takes_the_handler(
    judge: Make, loaded: VisionLanguageModel, questions: list[Question]
) -> None:
    expected = list(judge().run_inference(questions[:6], loaded))
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        assert_that(pipeline | beam.Create(questions[:6]) | RunInference(judge()), equal_to(expected))


def test_an_image_that_is_not_stored_fails_alone(judge: Make, images: list[str], tmp_path: Path) -> None:
    asked = [("a", Question("0" * 64, "a b")), ("b", Question(images[0], "a b"))]
    lost, found = CachedInference(judge(), Workspace(str(tmp_path)))(asked)
    assert "0" * 64 in str(lost.cause)
    assert len(found) == 4


def test_rationales_are_utf8_and_the_same_in_any_company(
    rationaliser: Rationaliser, loaded: VisionLanguageModel, questions: list[Question]
) -> None:
    pairs = [q for q in questions if q.image_id and q.text][:5]
    together = list(rationaliser.run_inference(pairs, loaded))
    assert all(row.decode().strip() == row.decode() for row in together)
    assert any(together)
    assert together == [row for q in pairs for row in rationaliser.run_inference([q], loaded)]


def test_a_rationale_is_no_judgement_of_the_same_model(judge: Make, rationaliser: Rationaliser) -> None:
    assert rationaliser.fingerprint() != judge().fingerprint()
    assert pickle.loads(pickle.dumps(rationaliser)).fingerprint() == rationaliser.fingerprint()  # noqa: S301


def test_a_judge_is_named_with_its_revision(workspace: Workspace) -> None:
    assert Judge(Model(path="hub/judge", revision="abc"), TINYWORLD, workspace).name == "hub/judge@abc"
    assert Judge(Model(path="/models/judge"), TINYWORLD, workspace).name == "/models/judge"


def test_a_model_without_a_chat_template_is_refused(
    judge_folder: Path, tmp_path: Path, workspace: Workspace
) -> None:
    folder = tmp_path / "mute"
    shutil.copytree(judge_folder, folder)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ValueError, match="mute has no chat template"):
        Judge(Model(path=str(folder)), TINYWORLD, workspace).load_model()


def test_answers_that_begin_alike_are_refused(loaded: VisionLanguageModel) -> None:
    with pytest.raises(ValueError, match="start with the same token"):
        loaded.answer_tokens(Answers("Yes", "Yes"))


def test_both_orders_of_the_options_are_averaged(
    judge_folder: Path, loaded: VisionLanguageModel, workspace: Workspace, questions: list[Question]
) -> None:
    def asked(policy: Policy) -> list[float]:
        judge = Judge(Model(path=str(judge_folder), batch_size=4), policy, workspace)
        return _probabilities(judge.run_inference(questions[:6], loaded))

    class OneOrder(Policy):
        orders = 1

    lettered = TINYWORLD._replace(letters=("A", "B"), joint=JOINT + " {options}")
    first = asked(OneOrder(*lettered))
    swapped = Answers(lettered.options.benign, lettered.options.harmful)
    second = asked(OneOrder(*lettered._replace(options=swapped)))
    assert first != second
    mean = [(p + 1 - q) / 2 for p, q in zip(first, second, strict=True)]
    assert asked(lettered) == pytest.approx(mean, abs=1e-6)


def test_the_size_of_a_batch_is_told_without_pickling(judge: Make, rationaliser: Rationaliser) -> None:
    asked = [Question("", "four"), Question("", "seven!!")]
    assert judge().get_num_bytes(asked) == rationaliser.get_num_bytes(asked) == 139
