from typing import Any

import numpy as np
import pytest

from pipelines.stages.embed import Embed, load_vectors


def test_vectors_are_read_back_by_id_in_the_order_asked(
    run: Any, text: Any, text_vectors: Any, workspace: Any, tally: Any
) -> None:
    assets = [text(f"text {i}") for i in range(5)]
    assert len(run(Embed(text_vectors, "text", workspace, tally), assets)["kept"]) == 5
    ids = [asset.id for asset in reversed(assets)]
    vectors = load_vectors(text_vectors.fingerprint(), workspace, ids)
    expected = np.asarray([text_vectors.answer(asset.text) for asset in reversed(assets)], dtype=np.float32)
    np.testing.assert_array_equal(vectors, expected)
    assert vectors.dtype == np.float32


def test_an_asset_that_cannot_be_embedded_is_failed(
    run: Any, text: Any, text_vectors: Any, workspace: Any, tally: Any
) -> None:
    out = run(Embed(text_vectors, "text", workspace, tally), [text("boom"), text("fine")])
    assert [asset.text for asset in out["kept"]] == ["fine"]
    assert [(row.modality, row.name, row.stage) for row in out["failed"]] == [("text", "boom", "embed")]


def test_a_missing_vector_is_named(workspace: Any) -> None:
    with pytest.raises(KeyError, match="absent"):
        load_vectors("a" * 64, workspace, ["absent"])


def test_no_ids_give_no_vectors(workspace: Any) -> None:
    assert load_vectors("a" * 64, workspace, []).shape == (0, 0)
