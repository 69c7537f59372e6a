"""One build with every kind of model at once: tiny checkpoints in the real formats, drawn and written material."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests import checkpoints
from tests.builds import ANY_SCORE, Built, build
from tests.generators.conftest import stable_diffusion_folder

pytestmark = pytest.mark.timeout(600)
PROFILE = """
[build]
name = "models"

[images]
source = ["diffusion", "tinyworld"]
count = 8

[images.diffusion]
path = "{folder}/sd/pipeline"
steps = 1
width = 64
height = 64
per_query = 16

[texts]
source = ["language", "{folder}/texts.csv"]

[texts.language]
model = {{ path = "{folder}/lm", batch_size = 8 }}
max_tokens = 60
temperature = 0.8
attempts = 1
per_query = 4

[scenarios]
source = "{folder}/scenarios.toml"

[screen]
image_labels = ["nsfw"]
text_labels = ["nsfw"]
image_classifier = {{ path = "{folder}/vit" }}
text_classifier = {{ path = "{folder}/bert" }}
zero_shot = {{ path = "builtin:tinyworld/clip" }}
zero_shot_threshold = 1.0
hash_list = "{folder}/hashes.txt"

[embed.model]
path = "builtin:tinyworld/clip"

[judge]
policy = "everyday"
rationale_batch = 4
model = {{ path = "{folder}/qwen", batch_size = 4 }}

[dedupe.split]
train = 0.85
validation = 0.05
test = 0.05
test_ood = 0.05

[pair]
index = "ivf"
candidates_per_scenario = 4
uses_per_scenario = 1
baseline_candidates = 10

[contrast]
neighbours = 8
"""
SCENARIOS = """
[[scenario]]
hazard = "phy"
mechanism = "poisoning"
image_queries = ["a photo of berries", "a photo of a mushroom"]
text_queries = ["someone offers it to eat", "someone urges to taste it"]
why = "Some things must not be eaten."
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints, scenarios, texts and the profile."""
    root = tmp_path_factory.mktemp("models")
    stable_diffusion_folder(root / "sd")
    checkpoints.chat_model(root / "lm")
    checkpoints.qwen_vl(root / "qwen")
    checkpoints.vit_classifier(root / "vit")
    checkpoints.bert_classifier(root / "bert")
    (root / "scenarios.toml").write_text(SCENARIOS)
    (root / "hashes.txt").write_text("0f" * 32 + "\n")
    sayings = [
        f"{said}, says number {n}" for n in range(5) for said in ("taste it", "come and look", "well done")
    ]
    rows = ["text", *(f'"{said}"' for said in sayings), '"write to anna.b@example.org"']
    (root / "texts.csv").write_text("\n".join(rows))
    (root / "profile.toml").write_text(PROFILE.format(folder=root))
    return root


@pytest.fixture(scope="module")
def built(folder: Path) -> Built:
    arguments = ("--profile", str(folder / "profile.toml"))
    return build(folder / "out", folder / "work", *arguments, settings=ANY_SCORE)


def test_drawn_and_written_material_becomes_pairs_with_its_provenance(built: Built) -> None:
    rows = built.rows("data")
    drawn = [row for row in rows if row["image_source"] == "diffusion"]
    written = [row for row in rows if row["text_source"] == "language"]
    assert drawn and written
    assert {row["image_prompt"] for row in drawn} <= {"a photo of berries", "a photo of a mushroom"}
    assert all("steps=1 guidance=5 size=64x64" in row["image_generator"] for row in drawn)
    assert all(row["text"] in checkpoints.SAYINGS and row["text_origin"] == "generated" for row in written)
    assert all(str(built.work.parent) not in str(row["text_generator"]) for row in written)


def test_every_member_of_the_screening_left_its_score(built: Built) -> None:
    (members,) = {
        tuple(m["member"].split(":")[0] for m in row["image_screening"]) for row in built.rows("data")
    }
    assert members == ("classifier", "zero-shot", "judge")


def test_every_prompt_and_row_is_accounted_for(built: Built) -> None:
    dropped = Counter(row["reason"] for row in built.rows("excluded"))
    assert dropped["personal_email"] == 1
    images = built.manifest["rows"]["image"]
    assert images["rows_in"] == 8 + 2 * 16
    assert images["rows_in"] == images["written"] + images["excluded"] + images["failed"]
    assert built.manifest["rows"]["text"]["rows_in"] == 16 + 2 * 4
    assert built.rows("failed") == []


def test_a_second_run_draws_writes_and_judges_nothing(built: Built, folder: Path) -> None:
    arguments = ("--profile", str(folder / "profile.toml"))
    again = build(folder / "again" / "out", folder / "work", *arguments, settings=ANY_SCORE)
    assert again.digests == built.digests
    assert set(again.inferred().values()) == {0}
