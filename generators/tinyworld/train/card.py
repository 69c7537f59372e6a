"""The model card that lies beside the trained weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from generators.tinyworld.train.measure import Figures

CARD = """\
---
license: apache-2.0
library_name: transformers
tags: [crossharm, tinyworld, content-moderation, demonstration]
---
# Models of tinyworld

Five small models, trained from random weights on crossharm's own renderer and grammar by
`python -m generators.tinyworld.train` ({scenes:,} scenes, {minutes:.0f} minutes). They know pictograms and the
sentences of one grammar, and nothing else: **their judgement on photographs or on other texts means nothing.**

| folder | model | steps |
|---|---|---|
| `clip` | open_clip dual encoder, ViT with 64 patches | {clip:,} |
| `screen-image` | transformers ViT classifier, benign or harmful by itself | {screen_image:,} |
| `screen-text` | transformers BERT classifier, benign or harmful by itself | {screen_text:,} |
| `judge` | transformers InternVL (frozen image tower of `clip`, a 4-layer OPT) | {judge:,} |
| `base` | the judge's architecture, for `pipelines.train` to start from | {base:,} |

Whole families of harm (a property with a kind of act), and some single combinations of known families, were
kept out of the judge's training, as harm and as contrast; `rules.toml` lists them under `held_out`.
The base learned from captions, utterances and what they do, at random beside each other: it was never told of harm.

## Measured on unseen scenes and texts

| figure | value |
|---|---|
| caption finds its scene first among 128 | {f.retrieval_at_1:.3f} |
| judge, area under the ROC curve, known combinations | {f.auc_known:.3f} |
| judge, held-out combinations of known families | {f.auc_held_out_pairs:.3f} |
| judge, held-out families | {f.auc_held_out_families:.3f} |
| plainly harmful images caught / benign ones refused | {f.image_screen_recall:.3f} / {f.image_screen_false:.3f} |
| plainly harmful texts caught / benign ones refused | {f.text_screen_recall:.3f} / {f.text_screen_false:.3f} |
| base, things shown that its description names exactly | {f.base.objects:.3f} |
| base, texts whose act it tells exactly | {f.base.texts:.3f} |
| base, pairs it reads with all things and the act right | {f.base.both:.3f} |
| base, the same where the image shows one thing | {f.base.both_of_one:.3f} |
"""


def write_card(out: Path, figures: Figures, *, steps: dict[str, int], scenes: int, minutes: float) -> None:
    """Write `README.md` with the measured figures."""
    counts = {name.replace("-", "_"): count for name, count in steps.items()}
    (out / "README.md").write_text(
        CARD.format(f=figures, scenes=scenes, minutes=minutes, **counts), encoding="utf-8"
    )
