from pathlib import Path

import numpy as np
import pytest

from pipelines.training.embedders import load_embedder
from tests.checkpoints import bert_classifier

TEXTS = ["a short one", "quite a lot longer than the short one before it", "third"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(bert_classifier(tmp_path_factory.mktemp("bert")))


def test_mean_pooling_does_not_depend_on_the_neighbours(bert: Path) -> None:
    together = load_embedder(str(bert), batch_size=2)(TEXTS)
    embed = load_embedder(str(bert))
    assert together == pytest.approx(np.concatenate([embed([text]) for text in TEXTS]), abs=1e-5)
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(3), abs=1e-5)


def test_mean_pooling_is_the_mean_of_the_last_states(bert: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    inputs = AutoTokenizer.from_pretrained(bert)(["one text"], return_tensors="pt")
    with torch.no_grad():
        mean = AutoModel.from_pretrained(bert)(**inputs).last_hidden_state[0].mean(dim=0)
    assert load_embedder(str(bert))(["one text"])[0] == pytest.approx((mean / mean.norm()).numpy(), abs=1e-5)


@pytest.mark.parametrize("kind", ["bert", "clip"])
def test_no_texts_have_no_vectors(bert: Path, kind: str) -> None:
    assert len(load_embedder(str(bert) if kind == "bert" else "builtin:tinyworld/clip")([])) == 0
