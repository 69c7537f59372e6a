from collections import Counter
from itertools import chain
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.stages.candidates import pair_id
from pipelines.stages.emergence import is_benign, is_emergent, judgement_of
from pipelines.stages.selection import choose_anchors, select_split, ticket
from schemas.config import Select
from schemas.records import Candidate, Judgement

CONFIG = Select(max_uses=2, max_per_mechanism=3)
THREE = ("0", "1", "2")


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
            rows.append(judged(anchor.image_id, image, p, "contrast_text", anchor.id, score=score))
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


def full_set(joint: float = 0.95, **more: Any) -> list[Judgement]:
    """Three emergent pairs of different parts, then all six contrasts: three of images, three of texts."""
    rows = [judged(f"i{n}", f"t{n}", joint, **more) for n in THREE]
    for n, other in (("0", "1"), ("1", "2"), ("2", "0")):
        anchor = rows[int(n)].candidate.id
        rows.insert(3, judged(f"i{other}", f"t{n}", 0.1, "contrast_image", anchor))
        rows.append(judged(f"i{n}", f"t{other}", 0.1, "contrast_text", anchor))
    return rows


@given(splits())
@settings(max_examples=150, deadline=None)
def test_caps_shares_and_thresholds_are_respected(rows: list[Judgement]) -> None:
    decisions = select_split(rows, CONFIG, 0)
    by_role: dict[str, list[Judgement]] = {}
    for row in rows:
        if role := decisions[ticket(row)].role:
            by_role.setdefault(role, []).append(row)
    emergent, benign = by_role.pop("emergent", []), by_role.pop("benign", [])
    for part in ("image_id", "text_id"):
        assert all(n <= 2 for n in Counter(getattr(row.candidate, part) for row in emergent).values())
    assert len(emergent) <= 3
    assert len(benign) <= len(emergent) // 2
    assert all(is_emergent(row, CONFIG) and row.candidate.method == "scenario" for row in emergent)
    assert all(is_benign(row, CONFIG) for row in chain(benign, *by_role.values()))


@given(splits(), st.sampled_from([0.0, 1.0]))
@settings(max_examples=150, deadline=None)
def test_no_part_is_in_more_or_fewer_benign_rows_than_its_harmful_ones_allow(
    rows: list[Judgement], benign_share: float
) -> None:
    config = CONFIG.model_copy(update={"benign_share": benign_share})
    decisions = select_split(rows, config, 0)
    for part in ("image_id", "text_id"):
        harmful: Counter[str] = Counter()
        benign: Counter[str] = Counter()
        for row in rows:
            if role := decisions[ticket(row)].role:
                (harmful if role == "emergent" else benign)[getattr(row.candidate, part)] += 1
        assert benign.keys() == harmful.keys()
        most = 3 if benign_share else 2
        assert all(2 * harmful[id] <= benign[id] <= most * harmful[id] for id in harmful)


def test_a_full_contrast_set_is_written_whole() -> None:
    assert outcome(*full_set()) == ["emergent"] * 3 + ["contrast_image"] * 3 + ["contrast_text"] * 3


def test_a_partner_belongs_to_the_group_of_its_emergent_pair() -> None:
    rows = full_set()
    decisions = select_split(rows, CONFIG, 0)
    for row in rows:
        decision = decisions[ticket(row)]
        assert decision.group == (row.candidate.anchor or row.candidate.id)
        assert (
            decision.anchor is None if decision.role == "emergent" else decision.anchor.id == decision.group
        )


def test_a_pair_without_a_contrast_set_is_left_out_and_says_so() -> None:
    *rest, _ = full_set()
    assert outcome(*rest) == ["no_contrast_set"] * 3 + ["no_emergent_anchor"] * 5


def test_a_partner_found_for_another_pair_carries_the_labels_of_its_own() -> None:
    rows = full_set()
    rows[3] = rows[3]._replace(candidate=rows[3].candidate._replace(method="clip", anchor="", hazard=""))
    decision = select_split(rows, CONFIG, 0)[ticket(rows[3])]
    assert decision.role == "contrast_image"
    assert decision.anchor == next(
        row.candidate for row in rows[:3] if row.candidate.text_id == rows[3].candidate.text_id
    )


def test_the_most_emergent_pairs_win_an_asset() -> None:
    rows = [judged("i", text, p) for text, p in (("t1", 0.9), ("t2", 0.99), ("t3", 0.95))]
    assert outcome(*rows) == ["asset_overused", "no_contrast_set", "no_contrast_set"]


def test_a_mechanism_that_is_full_takes_no_more() -> None:
    rows = [judged(f"i{n}", f"t{n}", 0.9 + n / 100) for n in range(4)]
    assert outcome(*rows) == ["quota", *["no_contrast_set"] * 3]


def test_contrasts_that_are_not_taken_say_why() -> None:
    rows = full_set()
    first = rows[0].candidate
    more = [
        judged("far", "t0", 0.1, "contrast_image", first.id),
        judged("bad", "t0", 0.6, "contrast_image", first.id),
        judged("worse", "t0", 0.6, "contrast_image", first.id, alone=0.6),
        judged("i1", "t0", 0.1, "contrast_text", rows[1].candidate.id),
        judged("n", "t", 0.1, "contrast_image", "gone"),
    ]
    assert outcome(*rows, *more)[9:] == [
        "not_nearest_contrast",
        "contrast_still_harmful",
        "harmful_alone",
        "duplicate_pair",
        "no_emergent_anchor",
    ]


def test_what_is_not_chosen_says_why() -> None:
    assert outcome(
        judged("a", "t1", 0.5),
        judged("b", "t2", 0.9, alone=0.34),
        judged("c", "t3", 0.9, alone=0.6),
        judged("d", "t4", 0.9, "random"),
        judged("e", "t5", 0.1),
        config=CONFIG.model_copy(update={"min_emergence": 3.0}),
    ) == ["ambiguous", "below_threshold", "harmful_alone", "baseline", "benign_surplus"]


def test_benign_pairs_are_those_of_the_scenarios_first() -> None:
    """Five pairs of different parts: ten rows of contrasts, and ten more of which five may be benign pairs."""
    config = CONFIG.model_copy(update={"benign_share": 1.0, "max_per_mechanism": 5})
    rows = [judged(f"i{n}", f"t{n}", 0.95) for n in range(5)]
    for n in range(5):
        anchor = rows[n].candidate.id
        rows.append(judged(f"i{(n + 1) % 5}", f"t{n}", 0.1, "contrast_image", anchor))
        rows.append(judged(f"i{n}", f"t{(n + 1) % 5}", 0.1, "contrast_text", anchor))
        rows.append(judged(f"i{n}", f"t{(n + 2) % 5}", 0.1))
        rows.append(judged(f"i{(n + 2) % 5}", f"t{n}", 0.1, "random"))
    found = dict(zip(map(ticket, rows), outcome(*rows, config=config), strict=True))
    chosen = [row.candidate.method for row in rows if found[ticket(row)] == "benign"]
    assert chosen == ["scenario"] * 5


@given(splits(), st.sampled_from([0.5, 0.9, 0.95, 0.99]), st.sampled_from([-9.0, 2.0, 4.0]))
@settings(max_examples=100, deadline=None)
def test_whatever_the_thresholds_only_anchors_become_emergent(
    rows: list[Judgement], min_joint: float, min_emergence: float
) -> None:
    config = CONFIG.model_copy(update={"likely": 0.5, "min_joint": min_joint, "min_emergence": min_emergence})
    base = [row for row in rows if not row.candidate.anchor]
    decisions = select_split(rows, config, 0)
    candidates = {
        key
        for key, decision in decisions.items()
        if decision.role == "emergent" or decision.reason == "no_contrast_set"
    }
    anchors = choose_anchors(reversed(base), config)
    assert candidates == {ticket(anchor) for anchor in anchors if is_emergent(anchor, config)}
