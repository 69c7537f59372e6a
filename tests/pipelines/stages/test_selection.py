from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.stages.candidates import pair_id
from pipelines.stages.emergence import is_benign, is_emergent, judgement_of
from pipelines.stages.selection import choose_anchors, select_split, ticket
from schemas.config import Select
from schemas.records import Candidate, Judgement

CONFIG = Select(max_uses=2, max_per_mechanism=3)


def judged(
    image: str, text: str, joint: float, method: str = "scenario", anchor: str = "", **more: Any
) -> Judgement:
    score, alone = more.pop("score", 0.5), more.pop("alone", 0.05)
    hazard = "" if method in {"random", "clip"} else "phy"
    pair = Candidate(
        pair_id(image, text), image, text, "", "train", method, score, hazard, "poisoning", "s", anchor
    )
    return judgement_of(pair, alone, 0.05, joint, "judge")


def outcome(*judgements: Judgement, config: Select = CONFIG) -> list[str]:
    """Role or reason of every judgement, in the order given."""
    decisions = select_split(judgements, config, 0)
    return [decisions[ticket(j)].role or decisions[ticket(j)].reason for j in judgements]


@st.composite
def splits(draw: Any) -> list[Judgement]:
    """Judgements over a few assets, with contrasts of some of the pairs."""
    part, joint = st.sampled_from("abcdef"), st.sampled_from([0.02, 0.1, 0.5, 0.9, 0.99])
    methods = st.sampled_from(["scenario", "scenario", "random", "clip"])
    base = {}
    for image, text, p, method, alone in draw(
        st.lists(
            st.tuples(part, part, joint, methods, st.sampled_from([0.05, 0.05, 0.05, 0.3, 0.6])), max_size=25
        )
    ):
        base[image, text] = judged(image, text, p, method, alone=alone)
    rows = list(base.values())
    for index, image, p in draw(st.lists(st.tuples(st.integers(0, 24), part, joint), max_size=25)):
        if index < len(base):
            anchor = rows[index].candidate
            score = round(p / 2 + ord(image) / 1000, 4)
            rows.append(judged(image, anchor.text_id, p, "contrast_image", anchor.id, score=score))
    return list({ticket(row): row for row in rows}.values())


@given(splits())
@settings(max_examples=150, deadline=None)
def test_every_judgement_gets_a_role_or_a_reason_and_every_pair_is_written_once(
    rows: list[Judgement],
) -> None:
    decisions = select_split(rows, CONFIG, 0)
    assert decisions.keys() == {ticket(row) for row in rows}
    assert all(bool(d.role) != bool(d.reason) for d in decisions.values())
    written = [row.candidate.id for row in rows if decisions[ticket(row)].role]
    assert len(written) == len(set(written))


@given(splits(), st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_the_order_of_the_judgements_does_not_matter(rows: list[Judgement], random: Any) -> None:
    shuffled = random.sample(rows, len(rows))
    assert select_split(rows, CONFIG, 3) == select_split(shuffled, CONFIG, 3)


@given(splits())
@settings(max_examples=150, deadline=None)
def test_caps_shares_and_thresholds_are_respected(rows: list[Judgement]) -> None:
    decisions = select_split(rows, CONFIG, 0)
    by_role: dict[str, list[Judgement]] = {"emergent": [], "contrast_image": [], "benign": []}
    for row in rows:
        if role := decisions[ticket(row)].role:
            by_role[role].append(row)
    emergent = by_role["emergent"]
    for part in ("image_id", "text_id"):
        assert all(n <= 2 for n in Counter(getattr(row.candidate, part) for row in emergent).values())
    assert len(emergent) <= 3
    assert len(by_role["benign"]) <= len(emergent) // 2
    assert all(is_emergent(row, CONFIG) and row.candidate.method == "scenario" for row in emergent)
    assert all(is_benign(row, CONFIG) for row in by_role["benign"] + by_role["contrast_image"])


def test_the_most_emergent_pairs_win_an_asset() -> None:
    rows = [judged("i", text, p) for text, p in (("t1", 0.9), ("t2", 0.99), ("t3", 0.95))]
    assert outcome(*rows) == ["asset_overused", "emergent", "emergent"]


def test_a_mechanism_that_is_full_takes_no_more() -> None:
    rows = [judged(f"i{n}", f"t{n}", 0.9 + n / 100) for n in range(4)]
    assert outcome(*rows) == ["quota", "emergent", "emergent", "emergent"]


def test_the_nearest_benign_contrast_is_taken_and_the_others_say_why() -> None:
    anchor = judged("i", "t", 0.95)
    near, nearer, nearest = (
        judged(f"n{score}", "t", p, "contrast_image", anchor.candidate.id, score=score)
        for score, p in ((0.7, 0.1), (0.8, 0.1), (0.9, 0.6))
    )
    assert outcome(anchor, near, nearer, nearest) == [
        "emergent",
        "not_nearest_contrast",
        "contrast_image",
        "contrast_still_harmful",
    ]


def test_a_contrast_belongs_to_the_group_of_its_anchor() -> None:
    anchor = judged("i", "t", 0.95)
    contrast = judged("n", "t", 0.1, "contrast_image", anchor.candidate.id)
    decisions = select_split([anchor, contrast], CONFIG, 0)
    assert {decision.group for decision in decisions.values()} == {anchor.candidate.id}


def test_a_pair_written_as_one_contrast_makes_the_next_nearest_the_other() -> None:
    first, second = judged("i1", "t", 0.99), judged("i2", "t", 0.95)
    rows = [first, second]
    for anchor in (first, second):
        rows += [
            judged(n, "t", 0.1, "contrast_image", anchor.candidate.id, score=s)
            for n, s in (("n1", 0.9), ("n2", 0.8))
        ]
    assert outcome(*rows)[2:] == [
        "contrast_image",
        "not_nearest_contrast",
        "duplicate_pair",
        "contrast_image",
    ]


def test_contrasts_of_a_pair_that_was_not_selected_are_left_out() -> None:
    assert outcome(judged("n", "t", 0.1, "contrast_image", "gone")) == ["no_emergent_anchor"]


def test_what_is_not_chosen_says_why() -> None:
    assert outcome(
        judged("a", "t1", 0.5),
        judged("b", "t2", 0.9, alone=0.34),
        judged("c", "t3", 0.9, alone=0.6),
        judged("d", "t4", 0.9, "random"),
        judged("e", "t5", 0.1),
        config=CONFIG.model_copy(update={"min_emergence": 3.0}),
    ) == ["ambiguous", "below_threshold", "harmful_alone", "baseline", "benign_surplus"]


def test_benign_pairs_are_hard_and_random_in_turn() -> None:
    emergent = [judged(f"i{n}", f"t{n}", 0.95) for n in range(3)]
    hard = [judged(f"h{n}", f"t{n}", 0.1) for n in range(5)]
    random = [judged(f"r{n}", f"t{n}", 0.1, "random") for n in range(5)]
    found = outcome(*emergent, *hard, *random, config=CONFIG.model_copy(update={"benign_share": 1.4}))
    assert found[3:8].count("benign") == 2
    assert found[8:].count("benign") == 2


@given(splits(), st.sampled_from([0.5, 0.9, 0.95, 0.99]), st.sampled_from([-9.0, 2.0, 4.0]))
@settings(max_examples=100, deadline=None)
def test_whatever_the_thresholds_only_anchors_become_emergent(
    rows: list[Judgement], min_joint: float, min_emergence: float
) -> None:
    config = CONFIG.model_copy(update={"min_joint": min_joint, "min_emergence": min_emergence})
    base = [row for row in rows if not row.candidate.anchor]
    decisions = select_split(rows, config, 0)
    emergent = {key for key, decision in decisions.items() if decision.role == "emergent"}
    anchors = choose_anchors(reversed(base), CONFIG)
    assert emergent == {ticket(anchor) for anchor in anchors if is_emergent(anchor, config)}
