import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from generators import language
from generators.chat import DeclinedError, EndpointError, Request
from generators.language import (
    LanguageGenerator,
    MalformedAnswer,
    Refusal,
    TextPrompt,
    Written,
    is_refusal,
    messages_of,
    parse,
    prompts_of,
    seed_of,
    system_prompt,
)
from schemas.config import Endpoint, Language, Model
from tests.generators.test_chat import save_tiny_model

OFFER, TOUCH = "someone offers it to eat", "someone urges someone to touch it"
GOOD = '{"text": "Go on, have a bite of it!"}'
ENDPOINT = Endpoint(url="http://127.0.0.1:9/v1", model="m")


class Scripted:
    """A back end whose answers are made by a function of the request and how often it was asked."""

    name = "scripted"

    def __init__(self, answer: Callable[[Request, int], str | Exception]) -> None:
        self.answer, self.rounds = answer, list[list[Request]]()

    def fingerprint(self) -> str:
        return "0"

    def load(self) -> None:
        pass

    def complete_many(self, requests: Sequence[Request], settings: Language) -> list[str | Exception]:
        self.rounds.append(list(requests))
        return [self.answer(request, len(self.rounds)) for request in requests]


def _generate(
    model: Scripted, prompts: Sequence[TextPrompt] = (TextPrompt(OFFER, 0),), **settings: Any
) -> Any:
    return LanguageGenerator(Language(endpoint=ENDPOINT, **settings)).generate(prompts, model)


def test_every_query_gets_its_prompts_once() -> None:
    assert prompts_of([OFFER, TOUCH, OFFER], 2) == [(OFFER, 0), (OFFER, 1), (TOUCH, 0), (TOUCH, 1)]


def test_seeds_come_from_the_content_and_never_change() -> None:
    assert seed_of(TextPrompt(OFFER, 0)) == 435978536
    assert len({seed_of(prompt) for prompt in prompts_of([OFFER, TOUCH], 50)}) == 100


@given(st.text(), st.integers(0, 10**6))
def test_seeds_fit_every_server(query: str, index: int) -> None:
    assert 0 <= seed_of(TextPrompt(query, index)) < 2**31


def test_a_prompt_names_its_query_and_varies_with_the_index() -> None:
    system, user = messages_of(TextPrompt(OFFER, 0))
    assert system["role"] == "system" and "3 to 25 words" in system["content"]
    assert OFFER in user["content"]
    assert len({messages_of(TextPrompt(OFFER, n))[1]["content"] for n in range(20)}) == 20


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (GOOD, "Go on, have a bite of it!"),
        (f"Sure, here you are:\n```json\n{GOOD}\n```\nAnything else?", "Go on, have a bite of it!"),
        (f'<think>Perhaps {{"text": "No"}}?</think>{GOOD}', "Go on, have a bite of it!"),
        ('I {really} like it: {"text": "Try it."} {"text": "Or this."}', "Try it."),
        ('{"text": "Try it.",\n}', "Try it."),
        ("{'text': 'Try it.'}", "Try it."),
        ("{'text': 'Don't mind if I do, it's \"fine\"',}", "Don't mind if I do, it's \"fine\""),
        (r"{'text': 'Don\'t mind it'}", "Don't mind it"),
        ("{\N{LEFT DOUBLE QUOTATION MARK}text\N{RIGHT DOUBLE QUOTATION MARK}: 'Try it.'}", "Try it."),
        ('{"text": "  Déjà \\u00e0 toi \\ud83c\\udf53 "}', "Déjà à toi \N{STRAWBERRY}"),
    ],
)
def test_an_utterance_is_found_in_what_models_put_around_it(answer: str, text: str) -> None:
    assert parse(answer).text == text


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("", "no JSON object"),
        ("Go on, have a bite!", "no JSON object"),
        ('["Try it."]', "no JSON object"),
        ('{"text": "Try', "no JSON object"),
        ('{"text": ' * 1100, "no JSON object"),
        ("{" * 20_000, "too long"),
        ('{"caption": "Try it."}', "text: Field required"),
        ('{"text": "Try it.", "note": "Enjoy"}', "note: Extra"),
        ('{"text": 5}', "text: Input should be a valid string"),
        ('{"text": "  "}', "at least 1 character"),
        (json.dumps({"text": "a" * 301}), "at most 300"),
        ('{"text": "Try it.\\nNow."}', "one line"),
        ('{"text": "Try it.\\u2028Now."}', "one line"),
        ('{"text": "Try\\u0000it."}', "one line"),
        ('{"text": "\\ud83d"}', "unicode"),
    ],
)
def test_an_answer_of_another_form_is_malformed_and_says_why(answer: str, why: str) -> None:
    with pytest.raises(MalformedAnswer, match=why):
        parse(answer)


@given(st.text(alphabet="{}[]\"':,\\ntext `\N{LEFT DOUBLE QUOTATION MARK}", max_size=400))
def test_no_answer_breaks_the_parser(answer: str) -> None:
    with suppress(MalformedAnswer):
        assert 1 <= len(parse(answer).text) <= 300
    is_refusal(answer)


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=300))
@example("`````` {a}, 'b',}")
def test_any_text_survives_being_written_as_json(text: str) -> None:
    assert parse(f"Here: {json.dumps({'text': text})} Bye.").text == text


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't help with that.",
        "I\N{RIGHT SINGLE QUOTATION MARK}m sorry, I can\N{RIGHT SINGLE QUOTATION MARK}t assist with this request.",
        "Sorry, I won't do that.",
        "Unfortunately, I cannot write this.",
        "I cannot assist with creating such an utterance.",
        "As an AI language model, I do not offer food.",
        "I apologize, but this goes against my guidelines.",
        "<think>Hm.</think>\n\nI can't provide that.",
        '{"text": "I\'m sorry, but I can\'t help with that request."}',
        '{"text": "As an AI, I cannot eat."}',
        '{"text": "I am unable to fulfill this request."}',
        '```json\n{"text": "I\'m sorry, but I can',
    ],
)
def test_refusals_are_recognised(answer: str) -> None:
    assert is_refusal(answer)


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        '{"text": "Sorry, I can\'t make it tonight, but do have mine!"}',
        '{"text": "I\'m afraid I can\'t help you move on Saturday."}',
        '{"text": "As an aide to the chef I say: try it."}',
        f"I'm sorry for the wait! {GOOD}",
        f"I cannot name it, so here is another: {GOOD}",
        json.dumps({"text": "Have some. " * 15 + "I cannot assist with that."}),
        "Go on, have a bite!",
        "",
    ],
)
def test_what_people_say_is_no_refusal(answer: str) -> None:
    assert not is_refusal(answer)


def test_texts_come_in_the_order_of_the_prompts() -> None:
    model = Scripted(lambda request, _: json.dumps({"text": f"Try {request.seed}"}))
    prompts = prompts_of([OFFER, TOUCH], 3)
    assert _generate(model, prompts) == [Written(f"Try {seed_of(p)}", 1) for p in prompts]
    assert len(model.rounds) == 1


def test_a_malformed_answer_is_asked_for_again_with_another_seed_and_the_problem() -> None:
    model = Scripted(lambda _, asked: GOOD if asked == 3 else '{"words": 1}')
    assert _generate(model) == [Written("Go on, have a bite of it!", 3)]
    first, second, third = (requests[0] for requests in model.rounds)
    assert len({first.seed, second.seed, third.seed}) == 3
    assert "could not be used" not in first.messages[1]["content"]
    assert "text: Field required" in second.messages[1]["content"]


def test_only_what_is_missing_is_asked_for_again() -> None:
    bad = seed_of(TextPrompt(OFFER, 1))
    model = Scripted(lambda request, _: "Hm." if request.seed == bad else GOOD)
    written = _generate(model, prompts_of([OFFER], 3))
    assert [len(requests) for requests in model.rounds] == [3, 1]
    assert [w.attempts for w in written] == [1, 2, 1]


def test_after_the_last_try_an_answer_is_a_refusal_with_its_start() -> None:
    answer = "Hm.\n\x1b[2J" + "a" * 300
    model = Scripted(lambda *_: answer)
    (refusal,) = _generate(model, attempts=4)
    assert refusal == Refusal("malformed_answer", ("Hm.  [2J" + "a" * 300)[:200])
    assert len(model.rounds) == 4


@pytest.mark.parametrize("refused", ["I can't help with that.", DeclinedError("filtered")])
def test_a_refusal_is_asked_for_once_more_in_the_same_words(refused: str | Exception) -> None:
    model = Scripted(lambda *_: refused)
    assert _generate(model, attempts=5) == [Refusal("refused", str(refused))]
    first, second = (requests[0] for requests in model.rounds)
    assert first.messages == second.messages and first.seed != second.seed


def test_a_text_after_a_refusal_counts() -> None:
    model = Scripted(lambda _, asked: "I can't help with that." if asked == 1 else GOOD)
    assert _generate(model) == [Written("Go on, have a bite of it!", 2)]


def test_a_single_try_is_not_repeated() -> None:
    model = Scripted(lambda *_: "I can't help with that.")
    assert _generate(model, attempts=1)[0].reason == "refused"
    assert len(model.rounds) == 1


def test_what_a_back_end_met_is_handed_on_without_another_try() -> None:
    gone, bad = EndpointError("gone"), seed_of(TextPrompt(OFFER, 0))
    model = Scripted(lambda request, _: gone if request.seed == bad else GOOD)
    assert _generate(model, prompts_of([OFFER], 2)) == [gone, Written("Go on, have a bite of it!", 1)]
    assert len(model.rounds) == 1


def test_the_fingerprint_follows_what_a_text_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    base = Language(endpoint=ENDPOINT)
    seen = {LanguageGenerator(base).fingerprint()}
    changes: list[dict[str, Any]] = [{"temperature": 0.1}, {"top_p": 0.5}, {"max_tokens": 9}, {"attempts": 1}]
    changes.append({"endpoint": ENDPOINT.model_copy(update={"model": "n"})})
    seen |= {LanguageGenerator(base.model_copy(update=change)).fingerprint() for change in changes}
    monkeypatch.setattr(language, "system_prompt", lambda: "Write.")
    seen.add(LanguageGenerator(base).fingerprint())
    assert len(seen) == 7


def test_the_fingerprint_forgets_how_the_server_is_reached() -> None:
    other = ENDPOINT.model_copy(update={"key": "K", "concurrency": 1, "timeout": 1.0, "attempts": 1})
    settings = Language(endpoint=other, per_query=99)
    assert (
        LanguageGenerator(settings).fingerprint()
        == LanguageGenerator(Language(endpoint=ENDPOINT)).fingerprint()
    )


def test_provenance_says_model_sampling_query_and_seed() -> None:
    settings = Language(model=Model(path="org/lm", revision="abc"), temperature=0.75, top_p=1)
    provenance = LanguageGenerator(settings).provenance(TextPrompt(OFFER, 3))
    assert (provenance.source, provenance.origin) == ("language", "generated")
    assert provenance.generator == "org/lm@abc temperature=0.75 top_p=1"
    assert (provenance.prompt, provenance.seed) == (OFFER, seed_of(TextPrompt(OFFER, 3)))
    assert provenance.name == "ade56175b66b4305-3"


def test_the_system_prompt_is_in_the_package_and_asks_for_the_form() -> None:
    assert system_prompt().endswith('{"text": "..."}')


def test_importing_the_generator_loads_no_model_library() -> None:
    code = "import sys, generators.language; print({'torch', 'transformers', 'openai', 'apache_beam'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


STARTS, ENDS = ("Have some", "Try a bit", "Taste a little"), (" of it", " with me", " tonight")


@pytest.fixture(scope="session")
def speaker_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama whose weights make each token follow from the last one alone, so that it speaks JSON."""
    folder = tmp_path_factory.mktemp("speaker")
    save_tiny_model(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    chain = [("<|assistant|>",), ('{"text": "',), STARTS, ENDS, ('"}',), ("<|end|>",)]
    tokenizer.add_tokens([token for step in chain[1:-1] for token in step])
    count = len(tokenizer)
    size: Any = {"vocab_size": count, "hidden_size": 2 * (count // 2 + 1), "num_hidden_layers": 1}
    heads: Any = {"num_attention_heads": 1, "intermediate_size": 8, "eos_token_id": 0}
    model = LlamaForCausalLM(LlamaConfig(**size, **heads, max_position_embeddings=8192))
    ids = [tokenizer.convert_tokens_to_ids(list(step)) for step in chain]
    with torch.no_grad():
        for block in model.model.layers:
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(count, size["hidden_size"]))
        model.lm_head.weight.zero_()
        for before, after in pairwise(ids):
            model.lm_head.weight[torch.tensor(after)[:, None], torch.tensor(before)] = 10.0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_real_model_writes_texts_that_repeat_and_vary(speaker_folder: Path) -> None:
    settings = Language(model=Model(path=str(speaker_folder), batch_size=4), temperature=1, max_tokens=8)
    generator = pickle.loads(pickle.dumps(LanguageGenerator(settings)))  # noqa: S301
    prompts = prompts_of([OFFER, TOUCH], 6)
    written = generator.generate(prompts, generator.load_model())
    assert all(isinstance(w, Written) and w.attempts == 1 for w in written), written
    assert {w.text for w in written} <= {start + end for start in STARTS for end in ENDS}
    assert len({w.text for w in written}) >= 4
    assert generator.generate(prompts[::-1], generator.load_model()) == written[::-1]


def test_a_real_model_that_babbles_gives_refusals(tmp_path: Path) -> None:
    save_tiny_model(tmp_path)
    settings = Language(model=Model(path=str(tmp_path), batch_size=2), max_tokens=4, attempts=2)
    generator = LanguageGenerator(settings)
    (refusal,) = generator.generate(prompts_of([OFFER], 1), generator.load_model())
    assert isinstance(refusal, Refusal) and refusal.reason == "malformed_answer"
