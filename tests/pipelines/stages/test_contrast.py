from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from pipelines.stages.candidates import pair_id
from pipelines.stages.contrast import Contrast
from pipelines.stages.embed import Embed
from pipelines.stages.judge import JudgePairs
from pipelines.stages.retrieval import query_key
from pipelines.stages.selection import choose_anchors
from pipelines.storage.cache import CachedInference
from schemas import config
from schemas.records import Candidate, Judgement, Scenario

SCENARIOS = [Scenario(f"s{i}", "phy", "m", f"picture {i}", f"words {i}", "") for i in range(100)]
CAPS = config.Select(max_uses=1, max_per_mechanism=10)


@pytest.fixture
def pools(pools: Any) -> Any:
    """Every third image and every second text is generated."""
    rates = {"images": 3, "texts": 2}
    return {
        name: [
            asset._replace(provenance=asset.provenance._replace(origin="generated"))
            if i % rates[name] == 0
            else asset
            for i, asset in enumerate(assets)
        ]
        for name, assets in pools.items()
    }


@pytest.fixture
def judgements(run: Any, pools: Any, judge: Any, workspace: Any, tally: Any) -> list[Judgement]:
    """Judged pairs of three splits; every fourth is of a baseline."""
    pairs = [
        Candidate(
            pair_id(image.id, text.id),
            image.id,
            text.id,
            text.text,
            text.split,
            method,
            0.5,
            "phy",
            "m",
            f"s{i}",
            image_origin=image.provenance.origin,
            text_origin=text.provenance.origin,
        )
        for i, (image, text) in enumerate(zip(pools["images"][:100], pools["texts"][:100], strict=True))
        for method in [("scenario", "scenario", "scenario", "random")[i % 4]]
    ]
    return run(JudgePairs(judge, workspace, tally), pairs)["judgements"]


@pytest.fixture
def contrasts(
    *,
    run: Any,
    pools: Any,
    judgements: Any,
    image_vectors: Any,
    text_vectors: Any,
    judge: Any,
    workspace: Any,
    tally: Any,
) -> Callable[..., list[Judgement]]:
    """The judged contrast candidates; order and number of index shards can be chosen."""
    run(Embed(image_vectors, "image", workspace, tally), pools["images"])
    run(Embed(text_vectors, "text", workspace, tally), pools["texts"])
    queries = [query for scenario in SCENARIOS for query in (scenario.image_query, scenario.text_query)]
    CachedInference(text_vectors, workspace)([(query_key(query), query) for query in queries])

    def contrast(order: int = 1, shards: int = 3) -> list[Judgement]:
        stage = Contrast(
            config.Contrast(neighbours=3),
            CAPS,
            config.Pair(index_shards=shards),
            scenarios=SCENARIOS,
            images=image_vectors,
            texts=text_vectors,
            judge=judge,
            workspace=workspace,
            tally=tally,
        )
        out = run(stage, judgements[::order])
        assert out["failed"] == []
        return sorted(out["judgements"])

    return contrast


def test_every_pair_that_may_become_emergent_and_no_other_gets_neighbours_of_both_kinds(
    contrasts: Any, judgements: Any
) -> None:
    kinds: dict[str, list[str]] = defaultdict(list)
    for judgement in contrasts():
        kinds[judgement.candidate.anchor].append(judgement.candidate.method)
    splits = {j.candidate.split for j in judgements}
    anchors = [
        anchor.candidate
        for split in splits
        for anchor in choose_anchors([j for j in judgements if j.candidate.split == split], CAPS)
    ]
    images = Counter((anchor.split, anchor.image_origin) for anchor in anchors)
    texts = Counter((anchor.split, anchor.text_origin) for anchor in anchors)
    assert max(images.values()) > 4
    assert set(kinds) <= {anchor.id for anchor in anchors}
    for anchor in anchors:
        count = Counter(kinds[anchor.id])
        assert count["contrast_image"] == min(3, images[anchor.split, anchor.image_origin] - 1)
        assert count["contrast_text"] == min(3, texts[anchor.split, anchor.text_origin] - 1)


def test_a_contrast_replaces_one_part_by_another_of_the_same_split(
    contrasts: Any, judgements: Any, pools: Any
) -> None:
    by_id = {j.candidate.id: j.candidate for j in judgements}
    split_of = {asset.id: asset.split for rows in pools.values() for asset in rows}
    text_of = {asset.id: asset.text for asset in pools["texts"]}
    for contrast in (judgement.candidate for judgement in contrasts()):
        anchor = by_id[contrast.anchor]
        same = [contrast.image_id == anchor.image_id, contrast.text_id == anchor.text_id]
        assert same == [contrast.method == "contrast_text", contrast.method == "contrast_image"]
        assert split_of[contrast.image_id] == split_of[contrast.text_id] == contrast.split == anchor.split
        assert contrast.text == text_of[contrast.text_id]
        assert (contrast.hazard, contrast.mechanism, contrast.scenario) == anchor[7:10]


def test_a_part_is_replaced_by_that_of_another_such_pair_and_of_its_own_origin(
    contrasts: Any, judgements: Any, pools: Any
) -> None:
    by_id = {j.candidate.id: j.candidate for j in judgements}
    found = contrasts()
    used = {part for id in {j.candidate.anchor for j in found} for part in by_id[id][1:3]}
    origin_of = {asset.id: asset.provenance.origin for rows in pools.values() for asset in rows}
    for contrast in (judgement.candidate for judgement in found):
        anchor = by_id[contrast.anchor]
        assert {contrast.image_id, contrast.text_id} <= used
        assert origin_of[contrast.image_id] == origin_of[anchor.image_id] == contrast.image_origin
        assert origin_of[contrast.text_id] == origin_of[anchor.text_id] == contrast.text_origin


def test_neither_order_nor_shards_change_the_contrasts(contrasts: Any) -> None:
    assert contrasts() == contrasts(order=-1, shards=5)
