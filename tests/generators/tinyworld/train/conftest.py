"""A few drawn scenes and a tokenizer, made once a session."""

import pytest
from transformers import PreTrainedTokenizerFast

from generators.tinyworld.grammar import utter
from generators.tinyworld.train.examples import TRAIN_SEEDS, ScenePool, draw_pool
from generators.tinyworld.train.tokenizer import train_tokenizer


@pytest.fixture(scope="session")
def pool() -> ScenePool:
    """Enough scenes to show every concept."""
    return draw_pool(TRAIN_SEEDS, 500)


@pytest.fixture(scope="session")
def harmful() -> ScenePool:
    return draw_pool(TRAIN_SEEDS, 20, plainly_harmful=True)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(utter(seed).text for seed in range(500))
