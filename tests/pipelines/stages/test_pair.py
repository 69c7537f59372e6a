from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from pipelines.stages.candidates import best_proposal, pair_id, proposal
from pipelines.stages.embed import Embed
from pipelines.stages.pair import Pairing, propose, queries_of
from pipelines.stages.retrieval import Hit
from schemas import config
from schemas.records import Candidate, Scenario
from schemas.taxonomy import CLOSED_HAZARDS, ClosedHazardError

SCENARIO = Scenario("s", "phy", "poisoning", "bath", "dry", "")


@pytest.fixture
def pairing(
    *, run: Any, pools: Any, scenarios: Any, image_vectors: Any, text_vectors: Any, workspace: Any, tally: Any
) -> Callable[..., list[Candidate]]:
    """Pairs the pools; options override the configuration."""
    run(Embed(image_vectors, "image", workspace, tally), pools["images"])
    run(Embed(text_vectors, "text", workspace, tally), pools["texts"])

    def pair(order: int = 1, **options: int) -> list[Candidate]:
        settings = config.Pair(baseline_candidates=24, candidates_per_scenario=5, **options)
        pairing = Pairing(
            settings, 7, scenarios, image_vectors, text_vectors, workspace=workspace, tally=tally
        )
        return sorted(run(pairing, {name: rows[::order] for name, rows in pools.items()})["out"])

    return pair


def test_pairs_never_cross_splits_and_carry_their_text(pairing: Any, pools: Any) -> None:
    images = {asset.id: asset for asset in pools["images"]}
    texts = {asset.id: asset for asset in pools["texts"]}
    pairs = pairing()
    for pair in pairs:
        assert images[pair.image_id].split == texts[pair.text_id].split == pair.split
        assert texts[pair.text_id].text == pair.text
        assert pair.id == pair_id(pair.image_id, pair.text_id)
    assert len({pair.id for pair in pairs}) == len(pairs)


def test_held_out_scenarios_are_paired_in_test_ood_only(pairing: Any) -> None:
    found = {(pair.split == "test_ood", pair.scenario in {"s3", "s7"}) for pair in pairing() if pair.scenario}
    assert found == {(True, True), (False, False)}


def test_neither_order_nor_shards_change_the_candidates(pairing: Any) -> None:
    assert pairing() == pairing(order=-1, index_shards=7)


def test_every_scenario_and_both_baselines_propose(pairing: Any) -> None:
    pairs = pairing()
    assert {pair.scenario for pair in pairs} == {"", *(f"s{i}" for i in range(8))}
    methods = Counter(pair.method for pair in pairs)
    assert methods["scenario"] <= 6 * 3 * 5 + 2 * 5
    assert 20 <= methods["random"] <= 24
    assert 20 <= methods["clip"] <= 24


def test_no_baselines_leave_the_scenarios(
    *,
    run: Any,
    pairing: Any,
    pools: Any,
    scenarios: Any,
    image_vectors: Any,
    text_vectors: Any,
    workspace: Any,
    tally: Any,
) -> None:
    with_baselines = [pair for pair in pairing() if pair.method == "scenario"]
    settings = config.Pair(baseline_candidates=0, candidates_per_scenario=5)
    alone = Pairing(settings, 7, scenarios, image_vectors, text_vectors, workspace=workspace, tally=tally)
    assert sorted(run(alone, pools)["out"]) == with_baselines


def test_empty_pools_give_no_candidates(
    *, run: Any, scenarios: Any, image_vectors: Any, text_vectors: Any, workspace: Any, tally: Any
) -> None:
    pairing = Pairing(
        config.Pair(), 7, scenarios, image_vectors, text_vectors, workspace=workspace, tally=tally
    )
    assert run(pairing, {"images": [], "texts": []})["out"] == []


def test_proposals_are_ranked_by_mean_cosine() -> None:
    settings = config.Pair(candidates_per_scenario=3)
    pairs = propose(
        SCENARIO, "train", [Hit(0.9, "a"), Hit(0.5, "b")], [Hit(0.4, "c"), Hit(0.2, "d")], settings
    )
    assert [(pair.image_id, pair.text_id, pair.score) for pair in pairs] == [
        ("a", "c", 0.65),
        ("a", "d", 0.55),
        ("b", "c", 0.45),
    ]


def test_no_asset_crowds_out_the_others_of_a_scenario() -> None:
    images, texts = [Hit(0.9, "a"), Hit(0.1, "b")], [Hit(0.9, "c"), Hit(0.8, "d"), Hit(0.7, "e")]
    pairs = propose(SCENARIO, "train", images, texts, config.Pair(uses_per_scenario=1))
    assert [(pair.image_id, pair.text_id) for pair in pairs] == [("a", "c"), ("b", "d")]


def test_a_scenario_s_proposal_wins_over_a_baseline_s() -> None:
    clip = proposal("a", "b", "train", "clip", 0.9)
    weak, strong = (clip._replace(method="scenario", score=s, scenario="s") for s in (0.1, 0.2))
    assert best_proposal([clip, weak, strong]) == strong
    assert best_proposal([strong._replace(scenario="z"), strong]) == strong


@pytest.mark.parametrize("hazard", sorted(CLOSED_HAZARDS))
def test_a_closed_hazard_is_refused_before_anything_runs(
    hazard: str, image_vectors: Any, text_vectors: Any, workspace: Any, tally: Any
) -> None:
    closed = (SCENARIO._replace(hazard=hazard),)
    with pytest.raises(ClosedHazardError):
        Pairing(config.Pair(), 0, closed, image_vectors, text_vectors, workspace=workspace, tally=tally)


def test_an_unknown_mechanism_is_refused() -> None:
    with pytest.raises(ValueError, match="sorcery"):
        queries_of([SCENARIO._replace(mechanism="sorcery")])
